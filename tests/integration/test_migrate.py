"""Migrating a database: from nothing, again, from an older state, and through what goes wrong."""

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from permit import migrate as migrate_module
from permit.migrate import (
    DatabaseNotReady,
    MigrationChanged,
    Outcome,
    migrate,
    required_version,
)
from tests.support.relay import Relay, relay_to
from tests.support.servers import PASSWORD, Server

_numbers = count()


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the migrations and doors, for a test to change."""
    for name in ("migrations", "doors"):
        shutil.copytree(getattr(migrate_module, f"_{name.upper()}"), tmp_path / name)
        monkeypatch.setattr(migrate_module, f"_{name.upper()}", tmp_path / name)
    return tmp_path


def query(conninfo: dict[str, Any], statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(**conninfo, autocommit=True) as connection:
        connection.execute("SET ROLE permit_owner")
        cursor = connection.execute(statement)
        while cursor.nextset():
            pass
        return cursor.fetchall() if cursor.description else []


def add(scripts: Path, text: str, *, number: int | None = None) -> str:
    """A migration after the last one; its name."""
    name = f"{number or required_version() + 1:04}_added.sql"
    (scripts / "migrations" / name).write_text(text)
    return name


def add_door(scripts: Path, file: str, name: str, value: int = 1) -> None:
    (scripts / "doors" / file).write_text(
        f"CREATE OR REPLACE FUNCTION permit.{name}() RETURNS integer LANGUAGE sql RETURN {value};"
    )


def test_a_fresh_database_gets_everything(empty: dict[str, Any], scripts: Path) -> None:
    """Each migration in order, then each door, every one recorded."""
    outcome = migrate(empty)

    migrations = sorted(path.name for path in (scripts / "migrations").glob("[0-9]*.sql"))
    doors = sorted(f"doors/{path.name}" for path in (scripts / "doors").glob("*.sql"))
    assert Outcome(version=len(migrations), applied=[*migrations, *doors]) == outcome
    assert [(len(migrations),)] == query(empty, "SELECT max(version) FROM permit.schema_migrations")


def test_a_second_run_does_nothing(empty: dict[str, Any]) -> None:
    """Running again, as every deployment does, applies nothing."""
    first = migrate(empty)

    assert Outcome(version=first.version, applied=[]) == migrate(empty)


def test_the_owner_is_no_superuser(empty: dict[str, Any], server: Server) -> None:
    """As on AWS: CREATEROLE is enough, and everything belongs to roles that cannot sign in."""
    migrate(empty)

    with server.connect(empty["dbname"]) as connection:
        powers = "SELECT rolsuper, rolcreaterole FROM pg_roles WHERE rolname = 'test_owner'"
        assert (False, True) == connection.execute(powers).fetchone()
        owners = connection.execute(
            """
            SELECT pg_get_userbyid(relowner) FROM pg_class
             WHERE relnamespace = 'permit'::regnamespace
             UNION SELECT pg_get_userbyid(proowner) FROM pg_proc
             WHERE pronamespace = 'permit'::regnamespace
             ORDER BY 1
            """
        )
        assert [("permit_doors",), ("permit_owner",)] == owners.fetchall()


def test_a_changed_migration_is_refused(empty: dict[str, Any], scripts: Path) -> None:
    """An applied migration must not change: the run names the file and applies nothing more."""
    migrate(empty)
    path = next((scripts / "migrations").glob("0002*.sql"))
    path.write_text(path.read_text() + "-- a harmless comment\n")
    add(scripts, "CREATE TABLE permit.added (id integer)")

    with pytest.raises(MigrationChanged, match=path.name):
        migrate(empty)

    assert [(None,)] == query(empty, "SELECT to_regclass('permit.added')")


def test_a_database_ahead_of_the_code_is_accepted(empty: dict[str, Any], scripts: Path) -> None:
    """During a deployment, or after a rollback, older code meets a newer schema."""
    added = add(scripts, "CREATE TABLE permit.added (id integer)")
    newer = migrate(empty)
    (scripts / "migrations" / added).unlink()

    older = migrate(empty)

    assert Outcome(version=newer.version, applied=[]) == older


def test_only_a_changed_door_is_applied_again(empty: dict[str, Any], scripts: Path) -> None:
    """A door's file is the door: changing it changes the function, and no other."""
    migrate(empty)
    path = scripts / "doors" / "public.sql"
    path.write_text(path.read_text().replace("max(m.version), 0)", "max(m.version), 0) + 1000"))

    outcome = migrate(empty)

    assert ["doors/public.sql"] == outcome.applied
    with psycopg.connect(**empty) as connection:
        connection.execute("SET ROLE permit_doors")
        found = connection.execute("SELECT schema_version FROM permit.health()").fetchone()
    assert (1000 + outcome.version,) == found


def test_changed_doors_are_applied_together_or_not_at_all(
    empty: dict[str, Any], scripts: Path
) -> None:
    """They call each other, so nobody meets a new one beside an old one."""
    migrate(empty)
    add_door(scripts, "aa_added.sql", "added")
    (scripts / "doors" / "zz_failing.sql").write_text("SELECT 1 / 0")

    with pytest.raises(psycopg.errors.DivisionByZero) as failure:
        migrate(empty)

    assert ["in zz_failing.sql"] == failure.value.__notes__
    assert [(None,)] == query(empty, "SELECT to_regproc('permit.added')")
    assert [] == query(empty, "SELECT name FROM permit.schema_doors WHERE name ~ '^(aa|zz)_'")


def test_a_door_that_moved_to_another_file_is_whose_code_runs(
    empty: dict[str, Any], scripts: Path
) -> None:
    """Forward, back by a rollback, forward again: each version finds its own definition."""
    for name, value in (("old", 1), ("new", 2), ("old", 1), ("new", 2)):
        for file in (scripts / "doors").glob("*_moving.sql"):
            file.unlink()
        add_door(scripts, f"{name}_moving.sql", "moving", value)

        migrate(empty)

        assert [(value,)] == query(empty, "SET ROLE permit_doors; SELECT permit.moving()")
        recorded = "SELECT name FROM permit.schema_doors WHERE name ~ '_moving'"
        assert [(f"{name}_moving.sql",)] == query(empty, recorded)


@pytest.mark.parametrize("kind", ["migrations", "doors"])
def test_a_failing_script_leaves_nothing_of_itself(
    empty: dict[str, Any], scripts: Path, kind: str
) -> None:
    """Earlier migrations stay; once the failed one is corrected, the rest is applied."""
    create = "CREATE FUNCTION permit.added() RETURNS integer LANGUAGE sql RETURN 1;"
    name = "0099_added.sql" if kind == "migrations" else "zz_added.sql"
    path = scripts / kind / name
    path.write_text(f"{create} SELECT 1 / 0;")

    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(empty)
    halfway = query(empty, "SELECT to_regproc('permit.added'), to_regclass('permit.licences')")
    path.write_text(create)
    outcome = migrate(empty)

    assert [(None, "permit.licences")] == halfway
    assert outcome.applied[0 if kind == "migrations" else -1].endswith(name)


def test_of_runs_at_once_one_does_the_work(empty: dict[str, Any]) -> None:
    """Two deployments at once apply everything once; the others find it done."""
    with ThreadPoolExecutor(3) as threads:
        outcomes = list(threads.map(lambda _: migrate(empty), range(3)))

    assert 1 == len({outcome.version for outcome in outcomes})
    assert [0, 0] == sorted(len(outcome.applied) for outcome in outcomes)[:2]
    assert any(outcome.applied for outcome in outcomes)


def test_an_index_is_built_concurrently(empty: dict[str, Any], scripts: Path) -> None:
    """A file headed `-- no transaction` runs outside one, even while other runs wait for it."""
    migrate(empty)
    index = "CREATE INDEX CONCURRENTLY added ON permit.users (created_at)"
    added = add(scripts, f"-- no transaction\n{index}")

    with ThreadPoolExecutor(3) as threads:
        outcomes = list(threads.map(lambda _: migrate(empty), range(3)))

    assert [added] == [name for outcome in outcomes for name in outcome.applied]
    assert [(True,)] == query(
        empty, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'permit.added'::regclass"
    )


def test_an_index_waits_for_older_transactions(empty: dict[str, Any], scripts: Path) -> None:
    """Giving up would leave an invalid index behind; waiting for it holds nobody up."""
    migrate(empty)
    index = "CREATE INDEX CONCURRENTLY added ON permit.users (created_at)"
    add(scripts, f"-- no transaction\n{index}")

    with psycopg.connect(**empty) as older:
        older.execute("SET ROLE permit_owner")
        older.execute("LOCK TABLE permit.users IN ROW EXCLUSIVE MODE")
        with ThreadPoolExecutor(1) as threads:
            run = threads.submit(migrate, empty)
            time.sleep(3.5)  # longer than the lock_timeout of ordinary migrations
            older.rollback()
            outcome = run.result(30)

    assert 1 == len(outcome.applied)
    assert [(True,)] == query(
        empty, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'permit.added'::regclass"
    )


def test_a_migration_gives_way_and_tries_again(empty: dict[str, Any], scripts: Path) -> None:
    """It waits 3 s for a lock at a time, so that what queues behind it does not wait long."""
    migrate(empty)
    added = add(scripts, "ALTER TABLE permit.users ADD COLUMN added integer")

    with psycopg.connect(**empty) as busy:
        busy.execute("SET ROLE permit_owner")
        busy.execute("LOCK TABLE permit.users IN ACCESS SHARE MODE")
        with ThreadPoolExecutor(1) as threads:
            run = threads.submit(migrate, empty)
            time.sleep(3.2)
            # The first attempt has ended by now: nothing is queued before this one.
            query(empty, "SELECT count(*) FROM permit.users")
            busy.rollback()
            outcome = run.result(30)

    assert [added] == outcome.applied


def test_a_database_that_comes_late_is_waited_for(empty: dict[str, Any]) -> None:
    """A new cluster answers minutes after it was made."""
    with relay_to(empty["port"]) as relay:
        relay.cut()
        timer = threading.Timer(0.6, relay.restore)
        timer.start()

        outcome = migrate({**empty, "port": relay.port}, wait_seconds=30)

        timer.join()
        assert required_version() == outcome.version


def test_waiting_has_a_limit(empty: dict[str, Any]) -> None:
    """Then the deployment fails, with the last reason and without the password."""
    relay = Relay(target=0)
    relay.restore()
    relay.cut()
    started = time.monotonic()

    with pytest.raises(DatabaseNotReady, match=r"within 0\.5 s: .*refused") as failure:
        migrate({**empty, "port": relay.port}, wait_seconds=0.5)

    assert time.monotonic() - started < 5
    assert PASSWORD not in str(failure.value)
