"""What the text of collections tells about how many items they have."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function, Scope
    from safecall_lint.semantics.scan import Binding

SAME_SIZE: Final = frozenset(
    {"list", "tuple", "set", "frozenset", "dict", "sorted", "reversed", "enumerate", "filter", "map", "items"}
    | {"values", "keys", "copy", "deepcopy", "fromkeys", "from_iterable", "cast", "iter"}
)
ONE_MORE: Final = frozenset({"append", "add", "insert", "setdefault", "appendleft"})
_BOUNDS: Final = frozenset({"max_length", "max_items"})


def appends_slices(name: str, scope: Scope) -> bool:
    """Whether slices are put into a list: `chunks.append(items[a:b])`."""
    for site in scope.scan.calls:
        func = site.node.func
        if isinstance(func, ast.Attribute) and func.attr in ONE_MORE and getattr(func.value, "id", "") == name:
            if any(isinstance(arg, ast.Subscript) and isinstance(arg.slice, ast.Slice) for arg in site.node.args):
                return True
    return False


def is_whole(lower: ast.expr | None, upper: ast.expr | None) -> bool:
    """Whether a slice leaves all but a few items: `x[1:]`, but not `x[-5:]`, `x[:n]` or `x[a:b]`."""
    return upper is None and not isinstance(lower, ast.UnaryOp)


def measured(expr: ast.AST) -> Iterator[ast.expr]:
    """The collections whose length an expression asks for: `x` of `len(x)`, but none in `min(8, len(x))`."""
    if isinstance(expr, ast.Call):
        name = getattr(expr.func, "id", "")
        if name == "len" and len(expr.args) == 1:
            yield expr.args[0]
        if name == "min" and any(not list(measured(arg)) for arg in expr.args):
            return
    for part in ast.iter_child_nodes(expr):
        yield from measured(part)


def is_single(item: ast.expr) -> bool:
    """Whether an expression is one thing rather than a collection: text or a number."""
    return isinstance(item, ast.Constant | ast.JoinedStr | ast.Tuple)


def is_nothing(value: ast.expr) -> bool:
    """An empty collection, or no value."""
    match value:
        case ast.Constant(value=None) | ast.List(elts=[]) | ast.Tuple(elts=[]) | ast.Dict(keys=[]):
            return True
        case ast.Call(args=[], keywords=[]):
            return getattr(value.func, "id", "") in SAME_SIZE
        case _:
            return False


def starts_empty(row: Binding) -> bool:
    """Whether a binding gives a name an empty collection or none, or only adds to it."""
    return (row.value is not None and row.form in ("assign", "annotation") and is_nothing(row.value)) or (
        isinstance(row.statement, ast.AugAssign)
    )


def mentions(expr: ast.expr, name: str) -> bool:
    """Whether a name is used in an expression."""
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(expr))


def states_length(expr: ast.expr | None) -> bool:
    """Whether an annotation or default states the greatest length: `Field(max_length=10)`."""
    calls = (node for node in ast.walk(expr) if isinstance(node, ast.Call)) if expr is not None else ()
    return any(keyword.arg in _BOUNDS for call in calls for keyword in call.keywords)


def is_measured(name: str, function: Function) -> bool:
    """Whether a function compares the length of a collection with something that is neither 0 nor 1."""
    for node in ast.walk(function.node):
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
            named = any(getattr(item, "id", "") == name for part in parts for item in measured(part))
            if named and not any(isinstance(part, ast.Constant) and part.value in (0, 1) for part in parts):
                return True
    return False
