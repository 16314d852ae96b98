"""How the answer of the check's door is read: by name, ignoring more, never making up for less."""

from typing import Any, cast

import pytest

from permit.check.facts import LicenceFacts
from permit.check.queries import find_facts
from permit.db import Database

INSTANT = "2027-03-14T09:30:00.123456+00:00"
ID = "7d9f1c1e-5a0b-4f6e-9c3d-2b8e4a6f0c11"
POLICY = {
    "policy_revision": 3,
    "product": "editor",
    "policy": "Standard",
    "policy_entitlements": ["print", "export"],
    "on_expiry": "block",
    "device_required": True,
    "activation": "automatic",
    "matching": "exact",
    "overage": 0,
}
MORE = {"used_elsewhere": True, "seats_ahead": 2, "seated_devices": []}
ANSWER: dict[str, Any] = {
    **dict.fromkeys(("checked_at", "starts_at", "lease_until", "first_seen_at"), INSTANT),
    **dict.fromkeys(("key_valid_until", "revoked_at", "suspended_at", "expires_at")),
    **dict.fromkeys(("grace_ends_at", "last_seen_at", "max_devices", "refresh_at", "seat_free_at")),
    **dict.fromkeys(("tenant_id", "licence_id", "device_id"), ID),
    "licence_revision": 1,
    "metadata": {"order": 5},
    "licence_entitlements": ["print", "sync"],
    "devices_used": 1,
    "device_state": "seated",
    "kid": "kid",
    "sealed_key": "\\x00ff",
    "master_version": "1",
    "policy_facts": POLICY,
    "more": None,
}


def read(answer: dict[str, Any]) -> LicenceFacts | None:
    class Answering:
        def fetch_value(self, *_: object, **__: object) -> Any:
            return answer

    return find_facts(cast("Database", Answering()), b"", None)


def test_it_is_read_by_name() -> None:
    """Whatever the order; the policy's entitlements are granted with the licence's own."""
    facts = read(dict(reversed(ANSWER.items())))

    assert facts is not None
    assert ("Standard", 3, b"\x00\xff") == (facts.policy, facts.policy_revision, facts.sealed_key)
    assert ["export", "print", "sync"] == facts.entitlements
    assert (False, 0, None) == (facts.used_elsewhere, facts.seats_ahead, facts.seated_devices)


def test_what_is_not_known_is_ignored() -> None:
    """From a newer door, or in a policy's facts that a newer migration wrote."""
    added = {"added": 1}
    newer = {**ANSWER, **added, "policy_facts": POLICY | added, "more": MORE | added}

    assert read({**ANSWER, "more": MORE}) == read(newer)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        *(((), name) for name in ANSWER),
        *((("policy_facts",), name) for name in POLICY),
        *((("more",), name) for name in MORE),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else value,
)
def test_what_is_missing_is_not_made_up_for(place: tuple[str, ...], name: str) -> None:
    """A check fails rather than allow what it does not know to be allowed."""
    answer = {**ANSWER, "policy_facts": dict(POLICY), "more": dict(MORE)}
    holder = answer
    for part in place:
        holder = holder[part]
    del holder[name]

    with pytest.raises(KeyError, match=name):
        read(answer)
