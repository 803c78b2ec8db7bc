"""What each way of binding a name gives it."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING

from safecall_lint.semantics.evaluation.arguments import argument_of
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.values import (
    ClassValue,
    Constant,
    Container,
    FunctionValue,
    Instance,
    Object,
    Result,
    Value,
)

if TYPE_CHECKING:
    from safecall_lint.semantics.evaluate import Evaluator
    from safecall_lint.semantics.scan import Binding


def by_value(ev: Evaluator, binding: Binding, owner: Scope) -> Iterable[Value]:
    """`name = value`."""
    return ev.values(binding.value, owner)


def by_item(ev: Evaluator, binding: Binding, owner: Scope) -> Iterable[Value]:
    """`name[key] = value`: a collection of such values."""
    elements = ev.values(binding.value, owner)
    if elements:
        yield Container(elements)


def by_annotation(ev: Evaluator, binding: Binding, owner: Scope) -> Iterable[Value]:
    """`name: type = value`: the value where it tells more than the type."""
    found = ev.values(binding.value, owner)
    typed = tuple(value for value in found if value != Constant(None))
    annotated = ev.annotated(binding.annotation, owner)
    declared = typed or annotated
    containers = [value for value in annotated if isinstance(value, Container)]
    return (*declared, *containers) if typed else (*declared, *found)


def by_parameter(ev: Evaluator, binding: Binding, owner: Scope) -> Iterable[Value]:
    """A parameter: its annotation and default, else what the module's own calls pass."""
    assert isinstance(owner, Function)
    if binding.name == owner.first_parameter and owner.cls:
        is_class = "classmethod" in owner.decorator_names or owner.name == "__new__"
        return (ClassValue(owner.cls),) if is_class else (Object(owner.cls),)
    outside = owner.parent or owner.module
    annotated = ev.annotated(binding.annotation, outside)
    default = ev.values(binding.value, outside)
    found = (*(value for value in annotated if owner.cls or not _is_form(value)), *default)
    if any(not isinstance(value, Constant) for value in found):
        return found
    return (*ev.arguments(owner, binding.name), *found)


_FORMS = frozenset({"typing.Callable", "collections.abc.Callable"})


def _is_form(value: Value) -> bool:
    """Whether an annotation says how a value is used and nothing of what it is. What an object is handed is not asked
    of its own module's calls: others make such objects too, with something else."""
    return isinstance(value, Instance) and value.name in _FORMS


def by_with(ev: Evaluator, binding: Binding, owner: Scope) -> Iterable[Value]:
    """`with value as name`: what entering gives."""
    for value in ev.values(binding.value, owner):
        if isinstance(value, Object):
            enter = ev.method(value.cls, "__aenter__") or ev.method(value.cls, "__enter__")
            entered = ev.returned(enter, value) if enter else ()
            yield from entered or (value,)
        else:
            yield value


def by_for(ev: Evaluator, binding: Binding, owner: Scope) -> Iterable[Value]:
    """`for name in value`: an element."""
    for value in ev.values(binding.value, owner):
        if isinstance(value, Container):
            yield from value.elements
        elif isinstance(value, Instance | Result):
            yield value


def by_import(ev: Evaluator, binding: Binding, owner: Scope) -> Iterable[Value]:
    """An import."""
    return ev.imported(binding.target, owner.module)


def by_def(ev: Evaluator, binding: Binding, owner: Scope) -> Iterable[Value]:
    """A function statement."""
    assert isinstance(binding.statement, ast.FunctionDef | ast.AsyncFunctionDef)
    function = owner.functions.get(binding.statement)
    if function:
        yield FunctionValue(function)


def by_class(ev: Evaluator, binding: Binding, owner: Scope) -> Iterable[Value]:
    """A class statement."""
    assert isinstance(binding.statement, ast.ClassDef)
    cls = owner.classes.get(binding.statement)
    if cls:
        yield ClassValue(cls)


def nothing(ev: Evaluator, binding: Binding, owner: Scope) -> Iterable[Value]:
    """A binding that tells nothing."""
    return ()


def passed(ev: Evaluator, function: Function, name: str) -> Iterable[Value]:
    """What the calls in a function's module pass for a parameter."""
    called = function.cls.name if function.name == "__init__" and function.cls else function.name
    for site, scope in function.module.call_sites.get(called, ()):
        if not _calls(ev, site.node, scope, function):
            continue
        expr = argument_of(site.node, name, function)
        if expr is not None:
            yield from ev.values(expr, scope)


def _calls(ev: Evaluator, call: ast.Call, scope: Scope, function: Function) -> bool:
    """Whether a call with the right name is of this very function; doubt counts as yes for methods."""
    if isinstance(call.func, ast.Attribute) and function.cls:
        return True
    return function in ev.callees(call, scope)
