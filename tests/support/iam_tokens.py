"""Whether AWS would take a database token: verified from its specification, with none of our code.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlsplit


class Refused(Exception):
    """AWS would not take it."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A role's credentials, and the database user that its policy lets it connect as."""

    access_key: str
    secret_key: str
    session_token: str
    user: str

    @property
    def environ(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_SESSION_TOKEN": self.session_token,
        }


def verify(
    token: str, identities: dict[str, Identity], *, host: str, region: str, now: datetime
) -> str:
    """The user that it lets in; raises Refused."""
    url = urlsplit(f"https://{token}")
    query = dict(parse_qsl(url.query, strict_parsing=True))
    signature = query.pop("X-Amz-Signature", "")
    access_key, _, scope = query["X-Amz-Credential"].partition("/")
    identity = identities.get(access_key)
    signed_at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    wrong = {
        "unknown access key": identity is None,
        "another host": url.netloc != host,
        "another action": query["Action"] != "connect",
        "another region or service": scope != f"{signed_at:%Y%m%d}/{region}/rds-db/aws4_request",
        "a longer life than 15 minutes": query["X-Amz-Expires"] != "900",
        "expired": not signed_at <= now + timedelta(minutes=5)
        or now > signed_at + timedelta(minutes=15),
        "another session": identity is not None
        and query.get("X-Amz-Security-Token") != identity.session_token,
        "a user that the role may not be": identity is not None
        and query["DBUser"] != identity.user,
    }
    for reason, is_so in wrong.items():
        if is_so:
            raise Refused(reason)
    assert identity is not None
    if not hmac.compare_digest(signature, _sign(identity, query, scope, host)):
        raise Refused("a wrong signature")
    return identity.user


def _sign(identity: Identity, query: dict[str, str], scope: str, host: str) -> str:
    canonical_query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in sorted(query.items())
    )
    nothing = hashlib.sha256(b"").hexdigest()
    request = "\n".join(["GET", "/", canonical_query, f"host:{host}", "", "host", nothing])
    text = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            query["X-Amz-Date"],
            scope,
            hashlib.sha256(request.encode()).hexdigest(),
        ]
    )
    key = f"AWS4{identity.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()
