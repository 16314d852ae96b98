"""Rotation of the token key: no token is ever made that the published keys do not verify."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from moto import mock_aws

from permit.people import sign_in
from permit.secrets import aws
from permit.secrets.sources import SecretUnavailable
from permit.security.token_keys import NoSigningKey, TokenKeys
from tests.support.deployment import Answer, Deployment

USER = {"email": "owner@example.com", "password": "correct horse battery staple"}
REGION = "eu-west-1"
MINUTE = timedelta(minutes=1)
# RFC 9864 prefers a newer name for the same algorithm, which few libraries know yet.
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")


@dataclass(kw_only=True)
class Rotating:
    """A deployment where the functions' own clock can be moved: token keys begin to sign by it."""

    deployment: Deployment
    monkeypatch: pytest.MonkeyPatch
    variables: dict[str, str] = field(default_factory=dict)
    shift: timedelta = timedelta()

    def now(self, zone: tzinfo | None = None) -> datetime:
        return datetime.now(zone) + self.shift

    def start_anew(self, *functions: str) -> None:
        """New execution environments, which have cached nothing yet."""
        for function in functions:
            module = self.deployment.start(function, **self.variables)
            self.deployment.environments[function] = module
            if function == "operator":
                self.monkeypatch.setattr(module, "datetime", self)

    def pass_time(self, elapsed: timedelta) -> None:
        self.shift += elapsed
        self.start_anew("jwks", "login", "operator")

    def rotate(self) -> list[dict[str, Any]]:
        keys = self.deployment.operator("rotate-token-key")["keys"]
        self.start_anew("jwks")
        return keys

    def send_login(self) -> Answer:
        return self.deployment.send("login", USER)

    def log_in(self) -> str:
        answer = self.send_login()
        assert answer.status == 200, answer.text
        return answer.body["access_token"]

    def published(self) -> dict[str, Any]:
        return self.deployment.send("jwks").body


@pytest.fixture(params=["files", "aws"])
def rotating(
    request: pytest.FixtureRequest, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rotating]:
    """The keys in files, as on this machine, or in Secrets Manager and Parameter Store."""
    rotating = Rotating(deployment=deployment, monkeypatch=monkeypatch)
    monkeypatch.setattr(sign_in, "datetime", rotating)
    deployment.operator("create-tenant", name="Example", **USER)
    if request.param == "files":
        rotating.start_anew("jwks", "login", "operator")
        yield rotating
        return
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setattr(aws, "_ask_extension", answer_as_the_extension)
    with mock_aws():
        rotating.variables = make_secrets()
        rotating.start_anew("jwks", "login", "operator")
        yield rotating


def make_secrets() -> dict[str, str]:
    """As the template makes them: the variables that name them."""
    secret = boto3.client("secretsmanager", region_name=REGION).create_secret(
        Name="permit/token-keys", SecretString='{"keys": []}'
    )
    boto3.client("ssm", region_name=REGION).put_parameter(
        Name="/permit/token-jwks", Value='{"keys": []}', Type="String"
    )
    return {
        "PERMIT_TOKEN_KEYS": secret["ARN"],
        "PERMIT_TOKEN_JWKS": f"arn:aws:ssm:{REGION}:123456789012:parameter/permit/token-jwks",
    }


def answer_as_the_extension(path: str) -> dict[str, Any]:
    """AWS's Parameters and Secrets extension, in front of the same services."""
    url = urlsplit(path)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    if url.path == "/secretsmanager/get":
        client = boto3.client("secretsmanager", region_name=REGION)
        # Its default, which moto's own is not once a label was moved.
        return client.get_secret_value(SecretId=query["secretId"], VersionStage="AWSCURRENT")
    client = boto3.client("ssm", region_name=REGION)
    return client.get_parameter(Name=query["name"], WithDecryption=True)


def kid_of(token: str) -> str:
    return jws.extract_compact(token.encode()).headers()["kid"]


def verifies(token: str, jwks: dict[str, Any]) -> bool:
    try:
        jwt.decode(token, KeySet.import_key_set(jwks), algorithms=["EdDSA"])
    except (JoseError, ValueError):
        return False
    return True


def test_without_a_key_login_refuses_by_name(rotating: Rotating) -> None:
    """Login and refresh stop with a message that names the variable, and count no attempt."""
    with pytest.raises(NoSigningKey, match="PERMIT_TOKEN_KEYS"):
        rotating.send_login()
    with pytest.raises(NoSigningKey, match="PERMIT_TOKEN_KEYS"):
        rotating.deployment.send("login_refresh", {"refresh_token": "x"})

    assert {"keys": []} == rotating.published()
    assert [(0,)] == rotating.deployment.sql("SELECT count(*) FROM permit.login_throttle")


def test_a_first_key_signs_at_once(rotating: Rotating) -> None:
    """Right after the first rotation a login works, and what it gives verifies."""
    [key] = rotating.rotate()
    rotating.start_anew("login")

    token = rotating.log_in()

    assert [key["kid"]] == [each["kid"] for each in rotating.published()["keys"]]
    assert verifies(token, rotating.published())


def test_tokens_of_before_during_and_after_verify(rotating: Rotating) -> None:
    """Through a whole rotation each living token verifies with what is published, and was."""
    rotating.rotate()
    rotating.pass_time(MINUTE)
    tokens = [rotating.log_in()]
    rotating.rotate()
    seen_by_a_verifier = rotating.published()

    for elapsed in (0, 1, 58, 0, 2, 4):  # the new key signs after an hour
        rotating.pass_time(elapsed * MINUTE)
        tokens.append(rotating.log_in())
        assert verifies(tokens[-1], rotating.published())
        assert verifies(tokens[-1], seen_by_a_verifier)

    assert all(verifies(token, rotating.published()) for token in tokens)
    kids = [each["kid"] for each in seen_by_a_verifier["keys"]]
    assert [kids[0]] * 5 + [kids[1]] * 2 == [kid_of(token) for token in tokens]


def test_an_environment_that_knows_only_the_old_key_goes_on(rotating: Rotating) -> None:
    """A cached key signs for minutes after its time: its tokens verify until they expire."""
    rotating.rotate()
    rotating.start_anew("login")
    rotating.log_in()
    rotating.rotate()

    rotating.shift += 64 * MINUTE  # and no new environment
    token = rotating.log_in()
    rotating.pass_time(15 * MINUTE)
    rotating.rotate()

    assert verifies(token, rotating.published())


def test_an_old_key_is_dropped_once_its_tokens_are_over(rotating: Rotating) -> None:
    """A later rotation unpublishes it, and the seed is destroyed with it."""
    [first] = rotating.rotate()
    rotating.rotate()
    rotating.pass_time(81 * MINUTE)

    kept = rotating.rotate()

    kids = [each["kid"] for each in rotating.published()["keys"]]
    assert first["kid"] not in kids
    assert kids == [each["kid"] for each in kept]
    assert 2 == len(kids)


def test_rotating_twice_in_an_hour_locks_nobody_out(rotating: Rotating) -> None:
    """An impatient operator gets a further key, and the first goes on signing."""
    [first] = rotating.rotate()
    rotating.pass_time(MINUTE)
    rotating.rotate()
    rotating.pass_time(MINUTE)
    rotating.rotate()
    rotating.start_anew("login")

    token = rotating.log_in()

    assert first["kid"] == kid_of(token)
    assert 3 == len(rotating.published()["keys"])
    assert verifies(token, rotating.published())


def test_only_public_parts_are_published(rotating: Rotating) -> None:
    """Members of RFC 8037's public keys, no more; the operator's answer has no seed either."""
    keys = rotating.rotate()

    [published] = rotating.published()["keys"]

    assert {"kty", "crv", "x", "kid", "use", "alg"} == set(published)
    assert [{"kid", "signs_from"}] == [set(key) for key in keys]


def test_a_key_that_cannot_be_published_is_not_made(
    rotating: Rotating, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the public keys cannot be written nothing changes, and the message says which."""
    [first] = rotating.rotate()
    rotating.start_anew("login")
    rotating.variables["PERMIT_TOKEN_JWKS"] = json.dumps(rotating.published())
    rotating.start_anew("operator")

    with pytest.raises(SecretUnavailable, match="PERMIT_TOKEN_JWKS cannot be written"):
        rotating.rotate()

    rotating.pass_time(120 * MINUTE)
    assert first["kid"] == kid_of(rotating.log_in())


def test_a_leaked_key_ends_at_once(rotating: Rotating) -> None:
    """What it has signed no longer verifies, and a new key signs from this moment."""
    [leaked] = rotating.rotate()
    rotating.start_anew("login")
    token = rotating.log_in()

    [new] = rotating.deployment.operator("withdraw-token-key", kid=leaked["kid"])["keys"]
    rotating.start_anew("jwks", "login")

    assert [new["kid"]] == [each["kid"] for each in rotating.published()["keys"]]
    assert not verifies(token, rotating.published())
    assert verifies(rotating.log_in(), rotating.published())


def test_a_key_that_is_not_there_is_not_withdrawn(rotating: Rotating) -> None:
    """A slip of the pen changes nothing."""
    [key] = rotating.rotate()

    refused = rotating.deployment.refused("withdraw-token-key", kid="another")

    assert "not_found" == refused["code"]
    assert [key["kid"]] == [each["kid"] for each in rotating.published()["keys"]]


def test_a_login_that_was_warm_before_the_first_key_needs_no_new_environment(
    rotating: Rotating,
) -> None:
    """It has read the empty set, and reads again instead of refusing until its copy ages."""
    with pytest.raises(NoSigningKey):
        rotating.send_login()
    rotating.rotate()
    [source] = [rotating.deployment.environment("login").settings.token_keys]
    source._tried_at = float("-inf")  # five seconds have passed

    assert verifies(rotating.log_in(), rotating.published())


def test_two_rotations_at_once_lose_no_key(
    rotating: Rotating, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second change builds on what the first has written."""
    rotating.rotate()
    changed, interrupted = TokenKeys.rotated, []

    def rotated(keys: TokenKeys, now: datetime) -> TokenKeys:
        if not interrupted:
            interrupted.append(True)
            rotating.start_anew("operator")
            rotating.rotate()
        return changed(keys, now)

    monkeypatch.setattr(TokenKeys, "rotated", rotated)
    kept = rotating.rotate()

    assert 3 == len(kept) == len(rotating.published()["keys"])


def test_dates_are_rfc_3339(rotating: Rotating) -> None:
    """The operator learns from when the new key will sign: an hour from now, in UTC."""
    rotating.rotate()
    before = datetime.now(UTC)

    _, second = rotating.rotate()

    signs_from = datetime.fromisoformat(second["signs_from"])
    assert second["signs_from"].endswith("Z")
    assert timedelta(hours=1) <= signs_from - before < timedelta(hours=1, minutes=1)
