"""How often each request goes to the database: latency is mostly this number."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.authenticator import code
from tests.support.deployment import FINGERPRINT, Deployment
from tests.support.sent_statements import sent_statements

OTHER = "fingerprint-of-another-machine"
PARTS = {"components": {"cpu": "a"}}


def test_the_count_itself_counts(deployment: Deployment) -> None:
    """Statements of the function are seen, one by one, and those of others are not."""
    licence = deployment.vendor.licence()
    with sent_statements(deployment, "licence_check") as first:
        deployment.check(licence["key"])
    with sent_statements(deployment, "licence_check") as others:
        deployment.vendor.licence()

    doors = [text.partition("permit.")[2].partition("(")[0] for text in first]
    assert ["check_key", "claim_seat_by_key"] == doors
    assert [] == others


@pytest.mark.parametrize("elapsed", [timedelta(0), timedelta(hours=1)], ids=["not due", "due"])
@pytest.mark.parametrize(
    "terms",
    [{}, {"seat_ttl": "P1D"}, {"unique": "product"}, {"matching": "any"}, {"overage": 1}],
    ids=["plain", "floating", "unique", "matching", "overage"],
)
def test_a_known_device_is_checked_in_one(
    deployment: Deployment, terms: dict[str, Any], elapsed: timedelta
) -> None:
    """Whether its last_seen_at is rewritten or not, whatever the policy."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=2, **terms))
    deployment.check(licence["key"], device=PARTS)
    deployment.pass_time(elapsed)

    with sent_statements(deployment, "licence_check") as sent:
        answer = deployment.check(licence["key"], device=PARTS)

    assert "VALID" == answer["code"]
    assert 1 == len(sent)


@pytest.mark.parametrize(
    ("terms", "code"),
    [({}, "VALID"), ({"starts": "on_first_check"}, "VALID"), ({"unique": "policy"}, "VALID")],
    ids=["plain", "first check", "unique"],
)
def test_a_new_device_is_seated_in_two(
    deployment: Deployment, terms: dict[str, Any], code: str
) -> None:
    """The facts, and the claim that answers with the facts as they are then."""
    licence = deployment.vendor.licence(deployment.vendor.policy(**terms))
    deployment.check(deployment.vendor.licence()["key"])  # the connection is open

    with sent_statements(deployment, "licence_check") as sent:
        answer = deployment.check(licence["key"], OTHER)

    assert code == answer["code"]
    assert 2 == len(sent)


def test_a_changed_machine_is_recognised_in_two(deployment: Deployment) -> None:
    """Re-binding is part of the same claim."""
    licence = deployment.vendor.licence(deployment.vendor.policy(matching="any", max_devices=1))
    deployment.check(licence["key"], OTHER, device=PARTS)

    with sent_statements(deployment, "licence_check") as sent:
        answer = deployment.check(licence["key"], FINGERPRINT, device=PARTS)

    assert "VALID" == answer["code"]
    assert 2 == len(sent)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"product": "viewer"}, "PRODUCT_MISMATCH"),
        ({"entitlements": ["sync"]}, "ENTITLEMENTS_MISSING"),
        ({}, "TOO_MANY_DEVICES"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refusal_costs_one(deployment: Deployment, request_: Any, code: str) -> None:
    """What is refused from the facts never takes the lock."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=1))
    deployment.check(licence["key"], OTHER)

    with sent_statements(deployment, "licence_check") as sent:
        answer = deployment.check(licence["key"], **request_)

    assert code == answer["code"]
    assert 1 == len(sent)


def test_an_unknown_key_and_a_release_cost_one(deployment: Deployment) -> None:
    """Each is a single call."""
    licence = deployment.vendor.licence()
    deployment.check(licence["key"])

    with sent_statements(deployment, "licence_check") as unknown:
        deployment.check("012345-6789AB-CDEFGH-JKMNPQ-RSTVTR")
    with sent_statements(deployment, "licence_check") as released:
        deployment.release(licence["key"], fingerprint=FINGERPRINT)

    assert (1, 1) == (len(unknown), len(released))


def test_a_login_costs_two(deployment: Deployment) -> None:
    """Admission with the hash, and the session: nothing in between."""
    vendor = deployment.vendor
    deployment.operator("rotate-token-key")
    credentials = {"email": vendor.email, "password": vendor.password}

    with sent_statements(deployment, "login") as sent:
        answer = deployment.send("login", credentials)

    assert 200 == answer.status, answer.text
    assert 2 == len(sent)


def test_each_step_with_a_second_factor_costs_two(deployment: Deployment) -> None:
    """The first is admitted and, at a known place too, taken back; the second is a session."""
    vendor = deployment.vendor
    path = "/v1/users/me/second-factor"
    secret = vendor.call("POST", path)["secret"]
    vendor.call("POST", f"{path}/confirm", {"code": code(secret, steps=-1)})
    credentials = {"email": vendor.email, "password": vendor.password}

    with sent_statements(deployment, "login") as known:
        deployment.send("login", credentials)
    with sent_statements(deployment, "login") as first:
        body = deployment.send("login", credentials, source_ip="198.51.100.1").body
    step = {"mfa_token": body["mfa_token"], "code": code(secret)}
    with sent_statements(deployment, "login") as second:
        answer = deployment.send("login_second_factor", step)

    assert 200 == answer.status, answer.text
    assert [2, 2, 2] == [len(sent) for sent in (known, first, second)]


def test_a_fresh_proof_costs_two(deployment: Deployment) -> None:
    """Admission with the hash, and how it ended; a wrong password the same."""
    vendor = deployment.vendor
    assert vendor.token

    with sent_statements(deployment, "login") as right:
        vendor.elevated()
    with sent_statements(deployment, "login") as wrong:
        deployment.call("POST", "/v1/login/elevate", {"password": "x"}, token=vendor.token)

    assert [2, 2] == [len(right), len(wrong)]
