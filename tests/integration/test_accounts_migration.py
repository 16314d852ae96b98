"""The accounts of a database of the version before: found again, and their links kept."""

import shutil
import unicodedata
from pathlib import Path
from typing import Any

import psycopg
import pytest

from permit import migrate as migrate_module
from permit.folding import fold_email
from permit.migrate import migrate
from tests.support.servers import Server

COMPOSED = "jürgen@example.com"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


@pytest.fixture
def earlier(empty: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was before 0009, and without doors, which are made anew."""
    migrations = tmp_path / "migrations"
    shutil.copytree(migrate_module._MIGRATIONS, migrations)
    for later in [path for path in migrations.glob("[0-9]*.sql") if int(path.name[:4]) >= 9]:
        later.unlink()
    (tmp_path / "doors").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(migrate_module, "_MIGRATIONS", migrations)
        patched.setattr(migrate_module, "_DOORS", tmp_path / "doors")
        migrate(empty)


def users(connection: psycopg.Connection[Any], *emails: str) -> None:
    connection.execute("INSERT INTO permit.tenants (name) VALUES ('Example')")
    for email in emails:
        connection.execute(
            """
            INSERT INTO permit.users (tenant_id, email, role, password_hash)
            SELECT id, %s, 'admin', 'x' FROM permit.tenants
            """,
            [email],
        )


def test_emails_are_composed(empty: dict[str, Any], earlier: None, server: Server) -> None:
    """Whoever signed up on a Mac signs in by what they type, on a Mac or not."""
    with server.connect(empty["dbname"]) as connection:
        users(connection, DECOMPOSED, "plain@example.com")
        migrate(empty)
        found = connection.execute("SELECT email FROM permit.users ORDER BY 1").fetchall()

    assert [(fold_email(DECOMPOSED),), ("plain@example.com",)] == found
    assert fold_email(DECOMPOSED) == fold_email(COMPOSED) == COMPOSED


def test_two_accounts_of_one_email_stay_two(
    empty: dict[str, Any], earlier: None, server: Server
) -> None:
    """The composed one is what is signed in to; nothing is lost of the other."""
    with server.connect(empty["dbname"]) as connection:
        users(connection, DECOMPOSED, COMPOSED)
        migrate(empty)
        found = connection.execute("SELECT email FROM permit.users ORDER BY 1").fetchall()

    assert {(DECOMPOSED,), (COMPOSED,)} == set(found)


def test_links_go_on(empty: dict[str, Any], earlier: None, server: Server) -> None:
    """Until something of their user changes."""
    with server.connect(empty["dbname"]) as connection:
        users(connection, "plain@example.com")
        connection.execute(
            """
            INSERT INTO permit.user_links (token_hash, tenant_id, user_id, kind, expires_at)
            SELECT sha256('link'), tenant_id, id, 'password_reset', now() + interval '1 day'
              FROM permit.users
            """
        )
        migrate(empty)
        find = "SELECT permit.find_link(sha256('link'), 'password_reset')"
        before = connection.execute(find).fetchone()
        connection.execute("UPDATE permit.users SET role = 'owner'")
        after = connection.execute(find).fetchone()

    assert ("plain@example.com",) == before
    assert (None,) == after
