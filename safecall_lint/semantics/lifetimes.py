"""What becomes of a value that a call makes: used and dropped, kept for later, or handed to the caller."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import TYPE_CHECKING

from msgspec import Struct, field

from safecall_lint.semantics.evaluation.arguments import argument_of
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.roles import CACHED
from safecall_lint.semantics.values import ClassValue, FunctionValue, Instance, Object, Symbol

if TYPE_CHECKING:
    from safecall_lint.semantics.calls import Calls
    from safecall_lint.semantics.scan import CallSite

_DEPTH = 5
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_PASSING = (ast.Await, ast.BoolOp, ast.Starred, ast.keyword, ast.FormattedValue)
_LITERALS = (ast.Dict, ast.List, ast.Tuple, ast.Set)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension)
_ENTERING = frozenset({"closing", "aclosing", "enter_async_context", "enter_context", "cast"})
_KEEPING = frozenset(
    {"append", "add", "set", "put", "put_nowait", "setdefault", "setattr", "update", "insert", "callback"}
)


class Fate(IntEnum):
    """The end of a value, as far as its function shows it. Where a value has several uses the largest counts."""

    USED = 0
    UNKNOWN = 1
    HANDED = 2
    KEPT = 3


class Made(Struct, frozen=True):
    """A client that a call makes anew each time it runs. `by` tells where the constructor stands, `direct` that it is
    the call itself."""

    by: Instance | Object
    site: CallSite
    scope: Scope
    direct: bool


class Lifetimes(Struct, eq=False):
    """Follows values through a function, and into the functions that it lends them to."""

    calls: Calls
    _parents: dict[Function, dict[ast.AST, ast.AST]] = field(default_factory=dict)

    def fate(self, node: ast.AST, scope: Scope, depth: int = 0) -> Fate:
        """What becomes of the value of an expression that stands in `scope`."""
        if not isinstance(scope, Function):
            return Fate.KEPT
        child = node
        for parent in self.around(node, scope):
            verdict = self._step(child, parent, scope, depth)
            if verdict is not None:
                return verdict
            child = parent
        return Fate.USED

    def around(self, node: ast.AST, scope: Function) -> Iterator[ast.AST]:
        """The nodes around one inside its function, innermost first."""
        if scope not in self._parents:
            inner = (parent for statement in scope.node.body for parent in ast.walk(statement))
            self._parents[scope] = {child: parent for parent in inner for child in ast.iter_child_nodes(parent)}
        parents = self._parents[scope]
        while node in parents:
            node = parents[node]
            yield node

    def _step(self, child: ast.AST, parent: ast.AST, scope: Function, depth: int) -> Fate | None:
        """The verdict of the node around a value; None where the value goes on to what is around that node."""
        match parent:
            case ast.Call():
                return Fate.USED if child is parent.func else self._passed(child, parent, scope, depth)
            case ast.withitem():
                return self._bound([parent.optional_vars] if parent.optional_vars else [], scope, depth)
            case ast.Return() | ast.Yield() | ast.YieldFrom():
                return Fate.HANDED
            case ast.Assign():
                return self._bound(parent.targets, scope, depth)
            case ast.AnnAssign():
                return self._bound([parent.target], scope, depth)
            case ast.NamedExpr():
                return self._bound([parent.target], scope, depth) or None
            case ast.IfExp():
                return Fate.USED if child is parent.test else None
            case ast.Lambda():
                return Fate.UNKNOWN
            case _ if isinstance(parent, _PASSING):
                return None
            case _ if isinstance(parent, _LITERALS):
                inside = (isinstance(outer, ast.Return | ast.Yield) for outer in self.around(parent, scope))
                return Fate.HANDED if any(inside) else Fate.KEPT
            case _ if isinstance(parent, _COMPREHENSIONS):
                return Fate.KEPT
            case _:
                return Fate.USED

    def _bound(self, targets: Iterable[ast.expr], scope: Function, depth: int) -> Fate:
        return max((self._target(target, scope, depth) for target in targets), default=Fate.USED)

    def _target(self, target: ast.expr, scope: Function, depth: int) -> Fate:
        if isinstance(target, ast.Tuple | ast.List):
            return Fate.UNKNOWN
        if not isinstance(target, ast.Name) or target.id in scope.scan.global_names | scope.scan.nonlocal_names:
            return Fate.KEPT
        return self.of_name(target.id, scope, depth + 1)

    def of_name(self, name: str, scope: Function, depth: int = 0) -> Fate:
        """What becomes of the value that a local name holds."""
        if depth > _DEPTH:
            return Fate.UNKNOWN
        return max((self._use(use, scope, depth) for use in uses(name, scope)), default=Fate.USED)

    def _use(self, use: ast.Name, scope: Function, depth: int) -> Fate:
        """What becomes of a value by one use of it; what an inner function uses goes where that function goes."""
        inner = next((node for node in self.around(use, scope) if isinstance(node, _FUNCTIONS)), None)
        taken = self.of_name(inner.name, scope, depth + 1) if inner else Fate.USED
        return max(self.fate(use, scope, depth), taken if taken is not Fate.UNKNOWN else Fate.USED)

    def _passed(self, child: ast.AST, call: ast.Call, scope: Function, depth: int) -> Fate | None:
        """A value handed to a call: entered, lent to a function, or part of the object that the call makes."""
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name in _ENTERING:
            return None
        callees = self.calls.evaluator.values(call.func, scope)
        if name in _KEEPING and not any(isinstance(callee, FunctionValue) for callee in callees):
            return Fate.KEPT
        if depth > _DEPTH or not callees:
            return Fate.UNKNOWN
        for callee in callees:
            if isinstance(callee, FunctionValue):
                lent = self._lent(child, call, callee.function, depth)
                return self.fate(call, scope, depth + 1) if lent is Fate.HANDED else lent
            if isinstance(callee, ClassValue):
                return self.fate(call, scope, depth + 1)
            if isinstance(callee, Symbol):
                known = self.calls.evaluator.fact(callee)
                return max(self.fate(call, scope, depth + 1), Fate.USED if known or name.islower() else Fate.UNKNOWN)
        return Fate.USED

    def _lent(self, child: ast.AST, call: ast.Call, function: Function, depth: int) -> Fate:
        for name in function.parameters:
            expr = argument_of(call, name, function)
            if expr is child or (isinstance(child, ast.keyword) and child.arg == name):
                return self.of_name(name, function, depth + 1)
        return Fate.UNKNOWN

    def made(self, site: CallSite, scope: Scope, kind: str = "client") -> Made | None:
        """The client that a call makes each time it runs: by the constructor, or by a first-party factory."""
        evaluator = self.calls.evaluator
        for callee in evaluator.values(site.node.func, scope):
            for value in evaluator.called(callee, site.node, scope):
                if not isinstance(value, Instance | Object) or value.call is None or evaluator.kind(value) != kind:
                    continue
                fact = evaluator.fact(value)
                if fact is None or fact.library == "declared" or fact.shares:
                    continue
                direct = value.call is site.node
                if direct or (isinstance(callee, FunctionValue) and self.builds(callee.function, value)):
                    return Made(value, site, scope, direct)
        return None

    def builds(self, function: Function, value: Instance | Object, seen: frozenset[Function] = frozenset()) -> bool:
        """Whether a function makes `value` anew at each call and gives it away without keeping it."""
        if function in seen or CACHED & set(function.decorator_names):
            return False
        for site in function.scan.calls:
            inner = self.calls.evaluator.callees(site.node, function) if site.node is not value.call else ()
            if site.node is value.call or any(self.builds(callee, value, seen | {function}) for callee in inner):
                return self.fate(site.node, function) is Fate.HANDED
        return False


def uses(name: str, scope: Function) -> Iterator[ast.Name]:
    """Where a local name is read, in the function and in those inside it."""
    for statement in scope.node.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
                yield node
