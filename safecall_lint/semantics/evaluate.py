"""What an expression can be. Names, attributes, calls and annotations are followed through bindings, classes,
functions and first-party modules."""

from __future__ import annotations

import ast
import builtins
import os
import sys
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from safecall_lint.knowledge import Fact, Knowledge, knowledge
from safecall_lint.semantics.evaluation import attributes, bindings, calling, expressions, hints, origin
from safecall_lint.semantics.evaluation.answers import Answers
from safecall_lint.semantics.evaluation.declared import declared_kind, declared_name
from safecall_lint.semantics.project import RUNTIME, Project
from safecall_lint.semantics.shapes import Shapes
from safecall_lint.semantics.values import (
    ClassValue,
    Constant,
    FunctionValue,
    Instance,
    Member,
    ModuleValue,
    Object,
    Symbol,
    Value,
)

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Class, Function, Module, Scope
    from safecall_lint.semantics.scan import Binding

_BUILTINS = frozenset(dir(builtins))


class Evaluator(Struct, eq=False, dict=True):
    """Answers `values(expr, scope)` over one project. `brought` is what stars bring, by name and module."""

    project: Project
    facts: Knowledge = field(default_factory=knowledge)
    answers: Answers[tuple[Value, ...]] = field(default_factory=lambda: Answers(()))
    brought: dict[tuple[str, Module], list[tuple[Binding, Scope]]] = field(default_factory=dict)
    _names: dict[tuple[str, Scope], tuple[Value, ...]] = field(default_factory=dict)

    # -- expressions ---------------------------------------------------------------------------------------------

    def values(self, expr: ast.expr | None, scope: Scope) -> tuple[Value, ...]:
        """Everything that `expr`, standing in `scope`, can be; empty where nothing is known."""
        if expr is None:
            return ()
        if isinstance(expr, ast.Name):
            return self.named(expr.id, scope)
        if isinstance(expr, ast.Constant):
            return (Constant(expr.value),)
        return self.guarded("values", expr, scope, lambda: self._dispatch(expr, scope))

    def guarded(self, what: str, key: object, scope: object, work: Callable[[], Iterable[Value]]) -> tuple[Value, ...]:
        """Do `work` once for `key` in `scope`, and never inside itself: there the answer is empty."""
        return self.answers.once(what, key, scope, lambda: _distinct(work()))

    def _dispatch(self, expr: ast.expr, scope: Scope) -> Iterable[Value]:
        handler = _EXPRESSIONS.get(type(expr))
        return handler(self, expr, scope) if handler else ()

    def named(self, name: str, scope: Scope) -> tuple[Value, ...]:
        """What a bare name means in a scope."""
        known = self._names.get((name, scope))
        if known is not None:
            return known
        before = self.answers.cuts
        rows = origin.rows(self, name, scope)
        if rows:
            found = _distinct(value for binding, owner in rows for value in self.bound(binding, owner))
        else:
            found = (Symbol(f"builtins.{name}"),) if name in _BUILTINS else ()
        if self.answers.cuts == before:
            self._names[name, scope] = found
        return found

    # -- bindings ------------------------------------------------------------------------------------------------

    def bound(self, binding: Binding, owner: Scope) -> tuple[Value, ...]:
        """What one binding gives its name."""
        return self.guarded("bound", binding, owner, lambda: _BINDINGS[binding.form](self, binding, owner))

    def imported(self, target: str, importer: Module) -> tuple[Value, ...]:
        """What an import target is: a first-party module or something in it, else a library's symbol. The project's
        copy of the runtime is the runtime."""
        copy = self.project.runtime_module
        if copy and f"{target}.".startswith(f"{copy}."):
            return (Symbol(self.facts.canonical(RUNTIME + target.removeprefix(copy))),)
        found = origin.leads(self, target, importer)
        if not found or self._namesake(target, importer, *found[-1]):
            return () if target.startswith(".") else (Symbol(self.facts.canonical(target)),)
        return tuple(value for module, rest in found for value in self._inside(module, rest))

    def _inside(self, module: Module, rest: str) -> tuple[Value, ...]:
        values: tuple[Value, ...] = (ModuleValue(module),)
        for part in filter(None, rest.split(".")):
            values = tuple(inner for value in values for inner in self.attribute(value, part))
        return values

    def _namesake(self, target: str, importer: Module, module: Module, rest: str) -> bool:
        """Whether a package with a library's name imports that library: `import openai` in `plugins/openai/`."""
        folder, first = os.path.dirname(module.file), rest.partition(".")[0]
        if os.path.basename(folder) not in self.facts.packages or target.partition(".")[0] != os.path.basename(folder):
            return False
        return importer.file.startswith(folder + os.sep) and not (first and module.lookup(first))

    def arguments(self, function: Function, name: str) -> tuple[Value, ...]:
        """What the calls in the function's own module pass for a parameter."""
        return self.guarded(f"argument {name}", function, None, lambda: bindings.passed(self, function, name))

    # -- attributes ----------------------------------------------------------------------------------------------

    def attribute(self, value: Value, name: str) -> tuple[Value, ...]:
        """What `value.name` can be."""
        return attributes.attribute(self, value, name)

    def member(self, cls: Class, name: str, receiver: Object | ClassValue) -> tuple[Value, ...]:
        """A method or attribute of a first-party class, its first-party bases included."""
        found = self.guarded(
            f"member {name}", cls, type(receiver), lambda: attributes.members(self, cls, name, receiver)
        )
        return tuple(_bound_to(value, name, receiver) for value in found)

    def method(self, cls: Class, name: str) -> Function | None:
        """The method that `name` finds on a first-party class."""
        for level in self.lineage(cls):
            if name in level.methods:
                return level.methods[name]
        return None

    def lineage(self, cls: Class) -> list[Class]:
        """The class and its first-party bases, nearest first."""
        found = [cls]
        for level in found:
            for base in level.node.bases:
                for value in self.values(base, level.parent or level.module):
                    if isinstance(value, ClassValue) and value.cls not in found:
                        found.append(value.cls)
        return found

    def library_base(self, cls: Class) -> Fact | None:
        """The fact of the library class that a first-party class extends."""
        for level in self.lineage(cls):
            for base in level.node.bases:
                for value in self.values(base, level.parent or level.module):
                    if isinstance(value, Symbol) and (fact := self.facts.fact(value.name)):
                        return fact
        return None

    # -- calls ---------------------------------------------------------------------------------------------------

    def called(self, callee: Value, call: ast.Call, scope: Scope) -> tuple[Value, ...]:
        """What calling `callee` gives."""
        return calling.called(self, callee, call, scope)

    def declared_fact(self, item: Function | Class) -> Fact | None:
        """The kind that the project's settings give one of its own functions or classes."""
        return declared_kind(self.project, item)

    def returned(self, function: Function, receiver: Object | ClassValue | None = None) -> tuple[Value, ...]:
        """What a first-party function gives its caller, awaited, entered or iterated as its form asks."""
        return self.guarded("returned", function, None, lambda: calling.returns(self, function))

    def callees(self, call: ast.Call, scope: Scope) -> tuple[Function, ...]:
        """The first-party functions that a call runs; a class runs its `__init__`."""
        found: list[Function] = []
        for value in self.values(call.func, scope):
            match value:
                case FunctionValue(function):
                    found.append(function)
                case ClassValue(cls) if method := self.method(cls, "__init__"):
                    found.append(method)
                case Object(cls) if method := self.method(cls, "__call__"):
                    found.append(method)
                case _:
                    pass
        return tuple(dict.fromkeys(found))

    # -- annotations ---------------------------------------------------------------------------------------------

    def annotated(self, expr: ast.expr | None, scope: Scope) -> tuple[Value, ...]:
        """What a value with this annotation can be."""
        if expr is None:
            return ()
        return self.guarded("annotated", expr, scope, lambda: hints.annotation(self, expr, scope))

    # -- what rules ask ------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether no question is half answered, so that an answer is safe to keep."""
        return self.answers.idle

    @cached_property
    def shapes(self) -> Shapes:
        return Shapes(self)

    def fact(self, value: Value) -> Fact | None:
        """The knowledge row of a value: of the library type that it is an instance of, extends or acts as."""
        match value:
            case Instance(name) | Symbol(name):
                return declared_name(self.project, name) or self.facts.fact(name)
            case Member(Instance(name), path):
                return self.facts.facts.get(".".join((name, *path)))
            case Object(cls):
                return self.declared_fact(cls) or self.library_base(cls) or self.shapes.fact(cls)
            case _:
                return None

    def kind(self, value: Value) -> str:
        """The vocabulary word for a value, "" where it has none."""
        if isinstance(value, Instance | Object):
            fact = self.fact(value)
            return fact.kind if fact else ""
        return ""

    def of_kind(self, expr: ast.expr | None, scope: Scope, *kinds: str) -> list[Instance | Object]:
        """The values of `expr` that are one of `kinds`."""
        return [
            value
            for value in self.values(expr, scope)
            if isinstance(value, Instance | Object) and self.kind(value) in kinds
        ]

    def number(self, expr: ast.expr | None, scope: Scope) -> float | None:
        """The number that `expr` is wherever it is reached, or None; also where no float holds it."""
        found = {value.value for value in self.values(expr, scope) if isinstance(value, Constant)}
        every = self.values(expr, scope)
        if len(found) != 1 or len(every) != 1:
            return None
        (only,) = found
        if isinstance(only, bool) or not isinstance(only, int | float):
            return None
        return float(only) if abs(only) <= sys.float_info.max else None


def _bound_to(value: Value, name: str, receiver: Object | ClassValue) -> Value:
    """A method as `receiver` has it: what is remembered of a class is bound to whichever object was asked first."""
    if isinstance(value, FunctionValue) and value.receiver is not None and value.function.name == name:
        return FunctionValue(value.function, receiver)
    return value


def _distinct(values: Iterable[Value]) -> tuple[Value, ...]:
    found = tuple(values)
    return found if len(found) < 2 else tuple(dict.fromkeys(found))


_EXPRESSIONS: Final[dict[type[ast.expr], Callable[..., Iterable[Value]]]] = {
    ast.Attribute: attributes.attribute_result,
    ast.Call: calling.call_result,
    ast.Await: expressions.awaited,
    ast.IfExp: expressions.either,
    ast.Lambda: expressions.lambda_value,
    ast.BoolOp: expressions.any_of,
    ast.NamedExpr: expressions.walrus,
    ast.List: expressions.collection,
    ast.Tuple: expressions.collection,
    ast.Set: expressions.collection,
    ast.Dict: expressions.mapping,
    ast.ListComp: expressions.comprehension,
    ast.SetComp: expressions.comprehension,
    ast.GeneratorExp: expressions.comprehension,
    ast.DictComp: expressions.dict_comprehension,
    ast.Subscript: expressions.subscript,
    ast.BinOp: expressions.arithmetic,
    ast.UnaryOp: expressions.unary,
}
_BINDINGS: Final[dict[str, Callable[..., Iterable[Value]]]] = {
    "assign": bindings.by_value,
    "annotation": bindings.by_annotation,
    "parameter": bindings.by_parameter,
    "with": bindings.by_with,
    "for": bindings.by_for,
    "item": bindings.by_item,
    "import": bindings.by_import,
    "def": bindings.by_def,
    "class": bindings.by_class,
    "except": bindings.nothing,
    "lambda": bindings.nothing,
    "unpack": bindings.nothing,
}
