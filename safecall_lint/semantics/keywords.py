"""What `**` brings into a call, where the code spells the dictionary out."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from safecall_lint.semantics.model import Function, Module, Scope
from safecall_lint.semantics.scan import Binding, dotted

_HOPS = 4
_ADDING = ("update", "setdefault")


def may_pass(call: ast.Call, name: str, scope: Scope) -> bool:
    """Whether a call passes keyword `name`, or unpacks something that may hold it."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return True
        if keyword.arg is None:
            keys = keys_of(keyword.value, scope)
            if keys is None or name in keys:
                return True
    return False


def given(call: ast.Call, name: str, scope: Scope) -> list[ast.expr]:
    """What a call passes for keyword `name`, as far as the code spells it out: itself, or in a dictionary that it
    unpacks."""
    found: list[ast.expr] = []
    for keyword in call.keywords:
        if keyword.arg == name:
            found.append(keyword.value)
        elif keyword.arg is None:
            found.extend(_values(keyword.value, name, scope, _HOPS))
    return found


def asks_for_stream(call: ast.Call, scope: Scope) -> bool:
    """Whether a call says `stream=True`, itself or in a dictionary that it unpacks."""
    found = given(call, "stream", scope)
    return bool(found) and all(isinstance(expr, ast.Constant) and expr.value is True for expr in found)


def _values(expr: ast.expr, name: str, scope: Scope, hops: int) -> Iterator[ast.expr]:
    """What a dictionary that is spelled out has for a key."""
    match expr:
        case ast.Dict():
            for key, value in zip(expr.keys, expr.values, strict=True):
                if key is None:
                    yield from _values(value, name, scope, hops)
                elif name in (_key(key) or ()):
                    yield value
        case ast.Call(func=ast.Name(id="dict")):
            yield from (keyword.value for keyword in expr.keywords if keyword.arg == name)
            for part in (*expr.args, *(keyword.value for keyword in expr.keywords if keyword.arg is None)):
                yield from _values(part, name, scope, hops)
        case ast.BinOp(op=ast.BitOr()):
            yield from (*_values(expr.left, name, scope, hops), *_values(expr.right, name, scope, hops))
        case ast.Name() if hops:
            for binding, owner in scope.lookup(expr.id):
                yield from _bound_values(binding, name, owner, hops - 1)
        case _:
            return


def _bound_values(binding: Binding, name: str, scope: Scope, hops: int) -> Iterator[ast.expr]:
    """What one binding of a name gives a key: a whole dictionary, or the one item."""
    if binding.form in ("assign", "annotation") and binding.value is not None:
        yield from _values(binding.value, name, scope, hops)
    elif binding.form == "item" and isinstance(binding.statement, ast.Assign):
        for target in binding.statement.targets:
            if isinstance(target, ast.Subscript) and name in (_key(target.slice) or ()):
                yield binding.statement.value


def keys_of(expr: ast.expr, scope: Scope) -> frozenset[str] | None:
    """Every key that a dictionary can have here; None where that is not spelled out."""
    if isinstance(expr, ast.Dict):
        return _of_literal(expr, scope)
    if isinstance(expr, ast.Call) and isinstance(expr.func, ast.Name) and expr.func.id == "dict" and not expr.args:
        named = frozenset(keyword.arg for keyword in expr.keywords if keyword.arg is not None)
        return named if len(named) == len(expr.keywords) else None
    if isinstance(expr, ast.IfExp):
        return _union([keys_of(expr.body, scope), keys_of(expr.orelse, scope)])
    return _of_name(expr.id, scope) if isinstance(expr, ast.Name) else None


def _of_literal(expr: ast.Dict, scope: Scope) -> frozenset[str] | None:
    parts: list[frozenset[str] | None] = []
    for key, value in zip(expr.keys, expr.values, strict=True):
        if key is None:
            parts.append(keys_of(value, scope))
        else:
            parts.append(_key(key))
    return _union(parts)


def _key(expr: ast.expr) -> frozenset[str] | None:
    return frozenset({expr.value}) if isinstance(expr, ast.Constant) and isinstance(expr.value, str) else None


def _of_name(name: str, scope: Scope) -> frozenset[str] | None:
    rows = scope.lookup(name)
    if not rows or _escapes(name, scope):
        return None
    if any(owner is not scope for _, owner in rows) and not _is_fixed(name, rows):
        return None
    return _union(part for binding, owner in rows for part in _of_binding(binding, owner))


def _is_fixed(name: str, rows: list[tuple[Binding, Scope]]) -> bool:
    """Whether a name is a module's, bound once, and its module calls nothing that adds to it."""
    owner = rows[0][1]
    if len(rows) != 1 or not isinstance(owner, Module):
        return False
    adding = (site.node.func for method in _ADDING for site, _ in owner.call_sites.get(method, ()))
    return not any(isinstance(func, ast.Attribute) and dotted(func.value) == name for func in adding)


def _of_binding(binding: Binding, scope: Scope) -> Iterator[frozenset[str] | None]:
    if binding.form in ("assign", "annotation") and binding.value is not None:
        yield keys_of(binding.value, scope) if not isinstance(binding.value, ast.Name) else None
    elif binding.form == "item" and isinstance(binding.statement, ast.Assign):
        for target in binding.statement.targets:
            yield _key(target.slice) if isinstance(target, ast.Subscript) else None
    else:
        yield None


def _escapes(name: str, scope: Scope) -> bool:
    """Whether a dictionary is handed to code that may add to it: a method such as `update`, another function."""
    if not isinstance(scope, Function):
        return True
    for site in scope.scan.calls:
        func = site.node.func
        if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id == name:
            return True
        if any(isinstance(arg, ast.Name) and arg.id == name for arg in site.node.args):
            return True
    return False


def _union(parts: Iterator[frozenset[str] | None] | list[frozenset[str] | None]) -> frozenset[str] | None:
    found: frozenset[str] = frozenset()
    for part in parts:
        if part is None:
            return None
        found |= part
    return found
