"""What a login attempt counts against: account and network address, as keyed digests."""

import hashlib
import hmac
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address

from permit.folding import fold_email
from permit.security.secret_formats import parse_key


@dataclass(frozen=True, kw_only=True)
class ThrottleKeys:
    """Digests, so that the counters tell nobody who tried to log in from where."""

    pair: bytes
    account: bytes
    address: bytes
    turns: bytes
    """Of the account: attempts of those who have waited."""


def parse_throttle_key(text: str) -> bytes:
    return parse_key(text, what="the throttle key")


def throttle_keys(secret: bytes, *, account: str, address: str) -> ThrottleKeys:
    """`account` is an email, in any form that folds to the same, or a user's id."""
    account, origin = fold_email(account), network(address)
    return ThrottleKeys(
        pair=_digest(secret, "pair", account, origin),
        account=_digest(secret, "account", account),
        address=_digest(secret, "address", origin),
        turns=_digest(secret, "turns", account),
    )


def network(address: str) -> str:
    """What one customer of a provider holds: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        # API Gateway always gives an address. Should another front not, they share one count.
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Network((parsed, 64), strict=False))
    return str(parsed)


def _digest(secret: bytes, *fields: str) -> bytes:
    # Each field is preceded by its length, so that no two lists of fields read the same.
    encoded = [field.encode("utf-8", "surrogatepass") for field in fields]
    message = b"".join(len(field).to_bytes(4, "big") + field for field in encoded)
    return hmac.digest(secret, message, hashlib.sha256)
