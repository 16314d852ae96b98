"""A defect of ours fails the invocation, and its traceback quotes nothing that was sent."""

import traceback
from typing import Any

import pytest

from permit.errors import StatementFailed
from tests.support.deployment import FINGERPRINT, Deployment

PRIVATE = "private-name-of-a-laptop"
BROKEN = "ALTER TABLE permit.devices ADD CONSTRAINT broken CHECK (name IS NULL)"


def test_the_check_s_failure_quotes_no_value(
    deployment: Deployment, capfd: pytest.CaptureFixture[str]
) -> None:
    """Postgres's message has the row; neither the error nor the log has it."""
    licence = deployment.vendor.licence()
    deployment.sql(BROKEN)

    with pytest.raises(StatementFailed) as failure:
        deployment.check(licence["key"], device={"name": PRIVATE})

    assert "CheckViolation, SQLSTATE 23514" == str(failure.value)
    assert_silent(failure.value, capfd)


def test_an_operator_s_failure_quotes_no_value(
    deployment: Deployment, capfd: pytest.CaptureFixture[str]
) -> None:
    """The same for a command."""
    licence = deployment.vendor.licence()
    deployment.sql(BROKEN)
    arguments: dict[str, Any] = {"fingerprint": FINGERPRINT, "name": PRIVATE}

    with pytest.raises(StatementFailed) as failure:
        deployment.vendor.command("activate-device", licence, **arguments)

    assert_silent(failure.value, capfd)


def assert_silent(error: BaseException, capfd: pytest.CaptureFixture[str]) -> None:
    said = "".join(traceback.format_exception(error)) + "".join(capfd.readouterr())
    assert PRIVATE not in said
