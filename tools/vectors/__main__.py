"""`python -m tools.vectors` writes docs/vectors/ anew, from test keys: the same bytes each time."""

import json
from pathlib import Path
from typing import Any

from tools.vectors import answers, histories, keys, proofs, stores

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "vectors"


def documents() -> dict[str, dict[str, Any]]:
    """Each file's name and content."""
    modules = (keys, proofs, answers, stores, histories)
    return {f"{each.__name__.rpartition('.')[2]}.json": each.document() for each in modules}


def text_of(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=True) + "\n"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, document in documents().items():
        (FOLDER / name).write_text(text_of(document), encoding="ascii")


if __name__ == "__main__":
    main()
