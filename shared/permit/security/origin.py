"""The origin lock: only what came through CloudFront, which adds a secret header, is answered."""

import hmac
from collections.abc import Mapping
from ipaddress import ip_address

from permit.security.secret_formats import MalformedSecret

HEADER = "x-origin-secret"
_SHORTEST = 32


def parse_origin_secrets(text: str) -> tuple[bytes, ...]:
    """One value, or two while it changes, separated by blanks: then either is accepted."""
    values = tuple(value.encode() for value in text.split())
    if not values or any(len(value) < _SHORTEST for value in values):
        raise MalformedSecret(f"the origin secret has a value of fewer than {_SHORTEST} characters")
    return values


def is_proven(headers: Mapping[str, str], secrets: tuple[bytes, ...]) -> bool:
    """Header names are lower case, as API Gateway's HTTP API sends them."""
    given = headers.get(HEADER, "").encode("utf-8", "surrogatepass")
    return any(hmac.compare_digest(given, secret) for secret in secrets)


def viewer_address(headers: Mapping[str, str]) -> str | None:
    """The address that CloudFront served, if it says; trust it only when `is_proven`.

    Header names are lower case, as API Gateway's HTTP API sends them.
    """
    # address:port, an IPv6 address with or without brackets
    address = headers.get("cloudfront-viewer-address", "").rpartition(":")[0].strip("[]")
    return address if _is_address(address) else None


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
