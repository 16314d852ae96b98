"""The second factor: time-based one-time passwords (RFC 6238) and codes to recover without."""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from permit.folding import read_symbols

SECRET_BYTES = 20  # RFC 4226, section 4: as long as the hash
STEP = 30  # seconds
DIGITS = 6
RECOVERY_CODES = 10
# A code of the step before or after: people are slow and clocks are off (RFC 6238, section 5.2).
_NEIGHBOURS = (0, -1, 1)
_ISSUER = "Permit"


def generate_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def base32(secret: bytes) -> str:
    """As a person types it where no picture can be scanned."""
    return base64.b32encode(secret).decode()


def provisioning_uri(secret: bytes, *, account: str) -> str:
    """What an authenticator's QR code holds (otpauth:)."""
    return _totp(secret).get_provisioning_uri(account, _ISSUER)


def matching_step(secret: bytes, code: str, now: datetime) -> int | None:
    """The time step that this is the code of, or None. A caller accepts each step once."""
    totp, present = _totp(secret), int(now.timestamp()) // STEP
    given = read_symbols(code).encode("utf-8", "surrogatepass")
    for step in (present + offset for offset in _NEIGHBOURS):
        if hmac.compare_digest(totp.generate(step * STEP), given):
            return step
    return None


def generate_recovery_codes() -> list[str]:
    """Of 80 random bits each, in four groups."""
    return [_grouped(base32(secrets.token_bytes(10)).lower()) for _ in range(RECOVERY_CODES)]


def recovery_digest(code: str) -> bytes:
    """What is stored of a code, read without regard to case, hyphens and spaces."""
    canonical = read_symbols(code).lower()
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).digest()


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, DIGITS, SHA1(), STEP)  # noqa: S303 (what every authenticator knows)


def _grouped(code: str) -> str:
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))
