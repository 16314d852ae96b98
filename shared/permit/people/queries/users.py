"""The people of a tenant as they see each other, and what each does about their own account."""

from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from permit.db import Database
from permit.paging import Place
from permit.people.refusals import EmailTaken
from permit.people.rows import LinkedUser, LinkOwner, PasswordAdmission, SealedFactor, User
from permit.people.throttles import Attempt

_COLUMNS: LiteralString = """
    u.id, u.email, u.name, u.role,
    CASE WHEN u.deactivated_at IS NOT NULL THEN 'deactivated'
         WHEN u.is_pending THEN 'invited' ELSE 'active' END AS status,
    u.totp_confirmed_at IS NOT NULL AS has_second_factor, u.created_at, u.deactivated_at
"""


def list_users(database: Database, tenant_id: UUID, place: Place) -> list[User]:
    return database.fetch_all(
        User,
        "SELECT"
        + _COLUMNS
        + """
          FROM permit.users AS u
         WHERE u.tenant_id = %(tenant_id)s
           AND (%(after)s::timestamptz IS NULL
                OR (u.created_at, u.id) < (%(after)s, %(after_id)s::uuid))
         ORDER BY u.created_at DESC, u.id DESC
         LIMIT %(at_most)s
        """,
        {"tenant_id": tenant_id, **place.parameters()},
    )


def find_user(database: Database, tenant_id: UUID, user_id: UUID) -> User | None:
    return database.fetch_one(
        User,
        "SELECT"
        + _COLUMNS
        + "FROM permit.users AS u WHERE u.tenant_id = %(tenant_id)s AND u.id = %(user_id)s",
        {"tenant_id": tenant_id, "user_id": user_id},
    )


def insert_invited(
    database: Database,
    tenant_id: UUID,
    *,
    email: str,
    role: str,
    name: str | None,
    token_hash: bytes,
    hours: int,
) -> LinkedUser:
    """With a link that is good for so long. Raises EmailTaken: invited here, or a user here."""
    try:
        invited = database.fetch_one(
            LinkedUser,
            """
            WITH u AS (
                INSERT INTO permit.users (tenant_id, email, role, name)
                VALUES (%(tenant_id)s, %(email)s, %(role)s, %(name)s)
                RETURNING tenant_id, id, email, name, role, is_pending, totp_confirmed_at,
                          created_at, deactivated_at
            ), link AS (
                INSERT INTO permit.user_links (token_hash, tenant_id, user_id, kind, expires_at)
                SELECT %(token_hash)s, u.tenant_id, u.id, 'invitation',
                       permit.clock() + make_interval(hours => %(hours)s)
                  FROM u
                RETURNING expires_at
            )
            SELECT
            """
            + _COLUMNS
            + ", link.expires_at AS link_expires_at FROM u, link",
            {
                "tenant_id": tenant_id,
                "email": email,
                "role": role,
                "name": name,
                "token_hash": token_hash,
                "hours": hours,
            },
        )
    except psycopg.errors.UniqueViolation as error:
        if error.diag.constraint_name == "users_email_key":
            raise EmailTaken from None
        raise
    assert invited is not None  # noqa: S101 (an insert that returns answers a row)
    return invited


def insert_link(
    database: Database,
    tenant_id: UUID,
    user_id: UUID,
    *,
    kind: str,
    for_pending: bool,
    roles: Sequence[str],
    token_hash: bytes,
    hours: int,
) -> LinkedUser | None:
    """None where there is no such user; without a link where their state or role does not fit."""
    return database.fetch_one(
        LinkedUser,
        """
        WITH link AS (
            INSERT INTO permit.user_links (token_hash, tenant_id, user_id, kind, expires_at)
            SELECT %(token_hash)s, o.tenant_id, o.id, %(kind)s,
                   permit.clock() + make_interval(hours => %(hours)s)
              FROM permit.users AS o
             WHERE o.tenant_id = %(tenant_id)s AND o.id = %(user_id)s
               AND o.is_pending = %(for_pending)s AND o.deactivated_at IS NULL
               AND o.role = ANY (%(roles)s)
            RETURNING expires_at
        )
        SELECT
        """
        + _COLUMNS
        + """
               , link.expires_at AS link_expires_at
          FROM permit.users AS u
          LEFT JOIN link ON true
         WHERE u.tenant_id = %(tenant_id)s AND u.id = %(user_id)s
        """,
        {
            "tenant_id": tenant_id,
            "user_id": user_id,
            "kind": kind,
            "for_pending": for_pending,
            "roles": list(roles),
            "token_hash": token_hash,
            "hours": hours,
        },
    )


def find_linked(database: Database, token_hash: bytes, kind: str) -> LinkOwner | None:
    """The user whom a good link is for."""
    return database.fetch_one(
        LinkOwner,
        """
        SELECT user_id, email
          FROM permit.find_linked(%(token_hash)s, %(kind)s)
         WHERE user_id IS NOT NULL
        """,
        {"token_hash": token_hash, "kind": kind},
    )


def redeem_link(
    database: Database,
    token_hash: bytes,
    kind: str,
    *,
    password_hash: str,
    name: str | None,
    places: Sequence[bytes],
    request: dict[str, Any],
) -> str | None:
    """Why not: 'invalid', or 'taken' by who signs in with the email elsewhere."""
    return database.fetch_value(
        """
        SELECT permit.redeem_link(
            %(token_hash)s, %(kind)s, %(password_hash)s, %(name)s, %(places)s, %(request)s)
        """,
        {
            "token_hash": token_hash,
            "kind": kind,
            "password_hash": password_hash,
            "name": name,
            "places": list(places),
            "request": Jsonb(request),
        },
    )


def change_member(database: Database, user_id: UUID, *, role: str, is_active: bool) -> str | None:
    """Why not: 'missing', 'above' or 'last_owner'."""
    return database.fetch_value(
        "SELECT permit.change_member(%(user_id)s, %(role)s, %(is_active)s)",
        {"user_id": user_id, "role": role, "is_active": is_active},
    )


def set_name(database: Database, tenant_id: UUID, user_id: UUID, name: str | None) -> User | None:
    return database.fetch_one(
        User,
        """
        UPDATE permit.users AS u
           SET name = %(name)s
         WHERE u.tenant_id = %(tenant_id)s AND u.id = %(user_id)s
        RETURNING
        """
        + _COLUMNS,
        {"tenant_id": tenant_id, "user_id": user_id, "name": name},
    )


def admit_own_password(database: Database, attempt: Attempt) -> PasswordAdmission:
    """Counts the attempt and fetches how the password is hashed, or says how long to wait."""
    admission = database.fetch_one(
        PasswordAdmission,
        """
        SELECT retry_after, is_known_place, recipe
          FROM permit.admit_own_password(
               %(keys)s, %(free_attempts)s::integer[], %(delay_caps)s::integer[])
        """,
        attempt.parameters(),
    )
    assert admission is not None  # noqa: S101 (the door always answers one row)
    return admission


def replace_own_password(
    database: Database,
    *,
    present: Sequence[str],
    new_hash: str,
    places: Sequence[bytes],
    others: Sequence[bytes],
) -> bool:
    """Whether one of these was the present one's hash; ends the user's sessions."""
    return database.fetch_value(
        "SELECT permit.replace_own_password(%(present)s, %(new_hash)s, %(places)s, %(others)s)",
        {
            "present": list(present),
            "new_hash": new_hash,
            "places": list(places),
            "others": list(others),
        },
    )


def find_factor(database: Database, tenant_id: UUID, user_id: UUID) -> SealedFactor | None:
    return database.fetch_one(
        SealedFactor,
        """
        SELECT totp_sealed AS sealed, totp_master_version AS master_version,
               totp_confirmed_at IS NOT NULL AS is_confirmed
          FROM permit.users
         WHERE tenant_id = %(tenant_id)s AND id = %(user_id)s AND totp_sealed IS NOT NULL
           FOR NO KEY UPDATE
        """,
        {"tenant_id": tenant_id, "user_id": user_id},
    )


def set_factor(
    database: Database, tenant_id: UUID, user_id: UUID, *, sealed: bytes, master_version: str
) -> str | None:
    """An unconfirmed one; the user's email. None where one is confirmed already."""
    return database.fetch_value(
        """
        UPDATE permit.users
           SET totp_sealed = %(sealed)s, totp_master_version = %(master_version)s,
               totp_used_step = NULL
         WHERE tenant_id = %(tenant_id)s AND id = %(user_id)s AND totp_confirmed_at IS NULL
        RETURNING email
        """,
        {
            "tenant_id": tenant_id,
            "user_id": user_id,
            "sealed": sealed,
            "master_version": master_version,
        },
    )


def confirm_factor(database: Database, *, step: int, recovery_hashes: Sequence[bytes]) -> None:
    """From now it is asked for at login. The caller holds the user's lock."""
    database.fetch_value(
        "SELECT permit.confirm_second_factor(%(step)s, %(recovery_hashes)s)",
        {"step": step, "recovery_hashes": list(recovery_hashes)},
    )


def remove_factor(database: Database, user_id: UUID) -> str | None:
    """With its recovery codes. Why not: 'missing', 'above' or 'off'."""
    return database.fetch_value(
        "SELECT permit.remove_second_factor(%(user_id)s)", {"user_id": user_id}
    )


def is_factor_required(database: Database, tenant_id: UUID) -> bool:
    return database.fetch_value(
        "SELECT requires_second_factor FROM permit.tenants WHERE id = %(tenant_id)s",
        {"tenant_id": tenant_id},
    )


def require_factor(database: Database, *, is_required: bool) -> None:
    database.fetch_value(
        "SELECT permit.require_second_factor(%(is_required)s)", {"is_required": is_required}
    )
