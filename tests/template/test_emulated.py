"""docs/deploy.md names what the emulator makes in name only."""

import ast

from tests.support.sam_template import ROOT


def test_what_is_not_emulated_is_documented() -> None:
    """Else a green run would be believed to have proven it."""
    tree = ast.parse((ROOT / "tests/emulated/emulator.py").read_text(encoding="utf-8"))
    [left_out] = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "NOT_EMULATED"
    ]
    documented = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")

    assert left_out
    assert [] == [kind for kind in left_out if f"`{kind}`" not in documented]
