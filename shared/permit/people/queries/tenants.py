"""Tenants and their users."""

from uuid import UUID

import psycopg

from permit.db import Database
from permit.people.refusals import EmailTaken
from permit.people.rows import Account, Tenant


def insert_tenant(database: Database, tenant_id: UUID, *, name: str) -> None:
    database.execute(
        "INSERT INTO permit.tenants (id, name) VALUES (%(tenant_id)s, %(name)s)",
        {"tenant_id": tenant_id, "name": name},
    )


def get_tenant(database: Database, tenant_id: UUID) -> Tenant:
    """The entered tenant."""
    tenant = database.fetch_one(
        Tenant,
        """
        SELECT id, name, created_at, requires_second_factor
          FROM permit.tenants
         WHERE id = %(tenant_id)s
        """,
        {"tenant_id": tenant_id},
    )
    assert tenant is not None  # noqa: S101 (whoever entered it has found it)
    return tenant


def is_tenant(database: Database, tenant_id: UUID) -> bool:
    return database.fetch_value(
        "SELECT EXISTS (SELECT FROM permit.tenants WHERE id = %(tenant_id)s)",
        {"tenant_id": tenant_id},
    )


def insert_user(
    database: Database, tenant_id: UUID, *, email: str, role: str, password_hash: str
) -> UUID:
    try:
        return database.fetch_value(
            """
            INSERT INTO permit.users (tenant_id, email, role, password_hash)
            VALUES (%(tenant_id)s, %(email)s, %(role)s, %(password_hash)s)
            RETURNING id
            """,
            {"tenant_id": tenant_id, "email": email, "role": role, "password_hash": password_hash},
        )
    except psycopg.errors.UniqueViolation as error:
        if error.diag.constraint_name in ("users_email_key", "users_accepted_email_key"):
            raise EmailTaken from None
        raise


def find_account(database: Database, email: str) -> Account | None:
    return database.fetch_one(
        Account,
        """
        SELECT tenant_id, user_id
          FROM permit.find_account(%(email)s)
         WHERE user_id IS NOT NULL
        """,
        {"email": email},
    )


def set_password_hash(
    database: Database, tenant_id: UUID, user_id: UUID, password_hash: str
) -> None:
    """Ends the user's sessions too."""
    database.execute(
        """
        UPDATE permit.users
           SET password_hash = %(password_hash)s, session_version = session_version + 1
         WHERE tenant_id = %(tenant_id)s AND id = %(user_id)s
        """,
        {"tenant_id": tenant_id, "user_id": user_id, "password_hash": password_hash},
    )
