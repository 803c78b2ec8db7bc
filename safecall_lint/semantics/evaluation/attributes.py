"""What `value.name` can be: library chains, first-party members, module contents, application state."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from safecall_lint.semantics.evaluation import origin
from safecall_lint.semantics.scan import dotted
from safecall_lint.semantics.values import (
    ClassValue,
    Container,
    FunctionValue,
    Instance,
    Member,
    ModuleValue,
    Object,
    Symbol,
    Value,
)

if TYPE_CHECKING:
    from safecall_lint.semantics.evaluate import Evaluator
    from safecall_lint.semantics.model import Class, Module, Scope

_CACHING = frozenset({"property", "cached_property", "async_property", "alru_cache", "computed_field"})


def attribute_result(ev: Evaluator, expr: ast.Attribute, scope: Scope) -> Iterable[Value]:
    """`x.name`, with what was stored there from outside; what is known of `app.state` is all that is there."""
    stored = tuple(_stored(ev, expr, scope))
    if not stored or ".state." not in f".{dotted(expr)}":
        for value in ev.values(expr.value, scope):
            yield from _below(ev, value, expr, scope) or attribute(ev, value, expr.attr)
    yield from stored


def _below(ev: Evaluator, value: Value, expr: ast.Attribute, scope: Scope) -> tuple[Value, ...]:
    """A module below folders that are no packages: `shop.http.client` after `import shop.http.client`."""
    path = dotted(expr)
    if not isinstance(value, Symbol) or path != f"{value.name}.{expr.attr}":
        return ()
    known = path.partition(".")[0] in ev.facts.packages or ev.project.locate(path, scope.module.file) is None
    return () if known else ev.imported(path, scope.module)


def _stored(ev: Evaluator, expr: ast.Attribute, scope: Scope) -> Iterable[Value]:
    """Attributes set from outside on a local object or on `app.state`."""
    path = dotted(expr)
    for owner in (scope, scope.module):
        for binding in owner.scan.attributes.get(path, ()):
            yield from ev.bound(binding, owner)
    if ".state." in f".{path}":
        yield from _state(ev, path.rpartition(".state.")[2], scope.module)


def _state(ev: Evaluator, name: str, module: Module) -> Iterable[Value]:
    """What `app.state` has by a name: set in the module itself, else anywhere in its project."""
    own = ev.guarded(f"state {name}", module, None, lambda: _set_in(ev, name, module))
    return own or ev.guarded(f"shared state {name}", module, None, lambda: _set_elsewhere(ev, name, module))


def _set_elsewhere(ev: Evaluator, name: str, module: Module) -> Iterable[Value]:
    asker, setting = f"m{module.file}", rf"\.state\.{re.escape(name)}\b[^=\n]*=[^=]"
    for file in sorted(ev.project.having(name, setting, asker, module)):
        if found := ev.project.found(file, asker):
            yield from _set_in(ev, name, found)


def _set_in(ev: Evaluator, name: str, module: Module) -> Iterable[Value]:
    for scope in module.scopes:
        for path, rows in scope.scan.attributes.items():
            if path.endswith(f".state.{name}"):
                for binding in rows:
                    yield from ev.bound(binding, scope)


def _module_attribute(ev: Evaluator, module: Module, name: str) -> tuple[Value, ...]:
    found = ev.named(name, module) if origin.rows(ev, name, module) else ()
    if not found and module.is_package:
        inner = ev.project.resolve(f".{name}", module)
        if inner and not inner[1]:
            return (ModuleValue(inner[0]),)
    return found


def _inherited(ev: Evaluator, value: Object, name: str) -> tuple[Value, ...]:
    """A member that comes from a library base class: `ev.post` of a subclass of a client."""
    base = ev.library_base(value.cls)
    return (Member(value, (name,)),) if base else ()


def members(ev: Evaluator, cls: Class, name: str, receiver: Object | ClassValue) -> Iterable[Value]:
    """A member of a class, its first-party bases searched nearest first."""
    for level in ev.lineage(cls):
        method = level.methods.get(name)
        if method:
            if _CACHING & set(method.decorator_names):
                return ev.returned(method, receiver)
            return (FunctionValue(method, receiver),)
        rows = level.attributes.get(name)
        if rows:
            found = [value for binding, owner in rows for value in ev.bound(binding, owner)]
            if found:
                return found
    return ()


def attribute(ev: Evaluator, value: Value, name: str) -> tuple[Value, ...]:
    """What `value.name` can be."""
    match value:
        case Symbol(base):
            return (Symbol(ev.facts.canonical(f"{base}.{name}")),)
        case ModuleValue(module):
            return _module_attribute(ev, module, name)
        case Object():
            return ev.member(value.cls, name, value) or _inherited(ev, value, name)
        case ClassValue(cls):
            return ev.member(cls, name, value)
        case Instance():
            return (Member(value, (name,)),)
        case Member(owner, path):
            return (Member(owner, (*path, name)),)
        case Container():
            return _container_method(value, name)
        case _:
            return ()


def _container_method(value: Container, name: str) -> tuple[Value, ...]:
    """A method of a collection, as something that gives its elements, or the collection of them, when called."""
    if name in ("get", "pop", "popleft", "setdefault", "__getitem__"):
        return (Container(value.elements),)
    return (Container((value,)),) if name in ("values", "copy") else ()
