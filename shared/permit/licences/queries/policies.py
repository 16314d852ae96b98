"""The rules that a product's licences share, under the entered tenant."""

from typing import LiteralString
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from permit.db import Database
from permit.licences.refusals import PolicyInUse
from permit.licences.rows import Policy, PolicyReach
from permit.licences.terms import PolicyTerms
from permit.paging import Place

# Terms that are stored, answered and exported as they are sent; `unique` is SQL's own word.
PLAIN: tuple[LiteralString, ...] = (
    *("name", "duration", "starts", "on_expiry", "grace", "max_devices", "overage"),
    *("device_required", "activation", "seat_ttl", "matching", "lease", "entitlements"),
    *("max_releases", "max_new_devices", "self_service", "meters"),
)
_TERMS: LiteralString = ", ".join(("unique_in", *PLAIN))
_COLUMNS: LiteralString = """
    id, product_id, created_at, unique_in AS "unique",
    """ + ", ".join(PLAIN)

_MOST_COUNTED = 50_000  # licences; about a second


def insert_policy(
    database: Database, tenant_id: UUID, product_id: UUID, terms: PolicyTerms
) -> Policy | None:
    """None where the tenant has no such product."""
    return database.fetch_one(
        Policy,
        """
        INSERT INTO permit.policies (tenant_id, product_id,
        """
        + _TERMS
        + """)
        SELECT %(tenant_id)s, %(product_id)s,
        """
        + _TERMS
        + """
          FROM jsonb_populate_record(NULL::permit.policies, %(terms)s)
         WHERE EXISTS (
               SELECT FROM permit.products AS product
                WHERE product.tenant_id = %(tenant_id)s AND product.id = %(product_id)s)
        RETURNING
        """
        + _COLUMNS,
        {"terms": _stored(terms), "tenant_id": tenant_id, "product_id": product_id},
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
    """Locked for a change: nobody else can change it first."""
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
    """None where a licence has its own limit of devices and the new terms require no device."""
    return database.fetch_one(
        Policy,
        """
        UPDATE permit.policies AS p
           SET (
        """
        + _TERMS
        + ") = (SELECT "
        + _TERMS
        + """
                  FROM jsonb_populate_record(NULL::permit.policies, %(terms)s))
         WHERE p.tenant_id = %(tenant_id)s AND p.id = %(policy_id)s
           AND (%(device_required)s OR NOT EXISTS (
                SELECT FROM permit.licences AS l
                 WHERE l.tenant_id = %(tenant_id)s AND l.policy_id = %(policy_id)s
                   AND l.max_devices >= 0))
        RETURNING
        """
        + _COLUMNS,
        {
            "terms": _stored(terms),
            "device_required": terms.device_required,
            "tenant_id": tenant_id,
            "policy_id": policy_id,
        },
    )


def is_limited_by_licences(database: Database, tenant_id: UUID, policy_id: UUID) -> bool:
    """Whether a licence has its own limit of devices, so that the policy has to require one."""
    return database.fetch_value(
        """
        SELECT EXISTS (SELECT FROM permit.licences AS l
                        WHERE l.tenant_id = %(tenant_id)s AND l.policy_id = %(policy_id)s
                          AND l.max_devices >= 0)
        """,
        {"tenant_id": tenant_id, "policy_id": policy_id},
    )


def find_reach(
    database: Database, tenant_id: UUID, policy_id: UUID, terms: PolicyTerms
) -> PolicyReach:
    """What the terms would touch, if the policy had them. It takes no lock."""
    reach = database.fetch_one(
        PolicyReach,
        """
        WITH clock AS MATERIALIZED (
            SELECT permit.clock() AS now
        ), counted AS MATERIALIZED (
            SELECT permit.seat_limit(l.max_devices, %(max_devices)s::integer) AS seat_limit,
                   permit.seats_used(l.tenant_id, l.id, %(seat_ttl)s::interval, clock.now) AS seats
              FROM clock, permit.licences AS l
             WHERE l.tenant_id = %(tenant_id)s AND l.policy_id = %(policy_id)s
             LIMIT %(at_most)s
        )
        SELECT count(*) AS licences, coalesce(sum(seats), 0)::bigint AS seats,
               count(*) FILTER (WHERE seats > seat_limit) AS licences_over_limit,
               coalesce(sum(seats - seat_limit - %(overage)s)
                        FILTER (WHERE seats > seat_limit + %(overage)s), 0)::bigint
               AS seats_over_limit,
               count(*) < %(at_most)s
               OR NOT EXISTS (SELECT FROM permit.licences
                               WHERE tenant_id = %(tenant_id)s AND policy_id = %(policy_id)s
                              OFFSET %(at_most)s) AS is_complete
          FROM counted
        """,
        {
            "tenant_id": tenant_id,
            "policy_id": policy_id,
            "max_devices": terms.max_devices,
            "overage": terms.overage,
            "seat_ttl": terms.seat_ttl,
            "at_most": _MOST_COUNTED,
        },
    )
    assert reach is not None  # noqa: S101 (an aggregate answers a row)
    return reach


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


def _stored(terms: PolicyTerms) -> Jsonb:
    return Jsonb({**terms.model_dump(mode="json"), "unique_in": terms.unique})
