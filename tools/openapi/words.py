"""What the source says of each field: the text below it, which Python itself does not keep."""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType, ModuleType

Words = dict[str, str]


def words_of_fields(model: type, *, like: Mapping[str, type] = MappingProxyType({})) -> Words:
    """By field; a class's own words win over those of its bases.

    A class with a name in `like` counts that class as a base too.
    """
    words: Words = {}
    for each in reversed(model.__mro__):
        if each.__name__ in like:
            words |= words_of_fields(like[each.__name__])
        words |= _words_by_class(sys.modules[each.__module__]).get(each.__name__, {})
    return words


def words_of_names(module: ModuleType) -> Words:
    """By name, for the names of a module."""
    return _words_beneath(_tree(module).body)


@cache
def _words_by_class(module: ModuleType) -> dict[str, Words]:
    classes = (node for node in ast.walk(_tree(module)) if isinstance(node, ast.ClassDef))
    return {each.name: _words_beneath(each.body) for each in classes}


def _tree(module: ModuleType) -> ast.Module:
    file = getattr(module, "__file__", None)  # a built-in module has none
    return ast.parse(Path(file).read_text("utf-8") if file else "")


def _words_beneath(body: list[ast.stmt]) -> Words:
    return dict(_pairs(body))


def _pairs(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for named, text in pairwise(body):
        match named, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(words))),
            ):
                yield name, " ".join(inspect.cleandoc(words).split())
            case _:
                pass
