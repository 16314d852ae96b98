"""Products, policies and licences: what a vendor sets up and issues, under the entered tenant."""

from datetime import datetime
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from permit.db import Database
from permit.errors import Conflict, InvalidRequest, NotFound
from permit.models import IssuedLicence, PolicySummary
from permit.terms import LicenceTerms, PolicyTerms

_UNLIMITED = -1


class ProductCodeTaken(Conflict):
    """Another product of the tenant has this code."""

    code = "product_code_taken"
    detail = "Another product has this code."


def insert_product(database: Database, tenant_id: UUID, *, code: str, name: str) -> UUID:
    try:
        return database.fetch_value(
            """
            INSERT INTO permit.products (tenant_id, code, name)
            VALUES (%(tenant_id)s, %(code)s, %(name)s)
            RETURNING id
            """,
            {"tenant_id": tenant_id, "code": code, "name": name},
        )
    except psycopg.errors.UniqueViolation as error:
        if error.diag.constraint_name == "products_code_key":
            raise ProductCodeTaken from None
        raise
    except psycopg.errors.ForeignKeyViolation:  # its only one: there is no such tenant
        raise NotFound from None


def insert_policy(
    database: Database, tenant_id: UUID, product_id: UUID, terms: PolicyTerms
) -> UUID | None:
    """The policy's id; None where the tenant has no such product."""
    return database.fetch_value(
        """
        INSERT INTO permit.policies
               (tenant_id, product_id, name, duration, starts, on_expiry, grace, max_devices,
                overage, device_required, activation, seat_ttl, matching, unique_in, lease,
                entitlements, max_releases, self_service)
        SELECT product.tenant_id, product.id, %(name)s, %(duration)s, %(starts)s, %(on_expiry)s,
               %(grace)s, %(max_devices)s, %(overage)s, %(device_required)s, %(activation)s,
               %(seat_ttl)s, %(matching)s, %(unique)s, %(lease)s, %(entitlements)s::text[],
               %(max_releases)s, %(self_service)s
          FROM permit.products AS product
         WHERE product.tenant_id = %(tenant_id)s AND product.id = %(product_id)s
        RETURNING id
        """,
        {**terms.model_dump(), "tenant_id": tenant_id, "product_id": product_id},
    )


def find_policy(database: Database, tenant_id: UUID, policy_id: UUID) -> PolicySummary | None:
    return database.fetch_one(
        PolicySummary,
        """
        SELECT p.device_required, product.archived_at
          FROM permit.policies AS p
          JOIN permit.products AS product
            ON product.tenant_id = p.tenant_id AND product.id = p.product_id
         WHERE p.tenant_id = %(tenant_id)s AND p.id = %(policy_id)s
        """,
        {"tenant_id": tenant_id, "policy_id": policy_id},
    )


def find_policy_of_licence(
    database: Database, tenant_id: UUID, licence_id: UUID
) -> PolicySummary | None:
    return database.fetch_one(
        PolicySummary,
        """
        SELECT p.device_required, product.archived_at
          FROM permit.licences AS l
          JOIN permit.policies AS p ON p.tenant_id = l.tenant_id AND p.id = l.policy_id
          JOIN permit.products AS product
            ON product.tenant_id = l.tenant_id AND product.id = l.product_id
         WHERE l.tenant_id = %(tenant_id)s AND l.id = %(licence_id)s
        """,
        {"tenant_id": tenant_id, "licence_id": licence_id},
    )


def insert_licence(
    database: Database,
    tenant_id: UUID,
    policy_id: UUID,
    terms: LicenceTerms,
    *,
    key_hash: bytes,
    key_hint: str,
) -> IssuedLicence:
    """The licence and its key. Where the policy starts on issue, its term begins now."""
    try:
        licence = database.fetch_one(
            IssuedLicence,
            """
            WITH licence AS (
                INSERT INTO permit.licences
                       (tenant_id, product_id, policy_id, key_hint, holder_name, holder_email,
                        holder_reference, starts_at, expires_at, max_devices, entitlements,
                        metadata, notes)
                SELECT p.tenant_id, p.product_id, p.id, %(key_hint)s, %(holder_name)s,
                       %(holder_email)s, %(holder_reference)s, term.starts_at,
                       coalesce(%(expires_at)s, term.starts_at + p.duration::interval),
                       %(max_devices)s, %(entitlements)s::text[], %(metadata)s, %(notes)s
                  FROM permit.policies AS p
                 CROSS JOIN LATERAL (
                       SELECT coalesce(%(starts_at)s,
                                       CASE p.starts WHEN 'on_issue' THEN permit.clock() END)
                       ) AS term (starts_at)
                 WHERE p.tenant_id = %(tenant_id)s AND p.id = %(policy_id)s
                RETURNING tenant_id, id, key_hint, starts_at, expires_at
            ), key AS (
                INSERT INTO permit.licence_keys (key_hash, tenant_id, licence_id)
                SELECT %(key_hash)s, licence.tenant_id, licence.id FROM licence
            )
            SELECT id, key_hint, starts_at, expires_at FROM licence
            """,
            {
                "tenant_id": tenant_id,
                "policy_id": policy_id,
                "key_hash": key_hash,
                "key_hint": key_hint,
                "holder_name": terms.holder.name,
                "holder_email": terms.holder.email,
                "holder_reference": terms.holder.reference,
                "starts_at": terms.starts_at,
                "expires_at": terms.expires_at,
                "max_devices": seats(terms.max_devices),
                "entitlements": terms.entitlements,
                "metadata": Jsonb(terms.metadata),
                "notes": terms.notes,
            },
        )
    except psycopg.errors.CheckViolation as error:
        raise _explained(error) from None
    assert licence is not None  # noqa: S101 (the caller has found the policy)
    return licence


def set_terms(
    database: Database,
    tenant_id: UUID,
    licence_id: UUID,
    *,
    max_devices: int | str | None,
    expires_at: datetime | None,
) -> None:
    """None leaves a term as it is."""
    try:
        database.execute(
            """
            UPDATE permit.licences AS l
               SET max_devices = coalesce(%(max_devices)s, l.max_devices),
                   expires_at = coalesce(%(expires_at)s, l.expires_at)
             WHERE l.tenant_id = %(tenant_id)s AND l.id = %(licence_id)s
            """,
            {
                "tenant_id": tenant_id,
                "licence_id": licence_id,
                "max_devices": seats(max_devices),
                "expires_at": expires_at,
            },
        )
    except psycopg.errors.CheckViolation as error:
        raise _explained(error) from None


def seats(max_devices: int | str | None) -> int | None:
    """A licence's own limit as it is stored."""
    return _UNLIMITED if isinstance(max_devices, str) else max_devices


def _explained(error: psycopg.errors.CheckViolation) -> Exception:
    if error.diag.constraint_name == "licences_term":
        return InvalidRequest(("expires_at", "must be after starts_at"))
    return error
