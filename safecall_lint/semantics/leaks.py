"""Permits that an `acquire()` takes and that some way out of the function does not give back."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from safecall_lint.semantics.flow import own_nodes
from safecall_lint.semantics.values import FunctionValue, Instance, Object, Site

if TYPE_CHECKING:
    from safecall_lint.semantics.calls import Calls
    from safecall_lint.semantics.holding import Holding
    from safecall_lint.semantics.model import Function
    from safecall_lint.semantics.scan import CallSite

_QUIET: Final = frozenset(
    {"log", "logger", "logging", "LOG", "LOGGER", "_logger", "print", "time", "_log", "perf_counter", "monotonic"}
)
_ROOTS: Final = frozenset({"builtins.BaseException"})


class Leak(Struct, frozen=True):
    """An `acquire()` that is not always undone. `release` is the place that would undo it, `risk` the first one
    between them that can fail or be cancelled."""

    site: CallSite
    of: Instance | Object
    kind: str
    release: Site
    risk: Site


class Leaks(Struct, eq=False):
    """Finds permits that get lost."""

    calls: Calls
    holding: Holding

    def of(self, function: Function) -> Iterator[Leak]:
        """The permits that a function takes by `acquire()` and loses where it fails or is cancelled."""
        for site in function.scan.calls:
            admission = self.calls.admission(site.node, function)
            if (
                admission is None
                or admission.kind not in ("gate", "lock")
                or not isinstance(site.node.func, ast.Attribute)
            ):
                continue
            if self.holding.permits(admission.of) == 0 or self.calls.spawned(site):
                continue
            if self._ends_with(site, site.node.func.value, function):
                continue
            found = self._judge(site, site.node.func.value, function)
            if found:
                yield Leak(site, admission.of, admission.kind, *found)

    def _ends_with(self, site: CallSite, target: ast.expr, function: Function) -> bool:
        """Whether the gate is made by the function's own call, so that a permit which is lost by a failure is gone
        together with the gate; a loop that goes on after failures would miss it."""
        while isinstance(target, ast.Attribute):
            target = target.value
        if not isinstance(target, ast.Name) or target.id not in function.scan.bindings:
            return False
        values = self.calls.evaluator.values(target, function)
        own = bool(values) and all(isinstance(one, Instance | Object) and one.scope is function for one in values)
        loops = (frame.node for frame in (site.frame.chain() if site.frame else ()))
        return own and not any(_goes_on(node) for node in loops if isinstance(node, ast.For | ast.AsyncFor | ast.While))

    def _judge(self, site: CallSite, target: ast.expr, function: Function) -> tuple[Site, Site] | None:
        releases = [node for node in self._releases(ast.dump(target), function) if node.lineno > site.node.lineno]
        if not releases:
            return self._handed(site, function)
        for node in _tries(function):
            if self._guarded(node, site, releases, function):
                return self._before(site, node, function, releases[0])
        return self._before(site, releases[0], function, releases[0], calls=True)

    def _guarded(self, node: ast.Try, site: CallSite, releases: list[ast.expr], function: Function) -> bool:
        """Whether a `try` gives the permit back however its body ends."""
        if (node.end_lineno or 0) < site.node.lineno:
            return False
        caught = [handler.body for handler in node.handlers if self._catches_all(handler, function)]
        return any(_holds(body, release) for body in (node.finalbody, *caught) for release in releases)

    def _catches_all(self, handler: ast.ExceptHandler, function: Function) -> bool:
        if handler.type is None:
            return True
        return any(
            getattr(value, "name", "") in _ROOTS for value in self.calls.evaluator.values(handler.type, function)
        )

    @staticmethod
    def _before(
        site: CallSite, end: ast.stmt | ast.expr, function: Function, release: ast.expr, calls: bool = False
    ) -> tuple[Site, Site] | None:
        """What can fail between taking the permit and the place from which it is safe, or given back."""
        risk = next(_risks(function, site.statement, end.lineno, calls), None)
        return (Site(function.module, release), Site(function.module, risk)) if risk else None

    def _handed(self, site: CallSite, function: Function) -> tuple[Site, Site] | None:
        """A permit that a task or a callback is to give back, when something may fail before that one has it."""
        for other in function.scan.calls:
            if other.node.lineno <= site.node.lineno or not self._spawns(other):
                continue
            risk = next(_risks(function, site.statement, other.node.lineno, calls=False), None)
            return (Site(function.module, other.node), Site(function.module, risk)) if risk else None
        return None

    @staticmethod
    def _spawns(site: CallSite) -> bool:
        func = site.node.func
        name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
        return name in ("create_task", "ensure_future", "start_soon", "add_done_callback")

    def _releases(self, target: str, function: Function) -> Iterator[ast.expr]:
        """Where a function gives the permit back: by the method, or by naming a function of the module that does."""
        for node in _nodes(function.node.body):
            by_method = isinstance(node, ast.Attribute) and node.attr == "release" and ast.dump(node.value) == target
            if isinstance(node, ast.expr) and (by_method or self._helper(node, target, function)):
                yield node

    def _helper(self, node: ast.expr, target: str, function: Function) -> bool:
        if not isinstance(node, ast.Name) or node.id not in {item.name for item in function.module.functions.values()}:
            return False
        values = self.calls.evaluator.values(node, function)
        return any(_gives_back(value.function, target) for value in values if isinstance(value, FunctionValue))


def _goes_on(loop: ast.stmt) -> bool:
    """Whether a failure inside a loop may be followed by another turn."""
    return any(isinstance(node, ast.Try) and node.handlers for node in ast.walk(loop))


def _gives_back(function: Function, target: str) -> bool:
    return any(
        isinstance(site.node.func, ast.Attribute)
        and site.node.func.attr == "release"
        and ast.dump(site.node.func.value) == target
        for site in function.scan.calls
    )


def _nodes(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Everything in a body, inner functions included, in source order."""
    return _in_order(node for statement in body for node in ast.walk(statement))


def _in_order(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    return iter(sorted(nodes, key=lambda node: (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))))


def _tries(function: Function) -> Iterator[ast.Try]:
    for block in function.scan.tries:
        if isinstance(block.node, ast.Try):
            yield block.node


def _holds(body: list[ast.stmt], node: ast.expr) -> bool:
    return bool(body) and body[0].lineno <= node.lineno <= (body[-1].end_lineno or 0)


def _risks(function: Function, taken: ast.stmt, end: int, calls: bool) -> Iterator[ast.expr]:
    """What suspends, or with `calls` also what may raise, between a statement and a line."""
    elsewhere = [(body[0].lineno, body[-1].end_lineno or 0) for body in _other_ways(function, taken) if body]
    for node in _in_order(own_nodes(function.node.body)):
        line: int = getattr(node, "lineno", 0)
        if not (taken.end_lineno or taken.lineno) < line < end or any(a <= line <= b for a, b in elsewhere):
            continue
        if isinstance(node, ast.Await) or (calls and isinstance(node, ast.Call) and not _is_quiet(node)):
            yield node


def _other_ways(function: Function, taken: ast.stmt) -> Iterator[list[ast.stmt]]:
    """Blocks that do not run after a statement: the other branch of an `if` around it, and the handlers of a `try`
    whose body it is in, for they run when it failed."""
    for node in _nodes(function.node.body):
        if isinstance(node, ast.If) and _within(taken, node.body):
            yield node.orelse
        elif isinstance(node, ast.If) and _within(taken, node.orelse):
            yield node.body
        elif isinstance(node, ast.Try) and _within(taken, node.body) and node.body[-1] is taken:
            yield from (handler.body for handler in node.handlers)


def _within(statement: ast.stmt, body: list[ast.stmt]) -> bool:
    return bool(body) and body[0].lineno <= statement.lineno <= (body[-1].end_lineno or 0)


def _is_quiet(call: ast.Call) -> bool:
    root: ast.expr = call.func
    while isinstance(root, ast.Attribute):
        if root.attr in _QUIET:
            return True
        root = root.value
    return isinstance(root, ast.Name) and root.id in _QUIET
