"""Permit's client: ask the licence server, verify its signed answer, work offline.

permit = Permit("https://licences.example.com", product="editor", keys=PUBLIC_KEYS)
licence = permit.check(key)
if licence.allowed: ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from permit_client.licence import Device, Licence, Released, Usage
from permit_client.permit import Permit

if TYPE_CHECKING:
    from permit_client.aio import AsyncPermit

__version__ = "0.1.0"
__all__ = ["AsyncPermit", "Device", "Licence", "Permit", "Released", "Usage", "__version__"]


def __getattr__(name: str) -> Any:
    """asyncio is imported by the programs that use it, and by no other."""
    if name == "AsyncPermit":
        from permit_client.aio import AsyncPermit

        return AsyncPermit
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
