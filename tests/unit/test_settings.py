"""Settings: what the environment must hold, and how its faults are named."""

import subprocess
import sys
from pathlib import Path

import pytest

from permit.settings import (
    CheckSettings,
    DatabaseSettings,
    LoginSettings,
    MigrateSettings,
    ProbeSettings,
    SettingsError,
)

DATABASE = {
    "PERMIT_DATABASE_HOST": "db",
    "PERMIT_DATABASE_USER": "permit_check",
    "PERMIT_DATABASE_PASSWORD": "hunter2",
}
CHECK = {**DATABASE, "PERMIT_MASTER_KEYS": "s3cret"}


def test_variables_become_fields() -> None:
    """Each variable fills the field of its name, and defaults fill the rest."""
    settings = CheckSettings.from_environment(
        {
            **CHECK,
            "PERMIT_DATABASE_PORT": "6432",
            "PERMIT_PUBLIC_URL": "https://permit.example/",
            "PATH": "x",
        }
    )

    assert (settings.database_host, settings.database_port) == ("db", 6432)
    assert settings.database_name == "permit"
    assert settings.master_keys.read() == "s3cret"
    assert settings.public_url == "https://permit.example"
    assert settings.database_password is not None
    assert settings.database_password.read() == "hunter2"


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a mapping the variables are the process's own."""
    monkeypatch.setenv("PERMIT_HEALTH_URL", "https://permit.example/v1/health")
    assert ProbeSettings.from_environment().health_url == "https://permit.example/v1/health"


def test_every_missing_variable_is_named() -> None:
    """One message names all that is missing."""
    with pytest.raises(SettingsError) as refusal:
        LoginSettings.from_environment({"AWS_REGION": "eu-west-1"})
    for field in ("DATABASE_HOST", "DATABASE_USER", "TOKEN_KEYS", "THROTTLE_KEY"):
        assert f"PERMIT_{field}: missing" in str(refusal.value)


def test_an_empty_variable_counts_as_absent() -> None:
    """Empty is missing where the variable is required, and the default where it is not."""
    settings = CheckSettings.from_environment({**CHECK, "PERMIT_PUBLIC_URL": ""})
    assert settings.public_url is None
    with pytest.raises(SettingsError, match="PERMIT_MASTER_KEYS: missing"):
        CheckSettings.from_environment({**CHECK, "PERMIT_MASTER_KEYS": ""})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PERMIT_DATABASE_PORT", "hunter3"),
        ("PERMIT_DATABASE_PORT", "65536"),
        ("PERMIT_PUBLIC_URL", "ftp://hunter3"),
        ("PERMIT_PUBLIC_URL", "https://hunter3?x=1"),
        ("PERMIT_PUBLIC_URL", "hunter3"),
        ("PERMIT_MASTER_KEYS", "file:hunter3"),
        ("PERMIT_MASTER_KEYS", "arn:aws:s3:::hunter3"),
        ("PERMIT_MASTER_KEYS", "arn:aws:ssm:eu-west-1:123456789012:document/hunter3"),
    ],
)
def test_a_malformed_variable_is_named_and_not_quoted(variable: str, value: str) -> None:
    """The message names the variable; neither it nor its cause shows any value."""
    with pytest.raises(SettingsError, match=f"^{variable}: ") as refusal:
        CheckSettings.from_environment({**CHECK, variable: value})
    assert not any(secret in str(refusal.value) for secret in (value, "hunter", "s3cret"))
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__


def test_no_password_needs_a_region() -> None:
    """Without a database password the region must be there, to sign the token for."""
    without = {name: value for name, value in DATABASE.items() if "PASSWORD" not in name}

    with pytest.raises(SettingsError, match="AWS_REGION: missing"):
        DatabaseSettings.from_environment(without)
    settings = DatabaseSettings.from_environment({**without, "AWS_REGION": "eu-west-1"})

    assert (settings.database_password, settings.aws_region) == (None, "eu-west-1")


def test_a_malformed_password_is_not_called_absent() -> None:
    """A malformed password is reported once, without a word on the region."""
    with pytest.raises(SettingsError) as refusal:
        DatabaseSettings.from_environment({**DATABASE, "PERMIT_DATABASE_PASSWORD": "file:x"})
    assert "AWS_REGION" not in str(refusal.value)


def test_a_ca_bundle_must_be_there(tmp_path: Path) -> None:
    """The bundle's path is checked before anything connects."""
    given = {"PERMIT_DATABASE_HOST": "db", "PERMIT_OWNER_CREDENTIALS": "{}"}
    bundle = tmp_path / "ca.pem"
    with pytest.raises(SettingsError, match="PERMIT_DATABASE_CA: "):
        MigrateSettings.from_environment({**given, "PERMIT_DATABASE_CA": str(bundle)})

    bundle.touch()

    settings = MigrateSettings.from_environment({**given, "PERMIT_DATABASE_CA": str(bundle)})
    assert bundle == settings.database_ca


def test_settings_show_no_secret() -> None:
    """Printed settings hold no secret."""
    settings = CheckSettings.from_environment(CHECK)
    for text in (repr(settings), str(settings), str(settings.model_dump())):
        assert "s3cret" not in text
        assert "hunter2" not in text


def test_the_checks_path_imports_nothing_heavy() -> None:
    """What the licence check needs of security imports no SDK, no JOSE library and no hasher."""
    program = (
        "import sys, permit.settings, permit.security.sealing, permit.security.proofs\n"
        "import permit.security.licence_keys, permit.security.rds_token\n"
        "print(*sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "shared")},
    )
    heavy = "jwt argon2 bcrypt boto3 botocore zxcvbn requests urllib3 http.client ssl"

    assert set() == set(heavy.split()) & set(result.stdout.split())
