"""A tenant's data as a whole: to be given to it, page by page, or to be deleted for good."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from permit.errors import InvalidRequest, NotFound
from permit.operator_access import Operator
from permit.people.queries import export as queries
from permit.people.queries import tenants

_NOTHING = UUID(int=0)  # before every id
_PAGE_BYTES = 4_000_000  # Lambda's answers have 6 MB
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
    kind, after = next(iter(queries.EXPORTS)), _NOTHING
    if cursor is not None:
        kind, after = _parse_cursor(cursor)
    kinds = list(queries.EXPORTS)
    items: list[dict[str, Any]] = []
    size = 0
    with operator.entered(tenant_id) as database:
        if not tenants.is_tenant(database, tenant_id):
            raise NotFound
        for each in kinds[kinds.index(kind) :]:
            missing = at_most - len(items)
            for row in queries.list_rows(database, each, after=after, at_most=missing):
                items.append({"kind": each, **row.item})
                size += len(json.dumps(row.item))
                if len(items) == at_most or size > _PAGE_BYTES:
                    return Page(items=items, next_cursor=_cursor(each, row.id))
            after = _NOTHING
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


def _cursor(kind: str, after: UUID) -> str:
    return base64.urlsafe_b64encode(f"{kind}:{after}".encode()).decode()


def _parse_cursor(cursor: str) -> tuple[str, UUID]:
    try:
        kind, _, after = base64.urlsafe_b64decode(cursor.encode()).decode().partition(":")
        place = UUID(after)
    except (binascii.Error, ValueError):
        raise InvalidRequest(("cursor", "is not one that an export gave")) from None
    if kind not in queries.EXPORTS:
        raise InvalidRequest(("cursor", "is not one that an export gave"))
    return kind, place
