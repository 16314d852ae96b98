"""Everything that is kept of a tenant, to give away or to delete; no hash and no private key."""

from collections.abc import Iterable
from typing import LiteralString, NamedTuple
from uuid import UUID

import psycopg

from permit.db import Database
from permit.licences.queries import licences, policies
from permit.people.refusals import TenantInUse
from permit.people.rows import ExportedRow

MOST_PERIODS = 1_000
"""Of usage that a licence is exported with. Periods have no end, and an answer has."""


class UsagePlace(NamedTuple):
    """The last usage that was exported of a licence."""

    licence_id: UUID
    meter: str
    start: str
    """An instant, or `-infinity`."""


def _members(columns: Iterable[LiteralString]) -> LiteralString:
    return ", ".join("'" + name + "', " + name for name in columns)


# In the order of an export. Each is one tenant's by row-level security, and by its primary key.
EXPORTS: dict[str, LiteralString] = {
    "tenant": """
        SELECT t.id, json_build_object(
                   'id', t.id, 'name', t.name, 'created_at', t.created_at,
                   'requires_second_factor', t.requires_second_factor) AS item
          FROM permit.tenants AS t
         WHERE t.id > %(after)s ORDER BY t.id LIMIT %(at_most)s
    """,
    "user": """
        SELECT u.id, json_build_object(
                   'id', u.id, 'email', u.email, 'name', u.name, 'role', u.role,
                   'created_at', u.created_at, 'deactivated_at', u.deactivated_at,
                   'second_factor_since', u.totp_confirmed_at) AS item
          FROM permit.users AS u
         WHERE u.id > %(after)s ORDER BY u.id LIMIT %(at_most)s
    """,
    "session": """
        SELECT s.id, json_build_object(
                   'id', s.id, 'user_id', s.user_id, 'created_at', s.created_at,
                   'expires_at', s.expires_at, 'ended_at', s.ended_at,
                   'with_second_factor', s.with_second_factor) AS item
          FROM permit.sessions AS s
         WHERE s.id > %(after)s ORDER BY s.id LIMIT %(at_most)s
    """,
    "api_key": """
        SELECT k.id, json_build_object(
                   'id', k.id, 'name', k.name, 'role', k.role, 'key_hint', k.key_hint,
                   'created_at', k.created_at, 'expires_at', k.expires_at,
                   'last_used_at', k.last_used_at, 'revoked_at', k.revoked_at) AS item
          FROM permit.api_keys AS k
         WHERE k.id > %(after)s ORDER BY k.id LIMIT %(at_most)s
    """,
    "product": """
        SELECT p.id, json_build_object(
                   'id', p.id, 'code', p.code, 'name', p.name, 'created_at', p.created_at,
                   'archived_at', p.archived_at) AS item
          FROM permit.products AS p
         WHERE p.id > %(after)s ORDER BY p.id LIMIT %(at_most)s
    """,
    "policy": """
        SELECT p.id, json_build_object(
                   'id', p.id, 'product_id', p.product_id, 'unique', p.unique_in,
                   'created_at', p.created_at,
    """
    + _members(policies.PLAIN)
    + """) AS item
          FROM permit.policies AS p
         WHERE p.id > %(after)s ORDER BY p.id LIMIT %(at_most)s
    """,
    "licence": """
        SELECT l.id, json_build_object(
                   'id', l.id, 'product_id', l.product_id, 'policy_id', l.policy_id,
                   'key_hint', l.key_hint, 'holder_name', l.holder_name,
                   'holder_email', l.holder_email, 'holder_reference', l.holder_reference,
                   'starts_at', l.starts_at, 'expires_at', l.expires_at,
                   'term_anchor', l.term_anchor,
                   'max_devices', l.max_devices, 'created_at', l.created_at,
                   'suspended_at', l.suspended_at, 'revoked_at', l.revoked_at,
    """
    + _members(licences.PLAIN)
    + """,
                   'keys', (SELECT json_agg(json_build_object(
                                       'created_at', k.created_at, 'valid_until', k.valid_until)
                                   ORDER BY k.created_at)
                              FROM permit.licence_keys AS k
                             WHERE k.tenant_id = l.tenant_id AND k.licence_id = l.id),
                   'usage', (SELECT json_agg(first)
                               FROM (SELECT u.meter, u.used,
                                            NULLIF(u.period_start, '-infinity') AS period_start
                                       FROM permit.usage AS u
                                      WHERE u.tenant_id = l.tenant_id AND u.licence_id = l.id
                                      ORDER BY u.meter, u.period_start
                                      LIMIT %(most_periods)s) AS first),
                   'last_checked_at', (SELECT c.last_checked_at FROM permit.licence_checks AS c
                                        WHERE c.licence_id = l.id)) AS item
          FROM permit.licences AS l
         WHERE l.id > %(after)s ORDER BY l.id LIMIT %(at_most)s
    """,
    "device": """
        SELECT d.id, json_build_object(
                   'id', d.id, 'licence_id', d.licence_id, 'name', d.name,
                   'platform', d.platform, 'version', d.version, 'components', d.components,
                   'state', d.state, 'leased_until', d.leased_until,
                   'last_seat_ttl', d.last_seat_ttl,
                   'seat_free_at', d.seat_free_at, 'short_leases_until', d.short_leases_until,
                   'seated_at', d.seated_at, 'first_seated_at', d.first_seated_at,
                   'first_seen_at', d.first_seen_at, 'last_seen_at', d.last_seen_at) AS item
          FROM permit.devices AS d
         WHERE d.id > %(after)s ORDER BY d.id LIMIT %(at_most)s
    """,
    "swap": """
        SELECT s.id, json_build_object(
                   'id', s.id, 'licence_id', s.licence_id, 'device_id', s.device_id,
                   'type', s.kind, 'swapped_at', s.swapped_at) AS item
          FROM permit.swaps AS s
         WHERE s.id > %(after)s ORDER BY s.id LIMIT %(at_most)s
    """,
    "audit_event": """
        SELECT e.id, json_build_object(
                   'id', e.id, 'occurred_at', e.occurred_at,
                   'actor_kind', coalesce(e.actor_means, e.actor_kind),
                   'actor_id', e.actor_id, 'action', e.action, 'subject_kind', e.subject_kind,
                   'subject_id', e.subject_id,
                   'licence_id', CASE e.subject_kind WHEN 'licence' THEN e.subject_id
                                                     WHEN 'device' THEN e.parent_id END,
                   'product_id', CASE e.subject_kind WHEN 'product' THEN e.subject_id
                                                     WHEN 'policy' THEN e.parent_id END,
                   'changes', e.changes, 'reason', e.reason,
                   'request_id', e.request_id, 'address', e.address) AS item
          FROM permit.audit_events AS e
         WHERE e.id > %(after)s ORDER BY e.id LIMIT %(at_most)s
    """,
}


def list_rows(database: Database, kind: str, *, after: UUID, at_most: int) -> list[ExportedRow]:
    """The entered tenant's. A licence has one period of usage more than MOST_PERIODS, if it can."""
    return database.fetch_all(
        ExportedRow,
        EXPORTS[kind],
        {"after": after, "at_most": at_most, "most_periods": MOST_PERIODS + 1},
    )


def list_usage(database: Database, after: UsagePlace, *, at_most: int) -> list[ExportedRow]:
    """The further usage of a licence; each has the licence's id."""
    return database.fetch_all(
        ExportedRow,
        """
        SELECT u.licence_id AS id, json_build_object(
                   'licence_id', u.licence_id, 'meter', u.meter, 'used', u.used,
                   'period_start', NULLIF(u.period_start, '-infinity')) AS item
          FROM permit.usage AS u
         WHERE u.licence_id = %(licence_id)s
           AND (u.meter, u.period_start) > (%(meter)s, %(start)s::timestamptz)
         ORDER BY u.meter, u.period_start LIMIT %(at_most)s
        """,
        {**after._asdict(), "at_most": at_most},
    )


def close(database: Database, tenant_id: UUID, *, name: str) -> bool:
    """Whether there is a tenant of this id and name; from now on nobody reaches it."""
    return database.fetch_value(
        "SELECT permit.close_tenant(%(tenant_id)s, %(name)s)",
        {"tenant_id": tenant_id, "name": name},
    )


def erase(database: Database, tenant_id: UUID, *, at_most: int) -> int:
    """How many licences of a closed tenant are left."""
    try:
        return database.fetch_value(
            "SELECT permit.erase_tenant(%(tenant_id)s, %(at_most)s)",
            {"tenant_id": tenant_id, "at_most": at_most},
        )
    except psycopg.errors.ForeignKeyViolation:
        raise TenantInUse from None
