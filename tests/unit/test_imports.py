"""The folders of our layer are ordered, and each imports only from those before it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import permit

PACKAGE = Path(permit.__file__).parent
# From the ground up; those of one row stand beside each other.
ORDER = (
    ("permit", "sizes", "errors", "folding", "contracts", "faults", "paging", "security"),
    ("secrets", "settings"),
    ("db",),
    ("migrate", "operator_access", "upkeep"),
    ("keys",),
    ("check", "licences", "people"),
    ("edge",),
)
FLOOR = {name: floor for floor, names in enumerate(ORDER) for name in names}
HTTP = ("aws_lambda_powertools", "http", "permit.edge")


def modules() -> Iterator[tuple[str, Path]]:
    """Each module's dotted name below the package, with its file."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield ".".join(path.relative_to(PACKAGE).with_suffix("").parts), path


def imported(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it, by its full name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def folder(module: str) -> str:
    """The folder or the file at the top of the package: what the order is about."""
    parts = module.removeprefix("permit.").split(".")
    return "permit" if parts in (["permit"], ["__init__"]) else parts[0]


def backward(arrows: set[tuple[str, str]]) -> list[str]:
    return sorted(f"{a} imports {b}" for a, b in arrows if FLOOR[a] < FLOOR[b])


def arrows() -> set[tuple[str, str]]:
    return {
        (folder(module), folder(name))
        for module, path in modules()
        for name in imported(path)
        if name.split(".")[0] == "permit" and folder(name) in FLOOR
    }


def test_every_folder_has_its_place() -> None:
    """A new one is put into the order before anything is built on it."""
    assert {folder(module) for module, _ in modules()} == set(FLOOR)


def test_no_import_runs_against_the_order() -> None:
    """Lower folders know nothing of higher ones."""
    assert [] == backward(arrows())


def test_an_import_against_the_order_is_found() -> None:
    """This test can fail."""
    assert ["keys imports edge"] == backward({("keys", "edge"), ("edge", "keys")})


def test_services_know_nothing_of_http() -> None:
    """Below the edge nobody imports a request, a response or the edge."""
    assert [] == sorted(
        f"{module} imports {name}"
        for module, path in modules()
        if folder(module) not in ("edge", "secrets")
        for name in imported(path)
        if name.startswith(HTTP)
    )


def test_concepts_meet_in_no_circle() -> None:
    """Of two folders on the same level, at most one imports the other."""
    between = {(a, b) for a, b in arrows() if a != b and FLOOR[a] == FLOOR[b]}
    assert [] == sorted(pair for pair in between if pair[::-1] in between)
