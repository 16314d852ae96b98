"""The database connection in the cloud: TLS that is verified, and IAM tokens for passwords."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from permit.db import Database
from permit.errors import DatabaseUnavailable
from permit.migrate import DatabaseNotReady
from permit.security import rds_token
from permit.settings import DatabaseSettings
from tests.support.deployment import Deployment
from tests.support.iam_tokens import Identity, Refused, verify
from tests.support.pinning import pins
from tests.support.proxy_double import REGION, ProxyDouble, proxying
from tests.support.servers import PASSWORD
from tests.support.tls import Authority

EXPIRED = timedelta(days=-1)


def identity(user: str, number: int = 1) -> Identity:
    return Identity(
        access_key=f"ASIA{number:016}",
        secret_key="s" * 40,
        session_token=f"t/{number}+=",
        user=user,
    )


CHECK, LOGIN = identity("permit_check", 1), identity("permit_login", 2)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.make(tmp_path / "authority")


@pytest.fixture
def proxy(deployment: Deployment, authority: Authority) -> Iterator[ProxyDouble]:
    double = ProxyDouble(
        target=deployment.server.function_port,
        tls=authority.certify("localhost"),
        identities=[CHECK, LOGIN],
    )
    with proxying(double):
        yield double


@contextmanager
def opened(
    double: ProxyDouble,
    deployment: Deployment,
    bundle: Path,
    user: str = "permit_check",
    **more: Any,
) -> Iterator[Database]:
    settings = DatabaseSettings.model_validate(
        {
            "database_host": "localhost",
            "database_port": double.port,
            "database_name": deployment.database,
            "database_user": user,
            "database_ca": bundle,
            "aws_region": REGION,
            **more,
        }
    )
    database = Database(settings)
    database.allow(10)
    yield database
    database.close()


def whoami(database: Database) -> str:
    return database.fetch_value("SELECT session_user", {})


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CHECK.environ.items():
        monkeypatch.setenv(name, value)


def test_function_signs_in_with_a_token_over_tls(
    proxy: ProxyDouble, deployment: Deployment, authority: Authority
) -> None:
    """No password anywhere: the token is verified as AWS would verify it."""
    with opened(proxy, deployment, authority.bundle) as database:
        assert "permit_check" == whoami(database)

    assert ["permit_check"] == proxy.users
    assert not any(pins(statement) for statement in proxy.statements)


def test_new_credentials_serve_the_next_connection(
    proxy: ProxyDouble,
    deployment: Deployment,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lambda replaces a role's credentials while an environment lives."""
    with opened(proxy, deployment, authority.bundle) as database:
        whoami(database)
        database.close()
        renewed = Identity(**{**vars(CHECK), "access_key": "ASIA-renewed", "session_token": "new"})
        proxy.identities[0] = renewed
        for name, value in renewed.environ.items():
            monkeypatch.setenv(name, value)

        assert "permit_check" == whoami(database)


def test_function_cannot_be_another_user(
    proxy: ProxyDouble, deployment: Deployment, authority: Authority
) -> None:
    """Its role may connect as the one user."""
    with (
        opened(proxy, deployment, authority.bundle, user="permit_login") as database,
        pytest.raises(DatabaseUnavailable) as refused,
    ):
        whoami(database)

    assert "not_let_in" == refused.value.reason
    assert "the role may not be" in proxy.refusals[0]


def connect(way: str, double: ProxyDouble, deployment: Deployment, bundle: Path) -> str:
    """As a function does, or as migrate; the reason of the refusal."""
    if way == "function":
        with opened(double, deployment, bundle) as database:
            with pytest.raises(DatabaseUnavailable) as refused:
                whoami(database)
            return refused.value.reason
    module = deployment.start("migrate")
    settings = {
        "PERMIT_DATABASE_HOST": "localhost",
        "PERMIT_DATABASE_PORT": str(double.port),
        "PERMIT_DATABASE_CA": str(bundle),
        "PERMIT_OWNER_CREDENTIALS": json.dumps({"username": "test_owner", "password": PASSWORD}),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        with pytest.raises(DatabaseNotReady) as failed:
            module._run(0.1, 10)
    assert PASSWORD not in str(failed.value)
    return str(failed.value)


SAID = {
    "tls_wrong_name": "does not match host name",
    "tls_not_trusted": "certificate verify failed",
    "tls_missing": "server does not support SSL",
}


@pytest.mark.parametrize("way", ["function", "migrate"])
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("a wrong name", "tls_wrong_name"),
        ("a wrong authority", "tls_not_trusted"),
        ("an expired certificate", "tls_not_trusted"),
        ("no TLS", "tls_missing"),
    ],
)
def test_server_that_is_not_proven_is_refused(
    deployment: Deployment, authority: Authority, tmp_path: Path, way: str, fault: str, reason: str
) -> None:
    """Before a token or a password is sent; the reason says what is wrong."""
    contexts = {
        "a wrong name": authority.certify("elsewhere.example.com"),
        "a wrong authority": Authority.make(tmp_path / "another").certify("localhost"),
        "an expired certificate": authority.certify("localhost", valid_until=EXPIRED),
        "no TLS": None,
    }
    double = ProxyDouble(target=deployment.server.port, tls=contexts[fault], identities=[CHECK])

    with proxying(double):
        told = connect(way, double, deployment, authority.bundle)

    assert (reason if way == "function" else SAID[reason]) in told
    assert [] == double.users
    assert [] == double.refusals


def test_migrate_connects_to_a_proven_server(
    deployment: Deployment, authority: Authority, empty: dict[str, Any]
) -> None:
    """Directly, over TLS, with the owner's password."""
    double = ProxyDouble(target=empty["port"], tls=authority.certify("localhost"))
    with proxying(double), pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "PERMIT_DATABASE_HOST": "localhost",
            "PERMIT_DATABASE_PORT": str(double.port),
            "PERMIT_DATABASE_NAME": empty["dbname"],
            "PERMIT_DATABASE_CA": str(authority.bundle),
            "PERMIT_OWNER_CREDENTIALS": json.dumps(
                {"username": empty["user"], "password": empty["password"]}
            ),
            "AWS_REGION": REGION,
        }.items():
            patch.setenv(name, value)
        outcome = deployment.start("migrate")._run(10, 50)

    assert outcome["applied"]


def test_the_double_takes_no_password_without_tls(
    proxy: ProxyDouble, deployment: Deployment
) -> None:
    """As RequireTLS: a client that does not ask for it is sent away."""
    with pytest.raises(psycopg.OperationalError, match="requires TLS"):
        psycopg.connect(
            host="localhost", port=proxy.port, user="permit_check", password="x", sslmode="disable"
        )


def test_the_double_refuses_settings_at_the_start(
    proxy: ProxyDouble, deployment: Deployment, authority: Authority
) -> None:
    """RDS Proxy knows no options and no settings of Postgres in the startup message."""
    with pytest.raises(psycopg.OperationalError, match="Feature not supported"):
        psycopg.connect(
            host="localhost",
            port=proxy.port,
            user="permit_check",
            password="x",
            dbname=deployment.database,
            sslmode="verify-full",
            sslrootcert=str(authority.bundle),
            options="-c statement_timeout=1",
        )


def token(**changes: Any) -> str:
    arguments = {
        "host": "db.example.com",
        "port": 5432,
        "user": "permit_check",
        "region": REGION,
        "credentials": rds_token.Credentials.from_environment(CHECK.environ),
        "now": datetime.now(UTC),
    }
    return rds_token.sign(**{**arguments, **changes})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"host": "other.example.com"}, "another host"),
        ({"region": "us-east-1"}, "another region"),
        ({"user": "permit_login"}, "may not be"),
        ({"now": datetime.now(UTC) - timedelta(minutes=16)}, "expired"),
        (
            {
                "credentials": rds_token.Credentials(
                    access_key_id=CHECK.access_key,
                    secret_access_key="x",
                    session_token=CHECK.session_token,
                )
            },
            "wrong signature",
        ),
    ],
    ids=["host", "region", "user", "old", "signature"],
)
def test_the_double_refuses_what_aws_would(changes: dict[str, Any], reason: str) -> None:
    """A double that takes anything would prove nothing."""
    known = {CHECK.access_key: CHECK}
    where = {"host": "db.example.com:5432", "region": REGION, "now": datetime.now(UTC)}
    assert "permit_check" == verify(token(), known, **where)

    with pytest.raises(Refused, match=reason):
        verify(token(**changes), known, **where)
