"""What is uploaded: for the right processor, with bytecode that Lambda reads, and not too much."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.artifacts import ARCHITECTURES, Artifacts, build
from tests.support.sam_template import functions, written

ELF_MACHINES = {"arm64": 183, "x86_64": 62}
# PEP 552: hash-based, and not checked against the source.
UNCHECKED_HASH = (1).to_bytes(4, "little")
BUDGET_BYTES = 60 * 1024 * 1024


@pytest.fixture(params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def artifacts(architecture: str, python: Path) -> Artifacts:
    """Both architectures are built on either."""
    return build(architecture)


@pytest.fixture(scope="session")
def magic_number(python: Path) -> bytes:
    """What bytecode of the Lambda's CPython starts with."""
    code = "import importlib.util, sys; sys.stdout.buffer.write(importlib.util.MAGIC_NUMBER)"
    return subprocess.run([python, "-c", code], check=True, capture_output=True).stdout


def uploaded(artifacts: Artifacts) -> list[Path]:
    """The folders that become archives."""
    return [
        artifacts.folder / name
        for name, each in written()["Resources"].items()
        if "BuildMethod" in each.get("Metadata", {})
    ]


def test_template_is_built_without_loops(artifacts: Artifacts) -> None:
    """CloudFormation's own transform for them may refuse what else is in the template."""
    built = (artifacts.folder / "template.yaml").read_text(encoding="utf-8")

    assert "HealthErrors:" in built
    assert not re.search("Fn::ForEach|LanguageExtensions", built)


def test_native_code_is_for_the_processor(artifacts: Artifacts, architecture: str) -> None:
    """An ELF header names its machine: none is for this machine if the target is another."""
    libraries = [path for path in artifacts.folder.rglob("*.so*") if path.is_file()]

    machines = {path.name: int.from_bytes(path.read_bytes()[18:20], "little") for path in libraries}

    assert len(machines) > 10
    assert {ELF_MACHINES[architecture]} == set(machines.values())


def test_every_module_has_bytecode_that_lambda_reads(
    artifacts: Artifacts, magic_number: bytes
) -> None:
    """SAM's archives date every file 1980: bytecode that goes by dates would be compiled anew."""
    sources = [path for folder in uploaded(artifacts) for path in folder.rglob("*.py")]
    compiled = [path.parent / "__pycache__" / f"{path.stem}.cpython-313.pyc" for path in sources]

    headers = {path.read_bytes()[:8] for path in compiled}

    assert len(sources) > 200
    assert {magic_number + UNCHECKED_HASH} == headers


def test_bytecode_names_the_places_in_lambda(artifacts: Artifacts) -> None:
    """A traceback points at the file there, and a build does not depend on where it was made."""
    compiled = [path for folder in uploaded(artifacts) for path in folder.rglob("*.pyc")]

    assert not [path for path in compiled if str(artifacts.folder).encode() in path.read_bytes()]


def test_layers_are_within_their_budget(artifacts: Artifacts) -> None:
    """Unzipped, both together; boto3 is the runtime's."""
    files = [path for layer in artifacts.layers for path in layer.rglob("*") if path.is_file()]

    assert sum(path.stat().st_size for path in files) <= BUDGET_BYTES
    assert not [path for path in files if path.parts[-2] in ("boto3", "botocore")]


def test_permit_layer_is_the_package_and_its_data(artifacts: Artifacts) -> None:
    """Migrations, doors and certificates come along; tests and tools do not."""
    [packages, own] = artifacts.layers

    assert {"python"} == {path.name for path in own.iterdir()}
    assert {"permit"} == {path.name for path in (own / "python").iterdir()}
    assert {"migrations", "doors", "certificates"} <= {
        path.name for path in (own / "python" / "permit").iterdir()
    }
    assert "bin" not in {path.name for path in (packages / "python").iterdir()}


def test_functions_hold_their_app_and_its_bytecode(artifacts: Artifacts) -> None:
    """Everything else comes from the layers."""
    folders = [folder for folder in uploaded(artifacts) if folder not in artifacts.layers]

    assert len(functions()) == len(folders)
    for folder in folders:
        files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert {"app.py", "__pycache__/app.cpython-313.pyc"} == files
