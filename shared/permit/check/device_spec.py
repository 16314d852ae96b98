"""How a device and a licence key are named in requests."""

import hashlib
from typing import Annotated

from pydantic import Field

from permit.check.facts import DeviceSent
from permit.contracts import Contract, Name, bounded

LicenceKey = Annotated[str, bounded(1, 256)]
Fingerprint = Annotated[str, bounded(16, 256)]


class DeviceSpec(Contract):
    fingerprint: Fingerprint
    components: (
        Annotated[
            dict[Annotated[str, bounded(1, 64)], Annotated[str, bounded(1, 256)]],
            Field(max_length=16),
        ]
        | None
    ) = None
    name: Name | None = None
    platform: Name | None = None

    def as_sent(self) -> DeviceSent:
        return DeviceSent(
            fingerprint_hash=fingerprint_hash(self.fingerprint),
            components=self.components,
            name=self.name,
            platform=self.platform,
        )


def fingerprint_hash(fingerprint: str) -> bytes:
    """What is stored of a fingerprint, and what a proof's `dev` says of it."""
    return hashlib.sha256(fingerprint.encode()).digest()
