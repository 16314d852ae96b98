"""Licence keys: read as people write them, refused before the database, rotated with an overlap."""

from datetime import timedelta
from typing import Any

import pytest

from permit.security.licence_keys import ALPHABET, canonical
from tests.support.deployment import FINGERPRINT, Deployment
from tests.support.proof_reading import claims_of
from tests.support.sent_statements import sent_statements

HOUR = timedelta(hours=1)
OTHER = "fingerprint-of-another-machine"
WRITTEN = {
    "as it was issued": lambda key: key,
    "in lower case": str.lower,
    "without hyphens": lambda key: key.replace("-", ""),
    "with spaces": lambda key: f"  {key.replace('-', ' ')} ",
    "in other groups": lambda key: "-".join(key.replace("-", "")),
    "with the letter O": lambda key: key.replace("0", "O"),
    "with a small o": lambda key: key.replace("0", "o"),
    "with I for one": lambda key: key.replace("1", "I"),
    "with l for one": lambda key: key.replace("1", "l"),
}


@pytest.mark.parametrize("writing", WRITTEN)
def test_a_key_is_read_as_people_write_it(deployment: Deployment, writing: str) -> None:
    """Case, hyphens, spaces and the look-alikes make no difference, at check and at release."""
    licence = licence_with_look_alikes(deployment)
    written = WRITTEN[writing](licence["key"])

    checked = deployment.check(written)
    released = deployment.release(written, device_id=checked["device"]["id"])

    assert ("VALID", licence["id"]) == (checked["code"], checked["licence"]["id"])
    assert "RELEASED" == released["code"]


def licence_with_look_alikes(deployment: Deployment) -> dict[str, Any]:
    """Of random keys, one with both a 0 and a 1 in it."""
    policy = deployment.vendor.policy()
    while True:
        licence = deployment.vendor.licence(policy)
        if {"0", "1"} <= set(licence["key"]):
            return licence


def mistyped(key: str) -> list[str]:
    """Each symbol replaced by its neighbour in the alphabet, and the ways of losing count."""
    symbols = key.replace("-", "")
    neighbour = dict(zip(ALPHABET, ALPHABET[1:] + ALPHABET[0], strict=True))
    changed = [symbols[:i] + neighbour[symbols[i]] + symbols[i + 1 :] for i in range(30)]
    return [*changed, symbols[:-1], symbols + "0", symbols[1:], symbols[::-1], symbols * 2]


def test_a_mistyped_key_never_reaches_the_database(deployment: Deployment) -> None:
    """Wrong check symbols are NOT_FOUND at once, however many are tried."""
    key = deployment.vendor.licence()["key"]
    # Ten check bits let one in a thousand through: those are not what this is about.
    wrong = [text for text in mistyped(key) if canonical(text) is None]
    wrong += ["x", "-" * 30, "\u2070" * 30, "U" * 30, key.replace("-", "_"), f"{key}!"]

    with sent_statements(deployment, "licence_check") as sent:
        codes = {deployment.check(text)["code"] for text in wrong}
        codes |= {deployment.release(text, fingerprint="f" * 16)["code"] for text in wrong}

    assert {"NOT_FOUND"} == codes
    assert [] == sent
    assert len(wrong) > 35


def test_a_rotated_key_is_replaced_at_once(deployment: Deployment) -> None:
    """Without an overlap the old key stays known and says so; the new one has the same seats."""
    licence = deployment.vendor.licence()
    device = deployment.check(licence["key"])["device"]

    new = deployment.vendor.command("rotate-licence-key", licence)["key"]
    old_answer, new_answer = deployment.check(licence["key"]), deployment.check(new)

    assert ["KEY_REPLACED", "VALID"] == [old_answer["code"], new_answer["code"]]
    assert licence["id"] == new_answer["licence"]["id"]
    assert device["id"] == new_answer["device"]["id"]


@pytest.mark.parametrize("product", [None, "editor", "viewer"])
def test_a_replaced_key_learns_nothing(deployment: Deployment, product: str | None) -> None:
    """Whoever has only the old key sees no licence, device or metadata, by no question."""
    policy = deployment.vendor.policy(entitlements=["export"], meters=[{"name": "m", "limit": 9}])
    licence = deployment.vendor.licence(
        policy, metadata={"plan": "gold"}, expires_at="2099-01-01T00:00:00Z", max_devices=1
    )
    deployment.check(licence["key"])
    deployment.vendor.command("rotate-licence-key", licence)
    asked = {} if product is None else {"product": product}

    answers = [deployment.check(licence["key"], each, **asked) for each in (FINGERPRINT, OTHER)]
    used = deployment.send("licence_usage", {"key": licence["key"], "meter": "m", **asked}).body

    expected = "PRODUCT_MISMATCH" if product == "viewer" else "KEY_REPLACED"
    for answer in answers:
        assert (expected, None, None) == tuple(answer[n] for n in ("code", "licence", "device"))
        assert "devices" not in answer
        told = claims_of(answer["proof"])
        assert ([], None, None) == (told["ent"], told["licence_expires_at"], told["on_expiry"])
        assert {"ver", "nca", "dev", "nonce"} <= told.keys()
    names = ("code", "used", "limit", "resets_at")
    assert (expected, None, None, None) == tuple(used[name] for name in names)
    told = claims_of(used["proof"])
    assert (None, None, None) == tuple(told[name] for name in names[1:])


@pytest.mark.parametrize("terms", [{}, {"seat_ttl": "P1D"}], ids=["node-locked", "floating"])
def test_a_lease_outlives_no_overlap(deployment: Deployment, terms: Any) -> None:
    """The old key's proofs end with its overlap, a usage's too; the new key's are whole."""
    policy = deployment.vendor.policy(meters=[{"name": "m", "limit": 9}], **terms)
    licence = deployment.vendor.licence(policy)
    first = deployment.check(licence["key"])
    new = deployment.vendor.command("rotate-licence-key", licence, overlap="PT5M")["key"]
    [(ends_at,)] = deployment.sql(
        "SELECT extract(epoch FROM max(valid_until))::float8 FROM permit.licence_keys"
    )

    old_answer, new_answer = (deployment.check(key) for key in (licence["key"], new))
    usage = {"key": licence["key"], "meter": "m"}
    used = deployment.send("licence_usage", usage).body
    full, old_lease, new_lease = (
        claims_of(answer["proof"]) for answer in (first, old_answer, new_answer)
    )

    assert int(ends_at) == old_lease["exp"] == claims_of(used["proof"])["exp"]
    assert old_lease["iat"] < old_lease["nca"] < old_lease["exp"]
    lease = full["exp"] - full["iat"]
    assert lease - 5 <= new_lease["exp"] - new_lease["iat"] <= lease


def test_an_overlap_lets_both_keys_work(deployment: Deployment) -> None:
    """Until it ends, a device may be new under either key; then the old one is replaced."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=2))
    new = deployment.vendor.command("rotate-licence-key", licence, overlap="PT1H")["key"]

    within = [deployment.check(key, f"{key[:16]}-machine") for key in (licence["key"], new)]
    deployment.pass_time(HOUR)
    after = [deployment.check(key, f"{key[:16]}-machine") for key in (licence["key"], new)]

    assert ["VALID", "VALID"] == [answer["code"] for answer in within]
    assert ["KEY_REPLACED", "VALID"] == [answer["code"] for answer in after]
    assert {2} == {answer["licence"]["devices_used"] for answer in (within[1], after[1])}


def test_every_former_key_stays_known(deployment: Deployment) -> None:
    """After each rotation one more key answers that it was replaced; only one works."""
    licence = deployment.vendor.licence()
    keys = [licence["key"]]
    keys += [deployment.vendor.command("rotate-licence-key", licence)["key"] for _ in range(3)]

    codes = [deployment.check(key)["code"] for key in keys]

    assert ["KEY_REPLACED"] * 3 + ["VALID"] == codes


def test_a_new_key_starts_no_new_term(deployment: Deployment) -> None:
    """A rotation does not renew, and a revoked licence gets no new key."""
    licence = deployment.vendor.licence(deployment.vendor.policy(duration="P1M"))
    deployment.check(licence["key"])
    deployment.pass_time(HOUR)

    new = deployment.vendor.command("rotate-licence-key", licence)["key"]
    answer = deployment.check(new)
    deployment.vendor.command("revoke-licence", licence)
    problem = deployment.refused(
        "rotate-licence-key", tenant_id=deployment.vendor.tenant_id, licence_id=licence["id"]
    )

    assert licence["expires_at"] == answer["licence"]["expires_at"]
    assert "licence_revoked" == problem["code"]


def test_a_key_is_stored_nowhere(deployment: Deployment) -> None:
    """Only a digest and the last five symbols are stored."""
    key = deployment.vendor.licence()["key"]
    symbols = key.replace("-", "")
    deployment.check(key)

    tables = deployment.sql(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'permit' ORDER BY tablename"
    )
    contents = " ".join(
        row
        for (table,) in tables
        for (row,) in deployment.sql(f"SELECT t::text FROM permit.{table} AS t")
    )

    assert symbols[-5:] in contents
    assert not [part for part in (key, symbols, symbols[:12], key[:13]) if part in contents]
