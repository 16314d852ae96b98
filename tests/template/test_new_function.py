"""A function more needs what docs/architecture.md says of it, and nothing else in any table."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.sam_template import ROOT

COPIED = ("docs", "events", "functions", "local", "shared", "stacks", "tests")
# What looks at functions one by one or all together, and needs neither a database nor a build.
TESTS = (
    *("tests/template/test_template.py", "tests/template/test_template_access.py"),
    *("tests/template/test_template_deployment.py", "tests/template/test_stack_observability.py"),
    *("tests/template/test_template_events.py", "tests/template/test_cost.py"),
    *("tests/unit/test_functions.py", "tests/unit/test_local_template.py"),
    "tests/unit/test_echo.py",
)
# Deployments of other templates, and the other functions one by one.
LEFT_OUT = "not layer and not all_at_once and not (test_functions and not echo)"


def named_echo(text: str) -> str:
    return text.replace("Health", "Echo").replace("health", "echo")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project in which health has a twin, made as docs/architecture.md says."""
    for name in COPIED:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored, symlinks=True)
    for name in ("Makefile", "pyproject.toml", "samconfig.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv-sam").symlink_to(ROOT / ".venv-sam")

    (tmp_path / "functions" / "echo").mkdir()
    for source in ("functions/health/app.py", "events/health.json"):
        made = named_echo((ROOT / source).read_text(encoding="utf-8"))
        (tmp_path / named_echo(source)).write_text(made, encoding="utf-8")
    (tmp_path / "tests" / "unit" / "test_echo.py").write_text("def test_echo():\n    assert 1\n")
    (tmp_path / "template.yaml").write_text(with_echo((ROOT / "template.yaml").read_text()))
    return tmp_path


def with_echo(template: str) -> str:
    """With its block, and its name in the two lists."""
    [block] = re.findall(r"^  # health: .*?(?=^  # login: )", template, re.MULTILINE | re.DOTALL)
    return (
        template.replace(block, block + named_echo(block))
        .replace("    - [Health, ", "    - [Health, Echo, ")
        .replace("- [!Ref HealthErrors, ", "- [!Ref HealthErrors, !Ref EchoErrors, ")
    )


def test_a_new_function_is_in_every_table(project: Path) -> None:
    """Alarms, dashboard, queries, deployment, routes, events: each test that counts them agrees."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", LEFT_OUT, *TESTS],
        cwd=project,
        env={**os.environ, "PYTHONPATH": f"{project / 'shared'}{os.pathsep}{project}"},
        check=False,
        capture_output=True,
        text=True,
    )

    assert 0 == run.returncode, run.stdout
