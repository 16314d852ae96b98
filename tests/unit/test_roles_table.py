"""docs/security.md shows the table of roles as it is."""

import re
from pathlib import Path

from permit.people.callers import ACTIONS, is_above
from tools.openapi.operations import load

TEXT = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
ROLES = ("owner", "admin", "support", "issuer")
PROOF = "fresh proof"


def needing_proof() -> set[str]:
    """The actions whose operations are declared so."""
    return {
        operation.action
        for function in ("products", "licences", "team")
        for operation in load(function).api.operations
        if operation.needs_fresh_proof
    }


def test_the_documented_table_is_the_one_that_decides() -> None:
    """Action by action, role by role, and what needs a fresh proof of self."""
    rows = re.findall(r"^\| `([a-z-]+\.[a-z-]+)` \| (.+) \|$", TEXT, re.MULTILINE)

    documented = {
        action: {
            column
            for column, cell in zip((*ROLES, PROOF), cells.split(" | "), strict=True)
            if cell == "yes"
        }
        for action, cells in rows
    }
    fresh = needing_proof()
    assert {
        action: set(roles) | ({PROOF} if action in fresh else set())
        for action, roles in ACTIONS.items()
    } == documented


def test_an_owner_is_above_all_and_nobody_above_himself() -> None:
    """The bounds of invitations, changes and keys."""
    above = {(a, b) for a in ROLES for b in ROLES if is_above(a, b)}

    assert {
        *(("owner", other) for other in ("admin", "support", "issuer")),
        *(("admin", other) for other in ("support", "issuer")),
    } == above
