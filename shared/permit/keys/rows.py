"""Rows of keys: published halves, and private halves under their seal."""

from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class PublishedKey:
    kid: str
    public_key: bytes


@dataclass(frozen=True, kw_only=True)
class SealedKey:
    tenant_id: UUID
    kid: str
    sealed: bytes = field(repr=False)
    master_version: str
