"""template.yaml carries the hash of the migrations, or CloudFormation would not run new ones."""

from pathlib import Path

import pytest

from permit import migrate as migrate_module
from permit.migrate import migrations_hash
from tests.support.sam_template import deployed


def test_template_has_the_hash_of_the_migrations() -> None:
    """Else run `make migrations-hash`."""
    assert migrations_hash() == deployed()["Migration"]["Properties"]["MigrationsHash"]


@pytest.mark.parametrize(
    "file", ["migrations/0001_first.sql", "migrations/roles.sql", "doors/a.sql"]
)
def test_hash_changes_with_every_file_that_is_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """Migrations, the roles and the doors: what is in them, and that they are there."""
    for name in ("migrations", "doors"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(migrate_module, f"_{name.upper()}", tmp_path / name)
    none = migrations_hash()
    (tmp_path / file).write_text("SELECT 1")
    one = migrations_hash()
    (tmp_path / file).write_text("SELECT 2")

    assert 3 == len({none, one, migrations_hash()})
