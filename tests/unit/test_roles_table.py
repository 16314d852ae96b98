"""docs/security.md shows the table of roles as it is."""

import re
from pathlib import Path

from permit.people.callers import ACTIONS, is_above

TEXT = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
ROLES = ("owner", "admin", "support", "issuer")


def test_the_documented_table_is_the_one_that_decides() -> None:
    """Action by action, role by role."""
    rows = re.findall(r"^\| `([a-z-]+\.[a-z-]+)` \| (.+) \|$", TEXT, re.MULTILINE)

    documented = {
        action: {
            role for role, cell in zip(ROLES, cells.split(" | "), strict=True) if cell == "yes"
        }
        for action, cells in rows
    }
    assert {action: set(roles) for action, roles in ACTIONS.items()} == documented


def test_an_owner_is_above_all_and_nobody_above_himself() -> None:
    """The bounds of invitations, changes and keys."""
    above = {(a, b) for a in ROLES for b in ROLES if is_above(a, b)}

    assert {
        *(("owner", other) for other in ("admin", "support", "issuer")),
        *(("admin", other) for other in ("support", "issuer")),
    } == above
