"""Rows of the edge: a request that may have been answered before."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Claim:
    is_new: bool
    is_same: bool | None
    name: bytes | None
    """The one that the sealed answer is kept under."""
    sealed: bytes | None = field(repr=False)
