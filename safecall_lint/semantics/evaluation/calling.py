"""What calling a value gives."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from safecall_lint.semantics.values import (
    ClassValue,
    Constant,
    Container,
    FunctionValue,
    Instance,
    LambdaValue,
    Member,
    Object,
    Result,
    Symbol,
    Value,
)

if TYPE_CHECKING:
    from safecall_lint.semantics.evaluate import Evaluator
    from safecall_lint.semantics.model import Function, Scope

_COPIES = frozenset(f"builtins.{name}" for name in ("list", "tuple", "set", "frozenset", "sorted", "reversed"))
_TRANSPARENT: Final = {
    "typing.cast": 1,
    "functools.wraps": 0,
    "contextlib.aclosing": 0,
    "contextlib.closing": 0,
    "contextlib.nullcontext": 0,
    "copy.copy": 0,
    "asyncio.shield": 0,
    "asyncio.create_task": 0,
    "asyncio.ensure_future": 0,
}


def call_result(ev: Evaluator, expr: ast.Call, scope: Scope) -> Iterable[Value]:
    """`f(...)`: what each thing that `f` can be gives."""
    for callee in ev.values(expr.func, scope):
        yield from called(ev, callee, expr, scope)


def _declared(ev: Evaluator, function: Function, call: ast.Call, scope: Scope) -> tuple[Value, ...]:
    fact = ev.declared_fact(function)
    return (Instance(fact.name, call, scope),) if fact else ()


def _symbol_called(ev: Evaluator, name: str, call: ast.Call, scope: Scope) -> tuple[Value, ...]:
    last = name.rpartition(".")[2]
    if last in ("Depends", "Security") and call.args:
        return _made_by(ev, call.args[0], call, scope)
    if last == "partial" and name.startswith("functools") and call.args:
        return ev.values(call.args[0], scope)
    if last == "getattr" and len(call.args) >= 2 and isinstance(call.args[1], ast.Constant):
        attribute = str(call.args[1].value)
        return tuple(inner for value in ev.values(call.args[0], scope) for inner in ev.attribute(value, attribute))
    if name in _TRANSPARENT and len(call.args) > _TRANSPARENT[name]:
        return ev.values(call.args[_TRANSPARENT[name]], scope)
    if last == "defaultdict" and call.args:
        return (Container(_made_by(ev, call.args[0], call, scope)),)
    if name in _COPIES and call.args:
        return ev.values(call.args[0], scope)
    if last == "field" and name.startswith("dataclasses"):
        return _dataclass_field(ev, call, scope)
    fact = ev.facts.fact(name)
    return (Instance(fact.returns if fact and fact.returns else name, call, scope),)


def _dataclass_field(ev: Evaluator, call: ast.Call, scope: Scope) -> tuple[Value, ...]:
    for keyword in call.keywords:
        if keyword.arg == "default":
            return ev.values(keyword.value, scope)
        if keyword.arg == "default_factory":
            return _made_by(ev, keyword.value, call, scope)
    return ()


def _made_by(ev: Evaluator, factory: ast.expr, call: ast.Call, scope: Scope) -> tuple[Value, ...]:
    """What `factory` gives, called without the arguments of `call`, which hands it to a library."""
    if isinstance(factory, ast.Lambda):
        return ev.values(factory.body, scope)
    made = list[Value]()
    for value in ev.values(factory, scope):
        if isinstance(value, Symbol):
            fact = ev.facts.fact(value.name)
            made.append(Instance(fact.returns if fact and fact.returns else value.name, call, scope))
        else:
            made.extend(called(ev, value, call, scope))
    return tuple(made)


def _member_called(
    ev: Evaluator, owner: Instance | Object, path: tuple[str, ...], call: ast.Call, scope: Scope
) -> tuple[Value, ...]:
    fact = ev.fact(owner)
    if fact and len(path) == 1 and path[0] in (*fact.fluent, "__aenter__", "__enter__", "enter_async_context"):
        return (owner,)
    if path[-1] in ("enter_async_context", "enter_context") and call.args:
        return ev.values(call.args[0], scope)
    member = Member(owner, path)
    if made := ev.fact(member):
        return (Instance(made.returns or made.name, call, scope),)
    return (Result(member, call, scope),)


def returns(ev: Evaluator, function: Function) -> Iterable[Value]:
    """What a function's exits give: its `yield`s where it is a generator."""
    exits = [item.value for item in function.scan.returns]
    if function.is_generator:
        exits = [item.value for item, _ in function.scan.yields if isinstance(item, ast.Yield)]
    found = [value for expr in exits for value in ev.values(expr, function)]
    known = [value for value in found if not isinstance(value, Constant)]
    if known:
        return known
    annotated = ev.annotated(function.node.returns, function.parent or function.module)
    return [value for value in annotated if not isinstance(value, Container)] or annotated or found


def called(ev: Evaluator, callee: Value, call: ast.Call, scope: Scope) -> tuple[Value, ...]:
    """What calling `callee` gives."""
    match callee:
        case Symbol(name):
            return _symbol_called(ev, name, call, scope)
        case ClassValue(cls):
            return (Object(cls, call, scope),)
        case FunctionValue(function, receiver):
            return _declared(ev, function, call, scope) or ev.returned(function, receiver)
        case Member(owner, path):
            return _member_called(ev, owner, path, call, scope)
        case Object(cls):
            method = ev.method(cls, "__call__")
            return ev.returned(method, callee) if method else ()
        case Container(elements):
            return elements
        case LambdaValue(node, outer):
            return ev.values(node.body, outer)
        case _:
            return ()
