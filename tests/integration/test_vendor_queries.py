"""Every query of the vendor's side with no tenant entered: it sees no row and changes none."""

import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from permit.check.facts import DeviceSent
from permit.db import Database
from permit.licences.queries import devices, licences, policies, products
from permit.licences.queries.licences import LicenceFilter
from permit.licences.terms import LicenceRequest, PolicyTerms
from permit.paging import Place
from permit.people.queries import api_keys, audit, users
from permit.people.queries.audit import AuditFilter
from tests.support.deployment import Deployment, Vendor
from tests.support.racing import check_database

NOBODY = b"\0" * 32
EXPIRY = datetime(2040, 1, 1, tzinfo=UTC)
# What each query is asked with, beside the database; ids are those of rows that exist.
ARGUMENTS: dict[str, Callable[[dict[str, UUID]], tuple[Any, ...] | dict[str, Any]]] = {
    "products.list_products": lambda i: (i["tenant"], Place()),
    "products.find_product": lambda i: (i["tenant"], i["product"]),
    "products.set_name": lambda i: (i["tenant"], i["product"], "New"),
    "products.set_archived": lambda i: (i["tenant"], i["product"]),
    "policies.insert_policy": lambda i: (i["tenant"], i["product"], PolicyTerms(name="New")),
    "policies.list_policies": lambda i: (i["tenant"], None, Place()),
    "policies.find_policy": lambda i: (i["tenant"], i["policy"]),
    "policies.lock_policy": lambda i: (i["tenant"], i["policy"]),
    "policies.set_terms": lambda i: (i["tenant"], i["policy"], PolicyTerms(name="New")),
    "policies.is_limited_by_licences": lambda i: (i["tenant"], i["policy"]),
    "policies.delete_policy": lambda i: (i["tenant"], i["policy"]),
    "licences.find_licence": lambda i: (i["tenant"], i["licence"]),
    "licences.lock_licence": lambda i: (i["tenant"], i["licence"]),
    "licences.find_by_key": lambda i: (i["tenant"], NOBODY),
    "licences.list_licences": lambda i: (i["tenant"], LicenceFilter(), Place()),
    "licences.set_suspended": lambda i: (i["tenant"], i["licence"]),
    "licences.set_reinstated": lambda i: (i["tenant"], i["licence"]),
    "licences.set_revoked": lambda i: (i["tenant"], i["licence"]),
    "licences.set_renewed": lambda i: {
        "tenant_id": i["tenant"],
        "licence_id": i["licence"],
        "duration": "P1Y",
        "expires_at": None,
        "known_end": None,
    },
    "licences.replace_key": lambda i: {
        "tenant_id": i["tenant"],
        "licence_id": i["licence"],
        "key_hash": NOBODY,
        "key_hint": "ABCDE",
        "overlap": "PT0S",
    },
    "licences.set_terms": lambda i: (
        i["tenant"],
        i["licence"],
        LicenceRequest(policy_id=i["policy"], expires_at=EXPIRY).model_dump(),
    ),
    "licences.set_holder": lambda i: (i["tenant"], i["licence"], {"name": "New"}),
    "devices.list_devices": lambda i: (i["tenant"], i["licence"], None, Place()),
    "devices.find_device": lambda i: (i["tenant"], i["licence"], i["device"]),
    "devices.set_state": lambda i: {
        "tenant_id": i["tenant"],
        "licence_id": i["licence"],
        "device_id": i["device"],
        "state": "blocked",
        "was": ["seated"],
    },
    "devices.release_all": lambda i: (i["tenant"], i["licence"]),
    "devices.forget_names": lambda i: (i["tenant"], i["licence"]),
    "devices.list_usage": lambda i: (i["tenant"], i["licence"]),
    "devices.reset_usage": lambda i: (i["tenant"], i["licence"], "m"),
    "users.list_users": lambda i: (i["tenant"], Place()),
    "users.find_user": lambda i: (i["tenant"], i["user"]),
    "users.insert_link": lambda i: {
        "tenant_id": i["tenant"],
        "user_id": i["user"],
        "kind": "password_reset",
        "for_pending": False,
        "roles": ["owner"],
        "token_hash": NOBODY,
        "hours": 1,
    },
    "users.set_name": lambda i: (i["tenant"], i["user"], "New"),
    "users.find_factor": lambda i: (i["tenant"], i["user"]),
    "users.set_factor": lambda i: {
        "tenant_id": i["tenant"],
        "user_id": i["user"],
        "sealed": b"x",
        "master_version": "1",
    },
    "users.is_factor_required": lambda i: (i["tenant"],),
    "api_keys.list_api_keys": lambda i: (i["tenant"], Place()),
    "api_keys.find_api_key": lambda i: (i["tenant"], i["api_key"]),
    "api_keys.revoke_api_key": lambda i: (i["tenant"], i["api_key"]),
    "audit.list_events": lambda i: (i["tenant"], AuditFilter(), Place()),
}
# They would write a row for a tenant that is not entered: row-level security raises.
REFUSED: dict[str, Callable[[dict[str, UUID]], dict[str, Any]]] = {
    "products.insert_product": lambda i: {"tenant_id": i["tenant"], "code": "x1", "name": "X"},
    "users.insert_invited": lambda i: {
        "tenant_id": i["tenant"],
        "email": "new@example.com",
        "role": "support",
        "name": None,
        "token_hash": NOBODY,
        "hours": 1,
    },
    "api_keys.insert_api_key": lambda i: {
        "tenant_id": i["tenant"],
        "name": "X",
        "role": "admin",
        "key_hash": NOBODY,
        "key_hint": "ABCDE",
        "expires_at": None,
    },
}
# Doors, which take the tenant that is entered or a secret; and what answers a row without any.
ELSEWHERE = {
    *("devices.seat_device", "licences.insert_licences", "users.find_linked"),
    *("users.redeem_link", "users.change_member", "users.admit_own_password"),
    *("users.replace_own_password", "users.confirm_factor", "users.remove_factor"),
    *("users.require_factor", "policies.find_reach"),
}


@pytest.fixture
def ids(deployment: Deployment) -> dict[str, UUID]:
    """A tenant that is full of rows."""
    vendor: Vendor = deployment.vendor
    meters = [{"name": "m", "limit": 5, "period": "month"}]
    policy = vendor.policy(meters=meters, duration="P1Y")
    licence = vendor.licence(policy)
    device = deployment.check(licence["key"])["device"]
    vendor.leave_traces(licence["key"])
    return {
        "tenant": UUID(vendor.tenant_id),
        "product": UUID(vendor.product_id),
        "policy": UUID(policy),
        "licence": UUID(licence["id"]),
        "device": UUID(device["id"]),
        "user": UUID(vendor.call("GET", "/v1/users/me")["id"]),
        "api_key": UUID(vendor.call("GET", "/v1/api-keys")["items"][0]["id"]),
    }


def test_every_query_is_known_here() -> None:
    """A new one has to be thought of."""
    found = {
        f"{module.__name__.rpartition('.')[2]}.{name}"
        for module in (products, policies, licences, devices, users, api_keys, audit)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }

    assert set(ARGUMENTS) | set(REFUSED) | ELSEWHERE == found


def test_no_query_sees_or_changes_a_row(deployment: Deployment, ids: dict[str, UUID]) -> None:
    """Although each names the right tenant and the right ids."""
    before = contents(deployment)
    with check_database(deployment, "team") as database:
        for name, make in ARGUMENTS.items():
            assert not asked(database, name, make(ids)), name
        for name, make in REFUSED.items():
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
                asked(database, name, make(ids))
        order = LicenceRequest(policy_id=ids["policy"]).model_dump()
        order |= {"key_hash": NOBODY.hex(), "key_hint": "ABCDE"}
        [issued] = licences.insert_licences(database, ids["tenant"], [order])
        device = DeviceSent(fingerprint_hash=NOBODY)
        seating = devices.seat_device(database, ids["licence"], device)
        reach = policies.find_reach(database, ids["tenant"], ids["policy"], PolicyTerms(name="New"))

    assert (0, 0) == (reach.licences, reach.seats)
    assert ("policy", "missing") == (issued.refused, seating.refused)
    assert before == contents(deployment)


def asked(database: Database, name: str, arguments: tuple[Any, ...] | dict[str, Any]) -> Any:
    modules = {"products": products, "policies": policies, "licences": licences}
    modules |= {"devices": devices, "users": users, "api_keys": api_keys, "audit": audit}
    module, _, function = name.partition(".")
    run = getattr(modules[module], function)
    return run(database, **arguments) if isinstance(arguments, dict) else run(database, *arguments)


def contents(deployment: Deployment) -> dict[str, list[tuple[Any, ...]]]:
    tables = deployment.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'permit'")
    return {
        table: deployment.sql(f"SELECT t::text FROM permit.{table} AS t ORDER BY 1")
        for (table,) in tables
    }
