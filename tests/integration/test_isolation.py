"""Rows of the entered tenant and no others: row-level security and foreign keys."""

from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.deployment import Deployment, Vendor, connected

WITHOUT_TENANT = {"login_throttle", "acting_secret", "schema_migrations", "schema_doors"}
WITHOUT_TENANT |= {"holder_folding", "email_folding"}


def tables(deployment: Deployment) -> list[str]:
    rows = deployment.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'permit' ORDER BY 1")
    return [name for (name,) in rows]


def tenant_tables(deployment: Deployment) -> list[str]:
    return [table for table in tables(deployment) if table not in WITHOUT_TENANT]


def test_every_tenant_table_is_confined(deployment: Deployment) -> None:
    """Row-level security, forced, with the two policies that permit.confine gives."""
    rows = deployment.sql(
        """
        SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity,
               array_agg((p.polname, p.polroles::regrole[]::text[], p.polcmd, p.polpermissive,
                          p.polqual IS NOT NULL AND p.polwithcheck IS NOT NULL)::text
                         ORDER BY p.polname)
          FROM pg_class AS c LEFT JOIN pg_policy AS p ON p.polrelid = c.oid
         WHERE c.relnamespace = 'permit'::regnamespace AND c.relkind = 'r'
         GROUP BY c.oid
        """
    )

    policies = ["(doors,{permit_doors},*,t,t)", "(entered_tenant,{-},*,t,t)"]
    confined = {name: (is_forced, found) for name, is_forced, found in rows}
    for table in WITHOUT_TENANT:
        confined.pop(table)
    assert dict.fromkeys(tenant_tables(deployment), (True, policies)) == confined


def test_every_table_with_a_tenant_id_is_a_tenant_table(deployment: Deployment) -> None:
    """Only tables that hold no tenant's rows go without row-level security."""
    rows = deployment.sql(
        """
        SELECT table_name FROM information_schema.columns
         WHERE table_schema = 'permit' AND column_name = 'tenant_id'
        """
    )

    with_tenant = {name for (name,) in rows} & set(tables(deployment))
    assert with_tenant | {"tenants"} == set(tenant_tables(deployment))


def test_foreign_keys_carry_the_tenant(deployment: Deployment) -> None:
    """Foreign keys ignore row-level security: each pairs tenant_id with tenant_id."""
    rows = deployment.sql(
        """
        SELECT k.conrelid::regclass::text, k.confrelid::regclass::text,
               array_agg(ARRAY[a.attname, b.attname]::text[])
          FROM pg_constraint AS k, unnest(k.conkey, k.confkey) AS pair (own, foreign_)
          JOIN pg_attribute AS a ON true JOIN pg_attribute AS b ON true
         WHERE k.contype = 'f' AND k.connamespace = 'permit'::regnamespace
           AND a.attrelid = k.conrelid AND a.attnum = pair.own
           AND b.attrelid = k.confrelid AND b.attnum = pair.foreign_
         GROUP BY k.oid
        """
    )

    assert len(rows) >= 10
    for table, referenced, pairs in rows:
        own = "id" if referenced.endswith("tenants") else "tenant_id"
        assert ["tenant_id", own] in pairs, (table, referenced)


@pytest.fixture
def two_vendors(deployment: Deployment) -> tuple[Vendor, Vendor]:
    """Two tenants with a row in every table that a test can fill."""
    vendors = deployment.vendor, Vendor.create(deployment, "other@example.com", "other")
    for vendor in vendors:
        meters = [{"name": "m", "limit": 5, "period": "month"}]
        licence = vendor.licence(vendor.policy(matching="any", meters=meters))
        for fingerprint in ("fingerprint-number-1", "fingerprint-number-2"):
            deployment.check(licence["key"], fingerprint, device={"components": {"disk": "a"}})
        deployment.check(vendor.licence(vendor.policy(device_required=False))["key"], None)
        vendor.leave_traces(licence["key"])
    deployment.sql("GRANT ALL ON ALL TABLES IN SCHEMA permit TO permit_vendor, permit_operator")
    return vendors


@pytest.mark.parametrize("role", ["permit_vendor", "permit_operator"])
def test_without_a_tenant_there_are_no_rows(
    deployment: Deployment, two_vendors: tuple[Vendor, Vendor], role: str
) -> None:
    """However much is granted, whoever has entered no tenant reads, changes and adds nothing."""
    with connected(deployment, role) as connection:
        for table in tenant_tables(deployment):
            assert deployment.sql(f"SELECT 1 FROM permit.{table}"), f"the test left {table} empty"
            assert [] == connection.execute(f"SELECT 1 FROM permit.{table}").fetchall()
            assert 0 == connection.execute(f"DELETE FROM permit.{table}").rowcount
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            connection.execute("INSERT INTO permit.tenants (name) VALUES ('Mine')")


def enter(connection: psycopg.Connection[Any], vendor: Vendor) -> None:
    connection.execute("SELECT permit.enter_by_command(%s, NULL)", [vendor.tenant_id])


def test_an_entered_tenant_sees_its_own_rows(
    deployment: Deployment, two_vendors: tuple[Vendor, Vendor]
) -> None:
    """In every table, and none of another's; the entry ends with the transaction."""
    mine, _ = two_vendors
    with connected(deployment, "permit_operator") as connection:
        for table in tenant_tables(deployment):
            column = "id" if table == "tenants" else "tenant_id"
            enter(connection, mine)
            seen = connection.execute(f"SELECT DISTINCT {column} FROM permit.{table}").fetchall()
            connection.commit()
            after = connection.execute(f"SELECT 1 FROM permit.{table}").fetchall()

            assert [(UUID(mine.tenant_id),)] == seen
            assert [] == after


def test_a_foreign_tenant_id_cannot_be_written(
    deployment: Deployment, two_vendors: tuple[Vendor, Vendor]
) -> None:
    """Neither by INSERT nor by an UPDATE that gives a row away."""
    mine, theirs = two_vendors
    with connected(deployment, "permit_operator") as connection:
        for table in tenant_tables(deployment):
            column = "id" if table == "tenants" else "tenant_id"
            enter(connection, mine)
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
                connection.execute(f"UPDATE permit.{table} SET {column} = %s", [theirs.tenant_id])
            connection.rollback()
        enter(connection, mine)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            connection.execute(
                "INSERT INTO permit.products (tenant_id, code, name) VALUES (%s, 'x1', 'X')",
                [theirs.tenant_id],
            )


def test_a_licence_under_a_foreign_policy_cannot_be_made(
    deployment: Deployment, two_vendors: tuple[Vendor, Vendor]
) -> None:
    """Knowing another vendor's ids is of no use."""
    mine, theirs = two_vendors
    with connected(deployment, "permit_operator") as connection:
        enter(connection, mine)
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute(
                """
                INSERT INTO permit.licences
                       (tenant_id, product_id, policy_id, key_hint, entitlements, metadata)
                VALUES (%s, %s, %s, 'ABCDE', '{}', '{}')
                """,
                [mine.tenant_id, theirs.product_id, theirs.policy()],
            )


@pytest.mark.parametrize(
    ("change", "version", "may_enter"),
    [
        ("role = 'admin'", 1, True),
        ("deactivated_at = now()", 1, False),
        ("session_version = 2", 1, False),
        ("session_version = 2", 2, True),
    ],
    ids=["another role", "deactivated", "stale token", "new token"],
)
def test_who_may_enter(deployment: Deployment, change: str, version: int, may_enter: bool) -> None:
    """permit.enter answers the present role, and refuses users who lost rights since login."""
    tenant_id = deployment.vendor.tenant_id
    deployment.sql(f"UPDATE permit.users SET {change}")
    [(user_id, role)] = deployment.sql("SELECT id, role FROM permit.users")
    arguments = [tenant_id, user_id, version]

    with connected(deployment, "permit_vendor") as connection:
        call = "SELECT permit.enter(%s, %s, %s, '{}')"
        assert (role if may_enter else None,) == connection.execute(call, arguments).fetchone()
        seen = connection.execute("SELECT id::text FROM permit.tenants").fetchall()
        assert ([(tenant_id,)] if may_enter else []) == seen


def test_another_tenant_cannot_be_entered(
    deployment: Deployment, two_vendors: tuple[Vendor, Vendor]
) -> None:
    """A user enters their own tenant only, whichever they name."""
    mine, theirs = two_vendors
    users = "SELECT id FROM permit.users WHERE tenant_id = %s"
    [(my_user,), *_] = deployment.sql(users, mine.tenant_id)

    with connected(deployment, "permit_vendor") as connection:
        call = "SELECT permit.enter(%s, %s, 1, '{}')"
        entered = connection.execute(call, [theirs.tenant_id, my_user]).fetchone()

        assert (None,) == entered
        assert [] == connection.execute("SELECT id FROM permit.tenants").fetchall()
