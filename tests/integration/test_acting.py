"""What a statement could do that was injected into a function of the vendor's side: very little.

It runs as permit_vendor, with the tenant's settings within its reach. What it cannot do is write a
row that the audit log does not tell, or tells of somebody else.
"""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from permit.security.throttling import parse_throttle_key, throttle_keys
from tests.support.deployment import Deployment, Vendor, connected
from tests.support.pinning import INJECTED

# One for each way to write: a row of a table that is audited, or of one that belongs to it.
WRITES = {
    "api_keys": """
        INSERT INTO permit.api_keys (tenant_id, name, role, key_hash, key_hint)
        VALUES (%(tenant)s, 'mine', 'admin', sha256('mine'), 'minem')""",
    "users": """
        INSERT INTO permit.users (tenant_id, email, role)
        VALUES (%(tenant)s, 'thief@example.com', 'owner')""",
    "names": "UPDATE permit.users SET name = 'Mallory'",
    "used steps": "UPDATE permit.users SET totp_used_step = 1",
    "factors": "UPDATE permit.users SET totp_sealed = '', totp_master_version = '1'",
    "recovery codes": """
        INSERT INTO permit.recovery_codes (tenant_id, user_id, code_hash)
        SELECT tenant_id, id, sha256('mine') FROM permit.users LIMIT 1""",
    "lost codes": "DELETE FROM permit.recovery_codes",
    "links": """
        INSERT INTO permit.user_links (token_hash, tenant_id, user_id, kind, expires_at)
        SELECT sha256('mine'), tenant_id, id, 'password_reset', now() + interval '1 day'
          FROM permit.users WHERE role = 'support' LIMIT 1""",
    "products": "UPDATE permit.products SET name = 'Mine'",
    "policies": "UPDATE permit.policies SET overage = 9",
    "lost policies": """
        DELETE FROM permit.policies AS p
         WHERE NOT EXISTS (SELECT FROM permit.licences AS l WHERE l.policy_id = p.id)""",
    "licences": "UPDATE permit.licences SET expires_at = NULL, max_devices = -1",
    "searched names": "UPDATE permit.licences SET holder_name_folded = 'x'",
    "licence keys": """
        INSERT INTO permit.licence_keys (key_hash, tenant_id, licence_id, valid_until)
        SELECT sha256('mine'), tenant_id, id, now() + interval '9 years'
          FROM permit.licences LIMIT 1""",
    "old keys": "UPDATE permit.licence_keys SET valid_until = now() + interval '9 years'",
    "devices": "UPDATE permit.devices SET state = 'released'",
    "fingerprints": "UPDATE permit.devices SET fingerprint_hash = sha256(id::text::bytea)",
    "usage": "UPDATE permit.usage SET used = 0",
}


@pytest.fixture
def vendor(deployment: Deployment) -> Vendor:
    """With a row that each of the above changes."""
    vendor = deployment.vendor
    meters = [{"name": "m", "limit": 5, "period": "month"}]
    licence = vendor.licence(vendor.policy(meters=meters))
    deployment.check(licence["key"])
    vendor.policy(name="Unused")
    assert vendor.colleague("support")
    vendor.leave_traces(licence["key"])
    return vendor


@pytest.fixture
def injected(deployment: Deployment) -> Iterator[psycopg.Connection[Any]]:
    with connected(deployment, "permit_vendor") as connection:
        yield connection


def forge(connection: psycopg.Connection[Any], tenant: str, actor: str) -> None:
    """Sets what a door sets, its seal apart: that nobody can make."""
    connection.execute(
        f"""
        SELECT set_config('permit.tenant', %s, true), set_config('permit.actor', %s, true),
               set_config('permit.request', '{{}}', true),
               set_config('permit.seal', repeat('0', 64), true) {INJECTED}
        """,
        [tenant, actor],
    )


def owner(deployment: Deployment, vendor: Vendor) -> str:
    [(user,)] = deployment.sql("SELECT id::text FROM permit.users WHERE email = %s", vendor.email)
    return user


def enter(connection: psycopg.Connection[Any], deployment: Deployment, vendor: Vendor) -> None:
    """As a request does that an owner's token came with."""
    [(user, version)] = deployment.sql(
        "SELECT id, session_version FROM permit.users WHERE email = %s", vendor.email
    )
    [role] = connection.execute(
        """
        SELECT role FROM permit.enter_with_token(%s, %s, %s, NULL, '{"action": "self.read"}')
        """,
        [vendor.tenant_id, user, version],
    ).fetchone() or [None]
    assert "owner" == role


ACTORS = {
    "nobody": "",
    "the operator": '{"kind": "operator", "id": null, "role": "operator"}',
    "an owner": '{"kind": "user", "id": "%s", "role": "owner"}',
    "upkeep": '{"kind": "operator", "id": null, "role": "upkeep"}',
}


@pytest.mark.parametrize("actor", ACTORS)
def test_who_did_not_enter_writes_nothing(
    deployment: Deployment, vendor: Vendor, injected: psycopg.Connection[Any], actor: str
) -> None:
    """However the settings say that somebody did: every way to write is refused."""
    who = ACTORS[actor].replace("%s", owner(deployment, vendor))

    for name, write in WRITES.items():
        forge(injected, vendor.tenant_id, who)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            assert injected.execute(write, {"tenant": vendor.tenant_id}).rowcount < 0, name
        injected.rollback()


def test_whoever_entered_is_told(
    deployment: Deployment, vendor: Vendor, injected: psycopg.Connection[Any]
) -> None:
    """Within a request of an owner's it writes what its role may: in the owner's name, always."""
    [(last,)] = deployment.sql("SELECT max(occurred_at) FROM permit.audit_events")

    for name, write in WRITES.items():
        enter(injected, deployment, vendor)
        written = injected.execute(write, {"tenant": vendor.tenant_id}).rowcount
        told = injected.execute(
            """
            SELECT actor_kind, actor_id::text, action FROM permit.audit_events
             WHERE occurred_at > %s
            """,
            [last],
        ).fetchall()
        injected.rollback()

        assert written > 0, name
        assert written == len(told), name
        assert {("user", owner(deployment, vendor), "self.read")} == set(told), name


def test_a_change_that_is_none_hides_nothing(
    deployment: Deployment, vendor: Vendor, injected: psycopg.Connection[Any]
) -> None:
    """What belongs to a row is told though the row was written in the same transaction."""
    for name, touch in {
        "recovery codes": "UPDATE permit.users SET name = name",
        "links": "UPDATE permit.users SET name = name || '!'",
        "licence keys": "UPDATE permit.licences SET notes = 'x'",
    }.items():
        enter(injected, deployment, vendor)
        injected.execute("UPDATE permit.users SET name = 'Grace'")
        injected.execute(touch)
        [(before,)] = injected.execute("SELECT count(*) FROM permit.audit_events").fetchall()

        injected.execute(WRITES[name], {"tenant": vendor.tenant_id})

        [(after,)] = injected.execute("SELECT count(*) FROM permit.audit_events").fetchall()
        injected.rollback()
        assert before + 1 == after, name


@pytest.mark.parametrize(
    "setting",
    [
        ("permit.actor", '{"kind": "operator", "id": null, "role": "operator"}'),
        ("permit.actor", ""),
        ("permit.request", '{"action": "nothing.at-all", "address": "198.51.100.1"}'),
        ("permit.tenant", "{other}"),
        ("permit.seal", ""),
    ],
)
def test_who_has_entered_stays_who_they_are(
    deployment: Deployment,
    vendor: Vendor,
    injected: psycopg.Connection[Any],
    setting: tuple[str, str],
) -> None:
    """What was sealed is no longer believed once it was touched: nor another transaction's seal."""
    other = Vendor.create(deployment, "other@example.com", code="other")
    name, value = setting[0], setting[1].replace("{other}", other.tenant_id)
    enter(injected, deployment, vendor)
    injected.execute(f"SELECT set_config(%s, %s, true) {INJECTED}", [name, value])

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        injected.execute("UPDATE permit.products SET name = 'Mine'")


def test_a_seal_serves_in_its_transaction_alone(
    deployment: Deployment, vendor: Vendor, injected: psycopg.Connection[Any]
) -> None:
    """Kept and set again later, it is none."""
    enter(injected, deployment, vendor)
    names = ["permit.tenant", "permit.actor", "permit.request", "permit.seal"]
    kept = [injected.execute("SELECT current_setting(%s)", [n]).fetchone() for n in names]
    injected.commit()

    for name, row in zip(names, kept, strict=True):
        assert row is not None
        injected.execute(f"SELECT set_config(%s, %s, true) {INJECTED}", [name, row[0]])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        injected.execute("UPDATE permit.products SET name = 'Mine'")


@pytest.mark.parametrize(
    "door",
    [
        "SELECT permit.change_member(%(user)s, 'admin', true)",
        "SELECT * FROM permit.admit_own_password(%(keys)s, '{5,10,50}', '{900,30,60}')",
        "SELECT * FROM permit.admit_proof_of_self(%(keys)s, '{5,10,50}', '{900,30,60}')",
        "SELECT permit.replace_own_password('{x}', 'y', '{}', '{}')",
        "SELECT permit.change_own_password('x', 'y', %(keys)s)",
        "SELECT permit.confirm_second_factor(1, '{}')",
        "SELECT permit.remove_second_factor(%(user)s)",
        "SELECT permit.require_second_factor(true)",
    ],
)
def test_a_door_believes_no_settings(
    deployment: Deployment, vendor: Vendor, injected: psycopg.Connection[Any], door: str
) -> None:
    """Who acts is what another door has sealed."""
    user = owner(deployment, vendor)
    forge(injected, vendor.tenant_id, ACTORS["an owner"].replace("%s", user))

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        injected.execute(door, {"user": user, "keys": [bytes([n]) * 32 for n in range(3)]})


@pytest.mark.parametrize("door", ["admit_own_password", "admit_proof_of_self"])
def test_no_door_hands_a_hash_to_the_vendors_side(
    deployment: Deployment, vendor: Vendor, injected: psycopg.Connection[Any], door: str
) -> None:
    """Not even in the owner's own transaction: how it is made, and no digest."""
    enter(injected, deployment, vendor)
    keys = [bytes([n]) * 32 for n in range(3)]

    answer = injected.execute(
        f"SELECT a::text FROM permit.{door}(%s, '{{5,10,50}}', '{{900,30,60}}') AS a", [keys]
    ).fetchone()

    [(stored,)] = deployment.sql(
        "SELECT password_hash FROM permit.users WHERE email = %s", vendor.email
    )
    assert answer is not None
    assert stored.rpartition("$")[2] not in answer[0]


def test_the_version_before_compares_by_what_only_it_knows(
    deployment: Deployment, vendor: Vendor, injected: psycopg.Connection[Any]
) -> None:
    """Until it is gone: it shows the HMAC of a place that its user has signed in from."""
    secret = parse_throttle_key((deployment.folder / "throttle-key").read_text())
    known = throttle_keys(secret, account=vendor.email, address="203.0.113.7")
    enter(injected, deployment, vendor)

    answer = injected.execute(
        "SELECT password_hash FROM permit.admit_proof_of_self(%s, '{5,10}', '{900,30}')",
        [[known.pair, known.account]],
    ).fetchone()

    assert deployment.sql(
        "SELECT password_hash FROM permit.users WHERE email = %s", vendor.email
    ) == [answer]


@pytest.mark.parametrize("role", ["permit_vendor", "permit_operator", "permit_login"])
def test_nobody_reads_what_seals(deployment: Deployment, role: str) -> None:
    """The doors alone; nor do they lend it."""
    with connected(deployment, role) as connection:
        for statement in (
            "SELECT * FROM permit.acting_secret",
            "SELECT permit.acting_seal('t', 'a', 'r')",
            "SELECT permit.act_as(gen_random_uuid(), 'operator', NULL, 'operator', '{}')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
            connection.rollback()


def test_sealing_anew_is_no_change_of_anybodys(deployment: Deployment, vendor: Vendor) -> None:
    """A rotation of the master key is told of no user."""
    before = deployment.sql("SELECT count(*) FROM permit.audit_events")
    deployment.operator("rotate-master-key", stage="add")

    assert 3 == deployment.operator("rotate-master-key", stage="reseal")["resealed"]

    assert before == deployment.sql("SELECT count(*) FROM permit.audit_events")
