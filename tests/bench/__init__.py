"""The budgets, measured: `make bench`, or `python -m tests.bench`."""

import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
# As pytest finds them: our package, and the helpers of the tests.
sys.path[:0] = [str(_ROOT / "shared"), str(_ROOT / "tests")]
