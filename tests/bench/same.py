"""A comparison is worth nothing if the two do different work."""


def require_same(one: object, other: object) -> None:
    """Both answered the same request; raises where their answers differ."""
    if one != other:
        raise RuntimeError(f"what is compared answers differently:\n{one}\n{other}")
