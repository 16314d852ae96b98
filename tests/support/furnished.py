"""A vendor with something of everything, made by one version and found again by another."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.authenticator import code
from tests.support.deployment import Deployment, Vendor
from tests.support.proof_reading import read_proof

PARTS = {"disk": "disk-0123456789", "board": "board-0123456789"}
METERS = [{"name": "exports", "limit": 5, "period": "month"}]
PASSWORD = "a long enough passphrase"
IDEMPOTENT = {"idempotency-key": "the-order-that-came-twice"}
# What every look changes or makes anew.
_FLEETING = {
    "checked_at",
    "next_check_at",
    "last_seen_at",
    "last_checked_at",
    "last_used_at",
    "proof",
    "nonce",
}


@dataclass(frozen=True, kw_only=True)
class Furnished:
    vendor: Vendor
    api_key: str
    guarded: dict[str, Any]
    """A user with a second factor: email, password, secret, recovery_codes."""
    licences: dict[str, dict[str, Any]]
    """By what is special about each; `fingerprints` are its devices."""
    once: dict[str, Any]
    """What can be used only once: a refresh token, an invitation."""
    proofs: list[str] = field(default_factory=list)

    def on(self, deployment: Deployment) -> "Furnished":
        """The same rows, in a copy of the database or under another version."""
        vendor = replace(self.vendor, deployment=deployment)
        vendor.token = self.vendor.token  # made by whoever furnished it
        return replace(self, vendor=vendor)

    def get(self, path: str, **query: object) -> Any:
        return self.vendor.call("GET", path, query=query)


def furnish(deployment: Deployment, name: str) -> Furnished:
    """Licences in every state, seats in every state, people, servers, sessions, proofs."""
    email = f"{name}@example.com"
    vendor = Vendor.create(deployment, email=email)
    licences = {"floating": _floating(vendor), **_in_each_state(vendor), **_with_devices(vendor)}
    for licence in licences.values():
        licence.setdefault("fingerprints", [])
    sessions = deployment.send("login", {"email": email, "password": vendor.password}).body
    invited = {"email": f"invited-by-{name}@example.com", "role": "support"}
    order = {"policy_id": licences["perpetual"]["policy_id"], "holder": {"reference": "C-1815"}}
    return Furnished(
        vendor=vendor,
        api_key=vendor.api_key("admin"),
        guarded=_guarded(vendor, f"guarded-by-{name}@example.com"),
        licences=licences,
        once={
            "refresh_token": sessions["refresh_token"],
            "invitation": vendor.call("POST", "/v1/users", invited, status=201)["token"],
            "order": order,
            "ordered": vendor.call("POST", "/v1/licences", order, status=201, headers=IDEMPOTENT),
        },
        proofs=[deployment.check(*each)["proof"] for each in _asked(licences)],
    )


def look(made: Furnished) -> dict[str, Any]:
    """All that can be seen of it without changing it."""
    vendor, licences = made.vendor, made.licences
    lists = ("products", "policies", "licences", "users", "api-keys", "audit-events")
    seen: dict[str, Any] = {path: made.get(f"/v1/{path}", limit=100) for path in lists}
    keys = made.get(f"/v1/tenants/{vendor.tenant_id}/jwks.json")["keys"]
    checks = [vendor.deployment.check(*each) for each in _asked(licences)]
    for answer in checks:
        claims = read_proof(answer["proof"], keys).claims
        assert (claims["valid"], claims["code"]) == (answer["valid"], answer["code"])
    for name, licence in licences.items():
        path = f"/v1/licences/{licence['id']}"
        parts = [made.get(f"{path}{part}") for part in ("", "/devices", "/usage")]
        assert parts[0] == vendor.call(
            "POST", "/v1/licences/lookup", {"key": licence["key"]}, token=made.api_key
        )
        seen[name] = parts
    seen["me"] = made.get("/v1/users/me")
    seen["export"] = vendor.deployment.operator("export-tenant", tenant_id=vendor.tenant_id)
    proofs = [read_proof(proof, keys) for proof in made.proofs]
    return _lasting({**seen, "checks": checks, "keys": keys, "proofs": proofs})


def go_on(made: Furnished, *, opens_answers: bool = True) -> None:
    """Uses up what can be used once, and works with the rest: all succeeds, whoever made it.

    But the previous release cannot open an answer that this one keeps: it refuses the request.
    """
    vendor, once = made.vendor, made.once
    send, call = vendor.deployment.send, vendor.call
    assert 200 == send("login_refresh", {"refresh_token": once["refresh_token"]}).status
    assert 401 == send("login_refresh", {"refresh_token": "permit_rt_" + "A" * 43}).status
    password = {"token": once["invitation"], "password": PASSWORD}
    call("POST", "/v1/users/accept", password, status=204, token=None)
    again = vendor.deployment.call(
        "POST", "/v1/licences", once["order"], token=vendor.token, headers=IDEMPOTENT
    )
    if opens_answers:
        assert (201, once["ordered"]) == (again.status, again.body)
    else:
        assert (422, "idempotency_key_reused") == (again.status, again.body["code"])
    assert made.vendor.log_in(vendor.email, vendor.password)
    for proof in (code(made.guarded["secret"]), made.guarded["recovery_codes"][0]):
        sign_in = {name: made.guarded[name] for name in ("email", "password")}
        step = send("login", sign_in).body["mfa_token"]
        assert 200 == send("login_second_factor", {"mfa_token": step, "code": proof}).status
    _go_on_with_licences(made)


def _go_on_with_licences(made: Furnished) -> None:
    deployment, licences = made.vendor.deployment, made.licences
    begun = deployment.check(licences["waiting"]["key"], "fingerprint-of-the-first-machine")
    assert ("VALID", "active") == (begun["code"], begun["licence"]["status"])
    assert deployment.check(licences["roomy"]["key"], "fingerprint-of-a-newcomer")["valid"]
    moved = deployment.check(
        licences["matching"]["key"],
        "fingerprint-of-a-third-board",
        device={"components": {**PARTS, "board": "board-of-another-kind"}},
    )
    assert ("VALID", 1) == (moved["code"], moved["licence"]["devices_used"])
    used = {"key": licences["perpetual"]["key"], "meter": "exports", "quantity": 2}
    counted = [deployment.send("licence_usage", used).body for _ in range(2)]
    assert [(True, 5), (False, 5)] == [(each["allowed"], each["used"]) for each in counted]
    key = licences["perpetual"]["key"]
    assert deployment.release(key, fingerprint="fingerprint-of-perpetual-0")["released"]
    seated = deployment.check(key, "fingerprint-of-perpetual-2")
    assert seated["valid"]
    assert deployment.release(key, device_id=seated["device"]["id"])["released"]
    deployment.invoke("sweep", {})


# What the older version has no word for, and what it says in its place: of an audit event, whom
# Permit takes the actor for.
_TOLD_AS = {("kind", "link"): "user", ("actor_kind", "link"): "user"}


def differences(before: Any, after: Any, *, forward: bool = True, place: str = "") -> list[str]:
    """Where what was there is not there unchanged; a member may be added.

    Not `forward`: what the older version tells of what the newer one made; it may know less.
    """
    if re.fullmatch(r"\.audit-events\.items\[\d+\]\.changes", place):
        from permit.people.audit import in_the_apis_words  # not yet in the release before

        # The release before tells them as the tables have them: the same, in other words.
        before, after = in_the_apis_words(before), in_the_apis_words(after)
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        missing = before.keys() - after.keys() if forward else set()
        return [f"{place}.{name} is missing" for name in sorted(missing)] + [
            found
            for name in sorted(before.keys() & after.keys())
            for found in differences(
                before[name], after[name], forward=forward, place=f"{place}.{name}"
            )
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            found
            for number, pair in enumerate(zip(before, after, strict=True))
            for found in differences(*pair, forward=forward, place=f"{place}[{number}]")
        ]
    if not forward and _TOLD_AS.get((place.rpartition(".")[2], str(before))) == after:
        return []
    return [] if before == after else [f"{place}: {before!r} became {after!r}"]


def _floating(vendor: Vendor) -> dict[str, Any]:
    """Two devices with lapsed seats: one is marked so, one has lapsed since."""
    licence = vendor.licence(vendor.policy(name="Floating", seat_ttl="PT1H", max_devices=1))
    for fingerprint in ("fingerprint-of-floating-0", "fingerprint-of-floating-1"):
        assert vendor.deployment.check(licence["key"], fingerprint)["valid"]
        vendor.deployment.pass_time(timedelta(hours=2))
    return licence


def _in_each_state(vendor: Vendor) -> dict[str, dict[str, Any]]:
    now = datetime.now(UTC)
    ended = {
        "starts_at": (now - timedelta(days=400)).isoformat(),
        "expires_at": (now - timedelta(days=1)).isoformat(),
    }
    waiting = vendor.policy(name="Waiting", starts="on_first_check", duration="P1M")
    maintained = vendor.policy(name="Maintained", duration="P1Y", on_expiry="maintain")
    tolerant = vendor.policy(name="Tolerant", duration="P1Y", on_expiry="allow")
    made = {
        "waiting": vendor.licence(waiting),
        "early": vendor.licence(starts_at=(now + timedelta(days=9)).isoformat()),
        "in term": vendor.licence(vendor.policy(name="Yearly", duration="P1Y")),
        "in grace": vendor.licence(vendor.policy(duration="P1Y", grace="P14D"), **ended),
        "expired": vendor.licence(vendor.policy(duration="P1Y"), **ended),
        "maintained": vendor.licence(maintained, **ended),
        "tolerated": vendor.licence(tolerant, **ended),
        "suspended": vendor.licence(),
        "revoked": vendor.licence(),
        "rotated": vendor.licence(),
        "without devices": vendor.licence(vendor.policy(device_required=False)),
    }
    for name, licence in made.items():
        if name not in ("waiting", "without devices"):
            licence["fingerprints"] = [f"fingerprint-of-{name}-0"]
            vendor.deployment.check(licence["key"], licence["fingerprints"][0])
    vendor.command("suspend-licence", made["suspended"])
    vendor.command("revoke-licence", made["revoked"])
    rotated = vendor.command("rotate-licence-key", made["rotated"], overlap="P7D")
    made["rotated"] |= {"old_key": made["rotated"]["key"], "key": rotated["key"]}
    vendor.deployment.check(made["without devices"]["key"], None)
    return made


def _with_devices(vendor: Vendor) -> dict[str, dict[str, Any]]:
    check = vendor.deployment.check
    policies = {
        "perpetual": {"max_devices": 2, "entitlements": ["export"], "meters": METERS},
        "roomy": {"max_devices": None, "unique": "product"},
        "tolerant": {"max_devices": 1, "overage": 1},
        "matching": {"max_devices": 1, "matching": "any", "max_releases": 5},
        "by hand": {"max_devices": 3, "activation": "manual"},
    }
    made: dict[str, dict[str, Any]] = {}
    for name, terms in policies.items():
        policy = vendor.policy(name=name.title(), **terms)
        licence = vendor.licence(
            policy, holder={"name": "Ada Lovelace", "email": "ada@example.com"}
        )
        fingerprints = [f"fingerprint-of-{name}-{n}" for n in range(2)]
        made[name] = {**licence, "policy_id": policy, "fingerprints": fingerprints}
        for fingerprint in fingerprints:
            device = {"components": PARTS if name == "matching" else None, "name": "Laptop"}
            check(licence["key"], fingerprint, device=device)
    used = {"key": made["perpetual"]["key"], "meter": "exports", "quantity": 3}
    assert vendor.deployment.send("licence_usage", {**used, "idempotency_key": "once"}).body["used"]

    by_hand = made["by hand"]
    for fingerprint in by_hand["fingerprints"]:
        body = {"fingerprint": fingerprint, "name": "Desktop"}
        path = f"/v1/licences/{by_hand['id']}/devices"
        device = vendor.call("POST", path, body, status=201)
    vendor.call("POST", f"{path}/{device['id']}/block", {"reason": "reported stolen"})
    given_back = vendor.licence(holder={"name": "İstanbul Yazılım A.Ş."})
    check(given_back["key"], "fingerprint-of-given-back-0")
    vendor.deployment.release(given_back["key"], fingerprint="fingerprint-of-given-back-0")
    return {**made, "given back": given_back}


def _guarded(vendor: Vendor, email: str) -> dict[str, Any]:
    """Somebody with a second factor."""
    invited = vendor.call("POST", "/v1/users", {"email": email, "role": "admin"}, status=201)
    accepted = {"token": invited["token"], "password": PASSWORD}
    vendor.call("POST", "/v1/users/accept", accepted, status=204, token=None)
    token, path = vendor.log_in(email, PASSWORD), "/v1/users/me/second-factor"
    secret = vendor.call("POST", path, token=token)["secret"]
    confirmed = {"code": code(secret, steps=-1)}
    codes = vendor.call("POST", f"{path}/confirm", confirmed, token=token)["recovery_codes"]
    return {"email": email, "password": PASSWORD, "secret": secret, "recovery_codes": codes}


def _asked(licences: Mapping[str, dict[str, Any]]) -> Iterator[tuple[str, str | None]]:
    """Key and fingerprint of each check that changes nothing: known devices, and a full licence."""
    for licence in licences.values():
        for fingerprint in licence["fingerprints"]:
            yield licence["key"], fingerprint
    yield licences["perpetual"]["key"], "fingerprint-of-one-too-many"
    yield licences["rotated"]["old_key"], licences["rotated"]["fingerprints"][0]
    yield licences["without devices"]["key"], None


def _lasting(value: Any) -> Any:
    """Without what differs at every look."""
    if isinstance(value, Mapping):
        return {name: _lasting(each) for name, each in value.items() if name not in _FLEETING}
    if isinstance(value, list | tuple):
        return [_lasting(each) for each in value]
    return value
