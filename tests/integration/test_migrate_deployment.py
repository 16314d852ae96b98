"""migrate as CloudFormation's custom resource: it always answers, whatever becomes of it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest

from permit import migrate as migrate_module
from permit.edge import custom_resources
from permit.edge.custom_resources import CannotAnswer
from permit.migrate import LOGIN_ROLES, required_version
from tests.support.deployment import Context, Deployment
from tests.support.servers import PASSWORD, Server, embedded, server_folder

SECONDS = 60


@dataclass(kw_only=True)
class Bucket:
    """Where CloudFormation waits for the answer: S3, as far as a presigned PUT goes."""

    port: int = 0
    failures: int = 0
    answers: list[dict[str, Any]] = field(default_factory=list)
    types: list[str | None] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/answer?X-Amz-Signature=0123456789abcdef"


@contextmanager
def serving(bucket: Bucket) -> Iterator[Bucket]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if bucket.failures:
                bucket.failures -= 1
                self.send_response(500)
            else:
                bucket.answers.append(json.loads(body))
                bucket.types.append(self.headers["content-type"])
                self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        bucket.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield bucket
        server.shutdown()
        thread.join()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    monkeypatch.setattr(custom_resources, "_PAUSES", (0.01, 0.01, 0.01))
    with serving(Bucket()) as served:
        yield served


@dataclass(frozen=True, kw_only=True)
class Resource:
    """The function, and CloudFormation asking it."""

    deployment: Deployment
    bucket: Bucket
    environ: dict[str, str]

    def ask(self, kind: str, *, milliseconds: int = (SECONDS + 40) * 1000) -> dict[str, Any]:
        """CloudFormation's event; its answer, of which there is one."""
        event = {
            "RequestType": kind,
            "ResponseURL": self.bucket.url,
            "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/permit/1",
            "RequestId": "unique",
            "LogicalResourceId": "Migration",
            "ResourceType": "Custom::Migration",
            "ResourceProperties": {"MigrationsHash": "0" * 64},
        }
        module = self.deployment.start("migrate", **self.environ)
        module.handler(event, Context(milliseconds=milliseconds))
        [answer] = self.bucket.answers
        self.bucket.answers.clear()
        assert ("unique", "Migration") == (answer["RequestId"], answer["LogicalResourceId"])
        assert "permit-schema" == answer["PhysicalResourceId"]
        return answer


@pytest.fixture
def resource(
    deployment: Deployment, bucket: Bucket, empty: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Resource:
    credentials = {"username": empty["user"], "password": empty["password"]}
    environ = {
        "PERMIT_DATABASE_HOST": empty["host"],
        "PERMIT_DATABASE_PORT": str(empty["port"]),
        "PERMIT_DATABASE_NAME": empty["dbname"],
        "PERMIT_OWNER_CREDENTIALS": json.dumps(credentials),
    }
    for name, value in environ.items():  # read when the handler runs
        monkeypatch.setenv(name, value)
    return Resource(deployment=deployment, bucket=bucket, environ=environ)


def version(empty: dict[str, Any]) -> int | None:
    with psycopg.connect(**empty, autocommit=True) as connection:
        connection.execute("SET ROLE permit_owner")
        row = connection.execute("SELECT max(version) FROM permit.schema_migrations").fetchone()
        return row[0] if row else None


@pytest.mark.parametrize("character", ["x", '"', "漢", "😀"], ids=ascii)
def test_an_answer_is_short_enough_for_cloudformation(bucket: Bucket, character: str) -> None:
    """It reads 4,096 bytes, and a longer answer as none."""
    names = ("StackId", "RequestId", "LogicalResourceId")
    request = {"ResponseURL": bucket.url, **dict.fromkeys(names, "x" * 200)}

    custom_resources.answer(request, physical_id="permit-schema", failure=character * 5_000)

    [answer] = bucket.answers
    assert 1_000 <= len(json.dumps(answer)) <= 4_096
    assert {character} == set(answer["Reason"])


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_schema_is_made_and_cloudformation_is_told(
    resource: Resource, empty: dict[str, Any], kind: str
) -> None:
    """The database is at the version of the code, and the answer's type is what the URL signs."""
    answer = resource.ask(kind)

    assert "SUCCESS" == answer["Status"]
    assert required_version() == version(empty)
    assert [""] == resource.bucket.types


def test_deleting_the_resource_deletes_nothing(resource: Resource, empty: dict[str, Any]) -> None:
    """A deletion, or the rollback of a creation, leaves the data as it is."""
    resource.ask("Create")

    assert "SUCCESS" == resource.ask("Delete")["Status"]
    assert required_version() == version(empty)


def test_a_deletion_is_answered_without_a_database(
    resource: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stack can be deleted after its database is gone."""
    monkeypatch.setenv("PERMIT_DATABASE_PORT", "9")

    assert "SUCCESS" == resource.ask("Delete")["Status"]


def test_a_rollback_to_older_code_succeeds(
    resource: Resource, empty: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older code meets a migration and a door that it does not know."""
    resource.ask("Create")
    with psycopg.connect(**empty, autocommit=True) as connection:
        connection.execute("SET ROLE permit_owner")
        connection.execute(
            "INSERT INTO permit.schema_migrations (version, name, checksum) VALUES (9999, 'x', 'x')"
        )
        connection.execute("INSERT INTO permit.schema_doors (name, checksum) VALUES ('x.sql', 'x')")

    assert "SUCCESS" == resource.ask("Update")["Status"]
    assert 9999 == version(empty)


def test_a_migration_that_fails_is_told_with_its_name(
    resource: Resource, empty: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason has the file and Postgres's code, no value of a row; nothing is half applied."""
    resource.ask("Create")
    broken = tmp_path / f"{required_version() + 1:04}_broken.sql"
    broken.write_text(
        "CREATE TABLE permit.half (email text UNIQUE);"
        "INSERT INTO permit.half VALUES ('jo@example.com'), ('jo@example.com')"
    )
    known = migrate_module._scripts
    monkeypatch.setattr(
        migrate_module,
        "_scripts",
        lambda folder, pattern: (
            known(folder, pattern)
            + (known(tmp_path, pattern) if folder.name == "migrations" and "0-9" in pattern else [])
        ),
    )

    answer = resource.ask("Update")

    assert "FAILED" == answer["Status"]
    assert broken.name in answer["Reason"]
    assert "23505" in answer["Reason"]
    assert "jo@example.com" not in answer["Reason"]
    with psycopg.connect(**empty, autocommit=True) as connection:
        assert (None,) == connection.execute("SELECT to_regclass('permit.half')").fetchone()


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("PERMIT_DATABASE_HOST", "", "PERMIT_DATABASE_HOST"),
        ("PERMIT_OWNER_CREDENTIALS", "swordfish", "PERMIT_OWNER_CREDENTIALS"),
        ("PERMIT_OWNER_CREDENTIALS", "file:/nowhere/secret", "PERMIT_OWNER_CREDENTIALS"),
    ],
    ids=["missing", "malformed", "unreadable"],
)
def test_a_setting_that_is_wrong_is_told(
    resource: Resource, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    """A setting that would stop other functions at their start is answered here, by name."""
    monkeypatch.setenv(variable, value)

    answer = resource.ask("Create")

    assert "FAILED" == answer["Status"]
    assert told in answer["Reason"]
    assert "swordfish" not in answer["Reason"]


def test_a_database_that_is_away_is_told(
    resource: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for, within the time that the function has."""
    monkeypatch.setenv("PERMIT_DATABASE_PORT", "9")

    answer = resource.ask("Create", milliseconds=6_000)

    assert "FAILED" == answer["Status"]
    assert "no connection within" in answer["Reason"]


def test_a_migration_that_does_not_end_is_told(
    resource: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up while there is time to say so."""
    monkeypatch.setattr(migrate_module, "_statements", lambda _: "SELECT pg_sleep(60)")

    answer = resource.ask("Update", milliseconds=6_000)

    assert "FAILED" == answer["Status"]
    assert "57014" in answer["Reason"] or "timeout" in answer["Reason"]


def test_an_answer_that_is_not_taken_is_given_again(resource: Resource) -> None:
    """S3 has bad moments too."""
    resource.bucket.failures = 2

    assert "SUCCESS" == resource.ask("Create")["Status"]


def test_an_answer_that_is_never_taken_fails_without_the_address(resource: Resource) -> None:
    """The invocation fails, for the log; the presigned address is a credential."""
    resource.bucket.failures = 99

    with pytest.raises(CannotAnswer) as raised:
        resource.ask("Create")

    assert "500" in str(raised.value)
    assert "Signature" not in str(raised.value)


@pytest.fixture
def rds() -> Iterator[Server]:
    """A server with RDS's role for signing in by IAM, and an owner who may grant it."""
    with server_folder() as folder, embedded(folder) as server:
        with server.connect() as connection:
            connection.execute("CREATE ROLE rds_iam NOLOGIN")
            connection.execute(f"CREATE ROLE master LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
            connection.execute("GRANT rds_iam TO master WITH ADMIN OPTION")
            connection.execute("CREATE DATABASE permit OWNER master")
        yield server


def test_owner_who_is_asked_for_a_token_signs_in_with_one(
    rds: Server, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever creates roles that sign in by IAM is a member of them: RDS refuses its password."""
    environ = {
        "PERMIT_DATABASE_HOST": "127.0.0.1",
        "PERMIT_DATABASE_PORT": str(rds.port),
        "PERMIT_DATABASE_NAME": "permit",
        "PERMIT_OWNER_CREDENTIALS": json.dumps({"username": "master", "password": PASSWORD}),
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    module = deployment.start("migrate", **environ)
    monkeypatch.setattr(module, "_ways_to_sign_in", lambda: [module._password, module._token])
    monkeypatch.setattr(module, "rds_token", Tokens())
    context = Context(milliseconds=(SECONDS + 40) * 1000)

    module.handler({}, context)
    with rds.connect() as connection:
        assert [(role,) for role in sorted(LOGIN_ROLES)] == connection.execute(
            """
            SELECT created.rolname
              FROM pg_auth_members AS made
              JOIN pg_roles AS created ON created.oid = made.roleid
              JOIN pg_auth_members AS by_iam ON by_iam.member = created.oid
             WHERE made.member = 'master'::regrole AND by_iam.roleid = 'rds_iam'::regrole
             ORDER BY 1
            """
        ).fetchall()
        connection.execute("ALTER ROLE master PASSWORD 'token of master'")  # what PAM would take
    outcome = module.handler({}, context)

    assert {"version": required_version(), "applied": []} == outcome


class Tokens:
    """Stands for rds_token: only AWS can verify its tokens, and its own test proves them right."""

    class Credentials:
        @staticmethod
        def from_environment() -> None:
            return None

    @staticmethod
    def sign(*, user: str, **_: object) -> str:
        return f"token of {user}"
