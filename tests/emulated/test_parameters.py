"""A deployment that changes parameters alone reaches traffic."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.emulated.database import DOMAIN
from tests.emulated.stack import Stack
from tests.emulated.vendor import Vendor

WITH_DATABASE = {"health", "jwks", "licence-check", "licences", "login", "products", "team"}
ROUTED = WITH_DATABASE | {"reference"}
TOLD_THEIR_ADDRESS = {"licence-check", "licences", "login", "products", "team"}
ADDRESS = "https://licences.example.com"


@pytest.fixture(scope="module")
def change(stack: Stack, built: Path) -> Iterator[Callable[..., set[str]]]:
    """Deploys with other parameters, which stay for the next test; in the end all go back."""
    before = stack.given()

    def deploy(**parameters: str) -> set[str]:
        """Returns the functions with an alias that has moved."""
        versions = stack.live_versions()
        stack.deploy(built, **parameters)
        now = stack.live_versions()
        return {name for name, version in versions.items() if now[name] != version}

    yield deploy
    deploy(**before)


def test_address_is_in_what_is_signed(vendor: Vendor, change: Callable[..., set[str]]) -> None:
    """Proofs name the address that callers use."""
    moved = change(PublicUrl=ADDRESS)

    assert TOLD_THEIR_ADDRESS == moved
    assert vendor.proof().claims["iss"].startswith(ADDRESS)


def test_database_is_reached_without_its_proxy(
    stack: Stack, vendor: Vendor, change: Callable[..., set[str]]
) -> None:
    """Functions sign in to the cluster itself, as the same users."""
    moved = change(Proxy="false")

    assert WITH_DATABASE == moved
    assert f"permit-cluster.{DOMAIN}" == stack.variables("health")["PERMIT_DATABASE_HOST"]
    assert "VALID" == vendor.check().body["code"]


def test_extension_is_given(stack: Stack, vendor: Vendor, change: Callable[..., set[str]]) -> None:
    """An own one, instead of AWS's newest."""
    moved = change(SecretsExtension=stack.aws.publish_extension())

    assert ROUTED == moved
    assert "VALID" == vendor.check().body["code"]


def test_what_no_version_keeps_publishes_none(change: Callable[..., set[str]]) -> None:
    """A rate, a retention: Lambda refuses to publish what has not changed."""
    assert set() == change(RateLimit="400", LogRetentionDays="14")


def test_lock_is_closed(stack: Stack, vendor: Vendor, change: Callable[..., set[str]]) -> None:
    """Whoever does not send the origin secret is refused from then on."""
    moved = change(OriginLock="true")

    assert ROUTED == moved
    secret = stack.aws.client("secretsmanager").get_secret_value(
        SecretId=stack.outputs["OriginSecret"]
    )["SecretString"]
    refused = stack.call("GET", "/v1/health")
    passed = stack.call("GET", "/docs", **{"x-origin-secret": secret})
    assert (403, "origin_not_proven") == (refused.status, refused.body["code"])
    assert 200 == passed.status
    assert 403 == vendor.check().status
