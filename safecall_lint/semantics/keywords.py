"""What `**` brings into a call, where the code spells the dictionary out, in this module or another."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from safecall_lint.semantics.evaluation import origin
from safecall_lint.semantics.model import Class, Function, Module, Scope
from safecall_lint.semantics.scan import Binding, dotted

if TYPE_CHECKING:
    from safecall_lint.semantics.evaluate import Evaluator

_HOPS = 4
_ADDING = ("update", "setdefault")


def may_pass(ev: Evaluator, call: ast.Call, name: str, scope: Scope) -> bool:
    """Whether a call passes keyword `name`, or unpacks something that may hold it."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return True
        if keyword.arg is None:
            keys = keys_of(ev, keyword.value, scope)
            if keys is None or name in keys:
                return True
    return False


def given(ev: Evaluator, call: ast.Call, name: str, scope: Scope) -> list[ast.expr]:
    """What a call passes for keyword `name`, as far as the code spells it out: itself, or in a dictionary that it
    unpacks."""
    found: list[ast.expr] = []
    for keyword in call.keywords:
        if keyword.arg == name:
            found.append(keyword.value)
        elif keyword.arg is None:
            found.extend(_values(ev, keyword.value, name, scope, _HOPS))
    return found


def asks_for_stream(ev: Evaluator, call: ast.Call, scope: Scope) -> bool:
    """Whether a call says `stream=True`, itself or in a dictionary that it unpacks."""
    found = given(ev, call, "stream", scope)
    return bool(found) and all(isinstance(expr, ast.Constant) and expr.value is True for expr in found)


def _values(ev: Evaluator, expr: ast.expr, name: str, scope: Scope, hops: int) -> Iterator[ast.expr]:
    """What a dictionary that is spelled out has for a key."""
    match expr:
        case ast.Dict():
            for key, value in zip(expr.keys, expr.values, strict=True):
                if key is None:
                    yield from _values(ev, value, name, scope, hops)
                elif name in (_key(key) or ()):
                    yield value
        case ast.Call(func=ast.Name(id="dict")):
            yield from (keyword.value for keyword in expr.keywords if keyword.arg == name)
            for part in (*expr.args, *(keyword.value for keyword in expr.keywords if keyword.arg is None)):
                yield from _values(ev, part, name, scope, hops)
        case ast.BinOp(op=ast.BitOr()):
            yield from (*_values(ev, expr.left, name, scope, hops), *_values(ev, expr.right, name, scope, hops))
        case ast.Name() | ast.Attribute() if hops:
            for binding, owner in origin.of(ev, expr, scope):
                yield from _bound_values(ev, binding, name, owner, hops - 1)
        case _:
            return


def _bound_values(ev: Evaluator, binding: Binding, name: str, scope: Scope, hops: int) -> Iterator[ast.expr]:
    """What one binding of a name gives a key: a whole dictionary, or the one item."""
    if binding.form in ("assign", "annotation") and binding.value is not None:
        yield from _values(ev, binding.value, name, scope, hops)
    elif binding.form == "item" and isinstance(binding.statement, ast.Assign):
        for target in binding.statement.targets:
            if isinstance(target, ast.Subscript) and name in (_key(target.slice) or ()):
                yield binding.statement.value


def keys_of(ev: Evaluator, expr: ast.expr, scope: Scope, hops: int = _HOPS) -> frozenset[str] | None:
    """Every key that a dictionary can have here; None where that is not spelled out."""
    if isinstance(expr, ast.Dict):
        pairs = zip(expr.keys, expr.values, strict=True)
        return _union(keys_of(ev, value, scope, hops) if key is None else _key(key) for key, value in pairs)
    if isinstance(expr, ast.Call) and isinstance(expr.func, ast.Name) and expr.func.id == "dict" and not expr.args:
        named = frozenset(keyword.arg for keyword in expr.keywords if keyword.arg is not None)
        return named if len(named) == len(expr.keywords) else None
    if isinstance(expr, ast.IfExp):
        return _union(keys_of(ev, part, scope, hops) for part in (expr.body, expr.orelse))
    return _of_name(ev, expr, scope, hops - 1) if hops and isinstance(expr, ast.Name | ast.Attribute) else None


def _key(expr: ast.expr) -> frozenset[str] | None:
    return frozenset({expr.value}) if isinstance(expr, ast.Constant) and isinstance(expr.value, str) else None


def _of_name(ev: Evaluator, expr: ast.Name | ast.Attribute, scope: Scope, hops: int) -> frozenset[str] | None:
    rows, name = origin.of(ev, expr, scope), dotted(expr)
    if not rows or isinstance(scope, Class) or _escapes(name, scope):
        return None
    binding, owner = rows[0]
    if isinstance(scope, Module) or any(owner is not scope for _, owner in rows):
        if len(rows) != 1 or not isinstance(owner, Module):
            return None
        if _is_added_to(binding.name, owner) or _is_added_to(name, scope.module):
            return None
    return _union(part for binding, owner in rows for part in _of_binding(ev, binding, owner, hops))


def _is_added_to(name: str, module: Module) -> bool:
    """Whether a module adds to a dictionary that it knows by a name of its own or of another module."""
    adding = (site.node.func for method in _ADDING for site, _ in module.call_sites.get(method, ()))
    if any(isinstance(func, ast.Attribute) and dotted(func.value) == name for func in adding):
        return True
    stored = (row for scope in module.scopes for row in scope.scan.bindings.get(name, ()))
    onto = (row for scope in module.scopes for row in scope.scan.attributes.get(name, ()))
    return any(row.form == "item" for row in (*stored, *onto))


def _of_binding(ev: Evaluator, binding: Binding, scope: Scope, hops: int) -> Iterator[frozenset[str] | None]:
    if binding.form in ("assign", "annotation") and binding.value is not None:
        yield keys_of(ev, binding.value, scope, hops) if not isinstance(binding.value, ast.Name) else None
    elif binding.form == "item" and isinstance(binding.statement, ast.Assign):
        for target in binding.statement.targets:
            yield _key(target.slice) if isinstance(target, ast.Subscript) else None
    else:
        yield None


def _escapes(name: str, scope: Function | Module) -> bool:
    """Whether a dictionary is handed to code that may add to it: a method such as `update`, another function."""
    for site in scope.scan.calls:
        func = site.node.func
        if isinstance(func, ast.Attribute) and dotted(func.value) == name:
            return True
        if any(dotted(arg) == name for arg in site.node.args):
            return True
    return False


def _union(parts: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    found: frozenset[str] = frozenset()
    for part in parts:
        if part is None:
            return None
        found |= part
    return found
