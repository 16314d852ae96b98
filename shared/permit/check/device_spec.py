"""How a device and a licence key are named in requests."""

import hashlib
from itertools import islice
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, Field

from permit.check.facts import DeviceSent
from permit.contracts import Contract, bounded

LicenceKey = Annotated[str, bounded(1, 256)]
Label = Annotated[str, bounded(1, 200)]  # of a machine, by whoever set it up: it may be blank
Fingerprint = Annotated[str, bounded(16, 256)]
_MOST_COMPONENTS = 16


def _one_too_many_at_most(sent: Any) -> Any:
    """Pydantic looks at every member before it counts them, and keeps an error for each."""
    if not isinstance(sent, dict):
        return sent
    return dict(islice(cast("dict[str, Any]", sent).items(), _MOST_COMPONENTS + 1))


class DeviceSpec(Contract):
    fingerprint: Fingerprint
    """Names the machine, always the same one. Hash whatever identifies it before you send it;
    only the SHA-256 of this text is kept."""
    components: (
        Annotated[
            dict[Annotated[str, bounded(1, 64)], Annotated[str, bounded(1, 256)]],
            Field(max_length=_MOST_COMPONENTS),
            BeforeValidator(_one_too_many_at_most),
        ]
        | None
    ) = None
    """Hashes of the machine's parts by a name for each, by which a policy may recognise a
    machine whose fingerprint has changed (`matching`). Null: the known ones stay."""
    name: Label | None = None
    """What people call the machine, in lists. Null: the known name stays."""
    platform: Label | None = None
    """What the machine runs, for people, in lists. Null: the known one stays."""

    def as_sent(self, version: str | None = None) -> DeviceSent:
        return DeviceSent(
            fingerprint_hash=fingerprint_hash(self.fingerprint),
            components=self.components,
            name=self.name,
            platform=self.platform,
            version=version,
        )


def fingerprint_hash(fingerprint: str) -> bytes:
    """The SHA-256 that is stored for a fingerprint, and that a proof's `dev` shows."""
    return hashlib.sha256(fingerprint.encode()).digest()
