"""The least that a login can be in plain Python: its two statements, Argon2, and a signed token."""

import base64
import hashlib
import hmac
import json
import secrets
import sys
import time
from datetime import UTC, datetime
from functools import cache
from typing import Any

import argon2
from bench_commands import connect
from bench_stopwatch import Stopwatch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

in_argon2 = Stopwatch()
_signing_key = Ed25519PrivateKey.from_private_bytes(bytes(32))
_throttle_key = bytes(32)
_verify = in_argon2.wrap(argon2.PasswordHasher().verify)
_database = cache(connect)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    started = time.perf_counter()
    request, sent = event["requestContext"], json.loads(event["body"])
    email = sent["email"].strip().casefold()
    address = request["http"]["sourceIp"]
    pair, account, origin = _counted(f"pair {email} {address}", f"account {email}", address)
    found = _database().execute(
        """
        SELECT retry_after, is_known_place, tenant_id, user_id, role, session_version,
               password_hash, has_second_factor
          FROM permit.admit_password(%s, %s, %s::integer[], %s::integer[])
        """,
        (email, [pair, account, origin], [5, 10, 50], [900, 30, 60]),
    )
    retry_after, is_known, tenant_id, user_id, role, version, stored, factor = found.fetchone()
    if retry_after is not None or factor:
        raise NotImplementedError("the floor is about a login that succeeds")
    _verify(stored, sent["password"])
    refresh_token = f"permit_rt_{secrets.token_urlsafe(32)}"
    [step] = _counted(f"pair {user_id} {address}")
    begun = _database().execute(
        "SELECT permit.open_session(%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            *(tenant_id, user_id, version, stored, None),
            hashlib.sha256(refresh_token.encode()).digest(),
            *([pair, step], [] if is_known else [account, origin]),
            json.dumps({"address": address, "request_id": request["requestId"]}),
        ),
    )
    [session_id] = begun.fetchone()
    if session_id is None:
        raise NotImplementedError("the floor is about a login that succeeds")
    issued_at = int(datetime.now(UTC).timestamp())
    token = _signed(
        {
            "sub": str(user_id),
            "tid": str(tenant_id),
            "role": role,
            "sv": version,
            "iss": f"https://{request['domainName']}",
            "aud": "permit",
            "iat": issued_at,
            "nbf": issued_at,
            "exp": issued_at + 900,
            "jti": secrets.token_urlsafe(16),
            "sid": str(session_id),
            "auth_time": issued_at,
            "amr": ["pwd"],
        }
    )
    answer = {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": 900,
        "refresh_token": refresh_token,
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
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    return response


def _counted(*of: str) -> list[bytes]:
    return [hmac.digest(_throttle_key, each.encode(), hashlib.sha256) for each in of]


def _signed(claims: dict[str, Any]) -> str:
    header = _encoded({"alg": "EdDSA", "kid": "floor", "typ": "at+jwt"})
    signed = f"{header}.{_encoded(claims)}"
    return f"{signed}.{_base64(_signing_key.sign(signed.encode()))}"


def _encoded(part: dict[str, Any]) -> str:
    return _base64(json.dumps(part, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
