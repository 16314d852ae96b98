"""`make deploy-check` compares what was built with what will run it."""

import struct
from pathlib import Path
from typing import Any

import pytest

from tools.architecture import built_for, chosen

TEMPLATE = {"Parameters": {"Architecture": {"Default": "arm64"}}}


def write_module(path: Path, machine: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<4s14xH", b"\x7fELF", machine))


def test_processor_is_read_from_the_compiled_modules(tmp_path: Path) -> None:
    """From every module: a single one that another build left would fail."""
    write_module(tmp_path / "python" / "a.so", 62)
    assert {"x86_64"} == built_for(tmp_path)

    write_module(tmp_path / "python" / "deep" / "b.so", 183)
    assert {"x86_64", "arm64"} == built_for(tmp_path)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        pytest.param("Deployment=AllAtOnce", "arm64", id="the template's"),
        pytest.param("Proxy=true Architecture=x86_64", "x86_64", id="the stage's"),
        pytest.param('Architecture="x86_64" Proxy="true"', "x86_64", id="as sam writes it"),
        pytest.param(["Architecture=x86_64"], "x86_64", id="as a list"),
    ],
)
def test_architecture_is_the_stages_or_the_templates(overrides: Any, expected: str) -> None:
    """As `sam deploy` would choose it."""
    config = {"prod": {"deploy": {"parameters": {"parameter_overrides": overrides}}}}

    assert expected == chosen(TEMPLATE, config, "prod")
    assert "arm64" == chosen(TEMPLATE, config, "another")
