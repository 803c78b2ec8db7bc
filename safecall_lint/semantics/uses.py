"""What a function does with one of its local names: reads, closes, hands on."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function

_NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_CLOSING = frozenset({"close", "aclose", "__aexit__", "__exit__", "release"})
_ITERATING = ("aiter", "iter")


class Use(Struct, frozen=True):
    """One use of a name. `how`: "close" (called plainly), "surely" (closed in `finally` or by a `with`), "escape"
    (returned, yielded, stored, passed on, seen by an inner function), "iterate" (its pieces are read in a loop or
    handed on lazily), "read" (any other attribute). `attribute` is what is taken from it."""

    node: ast.Name
    how: str
    attribute: str
    around: tuple[ast.AST, ...]


@lru_cache(maxsize=64)
def _parents(node: ast.AST) -> dict[ast.AST, ast.AST]:
    return {child: parent for parent in ast.walk(node) for child in ast.iter_child_nodes(parent)}


def uses(function: Function, name: str, line: int = 0) -> Iterator[Use]:
    """How a function uses a name from a line on, in no particular order."""
    parents = _parents(function.node)
    for node in ast.walk(function.node):
        if (
            isinstance(node, ast.Name)
            and node.id == name
            and node.lineno >= line
            and not isinstance(node.ctx, ast.Store)
        ):
            around = tuple(_outward(node, parents, function.node))
            yield _classify(node, around)


def _outward(node: ast.AST, parents: dict[ast.AST, ast.AST], top: ast.AST) -> Iterator[ast.AST]:
    while node is not top:
        node = parents[node]
        yield node


def _classify(node: ast.Name, around: tuple[ast.AST, ...]) -> Use:
    parent = around[0]
    attribute = parent.attr if isinstance(parent, ast.Attribute) else ""
    if any(isinstance(outer, _NESTED) for outer in around[:-1]):
        return Use(node, "escape", attribute, around)
    if isinstance(parent, ast.withitem) or _closed_by_with(around):
        return Use(node, "surely", attribute, around)
    if not attribute:
        return Use(node, _bare(node, around), "", around)
    called = len(around) > 1 and isinstance(around[1], ast.Call) and around[1].func is parent
    if attribute in _CLOSING:
        how = "escape" if not called else "surely" if _in_finally(node, around) else "close"
        return Use(node, how, attribute, around)
    return Use(node, "iterate" if attribute.startswith(_ITERATING) else "read", attribute, around)


def _bare(node: ast.Name, around: tuple[ast.AST, ...]) -> str:
    """The name itself: iterated, tested, or handed on."""
    parent = around[0]
    if isinstance(parent, ast.For | ast.AsyncFor | ast.comprehension) and parent.iter is node:
        return "iterate"
    if isinstance(parent, ast.YieldFrom):
        return "iterate"
    if isinstance(parent, ast.Compare | ast.If | ast.UnaryOp | ast.BoolOp | ast.IfExp | ast.FormattedValue | ast.Expr):
        return "read"
    return "escape"


def _closed_by_with(around: tuple[ast.AST, ...]) -> bool:
    return isinstance(around[0], ast.Call) and closes_argument(around[0])


def closes_argument(call: ast.Call) -> bool:
    """`with closing(name)`, `await stack.enter_async_context(name)`."""
    func = call.func
    last = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    return last in ("closing", "aclosing", "enter_async_context", "enter_context")


def _in_finally(node: ast.AST, around: tuple[ast.AST, ...]) -> bool:
    inner: ast.AST = node
    for outer in around:
        if isinstance(outer, ast.Try | ast.TryStar) and inner in outer.finalbody:
            return True
        inner = outer
    return False
