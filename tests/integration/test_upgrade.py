"""A release beside the one before it: what either has made, both serve on the newer schema.

docs/architecture.md, "Releases", says what a migration may do so that this holds.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from permit.migrate import LOGIN_ROLES, migrate
from tests.integration.conftest import TEST_CLOCK, owner_conninfo
from tests.support.authenticator import code
from tests.support.deployment import PROJECT
from tests.support.every_event import send_every_event
from tests.support.furnished import Furnished, differences, furnish, go_on, look
from tests.support.previous import (
    Installed,
    PreviouslyInstalled,
    Worker,
    extract,
    find_previous,
    working,
)
from tests.support.servers import (
    PASSWORD,
    Server,
    behind_pgbouncer,
    embedded,
    is_pgbouncer_installed,
    server_folder,
)

_DAY = Path(__file__).parents[1] / "support" / "previous_day.py"
_BASE, _UPGRADED = "before_the_upgrade", "after_the_upgrade"
_numbers = count()

# The check's door as the release before calls it, around itself: {} is what becomes of its answer.
_CHECK = """
    ALTER FUNCTION permit.check_licence(bytea, bytea, jsonb, text, text) RENAME TO check_as_it_was;
    CREATE FUNCTION permit.check_licence(bytea, bytea, jsonb, text, text) RETURNS json
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp
    RETURN (SELECT {} FROM (SELECT permit.check_as_it_was($1, $2, $3, $4, $5)::jsonb) AS t (a));
    ALTER FUNCTION permit.check_licence(bytea, bytea, jsonb, text, text) OWNER TO permit_doors;
    GRANT EXECUTE ON FUNCTION permit.check_licence(bytea, bytea, jsonb, text, text) TO permit_check
"""
# What no release may do at once, and what the one before says of it. The first three go with the
# door that they are about.
BREAKS = {
    "a member in the facts": (
        _CHECK.format("jsonb_set(a, '{0,-1,added}', '1')::json"),
        "unexpected keyword argument 'added'",
    ),
    "a place in the array": (
        _CHECK.format("jsonb_insert(a, '{0,0}', '1')::json"),
        r"zip\(\) argument 2 is longer",
    ),
    "a member in more": (
        _CHECK.format(
            "CASE WHEN a -> 1 = 'null' THEN a ELSE jsonb_set(a, '{1,added}', '1') END::json"
        ),
        "unexpected keyword argument 'added'",
    ),
    "a column that is called otherwise": (
        "ALTER TABLE permit.licences RENAME notes TO remarks",
        "42703",  # undefined_column
    ),
    "a door that takes more": (
        """
        DROP FUNCTION permit.release_device(bytea, bytea, uuid);
        CREATE FUNCTION permit.release_device(
            bytea, bytea, uuid, text, OUT code text, OUT devices_used integer,
            OUT available_at timestamptz)
        LANGUAGE sql SECURITY DEFINER RETURN ('RELEASED', 0, NULL::timestamptz);
        GRANT EXECUTE ON FUNCTION permit.release_device(bytea, bytea, uuid, text) TO permit_check
        """,
        "42883",  # undefined_function
    ),
    "a door that is gone": (
        "DROP FUNCTION permit.renew_session(bytea, bytea)",
        "42883",  # undefined_function
    ),
}
# What a release may do: columns and members that nobody asks for yet, in rows and in answers.
ADDITIONS = """
    DO $$
    DECLARE
        v_table regclass;
    BEGIN
        FOR v_table IN SELECT oid FROM pg_class
                        WHERE relnamespace = 'permit'::regnamespace AND relkind = 'r' LOOP
            EXECUTE format('ALTER TABLE %s ADD COLUMN added integer DEFAULT 1', v_table);
        END LOOP;
    END
    $$;
    ALTER TABLE permit.policies DISABLE TRIGGER prepare_policy;
    UPDATE permit.policies SET facts = (facts::jsonb || '{"added": 1}')::json;
    ALTER TABLE permit.policies ENABLE TRIGGER prepare_policy;

    ALTER FUNCTION permit.check_key(bytea, bytea, jsonb, text, text, text)
          RENAME TO check_as_it_was;
    CREATE FUNCTION permit.check_key(bytea, bytea, jsonb, text, text, text) RETURNS json
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp
    RETURN (SELECT (a || '{"added": 1}' || CASE WHEN a -> 'more' = 'null' THEN '{}' ELSE
                        jsonb_build_object('more', a -> 'more' || '{"added": 1}') END)::json
              FROM (SELECT permit.check_as_it_was($1, $2, $3, $4, $5, $6)::jsonb) AS t (a));
    ALTER FUNCTION permit.check_key(bytea, bytea, jsonb, text, text, text) OWNER TO permit_doors;
    GRANT EXECUTE ON FUNCTION permit.check_key(bytea, bytea, jsonb, text, text, text)
       TO permit_check;

    ALTER FUNCTION permit.count_usage(bytea, integer, integer, timestamptz, text, bigint, bytea)
          RENAME TO count_as_it_was;
    CREATE FUNCTION permit.count_usage(
        bytea, integer, integer, timestamptz, text, bigint, bytea) RETURNS json
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp
    RETURN (permit.count_as_it_was($1, $2, $3, $4, $5, $6, $7)::jsonb || '{"added": 1}')::json;
    ALTER FUNCTION permit.count_usage(bytea, integer, integer, timestamptz, text, bigint, bytea)
          OWNER TO permit_doors;
    GRANT EXECUTE ON FUNCTION permit.count_usage(
        bytea, integer, integer, timestamptz, text, bigint, bytea) TO permit_check
"""


@dataclass(frozen=True, kw_only=True)
class Upgrade:
    """A database that the previous release made and filled, and the same migrated by this one."""

    server: Server
    folder: Path
    tree: Path
    worker: Worker
    made: Furnished
    seen: dict[str, Any]
    """What the previous release answered about it, on its own schema."""

    def this(self, database: str) -> Installed:
        return Installed(server=self.server, database=database, folder=self.folder)

    def previous(self, database: str) -> PreviouslyInstalled:
        return PreviouslyInstalled(
            server=self.server, database=database, folder=self.folder, worker=self.worker
        )

    def migrate(self, database: str) -> None:
        """With this release's migrations and doors."""
        passwords = dict.fromkeys(LOGIN_ROLES, PASSWORD)
        migrate(owner_conninfo(self.server, database), role_passwords=passwords)

    @contextmanager
    def copy(self) -> Iterator[str]:
        """A new database, migrated and not served yet."""
        name = f"upgraded_{next(_numbers)}"
        with self.server.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {_UPGRADED} OWNER test_owner")
            yield name
            self.worker.close_connections()
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """Roles belong to a whole server, and the previous release brings its own defaults of them."""
    is_pooled = os.environ.get("PERMIT_TEST_DATABASE") == "pgbouncer"
    if is_pooled and not is_pgbouncer_installed():
        pytest.skip("PgBouncer or Postgres 15 is not installed")
    start = behind_pgbouncer if is_pooled else embedded
    with server_folder() as folder, start(folder) as server:
        yield server


@pytest.fixture(scope="module")
def upgrade(own_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgrade]:
    folder = tmp_path_factory.mktemp("upgrade")
    tree = extract(find_previous(), folder)
    with own_server.connect() as connection:
        connection.execute(f"CREATE ROLE test_owner LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
        connection.execute(f"CREATE DATABASE {_BASE} OWNER test_owner")
    with working(tree) as worker:
        previous = PreviouslyInstalled(
            server=own_server, database=_BASE, folder=folder, worker=worker
        )
        previous.write_secrets()
        previous.invoke("migrate", {}, milliseconds=120_000)
        previous.sql(TEST_CLOCK)
        made = furnish(previous, "previous")
        upgrade = Upgrade(
            server=own_server,
            folder=folder,
            tree=tree,
            worker=worker,
            made=made,
            seen=look(made),
        )
        previous.close()
        with own_server.connect() as connection:
            # A pooler stays connected, and a database with a connection cannot be a template.
            connection.execute(
                "SELECT pg_terminate_backend(pid, 9000) FROM pg_stat_activity WHERE datname = %s",
                [_BASE],
            )
            connection.execute(f"CREATE DATABASE {_UPGRADED} TEMPLATE {_BASE} OWNER test_owner")
        upgrade.migrate(_UPGRADED)
        yield upgrade


@pytest.fixture
def database(upgrade: Upgrade) -> Iterator[str]:
    with upgrade.copy() as name:
        yield name


def rows(deployment: Installed) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, but what the migrations note of themselves."""
    tables = deployment.sql(
        """
        SELECT relname FROM pg_class
         WHERE relnamespace = 'permit'::regnamespace AND relkind = 'r'
           AND relname NOT IN ('schema_migrations', 'schema_doors')
        """
    )
    return {
        table: [row for (row,) in deployment.sql(f"SELECT to_jsonb(t) FROM permit.{table} AS t")]
        for (table,) in tables
    }


def in_order(rows: list[dict[str, Any]], columns: set[str]) -> list[str]:
    return sorted(json.dumps({name: row[name] for name in sorted(columns)}) for row in rows)


def test_migrating_changes_no_row(upgrade: Upgrade) -> None:
    """Every licence, seat, session and key is there, with each of its columns as it was."""
    before, after = (rows(upgrade.this(name)) for name in (_BASE, _UPGRADED))

    assert all(before.values()), [table for table, kept in before.items() if not kept]
    for table, kept in before.items():
        columns = set(kept[0])
        assert columns <= set(after[table][0]), table
        assert in_order(kept, columns) == in_order(after[table], columns), table


def test_an_upgraded_database_has_the_doors_of_a_new_one(upgrade: Upgrade) -> None:
    """Beyond them only what doors/previous.sql names, which the next release drops."""
    with upgrade.server.connect() as connection:
        connection.execute("CREATE DATABASE made_anew OWNER test_owner")
    upgrade.migrate("made_anew")
    upgrade.this("made_anew").sql(TEST_CLOCK)
    new, upgraded = (functions(upgrade.this(name)) for name in ("made_anew", _UPGRADED))

    previous = (PROJECT / "shared/permit/doors/previous.sql").read_text("utf-8")
    left = {line[3:] for line in previous.splitlines() if line.startswith("-- permit.")}
    assert left == upgraded.keys() - new.keys()
    assert new == {name: upgraded[name] for name in upgraded.keys() - left}


def test_the_previous_release_goes_on(upgrade: Upgrade, database: str) -> None:
    """While this one is deployed: it sees all as it was, serves every event, and goes on."""
    made = upgrade.made.on(upgrade.previous(database))

    assert [] == differences(upgrade.seen, look(made))
    go_on(made)
    send_every_event(made, upgrade.tree)


def test_the_previous_release_plays_its_day(upgrade: Upgrade, database: str) -> None:
    """Each operation of its API, by its own tests' scenario, in a process of its own."""
    tree, server = upgrade.tree, upgrade.server
    upgrade.this(database).sql("UPDATE test_clock SET shift = '0'")
    upgrade.this(database).sql("DELETE FROM permit.login_throttle")
    place = {
        "server": {
            "port": server.port,
            "function_port": server.function_port,
            "log": str(server.log),
        },
        "database": database,
        "folder": str(upgrade.folder),
    }
    path = os.pathsep.join(str(folder) for folder in (tree / "shared", tree, tree / "tests"))

    played = subprocess.run(
        [sys.executable, "-P", str(_DAY)],
        input=json.dumps(place),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path, "AWS_DEFAULT_REGION": "eu-west-1"},
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == played.returncode, played.stderr


def test_this_release_finds_all_as_it_was(upgrade: Upgrade, database: str) -> None:
    """Every licence, seat, session and proof; and goes on with them."""
    made = upgrade.made.on(upgrade.this(database))

    assert [] == differences(upgrade.seen, look(made))
    go_on(made)
    send_every_event(made, PROJECT)
    made.vendor.deployment.close()


def test_what_the_previous_release_stored_is_found(upgrade: Upgrade, database: str) -> None:
    """Holders whose letters it folds otherwise; what was done to a device, by its licence."""
    this, previous = upgrade.this(database), upgrade.previous(database)
    made, vendor = upgrade.made.on(this), upgrade.made.on(previous).vendor
    body = {"policy_id": vendor.policy(name="y"), "holder": {"name": "Iğdır Ltd"}}
    later = vendor.call("POST", "/v1/licences", body, status=201)["id"]

    this.invoke("sweep", {})

    licences = made.licences
    for query, licence in (("istanbul yaz", licences["given back"]["id"]), ("iğdir", later)):
        found = made.get("/v1/licences", q=query)["items"]
        assert [licence] == [each["id"] for each in found], query
    told = made.get("/v1/audit-events", subject=licences["by hand"]["id"])["items"]
    assert ["devices.block", "devices.activate", "devices.activate", "create-licence"] == [
        event["action"] for event in told
    ]
    this.close()


def test_after_a_rollback_the_previous_release_writes(upgrade: Upgrade, database: str) -> None:
    """With its own doors again, and this release's triggers still on the tables."""
    previous = upgrade.previous(database)
    previous.invoke("migrate", {}, milliseconds=120_000)
    made = upgrade.made.on(previous)
    vendor = made.vendor

    go_on(made)
    assert vendor.call("POST", "/v1/licences", {"policy_id": vendor.policy(name="x")}, status=201)
    invited = {"email": "after.a.rollback@example.com", "role": "support"}
    link = vendor.call("POST", "/v1/users", invited, status=201)["token"]
    accepted = {"token": link, "password": "a long enough passphrase"}
    vendor.call("POST", "/v1/users/accept", accepted, status=204, token=None)
    token = vendor.log_in(invited["email"], accepted["password"])
    path = "/v1/users/me/second-factor"
    secret = vendor.call("POST", path, token=token)["secret"]
    vendor.call("POST", f"{path}/confirm", {"code": code(secret)}, token=token)


def test_a_rollback_serves_what_this_release_made(upgrade: Upgrade, database: str) -> None:
    """The previous release again, on this schema, then with its own doors; and forward again."""
    this, previous = upgrade.this(database), upgrade.previous(database)
    made = furnish(this, "this")
    seen = look(made)
    doors = functions(this)

    for _ in range(2):
        assert [] == differences(seen, look(made.on(previous)), forward=False)
        assert [] == differences(upgrade.seen, look(upgrade.made.on(previous)))
        previous.invoke("migrate", {}, milliseconds=120_000)
    assert [] == differences(seen, look(made))
    upgrade.migrate(database)

    assert doors == functions(this)
    assert [] == differences(seen, look(made))
    go_on(made.on(previous), opens_answers=False)
    go_on(upgrade.made.on(this))
    this.close()


def test_both_releases_renew_one_licence(upgrade: Upgrade, database: str) -> None:
    """The previous one from the last end; this one from where the term began, where that fits."""
    this = upgrade.made.on(upgrade.this(database)).vendor
    previous = upgrade.made.on(upgrade.previous(database)).vendor
    policy = previous.policy(name="Monthly", duration="P1M")
    licence = previous.licence(policy, starts_at="2099-01-31T00:00:00Z")

    path = f"/v1/licences/{licence['id']}/renew"
    vendors = (this, previous, this, previous, previous, this, this)
    ends = [vendor.call("POST", path)["expires_at"][:10] for vendor in vendors]

    assert "2099-02-28T00:00:00Z" == licence["expires_at"]
    days = ("03-31", "04-30", "05-31", "06-30", "07-30", "08-30", "09-30")
    assert [f"2099-{day}" for day in days] == ends
    this.deployment.close()


@pytest.mark.parametrize("broken", BREAKS)
def test_what_would_break_the_previous_release_is_seen(
    upgrade: Upgrade, database: str, broken: str
) -> None:
    """Or the tests above would prove nothing."""
    made = upgrade.made.on(upgrade.previous(database))
    statement, complaint = BREAKS[broken]
    made.vendor.deployment.sql(statement)

    with pytest.raises(AssertionError, match=complaint):
        look_and_go_on(made)


@pytest.mark.parametrize("release", ["previous", "this"])
def test_a_release_may_add(upgrade: Upgrade, database: str, release: str) -> None:
    """A column that has a default and a member of an answer trouble neither release."""
    made = upgrade.made.on(getattr(upgrade, release)(database))
    made.vendor.deployment.sql(ADDITIONS)

    assert [] == differences(upgrade.seen, look(made))
    go_on(made)
    made.vendor.deployment.close()


def look_and_go_on(made: Furnished) -> None:
    look(made)
    go_on(made)


def functions(deployment: Installed) -> dict[str, str]:
    """This release's functions and the rest of the previous one's; by name and arguments."""
    return dict(
        deployment.sql(
            """
            SELECT oid::regprocedure::text, prosrc FROM pg_proc
             WHERE pronamespace = 'permit'::regnamespace
            """
        )
    )
