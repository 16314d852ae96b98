"""The frugal set of docs/cost.md, as a new account deploys it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulated.stack import Stack
from tests.support.artifacts import HOST
from tests.support.sam_template import ROOT

NAME = "permit-2"


def frugal() -> dict[str, str]:
    text = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")
    [command] = re.findall(r"\*\*Frugal\*\*.*?```sh\n(.*?)```", text, re.DOTALL)
    return dict(re.findall(r"(\w+)=(\S+)", command))


@pytest.fixture(scope="module")
def frugal_stack(stack: Stack, built: Path) -> Iterator[Stack]:
    """A second stack in the account; here it shares the first one's database."""
    made = Stack(aws=stack.aws, name=NAME)
    made.deploy(built, Architecture=HOST, Deployment="AllAtOnce", **frugal())
    kept = made.resources()
    yield made
    made.delete()
    # What a deletion leaves is looked at in test_teardown.py, in an account with one stack.
    for name in ("MasterKeys", "TokenKeys"):
        stack.aws.client("secretsmanager").delete_secret(
            SecretId=kept[name], ForceDeleteWithoutRecovery=True
        )
    stack.aws.client("ssm").delete_parameter(Name=kept["TokenJwks"])


def test_frugal_set_asks_nothing_that_a_new_account_refuses() -> None:
    """Micro sizes and a day of backups on the free plan, and nothing to reserve from."""
    chosen = frugal()

    assert ("instance", "db.t4g.micro") == (chosen["Engine"], chosen["InstanceClass"])
    assert ("1", "0", "false") == (
        chosen["BackupDays"],
        chosen["ReservedConcurrency"],
        chosen["Proxy"],
    )


def test_frugal_set_is_well(frugal_stack: Stack) -> None:
    """On an instance, without a proxy."""
    frugal_stack.await_health()

    host = frugal_stack.variables("health")["PERMIT_DATABASE_HOST"]
    assert host.startswith(f"{NAME}-instance.")
