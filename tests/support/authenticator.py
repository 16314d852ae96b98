"""An authenticator's codes (RFC 6238)."""

import base64
import time

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

_STEP = 30
_ROOM = 5  # seconds that a test takes to send a code, at most


def code(secret: str, *, steps: int = 0) -> str:
    """So many steps from now. Waits where the present step is about to end: -1 would become -2."""
    left = _STEP - time.time() % _STEP
    if left < _ROOM:
        time.sleep(left)
    totp = TOTP(base64.b32decode(secret), 6, SHA1(), _STEP)  # noqa: S303 (RFC 6238)
    return totp.generate(int(time.time()) + _STEP * steps).decode()
