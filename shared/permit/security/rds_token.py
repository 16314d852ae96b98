"""The database password of an IAM role: a connect request to RDS, presigned (Signature Version 4).

By hand, because the SDK would double the cold start of every function that connects.
"""

import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self
from urllib.parse import quote

_ALGORITHM = "AWS4-HMAC-SHA256"
_SERVICE = "rds-db"
_NO_BODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """The function's own credentials, which sign its requests to AWS."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read at every call: Lambda's credentials rotate."""
        variables = os.environ if environ is None else environ
        return cls(
            access_key_id=variables["AWS_ACCESS_KEY_ID"],
            secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            session_token=variables.get("AWS_SESSION_TOKEN") or None,
        )


def sign(
    *, host: str, port: int, user: str, region: str, credentials: Credentials, now: datetime
) -> str:
    """A token that opens connections for the 15 minutes after `now`."""
    time = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{time[:8]}/{region}/{_SERVICE}/aws4_request"
    query = _query(user, f"{credentials.access_key_id}/{scope}", time, credentials.session_token)
    request = f"GET\n/\n{query}\nhost:{host}:{port}\n\nhost\n{_NO_BODY}"
    request_digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    signature = _hmac(key, f"{_ALGORITHM}\n{time}\n{scope}\n{request_digest}").hex()
    return f"{host}:{port}/?{query}&X-Amz-Signature={signature}"


def _query(user: str, credential: str, time: str, session_token: str | None) -> str:
    """The canonical query string: Signature Version 4 requires sorted parameters."""
    parameters = {
        "Action": "connect",
        "DBUser": user,
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": credential,
        "X-Amz-Date": time,
        "X-Amz-Expires": "900",
    }
    if session_token is not None:
        parameters["X-Amz-Security-Token"] = session_token
    parameters["X-Amz-SignedHeaders"] = "host"
    return "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in parameters.items())


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), hashlib.sha256)
