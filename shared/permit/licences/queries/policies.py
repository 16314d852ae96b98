"""The rules that a product's licences share, under the entered tenant."""

from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from permit.db import Database
from permit.licences.refusals import PolicyInUse
from permit.licences.rows import Policy
from permit.licences.terms import PolicyTerms
from permit.paging import Place

_COLUMNS: LiteralString = """
    p.id, p.product_id, p.name, p.duration, p.starts, p.on_expiry, p.grace, p.max_devices,
    p.overage, p.device_required, p.activation, p.seat_ttl, p.matching, p.unique_in, p.lease,
    p.entitlements, p.max_releases, p.self_service, p.meters, p.created_at
"""


def insert_policy(
    database: Database, tenant_id: UUID, product_id: UUID, terms: PolicyTerms
) -> Policy | None:
    """None where the tenant has no such product."""
    return database.fetch_one(
        Policy,
        """
        INSERT INTO permit.policies AS p
               (tenant_id, product_id, name, duration, starts, on_expiry, grace, max_devices,
                overage, device_required, activation, seat_ttl, matching, unique_in, lease,
                entitlements, max_releases, self_service, meters)
        SELECT product.tenant_id, product.id, %(name)s, %(duration)s, %(starts)s, %(on_expiry)s,
               %(grace)s, %(max_devices)s, %(overage)s, %(device_required)s, %(activation)s,
               %(seat_ttl)s, %(matching)s, %(unique)s, %(lease)s, %(entitlements)s::text[],
               %(max_releases)s, %(self_service)s, %(meters)s
          FROM permit.products AS product
         WHERE product.tenant_id = %(tenant_id)s AND product.id = %(product_id)s
        RETURNING
        """
        + _COLUMNS,
        {**_parameters(terms), "tenant_id": tenant_id, "product_id": product_id},
    )


def list_policies(
    database: Database, tenant_id: UUID, product_id: UUID | None, place: Place
) -> list[Policy]:
    return database.fetch_all(
        Policy,
        "SELECT"
        + _COLUMNS
        + """
          FROM permit.policies AS p
         WHERE p.tenant_id = %(tenant_id)s
           AND (%(product_id)s::uuid IS NULL OR p.product_id = %(product_id)s)
           AND (%(after)s::timestamptz IS NULL
                OR (p.created_at, p.id) < (%(after)s, %(after_id)s::uuid))
         ORDER BY p.created_at DESC, p.id DESC
         LIMIT %(at_most)s
        """,
        {"tenant_id": tenant_id, "product_id": product_id, **place.parameters()},
    )


def find_policy(database: Database, tenant_id: UUID, policy_id: UUID) -> Policy | None:
    return database.fetch_one(
        Policy,
        "SELECT"
        + _COLUMNS
        + """
          FROM permit.policies AS p
         WHERE p.tenant_id = %(tenant_id)s AND p.id = %(policy_id)s
        """,
        {"tenant_id": tenant_id, "policy_id": policy_id},
    )


def lock_policy(database: Database, tenant_id: UUID, policy_id: UUID) -> Policy | None:
    """To change it: what it is now stays until then."""
    return database.fetch_one(
        Policy,
        "SELECT"
        + _COLUMNS
        + """
          FROM permit.policies AS p
         WHERE p.tenant_id = %(tenant_id)s AND p.id = %(policy_id)s
           FOR NO KEY UPDATE
        """,
        {"tenant_id": tenant_id, "policy_id": policy_id},
    )


def set_terms(
    database: Database, tenant_id: UUID, policy_id: UUID, terms: PolicyTerms
) -> Policy | None:
    """None where a licence counts devices of its own and the new terms would require none."""
    return database.fetch_one(
        Policy,
        """
        UPDATE permit.policies AS p
           SET name = %(name)s, duration = %(duration)s, starts = %(starts)s,
               on_expiry = %(on_expiry)s, grace = %(grace)s, max_devices = %(max_devices)s,
               overage = %(overage)s, device_required = %(device_required)s,
               activation = %(activation)s, seat_ttl = %(seat_ttl)s, matching = %(matching)s,
               unique_in = %(unique)s, lease = %(lease)s, entitlements = %(entitlements)s::text[],
               max_releases = %(max_releases)s, self_service = %(self_service)s,
               meters = %(meters)s
         WHERE p.tenant_id = %(tenant_id)s AND p.id = %(policy_id)s
           AND (%(device_required)s OR NOT EXISTS (
                SELECT FROM permit.licences AS l
                 WHERE l.tenant_id = %(tenant_id)s AND l.policy_id = %(policy_id)s
                   AND l.max_devices >= 0))
        RETURNING
        """
        + _COLUMNS,
        {**_parameters(terms), "tenant_id": tenant_id, "policy_id": policy_id},
    )


def delete_policy(database: Database, tenant_id: UUID, policy_id: UUID) -> bool:
    """Whether there was one. Raises PolicyInUse."""
    try:
        deleted = database.execute(
            """
            DELETE FROM permit.policies
             WHERE tenant_id = %(tenant_id)s AND id = %(policy_id)s
            """,
            {"tenant_id": tenant_id, "policy_id": policy_id},
        )
    except psycopg.errors.ForeignKeyViolation:
        raise PolicyInUse from None
    return deleted == 1


def _parameters(terms: PolicyTerms) -> dict[str, Any]:
    given = terms.model_dump()
    return {**given, "meters": Jsonb(given["meters"])}
