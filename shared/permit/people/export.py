"""A tenant's data as a whole: to be given to it, page by page, or to be deleted for good."""

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from permit.contracts import read_instant
from permit.db import Database
from permit.errors import InvalidRequest, NotFound
from permit.operator_access import Operator
from permit.people.queries import export as queries
from permit.people.queries import tenants
from permit.people.queries.export import UsagePlace
from permit.sizes import LARGEST_ANSWER

_NOTHING = UUID(int=0)  # before every id
_FRAME = 1_000  # bytes of an answer around its items
# Licences in one statement, which holds their locks; and in one command, which has 15 minutes.
_BATCH = 1_000
_BATCHES = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    items: list[dict[str, Any]]
    next_cursor: str | None


def export(operator: Operator, tenant_id: UUID, *, cursor: str | None, at_most: int) -> Page:
    """What comes after the cursor; each item says its kind. Raises NotFound, InvalidRequest.

    A row that is inserted meanwhile may or may not be on a later page; none comes twice.
    """
    items: list[dict[str, Any]] = []
    last, room = cursor, LARGEST_ANSWER - _FRAME
    with operator.entered(tenant_id) as database:
        if not tenants.is_tenant(database, tenant_id):
            raise NotFound
        for place, item in _walk(database, cursor, at_most=at_most):
            room -= len(json.dumps(item)) + 2
            if items and (len(items) == at_most or room < 0):
                return Page(items=items, next_cursor=last)
            items.append(item)
            last = _encoded(place)
    return Page(items=items, next_cursor=None)


def erase(operator: Operator, tenant_id: UUID, name: str) -> int:
    """How many licences are left: the command is repeated until none is. Raises NotFound."""
    if not queries.close(operator.database, tenant_id, name=name):
        raise NotFound
    left = -1
    for _ in range(_BATCHES):
        before, left = left, queries.erase(operator.database, tenant_id, at_most=_BATCH)
        if left in (0, before):  # done, or all that is left is held by somebody
            break
    return left


def _walk(
    database: Database, cursor: str | None, *, at_most: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """At least one item more than `at_most`, if there are: each with its place, for the cursor."""
    kinds = list(queries.EXPORTS)
    kind, after = (kinds[0], _NOTHING) if cursor is None else _parse_cursor(cursor)
    if isinstance(after, UsagePlace):
        yield from _walk_usage(database, after, at_most=at_most + 1)
        after = after.licence_id
    for each in kinds[kinds.index(kind) :]:
        for row in queries.list_rows(database, each, after=after, at_most=at_most + 1):
            used: list[dict[str, Any]] = row.item.get("usage") or []  # a licence's
            rest = used[queries.MOST_PERIODS :]
            del used[queries.MOST_PERIODS :]
            yield f"{each}:{row.id}", {"kind": each, **row.item}
            if rest:
                place = _usage_place(row.id, used[-1])
                yield from _walk_usage(database, place, at_most=at_most + 1)
        after = _NOTHING


def _walk_usage(
    database: Database, after: UsagePlace, *, at_most: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    for row in queries.list_usage(database, after, at_most=at_most):
        place = json.dumps(_usage_place(row.id, row.item), default=str)
        yield f"usage:{place}", {"kind": "usage", **row.item}


def _usage_place(licence_id: UUID, usage: dict[str, Any]) -> UsagePlace:
    return UsagePlace(licence_id, usage["meter"], usage["period_start"] or "-infinity")


def _encoded(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode()


def _parse_cursor(cursor: str) -> tuple[str, UUID | UsagePlace]:
    """The kind to go on with, and the place after which."""
    try:
        kind, _, text = base64.urlsafe_b64decode(cursor.encode()).decode().partition(":")
        if kind == "usage":
            return "licence", _parse_usage(*json.loads(text))
        place = UUID(text)
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise InvalidRequest(("cursor", "is not one that an export gave")) from None
    if kind not in queries.EXPORTS:
        raise InvalidRequest(("cursor", "is not one that an export gave"))
    return kind, place


def _parse_usage(licence_id: object, meter: object, start: object) -> UsagePlace:
    """Raises ValueError for what Postgres would not read."""
    if not str(meter).isprintable():
        raise ValueError("no meter has this name")
    if start != "-infinity":
        read_instant(start)
    return UsagePlace(UUID(str(licence_id)), str(meter), str(start))
