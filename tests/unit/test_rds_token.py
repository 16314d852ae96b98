"""The database token, held against botocore's."""

from datetime import UTC, datetime, timedelta, timezone

import boto3
import pytest
from botocore import auth

from permit.security.rds_token import Credentials, sign
from tests.support.iam_tokens import Identity, verify

NOW = datetime(2026, 11, 22, 23, 59, 58, tzinfo=UTC)
HOST = "permit.proxy-abc123.eu-west-1.rds.amazonaws.com"


@pytest.mark.parametrize("session_token", [None, "IQoJ/b3+JpZ2luX2VjE=="])
@pytest.mark.parametrize("user", ["permit_check", "od d+u/ser&é=~'(*)!"])
def test_the_token_is_botocores(
    monkeypatch: pytest.MonkeyPatch, session_token: str | None, user: str
) -> None:
    """The same clock and credentials give the SDK's token, signature and all."""
    monkeypatch.setattr(auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None))
    credentials = Credentials(
        access_key_id="AKIDEXAMPLE",
        secret_access_key="wJalr/XUtn+FEMI",
        session_token=session_token,
    )
    client = boto3.client(
        "rds",
        region_name="eu-west-1",
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=session_token,
    )

    expected = client.generate_db_auth_token(HOST, 5432, user)

    # any zone of the same moment
    for now in (NOW, NOW.astimezone(timezone(timedelta(hours=9)))):
        token = sign(
            host=HOST, port=5432, user=user, region="eu-west-1", credentials=credentials, now=now
        )
        assert _parts(expected) == _parts(token)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", HOST),
        ("cn-north-1", "permit.cluster-abc.cn-north-1.rds.amazonaws.com.cn"),
        ("us-gov-west-1", "permit.cluster-abc.us-gov-west-1.rds.amazonaws.com"),
    ],
)
def test_a_token_is_valid_in_every_partition(region: str, host: str) -> None:
    """Verified from the specification, as AWS would, session token included."""
    role = Identity(
        access_key="ASIA", secret_key="s/k+", session_token="t/1+=", user="permit_check"
    )
    credentials = Credentials.from_environment(role.environ)

    token = sign(
        host=host, port=5432, user=role.user, region=region, credentials=credentials, now=NOW
    )

    known = {role.access_key: role}
    assert role.user == verify(token, known, host=f"{host}:5432", region=region, now=NOW)


def _parts(token: str) -> tuple[str, list[str]]:
    """The address and the parameters; the server sorts the parameters before it verifies."""
    address, _, query = token.partition("?")
    return address, sorted(query.split("&"))


def test_the_credentials_are_lambdas() -> None:
    """Credentials come from the variables that Lambda sets, and are never shown."""
    environ = {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "s3cret",
        "AWS_SESSION_TOKEN": "t0ken",
    }
    credentials = Credentials.from_environment(environ)

    assert (credentials.secret_access_key, credentials.session_token) == ("s3cret", "t0ken")
    assert "s3cret" not in repr(credentials)
    assert "t0ken" not in repr(credentials)


def test_an_empty_session_token_is_none() -> None:
    """Long-lived credentials have no session token."""
    environ = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": ""}
    assert Credentials.from_environment(environ).session_token is None
