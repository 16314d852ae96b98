"""What a program is told besides a licence. Loaded when it is first needed."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Optional, cast

from permit_client.licence import Told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from permit_client.hearing import Trouble


class Device(NamedTuple):
    """A device that has a seat, as `TOO_MANY_DEVICES` lists it."""

    id: str
    name: Optional[str]
    platform: Optional[str]
    last_seen_at: Optional[datetime]


class Usage(Told):
    """The answer to `use`. Where allowed, the quantity was counted."""

    __slots__ = ("limit", "resets_at", "used")

    def __init__(
        self,
        answer: str,
        why: str,
        trouble: Trouble | None,
        messages: Mapping[str, str],
        *,
        used: int | None = None,
        limit: int | None = None,
        resets_at: datetime | None = None,
    ) -> None:
        super().__init__(answer, why, trouble, messages)
        self.used = used
        self.limit = limit
        self.resets_at = resets_at

    @property
    def message(self) -> str:
        """A sentence for the customer."""
        from permit_client.messages import sentence

        return sentence(self._messages, self.answer, self.why)


class Released(NamedTuple):
    """The answer to `release`."""

    released: bool
    """Whether the device has no seat any more."""
    code: str
    """`RELEASED`, `NOT_ACTIVATED` (it had none), `RELEASE_LIMIT`, `NOT_FOUND`, or the trouble."""
    available_at: Optional[datetime] = None
    """With `RELEASE_LIMIT`: when the next release will be possible. None: never."""
    seat_free_at: Optional[datetime] = None
    """When another device can have the seat. None: at once."""
    trouble: Optional[Trouble] = None

    def __bool__(self) -> bool:
        return self.released


def read_time(value: object) -> Optional[datetime]:
    """RFC 3339; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.replace("Z", "+00:00").replace("z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def read_devices(listed: object) -> tuple[Device, ...]:
    """Of an answer's `devices`; what is none is left out."""
    found: list[Device] = []
    parts = cast("list[object]", listed) if isinstance(listed, list) else []
    for each in parts[:100]:
        if isinstance(each, dict):
            device = cast("dict[str, object]", each)
            id_ = device.get("id")
            if isinstance(id_, str):
                found.append(
                    Device(
                        id=id_,
                        name=_text(device.get("name")),
                        platform=_text(device.get("platform")),
                        last_seen_at=read_time(device.get("last_seen_at")),
                    )
                )
    return tuple(found)


def _text(value: object) -> Optional[str]:
    return value if isinstance(value, str) else None
