"""The least that a check can be in plain Python: no framework, no validation, no second case.

The same event, statement, guards, proof, answer and log line as functions/licence_check/app.py,
for a device that has a seat; what a new device or a bad request needs is left out.
"""

import base64
import hashlib
import json
import secrets
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from bench_commands import connect
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg import Connection

_signing_key = Ed25519PrivateKey.from_private_bytes(bytes(32))
_database = cache(connect)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    started = time.perf_counter()
    request, asked = event["requestContext"], json.loads(event["body"])
    device = asked["device"]
    fingerprint_hash = hashlib.sha256(device["fingerprint"].encode()).digest()
    found = find(_database(), asked["key"], fingerprint_hash, device["name"], device["platform"])
    facts: dict[str, Any] = found["policy_facts"] | (found["more"] or {}) | found
    entitlements = sorted({*facts["licence_entitlements"], *facts["policy_entitlements"]})
    now, grace_ends_at = _instant(facts["checked_at"]), _instant(facts["grace_ends_at"])
    valid, code, detail, status = _judge(asked, facts, entitlements, now, grace_ends_at)
    lease_until, refresh_at = _instant(facts["lease_until"]), _instant(facts["refresh_at"])
    if lease_until is None or refresh_at is not None:
        raise NotImplementedError("the floor is about a node-locked licence")
    until = (lease_until if valid else now + timedelta(minutes=10)).replace(microsecond=0)
    next_at = now + (until - now) * (0.5 + 0.25 * _place(facts))
    issued_at = int(now.timestamp())
    proof = _signed(
        facts["kid"],
        {
            "iss": f"https://{request['domainName']}/v1/tenants/{facts['tenant_id']}",
            "aud": asked.get("product") or facts["product"],
            "prd": facts["product"],
            "sub": facts["licence_id"],
            "iat": issued_at,
            "nbf": issued_at - 300,
            "exp": int(until.timestamp()),
            "jti": secrets.token_urlsafe(16),
            "valid": valid,
            "code": code,
            "dev": fingerprint_hash.hex(),
            "ent": entitlements,
            "licence_expires_at": _utc(facts["expires_at"]),
            "on_expiry": facts["on_expiry"],
            "ver": asked.get("version_date"),
            "nca": int(next_at.timestamp()),
            "nonce": asked["nonce"],
        },
    )
    answer = {
        "valid": valid,
        "code": code,
        "detail": detail,
        "checked_at": _utc(facts["checked_at"]),
        "next_check_at": _utc(next_at.isoformat()),
        "nonce": asked["nonce"],
        "licence": {
            "id": facts["licence_id"],
            "product": facts["product"],
            "policy": facts["policy"],
            "status": status,
            "expires_at": _utc(facts["expires_at"]),
            "entitlements": entitlements,
            "max_devices": facts["max_devices"],
            "devices_used": facts["devices_used"],
            "metadata": facts["metadata"],
        },
        "device": {
            "id": facts["device_id"],
            "state": facts["device_state"],
            "first_seen_at": _utc(facts["first_seen_at"]),
            "last_seen_at": _utc(facts["last_seen_at"]),
        },
        "proof": proof,
    }
    response = {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json", "Cache-Control": "no-store"},
        "body": json.dumps(answer, separators=(",", ":")),
        "isBase64Encoded": False,
    }
    line = {
        "level": "INFO",
        "message": "request",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "service": "bench",
        "correlation_id": request["requestId"],
        "route": request["routeKey"],
        "method": request["http"]["method"],
        "status": 200,
        "milliseconds": round((time.perf_counter() - started) * 1000, 1),
        "code": code,
        "valid": valid,
        "tenant_id": facts["tenant_id"],
        "licence_id": facts["licence_id"],
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    return response


def find(
    database: Connection[Any], key: str, fingerprint_hash: bytes, name: str, platform: str
) -> Any:
    """The check's one statement, and what it answers."""
    key_hash = hashlib.sha256(key.replace("-", "").encode()).digest()
    row = database.execute(
        "SELECT permit.check_key(%s, %s, NULL, %s, %s, NULL)",
        (key_hash, fingerprint_hash, name, platform),
    ).fetchone()
    if row is None or row[0] is None:
        raise NotImplementedError("the floor is about a licence that there is")
    return row[0]


def _judge(  # noqa: C901 (one `if` a guard is the least)
    asked: dict[str, Any],
    facts: dict[str, Any],
    entitlements: list[str],
    now: datetime,
    grace_ends_at: datetime | None,
) -> tuple[bool, str, str, str]:
    """The guards in their order: valid, code, detail; and the licence's status."""
    key_until, expires_at = _instant(facts["key_valid_until"]), _instant(facts["expires_at"])
    starts_at = _instant(facts["starts_at"])
    is_past_grace = grace_ends_at is not None and now >= grace_ends_at
    state, limit, product = facts["device_state"], facts["max_devices"], asked.get("product")
    if product is not None and product != facts["product"]:
        return _refused("PRODUCT_MISMATCH")
    if key_until is not None and now >= key_until:
        return _refused("KEY_REPLACED")
    if facts["revoked_at"] is not None:
        return _refused("REVOKED")
    if facts["suspended_at"] is not None:
        return _refused("SUSPENDED")
    if starts_at is not None and now < starts_at:
        return _refused("NOT_STARTED")
    if is_past_grace and facts["on_expiry"] == "block":
        return _refused("EXPIRED")
    if is_past_grace and facts["on_expiry"] == "maintain":
        return _refused("VERSION_NOT_COVERED")
    if not set(asked.get("entitlements") or ()) <= set(entitlements):
        return _refused("ENTITLEMENTS_MISSING")
    if facts["device_required"] and asked.get("device") is None:
        return _refused("DEVICE_REQUIRED")
    if state == "blocked":
        return _refused("DEVICE_BLOCKED")
    if facts.get("used_elsewhere"):
        return _refused("DEVICE_ALREADY_USED")
    if state in (None, "released") and facts["activation"] == "manual":
        return _refused("DEVICE_NOT_ACTIVATED")
    place = facts.get("seats_ahead", 0) if state == "seated" else facts["devices_used"]
    if limit is not None and place >= limit + facts["overage"]:
        return _refused("TOO_MANY_DEVICES")
    if limit is not None and place >= limit:
        return _refused("TOO_MANY_DEVICES")
    if is_past_grace:
        return _refused("EXPIRED")
    if expires_at is not None and now >= expires_at:
        return _refused("GRACE")
    return True, "VALID", "The licence is valid.", "active"


def _place(facts: dict[str, Any]) -> float:
    digest = hashlib.sha256(f"{facts['licence_id']}/{facts['device_id']}".encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32


def _refused(code: str) -> tuple[bool, str, str, str]:
    raise NotImplementedError(f"the floor is about a valid licence, not {code}")


def _signed(kid: str, claims: dict[str, Any]) -> str:
    header = _encoded({"alg": "EdDSA", "kid": kid, "typ": "permit-proof+jwt"})
    signed = f"{header}.{_encoded(claims)}"
    return f"{signed}.{_base64(_signing_key.sign(signed.encode()))}"


def _encoded(part: dict[str, Any]) -> str:
    return _base64(json.dumps(part, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _utc(text: str | None) -> str | None:
    return None if text is None else text.replace("+00:00", "Z")
