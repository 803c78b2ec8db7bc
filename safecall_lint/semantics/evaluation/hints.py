"""What a value with an annotation can be."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING

from safecall_lint.semantics.evaluation import origin
from safecall_lint.semantics.scan import dotted
from safecall_lint.semantics.values import ClassValue, Container, Instance, Object, Symbol, Value

if TYPE_CHECKING:
    from safecall_lint.semantics.evaluate import Evaluator
    from safecall_lint.semantics.model import Scope

_WRAPPERS = frozenset({"Optional", "Annotated", "Union", "Final", "ClassVar", "Required", "NotRequired", "Awaitable"})
_STREAMS = frozenset({"AsyncIterator", "AsyncGenerator", "Iterator", "Generator", "AsyncIterable", "Iterable"})
_MAPPINGS = frozenset({"dict", "Dict", "Mapping", "MutableMapping", "defaultdict", "DefaultDict", "OrderedDict"})
_LISTS = frozenset({"list", "List", "set", "Set", "tuple", "Tuple", "Sequence", "deque", "frozenset"})


def annotation(ev: Evaluator, expr: ast.expr, scope: Scope) -> Iterable[Value]:
    """What a value with this annotation can be."""
    if isinstance(expr, ast.Constant) and isinstance(expr.value, str):
        try:
            return ev.annotated(ast.parse(expr.value, mode="eval").body, scope)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return ()
    if isinstance(expr, ast.BinOp):
        return (*ev.annotated(expr.left, scope), *ev.annotated(expr.right, scope))
    if isinstance(expr, ast.Subscript):
        return _generic(ev, expr, scope)
    if isinstance(expr, ast.Name | ast.Attribute):
        return [inner for value in ev.values(expr, scope) for inner in _as_type(value)] or _aliased(ev, expr, scope)
    return ()


def _aliased(ev: Evaluator, expr: ast.Name | ast.Attribute, scope: Scope) -> Iterable[Value]:
    """What a name for a type means: `Service = Annotated[Vendor, Depends(make)]`, here or in another module."""
    rows = origin.of(ev, expr, scope)
    binding, owner = rows[0] if len(rows) == 1 else (None, scope)
    if binding and isinstance(binding.value, ast.Subscript | ast.BinOp) and binding.form in ("assign", "annotation"):
        return ev.annotated(binding.value, owner)
    return ()


def _as_type(value: Value) -> tuple[Value, ...]:
    match value:
        case Symbol(name):
            return (Instance(name),)
        case ClassValue(cls):
            return (Object(cls),)
        case Instance() | Object() | Container():
            return (value,)
        case _:
            return ()


def _generic(ev: Evaluator, expr: ast.Subscript, scope: Scope) -> Iterable[Value]:
    name = dotted(expr.value).rpartition(".")[2]
    parts = expr.slice.elts if isinstance(expr.slice, ast.Tuple) else [expr.slice]
    if name == "Annotated":
        injected = [value for extra in parts[1:] for value in ev.values(extra, scope)]
        known = [value for value in injected if isinstance(value, Instance | Object)]
        kinds = [value for value in known if not isinstance(value, Instance) or ev.fact(value)]
        return kinds or ev.annotated(parts[0], scope)
    if name in _WRAPPERS or name in _STREAMS:
        return [value for part in parts for value in ev.annotated(part, scope)]
    if name in _MAPPINGS or name == "ContextVar":
        return (Container(ev.annotated(parts[-1], scope)),)
    if name in _LISTS:
        return (Container(tuple(value for part in parts for value in ev.annotated(part, scope))),)
    return ev.annotated(expr.value, scope)
