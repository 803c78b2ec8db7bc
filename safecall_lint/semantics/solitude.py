"""Whether a gate can ever be met by two tasks: one that only its maker sees limits nothing."""

from __future__ import annotations

import ast
from enum import Enum, auto
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from safecall_lint.semantics.evaluation.arguments import argument_of
from safecall_lint.semantics.lifetimes import Lifetimes, uses
from safecall_lint.semantics.model import Function
from safecall_lint.semantics.roles import CACHED, Roles

if TYPE_CHECKING:
    from safecall_lint.semantics.calls import Calls
    from safecall_lint.semantics.scan import CallSite

_DEPTH = 4
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_REPEATING = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_OWN = frozenset({"acquire", "release", "locked", "has_capacity"})

How = Literal["inline", "local", "task", "property", "factory"]


class _Use(Enum):
    """One use of a gate: by the task that made it, by one other task, or by any number of them."""

    ALONE = auto()
    TASK = auto()
    SHARED = auto()


class Solitude(Struct, eq=False):
    """Follows a new gate or limiter to the tasks that can take it. Doubt counts as: others can."""

    calls: Calls
    lifetimes: Lifetimes
    roles: Roles

    def how(self, site: CallSite, function: Function, paces: bool) -> How | None:
        """In what way a gate made by `site` is met by a single task only; None where it is not.

        `paces`: it is a limiter, which also slows down a loop of one task.
        """
        parents = list(self.lifetimes.around(site.node, function))
        parent = parents[0] if parents else None
        if isinstance(parent, ast.withitem) and parent.context_expr is site.node:
            return None if paces and self._repeated(site.node, site.node, function) else "inline"
        if self._returned(parents):
            return self._of_maker(function, parents)
        if isinstance(parent, ast.Assign) and len(parent.targets) == 1 and isinstance(parent.targets[0], ast.Name):
            return self._of_local(parent.targets[0].id, site.node, function, paces)
        found = self._use(site.node, site.node, function, paces, _DEPTH)
        repeated = any(isinstance(outer, _REPEATING) for outer in parents)
        return (
            "task"
            if repeated and found in (_Use.TASK, _Use.ALONE) and isinstance(parent, ast.Call | ast.keyword)
            else None
        )

    # -- makers ------------------------------------------------------------------------------------------------------

    @staticmethod
    def _returned(parents: list[ast.AST]) -> bool:
        through = [node for node in parents if not isinstance(node, ast.BoolOp | ast.IfExp)]
        return bool(through) and isinstance(through[0], ast.Return)

    def _of_maker(self, function: Function, parents: list[ast.AST]) -> How | None:
        names = set(function.decorator_names)
        if names & CACHED:
            return None
        if "property" in names:
            return "property"
        callers = self.roles.callers(function)
        if names or function.is_async or not isinstance(parents[0], ast.Return) or not callers:
            return None
        entered = all(isinstance(scope, Function) and self._entered(caller.node, scope) for caller, scope in callers)
        return "factory" if entered else None

    def _entered(self, call: ast.Call, scope: Function) -> bool:
        parent = next(self.lifetimes.around(call, scope), None)
        return isinstance(parent, ast.withitem) and parent.context_expr is call

    # -- uses --------------------------------------------------------------------------------------------------------

    def _of_local(self, name: str, made: ast.AST, function: Function, paces: bool) -> How | None:
        if (
            len(function.scan.bindings.get(name, ())) != 1
            or name in function.scan.global_names | function.scan.nonlocal_names
        ):
            return None
        if any(name in inner.scan.nonlocal_names for inner in function.functions.values()):
            return None
        found = [self._use(use, made, function, paces, _DEPTH) for use in uses(name, function)]
        if not found or _Use.SHARED in found:
            return None
        if _Use.TASK in found:
            return "task" if len(found) == 1 else None
        return "local"

    def _parameter(self, name: str, function: Function, paces: bool, depth: int) -> bool:
        """Whether a function takes the gate it is handed by itself only."""
        if not depth or not function.is_async or len(function.scan.bindings.get(name, ())) != 1:
            return False
        found = [self._use(use, None, function, paces, depth - 1) for use in uses(name, function)]
        return bool(found) and all(use is _Use.ALONE for use in found)

    def _use(self, node: ast.AST, made: ast.AST | None, function: Function, paces: bool, depth: int) -> _Use:
        parents = list(self.lifetimes.around(node, function))
        if not self._runs_once(parents, function):
            return _Use.SHARED
        child = node
        for index, parent in enumerate(parents):
            if isinstance(parent, ast.withitem) and child is parent.context_expr:
                slowed = paces and self._repeated(node, made, function)
                return _Use.SHARED if slowed else _Use.ALONE
            if isinstance(parent, ast.Attribute):
                return _Use.ALONE if parent.attr in _OWN and not paces else _Use.SHARED
            if isinstance(parent, ast.Call) and child is not parent.func:
                awaited = isinstance(parents[index + 1], ast.Await) if index + 1 < len(parents) else False
                return self._passed(child, parent, made, function, awaited, paces, depth)
            if not isinstance(parent, ast.keyword):
                return _Use.SHARED
            child = parent
        return _Use.SHARED

    def _passed(
        self,
        child: ast.AST,
        call: ast.Call,
        made: ast.AST | None,
        function: Function,
        awaited: bool,
        paces: bool,
        depth: int,
    ) -> _Use:
        """The gate as an argument: of a coroutine that is awaited right here, or of one that becomes a task."""
        callees = self.calls.evaluator.callees(call, function)
        names = [(callee, self._parameter_of(child, call, callee)) for callee in callees]
        if not names or not all(name and self._parameter(name, callee, paces, depth) for callee, name in names):
            return _Use.SHARED
        if awaited:
            return _Use.SHARED if paces and self._repeated(call, made, function) else _Use.ALONE
        return _Use.SHARED if self._repeated(call, made, function) else _Use.TASK

    @staticmethod
    def _parameter_of(child: ast.AST, call: ast.Call, function: Function) -> str | None:
        value = child.value if isinstance(child, ast.keyword) else child
        every = [*function.parameters, *(arg.arg for arg in function.node.args.kwonlyargs)]
        return next((name for name in every if argument_of(call, name, function) is value), None)

    def _repeated(self, node: ast.AST, made: ast.AST | None, function: Function) -> bool:
        """Whether a place runs several times for one gate: in a loop that the gate was not made in."""
        outside = set(self.lifetimes.around(made, function)) if made is not None else set()
        return any(
            isinstance(outer, _REPEATING) and outer not in outside for outer in self.lifetimes.around(node, function)
        )

    def _runs_once(self, parents: list[ast.AST], function: Function) -> bool:
        """Whether a place is run by the function itself: in no inner function but those that it simply awaits."""
        for parent in parents:
            if isinstance(parent, ast.AsyncFunctionDef):
                if not all(self._awaited_call(use, function) for use in uses(parent.name, function)):
                    return False
            elif isinstance(parent, _SCOPES):
                return False
        return True

    def _awaited_call(self, use: ast.Name, function: Function) -> bool:
        around = list(self.lifetimes.around(use, function))
        called = len(around) > 1 and isinstance(around[0], ast.Call) and around[0].func is use
        return called and isinstance(around[1], ast.Await) and not any(isinstance(outer, _SCOPES) for outer in around)
