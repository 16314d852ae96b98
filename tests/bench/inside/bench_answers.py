"""What two services must agree on when they answer the same request."""

import base64
import json
from typing import Any

_CHANGING = ("checked_at", "next_check_at", "refresh_token")
_SIGNED = ("proof", "access_token")


def comparable(body: dict[str, Any]) -> dict[str, Any]:
    """The body without what differs in every answer; of the proof, only the names of the claims."""
    kept = {name: value for name, value in body.items() if name not in _CHANGING}
    return {**kept, **{name: _claims(kept[name]) for name in _SIGNED if name in kept}}


def _claims(token: str) -> list[str]:
    payload = token.split(".")[1]
    return sorted(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
