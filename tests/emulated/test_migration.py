"""A migration that fails stops its deployment, and service goes on."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from permit.migrate import migrations_hash
from tests.emulated.stack import DeploymentFailed, Stack
from tests.emulated.vendor import Vendor


@pytest.fixture
def broken(stack: Stack, built: Path, tmp_path: Path) -> Iterator[Path]:
    """A build with one migration more; at the end this version is deployed again."""
    folder = tmp_path / "broken"
    shutil.copytree(built, folder)
    added = folder / "PermitLayer/python/permit/migrations/9999_divides_by_zero.sql"
    added.write_text("SELECT 1/0;\n", encoding="utf-8")
    template = folder / "template.yaml"
    text = template.read_text(encoding="utf-8")
    assert migrations_hash() in text
    template.write_text(text.replace(migrations_hash(), "0" * 64), encoding="utf-8")
    yield folder
    stack.deploy(built)


def test_failed_migration_is_rolled_back(stack: Stack, vendor: Vendor, broken: Path) -> None:
    """The reason is told; every alias is where it was, and answers."""
    before = stack.live_versions()

    with pytest.raises(DeploymentFailed):
        stack.deploy(broken)

    assert "UPDATE_ROLLBACK_COMPLETE" == stack.status
    reason = stack.failures()["Migration"]
    assert "22012" in reason
    assert "9999_divides_by_zero.sql" in reason
    assert before == stack.live_versions()
    stack.await_health()
    assert "VALID" == vendor.check().body["code"]
