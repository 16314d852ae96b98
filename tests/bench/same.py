"""A comparison is worth nothing if the two do different work."""

import re

# Postgres leaves out the zeros at the end of a fraction of a second, which pydantic writes.
_ZEROS = re.compile(r"(?<=\.)(\d*?)0+(?=Z')")


def require_same(one: object, other: object) -> None:
    """Both answered the same request; raises where their answers differ."""
    if _ZEROS.sub(r"\1", repr(one)) != _ZEROS.sub(r"\1", repr(other)):
        raise RuntimeError(f"what is compared answers differently:\n{one}\n{other}")
