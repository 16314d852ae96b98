"""Serves the functions of a release: a line of JSON asks, a line of JSON answers.

Started with that release's PYTHONPATH (tests/support/previous.py): it imports nothing of this tree.
"""

import importlib.util
import json
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any


def main(tree: Path) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the output of functions is not an answer
    environments: dict[str, ModuleType] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = {"answer": answer_to(asked, tree, environments)}
        except Exception:  # noqa: BLE001 (whatever it is, it goes to who asked)
            answer = {"failure": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


def answer_to(asked: dict[str, Any], tree: Path, environments: dict[str, ModuleType]) -> Any:
    if asked["function"] is None:
        for module in environments.values():
            if hasattr(module, "database"):
                module.database.close()
        environments.clear()
        return None
    for name in [name for name in os.environ if name.startswith("PERMIT_")]:
        del os.environ[name]
    os.environ.update(asked["environ"])
    place = json.dumps([asked["function"], asked["environ"]])
    if place not in environments:
        environments[place] = load(tree / "functions" / asked["function"] / "app.py", place)
    left = asked["context"].pop("milliseconds")
    context = SimpleNamespace(**asked["context"], get_remaining_time_in_millis=lambda: left)
    return environments[place].handler(asked["event"], context)


def load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"app_{abs(hash(name))}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(Path(sys.argv[1]))
