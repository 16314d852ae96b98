"""Secrets Manager rotates the token key, step by step, as it calls the rotation function."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import boto3
import pytest
from moto import mock_aws

from permit.keys.token_rotation import CannotRotate
from permit.security import access_tokens
from permit.security.access_tokens import AccessClaims
from permit.security.token_keys import TokenKeys
from permit.settings import SettingsError
from tests.support.deployment import Deployment, load_event

REGION = "eu-west-1"
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
MINUTE = timedelta(minutes=1)
ISSUER = "https://api.example.com"
CLAIMS = AccessClaims(sub=uuid4(), tid=uuid4(), role="owner", sv=1)
PARAMETER = "permit-token-jwks"


@dataclass(kw_only=True)
class Rotating:
    """The function, the services that it works on, and a clock that can be moved."""

    deployment: Deployment
    arn: str
    now: datetime

    @property
    def secrets(self) -> Any:
        return boto3.client("secretsmanager", region_name=REGION)

    def begin(self) -> str:
        """What Secrets Manager does first: the version exists, pending, before it has a value."""
        token = str(uuid4())
        versions = self.backend().versions
        versions[token] = {
            "version_id": token,
            "version_stages": ["AWSPENDING"],
            "createdate": 0,
        }
        return token

    def backend(self) -> Any:
        from moto.secretsmanager.models import secretsmanager_backends

        return secretsmanager_backends["123456789012"][REGION].secrets[self.arn]

    def step(self, name: str, token: str, **changes: str) -> None:
        event = {**load_event("token_rotation"), "SecretId": self.arn, "ClientRequestToken": token}
        self.deployment.invoke("token_rotation", {**event, "Step": name, **changes})

    def rotate(self) -> str:
        token = self.begin()
        for name in STEPS:
            self.step(name, token)
        return token

    def keys(self, stage: str = "AWSCURRENT") -> TokenKeys:
        value = self.secrets.get_secret_value(SecretId=self.arn, VersionStage=stage)
        return TokenKeys.parse(value["SecretString"])

    def published(self) -> dict[str, Any]:
        client = boto3.client("ssm", region_name=REGION)
        return json.loads(client.get_parameter(Name=PARAMETER)["Parameter"]["Value"])

    def sign(self) -> str:
        return access_tokens.issue(self.keys(), CLAIMS, issuer=ISSUER, now=self.now)

    def verifies(self, token: str, jwks: dict[str, Any] | None = None) -> bool:
        known = self.published() if jwks is None else jwks
        return access_tokens.verify(token, known, issuer=ISSUER, now=self.now) == CLAIMS


@pytest.fixture
def rotating(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rotating]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        secret = boto3.client("secretsmanager", region_name=REGION).create_secret(
            Name="permit-token-keys", SecretString='{"keys": []}'
        )
        boto3.client("ssm", region_name=REGION).put_parameter(
            Name=PARAMETER, Value='{"keys":[]}', Type="String"
        )
        module = deployment.start(
            "token_rotation",
            PERMIT_TOKEN_KEYS=secret["ARN"],
            PERMIT_TOKEN_JWKS=f"arn:aws:ssm:{REGION}:123456789012:parameter/{PARAMETER}",
        )
        deployment.environments["token_rotation"] = module
        started = Rotating(
            deployment=deployment, arn=secret["ARN"], now=datetime.now(UTC).replace(microsecond=0)
        )

        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return started.now

        monkeypatch.setattr(module, "datetime", Clock)
        yield started


def test_the_first_rotation_makes_a_key_that_signs_at_once(rotating: Rotating) -> None:
    """A new stack needs no operator before somebody can log in."""
    rotating.rotate()

    assert 1 == len(rotating.keys().keys)
    assert rotating.verifies(rotating.sign())


def test_tokens_of_before_during_and_after_verify(rotating: Rotating) -> None:
    """Through a year of rotations every living token verifies, with what was known when it came."""
    rotating.rotate()
    kids = set[str]()
    for _ in range(12):
        before = rotating.sign()
        known_before = rotating.published()
        token = rotating.begin()
        for name in STEPS:
            rotating.step(name, token)
            assert rotating.verifies(rotating.sign())
            assert rotating.verifies(rotating.sign(), known_before)
        rotating.now += 10 * MINUTE
        assert rotating.verifies(before)
        rotating.now += 55 * MINUTE
        assert rotating.verifies(rotating.sign())
        kids |= rotating.keys().kids
        rotating.now += timedelta(days=30)

    assert 13 == len(kids)
    assert 2 >= len(rotating.published()["keys"])


@pytest.mark.parametrize("repeated", range(4), ids=STEPS)
def test_a_step_may_come_twice(rotating: Rotating, repeated: int) -> None:
    """After a lost answer Secrets Manager asks for the same step again."""
    rotating.rotate()
    token = rotating.begin()

    for name in STEPS[: repeated + 1]:
        rotating.step(name, token)
    first = rotating.published()
    for name in STEPS[repeated:]:
        rotating.step(name, token)

    assert 2 == len(rotating.keys().keys)
    assert first == rotating.published() or repeated == 0
    assert {key.kid for key in rotating.keys().keys} == {
        each["kid"] for each in rotating.published()["keys"]
    }


def test_the_whole_rotation_may_come_twice(rotating: Rotating) -> None:
    """All steps again, after the last one: nothing more happens."""
    token = rotating.rotate()
    keys = rotating.keys()

    for name in STEPS:
        rotating.step(name, token)

    assert keys == rotating.keys()


@pytest.mark.parametrize("command", ["rotate-token-key", "withdraw-token-key"])
def test_a_rotation_that_was_overtaken_is_given_up(rotating: Rotating, command: str) -> None:
    """A key that the operator withdrew does not come back, and one that they made is not lost."""
    rotating.rotate()
    pending = rotating.begin()
    for name in STEPS[:3]:
        rotating.step(name, pending)
    [kid] = rotating.keys().kids
    operator = rotating.deployment.start(
        "operator",
        PERMIT_TOKEN_KEYS=rotating.arn,
        PERMIT_TOKEN_JWKS=f"arn:aws:ssm:{REGION}:123456789012:parameter/{PARAMETER}",
    )
    rotating.deployment.environments["operator"] = operator
    rotating.deployment.operator(command, **({"kid": kid} if "withdraw" in command else {}))
    by_the_operator = rotating.keys()

    with pytest.raises(CannotRotate, match="changed meanwhile"):
        rotating.step("finishSecret", pending)

    assert by_the_operator == rotating.keys()
    assert not any(
        "AWSPENDING" in each["version_stages"] for each in rotating.backend().versions.values()
    )
    rotating.rotate()
    assert by_the_operator.kids < rotating.keys().kids


def test_a_key_that_is_not_published_does_not_come_to_sign(rotating: Rotating) -> None:
    """The third step looks at what verifiers will read."""
    rotating.rotate()
    token = rotating.begin()
    rotating.step("createSecret", token)

    with pytest.raises(CannotRotate, match="is not published"):
        rotating.step("testSecret", token)


def test_a_foreign_secret_is_refused(rotating: Rotating) -> None:
    """The function changes the one secret of its settings."""
    other = rotating.secrets.create_secret(Name="other", SecretString="x")["ARN"]

    with pytest.raises(CannotRotate, match="SecretId"):
        rotating.step("createSecret", rotating.begin(), SecretId=other)


def test_a_version_that_is_not_pending_is_refused(rotating: Rotating) -> None:
    """AWS demands this of every rotation function."""
    with pytest.raises(CannotRotate, match="not pending"):
        rotating.step("createSecret", str(uuid4()))


def test_the_secret_has_to_be_one_of_secrets_manager(deployment: Deployment) -> None:
    """A file has no versions: the function does not start, and says why."""
    with pytest.raises(SettingsError, match="PERMIT_TOKEN_KEYS"):
        deployment.start("token_rotation")
