"""Pages of a list: newest first, each beginning after the last row of the one before."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from pydantic import Field

from permit.contracts import Answer, Query, bounded, has_storable_offset
from permit.errors import InvalidRequest
from permit.sizes import how_many_fit

Row = TypeVar("Row")


class PageQuery(Query):
    """Which page of a list."""

    limit: Annotated[int, Field(ge=1, le=100)] = 50
    """How many items a page has at most: one of large items ends earlier, within 5 MB."""
    cursor: Annotated[str, bounded(1, 200)] | None = None
    """The `next_cursor` of the page before. Without it the list begins with its first page."""


class PageAnswer(Answer):
    """A page of a list, as it is answered; each list says what its items are."""

    items: list[Any]
    """What is on this page, newest first."""
    next_cursor: str | None
    """Send it as `cursor` to get the next page. Null: this page is the last."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a page begins: after the row of this instant and id; from the first row without one."""

    instant: datetime | None = None
    id: UUID | None = None
    at_most: int = 50

    def parameters(self) -> dict[str, Any]:
        """Asks for one row more than is answered: it tells whether there is a next page."""
        return {"after": self.instant, "after_id": self.id, "at_most": self.at_most + 1}


@dataclass(frozen=True, kw_only=True, slots=True)
class Page(Generic[Row]):
    items: Sequence[Row]
    next_cursor: str | None


def place(query: PageQuery) -> Place:
    """Raises InvalidRequest for a cursor that no list gave.

    A changed cursor gives another place in the caller's own list, and nothing else.
    """
    if query.cursor is None:
        return Place(at_most=query.limit)
    try:
        decoded: object = json.loads(base64.urlsafe_b64decode(query.cursor.encode("ascii")))
        if not isinstance(decoded, list):
            raise ValueError("not of ours")
        instant, row = decoded  # pyright: ignore[reportUnknownVariableType]
        after = datetime.fromisoformat(str(instant))  # pyright: ignore[reportUnknownArgumentType]
        if not has_storable_offset(after):
            raise ValueError("not of ours")
        after_id = UUID(str(row))  # pyright: ignore[reportUnknownArgumentType]
        return Place(instant=after, id=after_id, at_most=query.limit)
    except (binascii.Error, ValueError, RecursionError):
        raise InvalidRequest(("cursor", "must be the next_cursor of a list")) from None


def page(
    rows: Sequence[Row], place: Place, mark: Callable[[Row], tuple[datetime, UUID]]
) -> Page[Row]:
    """As many rows as one answer has room for.

    `mark` gives the values of a row that the list is ordered by.
    """
    items = rows[: place.at_most]
    items = items[: max(1, how_many_fit(items))]
    if len(items) == len(rows):
        return Page(items=items, next_cursor=None)
    instant, row = mark(items[-1])
    text = json.dumps([instant.isoformat(), str(row)])
    return Page(items=items, next_cursor=base64.urlsafe_b64encode(text.encode()).decode())
