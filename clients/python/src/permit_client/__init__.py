"""Permit's client: ask the licence server, verify its signed answer, work offline.

permit = Permit("https://licences.example.com", product="editor", keys=PUBLIC_KEYS)
licence = permit.check(key)
if licence.allowed: ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from permit_client.licence import Licence
from permit_client.permit import Permit

if TYPE_CHECKING:
    from permit_client.aio import AsyncPermit
    from permit_client.answers import Device, Released, Usage

__version__ = "0.1.0"
__all__ = ["AsyncPermit", "Device", "Licence", "Permit", "Released", "Usage", "__version__"]

_LATER = {"AsyncPermit": "aio", "Device": "answers", "Released": "answers", "Usage": "answers"}


def __getattr__(name: str) -> Any:
    """What a start does not need is imported by the programs that use it."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
