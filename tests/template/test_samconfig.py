"""samconfig.toml: options that the template knows, and no secret."""

import re
import tomllib
from typing import Any

import pytest

from tests.support.sam_template import ROOT, written

CONFIG: dict[str, Any] = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
STAGES = sorted(set(CONFIG) - {"version"})


@pytest.mark.parametrize("stage", STAGES)
def test_parameters_are_the_templates_own(stage: str) -> None:
    """A parameter that was renamed would stop a deployment."""
    overrides = [
        command["parameters"].get("parameter_overrides", "") for command in CONFIG[stage].values()
    ]
    known = written()["Parameters"]

    for name, value in (pair.split("=") for text in overrides for pair in text.split()):
        assert name in known
        assert value in known[name].get("AllowedValues", [value])


@pytest.mark.parametrize("stage", STAGES)
def test_nested_stacks_are_acknowledged(stage: str) -> None:
    """CloudFormation asks for both where a template with a transform has nested stacks."""
    deploy = CONFIG[stage]["deploy"]["parameters"]

    assert {"CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"} == set(deploy["capabilities"].split())


@pytest.mark.parametrize("stage", STAGES)
def test_loops_of_the_template_are_understood(stage: str) -> None:
    """Without this SAM ends with an error at the first of them."""
    assert CONFIG[stage]["global"]["parameters"]["language_extensions"] is True


def test_no_secret_is_kept() -> None:
    """Nothing that looks like a key, a password or an account."""
    text = (ROOT / "samconfig.toml").read_text(encoding="utf-8")

    assert not re.search(r"password|\b\d{12}\b|[A-Za-z0-9+/]{32,}", text, re.IGNORECASE)


def test_sam_local_leaves_the_extension_out() -> None:
    """It would be downloaded, and has nothing to ask here."""
    overrides = CONFIG["default"]["local_invoke"]["parameters"]["parameter_overrides"]

    assert "SecretsExtension=none" in overrides.split()


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_deployment_of_a_stage_asks_nobody(stage: str) -> None:
    """A pipeline has nobody to ask, and often nothing to change."""
    deploy = CONFIG[stage]["deploy"]["parameters"]

    assert deploy["confirm_changeset"] is False
    assert deploy["fail_on_empty_changeset"] is False


def test_only_what_customers_use_is_protected() -> None:
    """A first deployment that fails could not be rolled back."""
    overrides = CONFIG["prod"]["deploy"]["parameters"]["parameter_overrides"]

    assert "false" == written()["Parameters"]["DeletionProtection"]["Default"]
    assert "DeletionProtection=true" in overrides.split()
