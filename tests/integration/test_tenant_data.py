"""A tenant's export holds everything that is kept of it, and its erasure leaves nothing."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest

from permit.people import export
from permit.people.queries.export import EXPORTS
from tests.support.deployment import Deployment, Vendor
from tests.support.servers import PASSWORD

# Of no use to the tenant: hashes of keys, tokens and machines.
NOT_EXPORTED = {
    *("refresh_tokens", "licence_keys", "retired_fingerprints", "proof_keys"),
    *("user_links", "recovery_codes", "login_places", "idempotent_answers", "usage_requests"),
}
# Columns that are made from others, are told by another name, or are secret or our own affair.
NOT_TOLD = {
    *("tenant_id", "closed_at", "revision", "facts", "session_version", "is_pending"),
    *("grace_interval", "seat_ttl_interval", "lease_interval", "unique_in"),
    *("holder_name_folded", "holder_email_folded", "holder_reference_folded"),
    *("password_hash", "key_hash", "fingerprint_hash", "totp_sealed", "totp_master_version"),
    *("totp_used_step", "totp_confirmed_at"),
    "actor_means",  # actor_kind tells it
    "parent_id",  # licence_id and product_id tell it
}
KIND_OF = {
    "tenants": "tenant",
    "users": "user",
    "sessions": "session",
    "products": "product",
    "policies": "policy",
    "licences": "licence",
    "devices": "device",
    "swaps": "swap",
    "licence_checks": "licence",  # last_checked_at
    "usage": "licence",
    "api_keys": "api_key",
    "audit_events": "audit_event",
}


def tables(deployment: Deployment) -> dict[str, str]:
    """Every table with rows of tenants, and the column that names the tenant."""
    rows = deployment.sql(
        """
        SELECT c.relname, CASE c.relname WHEN 'tenants' THEN 'id' ELSE 'tenant_id' END
          FROM pg_class AS c
         WHERE c.relnamespace = 'permit'::regnamespace AND c.relkind = 'r' AND c.relrowsecurity
        """
    )
    return dict(rows)


def contents(deployment: Deployment, tenant_id: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of a tenant, by table."""
    return {
        table: deployment.sql(
            f"SELECT t::text FROM permit.{table} AS t WHERE {column} = %s ORDER BY 1",
            tenant_id,
        )
        for table, column in tables(deployment).items()
    }


@pytest.fixture
def lived_in(deployment: Deployment) -> Vendor:
    """A tenant with a row in every table."""
    vendor = deployment.vendor
    meters = [{"name": "m", "limit": 5, "period": "month"}]
    policy = vendor.policy(max_devices=2, matching="any", meters=meters)
    for n in range(7):
        licence = vendor.licence(policy, holder={"email": f"holder-{n}@example.com"})
        components = {"disk": f"disk-of-{n}-0123456789", "board": f"board-of-{n}-012345"}
        deployment.check(licence["key"], f"fingerprint-one-{n}", device={"components": components})
        deployment.check(licence["key"], f"fingerprint-two-{n}", device={"components": components})
        deployment.release(licence["key"], fingerprint=f"fingerprint-two-{n}")
    free = vendor.licence(vendor.policy(name="Free", device_required=False))
    deployment.check(free["key"], None)
    vendor.leave_traces(licence["key"])
    assert all(contents(deployment, vendor.tenant_id).values())
    return vendor


def exported(vendor: Vendor, limit: int) -> list[dict[str, Any]]:
    items, cursor = [], None
    while True:
        page = vendor.deployment.operator(
            "export-tenant", tenant_id=vendor.tenant_id, limit=limit, cursor=cursor
        )
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


def test_every_table_is_exported_or_named(deployment: Deployment) -> None:
    """A new table has to be thought of."""
    assert set(tables(deployment)) == set(KIND_OF) | NOT_EXPORTED
    assert set(EXPORTS) == set(KIND_OF.values())


def test_every_column_is_exported_or_named(deployment: Deployment, lived_in: Vendor) -> None:
    """A new one has to be thought of."""
    items = exported(lived_in, 500)
    for table in set(KIND_OF) - {"licence_checks", "usage"}:
        columns = deployment.sql(
            """
            SELECT attname::text FROM pg_attribute
             WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
            """,
            f"permit.{table}",
        )
        told = {name for item in items if item["kind"] == KIND_OF[table] for name in item}
        assert set() == {name for (name,) in columns} - told - NOT_TOLD, table


@pytest.mark.parametrize("limit", [1, 3, 500])
def test_export_holds_every_row_once(lived_in: Vendor, limit: int) -> None:
    """However large the pages are."""
    items = exported(lived_in, limit)
    kept = contents(lived_in.deployment, lived_in.tenant_id)

    assert len(items) == len({(item["kind"], item["id"]) for item in items})
    for table in set(KIND_OF) - {"licence_checks", "usage"}:
        assert len(kept[table]) == sum(item["kind"] == KIND_OF[table] for item in items)
    assert any(item.get("last_checked_at") for item in items)
    assert {"holder-3@example.com", lived_in.email} <= {
        value for item in items for value in item.values() if isinstance(value, str)
    }


def test_export_holds_no_secret(lived_in: Vendor) -> None:
    """Neither hashes nor sealed keys; what a column is called tells it."""
    items = exported(lived_in, 500)
    names = {name for item in items for name in item}

    assert not {name for name in names if "hash" in name or "seal" in name or "password" in name}
    assert not any(sign in json.dumps(items) for sign in ("$argon2", "permit_ak_", "permit_lk_"))


def test_export_is_the_tenants_own(deployment: Deployment, lived_in: Vendor) -> None:
    """Another tenant's rows are not in it."""
    other = Vendor.create(deployment, "other@example.com")

    emails = {item.get("email") for item in exported(other, 500)}

    assert {None, "other@example.com"} == emails


USAGE_CURSORS = [
    base64.urlsafe_b64encode(f"usage:{place}".encode()).decode()
    for place in (
        *("", "x", "[]", "{}", "null", '["x", "m", "-infinity"]'),
        *(f'["{UUID(int=1)}", "m", {start}]' for start in ("1", '"x"', '"infinity"', "null")),
        f'["{UUID(int=1)}", "\\u0000", "-infinity"]',
        f'["{UUID(int=1)}", "m", "2026-01-01T00:00:00+16:00"]',
    )
]


@pytest.mark.parametrize(
    "cursor", ["x", "####", "dXNlcjp4", "c2VjcmV0OjAwMDAwMDAw", "é", *USAGE_CURSORS]
)
def test_a_cursor_that_was_not_given_is_refused(deployment: Deployment, cursor: str) -> None:
    """422 that names the field, for every such value."""
    problem = deployment.refused(
        "export-tenant", tenant_id=deployment.vendor.tenant_id, cursor=cursor
    )

    assert "cursor" == problem["errors"][0]["field"]


@pytest.mark.parametrize("command", ["export-tenant", "erase-tenant"])
def test_an_unknown_tenant_is_not_found(deployment: Deployment, command: str) -> None:
    """Like anything else that does not exist."""
    arguments = {"name": "Nobody Ltd"} if command == "erase-tenant" else {}

    problem = deployment.refused(
        command, tenant_id="00000000-0000-4000-8000-000000000000", **arguments
    )

    assert "not_found" == problem["code"]


def test_erasure_leaves_nothing_and_nobody_else_loses_anything(
    deployment: Deployment, lived_in: Vendor
) -> None:
    """No row in any table, and every row of another tenant as it was."""
    other = Vendor.create(deployment, "other@example.com")
    other_licence = other.licence()
    deployment.check(other_licence["key"])
    before = contents(deployment, other.tenant_id)

    answer = deployment.operator("erase-tenant", tenant_id=lived_in.tenant_id, name="Example Ltd")

    assert {"erased": True, "licences_left": 0} == answer
    assert not any(contents(deployment, lived_in.tenant_id).values())
    assert before == contents(deployment, other.tenant_id)
    assert "VALID" == deployment.check(other_licence["key"])["code"]


def test_erased_people_may_come_back(deployment: Deployment, lived_in: Vendor) -> None:
    """Their email is free again."""
    deployment.operator("erase-tenant", tenant_id=lived_in.tenant_id, name="Example Ltd")

    assert (
        lived_in.email
        == deployment.operator("create-tenant", name="Example again", email=lived_in.email)["email"]
    )


def test_a_wrong_name_erases_nothing(deployment: Deployment, lived_in: Vendor) -> None:
    """A slip of an id meets a tenant of another name."""
    before = contents(deployment, lived_in.tenant_id)

    problem = deployment.refused("erase-tenant", tenant_id=lived_in.tenant_id, name="Another Ltd")

    assert "not_found" == problem["code"]
    assert before == contents(deployment, lived_in.tenant_id)


def test_a_tenant_is_unreachable_from_the_first_call(
    deployment: Deployment, lived_in: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the rest goes, call by call, no key is known and nobody signs in."""
    licence = lived_in.licence()
    monkeypatch.setattr(export, "_BATCH", 2)
    monkeypatch.setattr(export, "_BATCHES", 1)
    erase = {"tenant_id": lived_in.tenant_id, "name": "Example Ltd"}

    first = deployment.operator("erase-tenant", **erase)

    assert {"erased": False, "licences_left": 7} == first
    assert "NOT_FOUND" == deployment.check(licence["key"])["code"]
    sign_in = {"email": lived_in.email, "password": lived_in.password}
    assert 401 == deployment.send("login", sign_in).status
    left = [deployment.operator("erase-tenant", **erase)["licences_left"] for _ in range(4)]
    assert [5, 3, 1, 0] == left
    assert not any(contents(deployment, lived_in.tenant_id).values())


def test_a_row_that_somebody_holds_keeps_no_tenant_open(
    deployment: Deployment, lived_in: Vendor
) -> None:
    """It is closed all the same, and what is held goes with a later call."""
    erase = {"tenant_id": lived_in.tenant_id, "name": "Example Ltd"}
    with psycopg.connect(
        host="127.0.0.1",
        port=deployment.server.port,
        user="postgres",
        password=PASSWORD,
        dbname=deployment.database,
    ) as holding:
        holding.execute("SELECT id FROM permit.licences LIMIT 1 FOR UPDATE")
        held = deployment.operator("erase-tenant", **erase)
        for command, arguments in {
            "create-user": {"email": "new@example.com"},
            "export-tenant": {},
            "rotate-proof-key": {},
        }.items():
            refused = deployment.refused(command, tenant_id=lived_in.tenant_id, **arguments)
            assert "not_found" == refused["code"]

    assert {"erased": False, "licences_left": 1} == held
    assert {"erased": True, "licences_left": 0} == deployment.operator("erase-tenant", **erase)


def test_a_page_fits_into_an_answer_of_lambda(deployment: Deployment, lived_in: Vendor) -> None:
    """Licences with all the metadata and notes that they may have."""
    policy = lived_in.policy(name="Large")
    deployment.sql(
        """
        INSERT INTO permit.licences
               (tenant_id, product_id, policy_id, key_hint, entitlements, metadata, notes)
        SELECT %s, %s, %s, 'LARGE', '{}', jsonb_build_object('a', repeat('x', 8000)),
               repeat('n', 10000)
          FROM generate_series(1, 500)
        """,
        lived_in.tenant_id,
        lived_in.product_id,
        policy,
    )

    page = deployment.operator("export-tenant", tenant_id=lived_in.tenant_id)

    assert len(json.dumps(page)) < 5_000_000
    assert 508 <= sum(item["kind"] == "licence" for item in exported(lived_in, 500))


def test_checks_during_an_erasure_do_no_harm(deployment: Deployment, lived_in: Vendor) -> None:
    """Each is answered by a verdict, and none leaves a row behind."""
    policies = [
        lived_in.policy(name="Racing"),
        lived_in.policy(name="Racing without a device", device_required=False),
    ]
    keys = [lived_in.licence(policies[n % 2])["key"] for n in range(20)]

    environments = [deployment.start("licence_check") for _ in keys]

    def check(number: int) -> str:
        racing = Deployment(
            server=deployment.server,
            database=deployment.database,
            folder=deployment.folder,
            environments={"licence_check": environments[number]},
        )
        fingerprint = None if number % 2 else f"fingerprint-racing-{number}"
        return racing.check(keys[number], fingerprint)["code"]

    with ThreadPoolExecutor(5) as threads:
        checks = threads.map(check, range(20))
        deployment.operator("erase-tenant", tenant_id=lived_in.tenant_id, name="Example Ltd")
        codes = set(checks)

    assert codes <= {"VALID", "NOT_FOUND"}
    assert not any(contents(deployment, lived_in.tenant_id).values())
