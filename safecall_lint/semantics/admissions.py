"""Waiting for admission under a limit on time: queue timeouts, and what else they cover."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from safecall_lint.semantics.model import Function, Scope, enclosing
from safecall_lint.semantics.roles import in_loop
from safecall_lint.semantics.scan import CallSite, Frame
from safecall_lint.semantics.values import Instance, Object, Site

if TYPE_CHECKING:
    from safecall_lint.semantics.calls import Calls
    from safecall_lint.semantics.deadlines import Deadline, Deadlines
    from safecall_lint.semantics.evaluate import Evaluator
    from safecall_lint.semantics.reach import Reach

_KINDS = ("gate", "lock", "limiter")
_WAITING_NAME = re.compile(r"queue|acqui|admission|admit|slot|wait_timeout|lock_timeout|max_wait")
_WHOLE_NAME = re.compile(r"total|deadline|overall|sla|budget|wall|job|run_timeout|task_timeout|whole")
_MOVING = frozenset({"reschedule", "deadline", "shift", "update", "cancel", "reject"})
_DEPTH = 4


class Wait(Struct, frozen=True):
    """A wait for a gate, lock or limiter. `block` is the `with` that holds it afterwards, None for `acquire()`."""

    of: Instance | Object
    kind: str
    node: ast.expr
    block: ast.With | ast.AsyncWith | None
    frame: Frame | None
    scope: Scope

    @property
    def site(self) -> Site:
        return Site(self.scope.module, self.node)


class Bound(Struct, frozen=True):
    """A limit that a call has for itself: a deadline around it, or the `timeout=` it was given."""

    site: Site
    seconds: float | None
    limit: ast.expr | None
    scope: Scope


class QueueTimeout(Struct, frozen=True):
    """A deadline that covers a wait for admission.

    `steps` are the calls that lead to the wait, `work` is the first call to a vendor or process that runs under the
    same deadline afterwards, `bounds` are the limits of such calls. `alone`: nothing else is waited for under it.
    """

    deadline: Deadline
    wait: Wait
    steps: tuple[CallSite, ...]
    work: Site | None
    bounds: tuple[Bound, ...]
    alone: bool

    @property
    def direct(self) -> bool:
        return not self.steps


class Admissions(Struct, eq=False):
    """Finds deadlines over waits for admission."""

    calls: Calls
    reach: Reach
    deadlines: Deadlines

    @property
    def evaluator(self) -> Evaluator:
        return self.calls.evaluator

    # -- waits ---------------------------------------------------------------------------------------------------

    def waits(self, scope: Scope) -> Iterator[Wait]:
        """The waits for admission in a scope's own code, in source order by form."""
        for block in scope.scan.withs:
            assert isinstance(block.node, ast.With | ast.AsyncWith)
            for index, item in enumerate(block.node.items):
                for value in self.evaluator.of_kind(item.context_expr, scope, *_KINDS)[:1]:
                    frame = Frame(block.node, "items", block.frame, index)
                    kind = self.evaluator.kind(value)
                    yield Wait(value, kind, item.context_expr, block.node, frame, scope)
        for site in scope.scan.calls:
            found = self.calls.admission(site.node, scope)
            if found and found.kind in _KINDS:
                yield Wait(found.of, found.kind, site.node, None, site.frame, scope)

    def queue_timeouts(self, scope: Scope) -> list[QueueTimeout]:
        """The deadlines of a scope that are meant for waiting: nothing but the wait runs under them, or what follows
        it has a limit of its own."""
        found = (self.queued(deadline, scope) for deadline in self.deadlines.of(scope) if not deadline.whole)
        return [item for item in found if item and (item.alone or (item.work and self.for_waiting(item)))]

    def queued(self, deadline: Deadline, scope: Scope) -> QueueTimeout | None:
        """What a deadline covers, when a wait for admission is the first of it."""
        moved = self.moved(deadline)
        if moved is not None:
            waits = self._own(deadline, scope) if _is_end(moved) else iter(())
            return next((QueueTimeout(deadline, wait, (), None, (), True) for wait in waits), None)
        for wait in self._own(deadline, scope):
            found = self._judged(deadline, wait, (), scope)
            if found:
                return found
        for site in scope.scan.calls:
            if deadline.cuts(site) and not self.calls.spawned(site) and not self._repeated(site.frame, deadline):
                found = self._through(deadline, site, (), scope)
                if found:
                    return found
        return None

    def _own(self, deadline: Deadline, scope: Scope) -> Iterator[Wait]:
        for wait in self.waits(scope):
            under = deadline.holds(wait.frame)
            if isinstance(deadline.node, ast.Call) and wait.block is None:
                under = under or any(arg is wait.node for arg in deadline.node.args)
            if under and not self._repeated(wait.frame, deadline):
                yield wait

    def _through(
        self, deadline: Deadline, site: CallSite, steps: tuple[CallSite, ...], scope: Scope
    ) -> QueueTimeout | None:
        """The wait that a call under the deadline leads to, unless it is one of many in a loop."""
        if len(steps) >= _DEPTH:
            return None
        steps = (*steps, site)
        for callee in self.evaluator.callees(site.node, scope):
            if not self.reach.runs(site, callee) or any(step.node is site.node for step in steps[:-1]):
                continue
            for wait in self.waits(callee):
                if not in_loop(wait.frame) and (found := self._judged(deadline, wait, steps, scope)):
                    return found
            for inner in callee.scan.calls:
                if not self.calls.spawned(inner) and not in_loop(inner.frame):
                    found = self._through(deadline, inner, steps, callee)
                    if found:
                        return found
        return None

    @staticmethod
    def _repeated(frame: Frame | None, deadline: Deadline) -> bool:
        """Whether a loop between the deadline and a place makes the deadline one for many turns."""
        outside = {around.node for around in _chain(deadline.frame)}
        for around in _chain(frame):
            if around.node is deadline.node or around.node in outside:
                return False
            if around.section == "comprehension" or isinstance(around.node, ast.For | ast.AsyncFor | ast.While):
                return True
        return False

    @staticmethod
    def moved(deadline: Deadline) -> ast.AST | None:
        """Where the code moves the deadline while it runs: `t.reschedule(None)`, `scope.deadline = ...`."""
        if not deadline.name or isinstance(deadline.node, ast.Call):
            return None
        for node in ast.walk(deadline.node):
            target = node.func if isinstance(node, ast.Call) else node
            if not isinstance(target, ast.Attribute) or target.attr not in _MOVING:
                continue
            if isinstance(target.value, ast.Name) and target.value.id == deadline.name:
                return node
        return None

    # -- what else the deadline covers ---------------------------------------------------------------------------

    def _judged(self, deadline: Deadline, wait: Wait, steps: tuple[CallSite, ...], scope: Scope) -> QueueTimeout | None:
        if self._local(wait, deadline):
            return None
        sites = [site for site in wait.scope.scan.calls if self._follows(site, wait, deadline)]
        work = next((found for site in sites if (found := self._work(site, wait.scope))), None)
        bounds = tuple(self._bounds(sites, wait))
        if work is None and wait.kind == "lock" and (wait.block is not None or steps):
            return None
        alone = not steps and not any(site.awaited or site.node is not wait.node for site in sites)
        return QueueTimeout(deadline, wait, steps, work, bounds, alone)

    @staticmethod
    def _local(wait: Wait, deadline: Deadline) -> bool:
        """Whether the gate is made around the deadline itself: it bounds a fan-out of this one call."""
        made = wait.of.scope if isinstance(wait.of, Instance | Object) else None
        return isinstance(made, Function) and made in list(enclosing(deadline.scope))

    @staticmethod
    def _follows(site: CallSite, wait: Wait, deadline: Deadline) -> bool:
        """Whether a call runs after admission and still under the deadline."""
        if wait.block is not None and wait.kind != "limiter":
            return any(around.node is wait.block and around.section == "body" for around in _chain(site.frame))
        after = (site.node.lineno, site.node.col_offset) > (wait.node.lineno, wait.node.col_offset)
        return after and (site.node is not wait.node) and (wait.scope is not deadline.scope or deadline.cuts(site))

    def _work(self, site: CallSite, scope: Scope) -> Site | None:
        """The vendor call or process that a call makes, itself or below."""
        if self.calls.spawned(site):
            return None
        if self._outside(site, scope):
            return Site(scope.module, site.node)
        for callee in self.evaluator.callees(site.node, scope):
            if self.reach.runs(site, callee) and self.reach.first(callee, self._outside):
                return Site(scope.module, site.node)
        return None

    def _outside(self, site: CallSite, scope: Scope) -> bool | None:
        known = self.calls.vendor(site.node, scope) or self.calls.kind(site.node, scope) == "process"
        return True if known else None

    def _bounds(self, sites: list[CallSite], wait: Wait) -> Iterator[Bound]:
        """The limits of their own that the calls after admission have."""
        yield from self._limits(wait.scope, sites, wait)
        below: dict[Function, None] = {}
        for site in sites:
            if not self.calls.spawned(site):
                for callee in self.evaluator.callees(site.node, wait.scope):
                    if self.reach.runs(site, callee):
                        below.update(dict.fromkeys(self.reach.below(callee)))
        for function in below:
            yield from self._limits(function, function.scan.calls)

    def _limits(self, scope: Scope, sites: list[CallSite], wait: Wait | None = None) -> Iterator[Bound]:
        for deadline in self.deadlines.of(scope):
            if wait and deadline.holds(wait.frame):
                continue
            own = isinstance(deadline.node, ast.Call) and any(site.node is deadline.node for site in sites)
            covered = [site for site in sites if deadline.cuts(site) and self._work(site, scope)]
            if covered or (own and self._waits_for_task(deadline, scope)):
                yield Bound(deadline.site, deadline.seconds, deadline.limit, scope)
        for site in sites:
            vendor = self.calls.vendor(site.node, scope)
            stated = self.deadlines.stated(vendor) if vendor else None
            if vendor and stated is not None and not _is_none(stated):
                yield Bound(Site(scope.module, site.node), self.deadlines.own(vendor), stated, scope)

    def _waits_for_task(self, deadline: Deadline, scope: Scope) -> bool:
        """`wait_for(task, ...)` where the task makes a vendor call: the name is bound to a call that does."""
        maker = deadline.maker.args[0] if deadline.maker.args else None
        if not isinstance(maker, ast.Name):
            return False
        made = [row.value for row, _ in scope.lookup(maker.id) if row.value is not None]
        inside = [site for site in scope.scan.calls if any(site.node in ast.walk(value) for value in made)]
        return any(
            self._outside(site, scope)
            or any(self.reach.first(callee, self._outside) for callee in self.evaluator.callees(site.node, scope))
            for site in inside
        )

    # -- what a deadline is for ----------------------------------------------------------------------------------

    def for_waiting(self, found: QueueTimeout) -> bool:
        """Whether a deadline that covers a wait and a call is meant for the wait.

        It is where its name says so, or where the call has a limit of its own that the deadline undercuts. A limit that
        leaves room for the calls' own limits is one for the whole.
        """
        name = ast.unparse(found.deadline.limit).lower() if found.deadline.limit is not None else ""
        if _WAITING_NAME.search(name):
            return True
        if _WHOLE_NAME.search(name) or not found.bounds:
            return False
        outer = found.deadline.seconds
        inner = [bound.seconds for bound in found.bounds]
        if outer is not None and all(seconds is not None for seconds in inner):
            return outer <= sum(seconds for seconds in inner if seconds is not None)
        return found.direct or any(self._same(found.deadline, bound) for bound in found.bounds)

    def _same(self, deadline: Deadline, bound: Bound) -> bool:
        """Whether two limits can be the same numbers, and no others."""
        if deadline.limit is None or bound.limit is None:
            return False
        outer = set(self.evaluator.values(deadline.limit, deadline.scope))
        return bool(outer) and outer == set(self.evaluator.values(bound.limit, bound.scope))


def _chain(frame: Frame | None) -> Iterator[Frame]:
    yield from frame.chain() if frame else ()


def _is_none(expr: ast.expr) -> bool:
    return isinstance(expr, ast.Constant) and expr.value is None


def _is_end(moved: ast.AST) -> bool:
    """Whether a deadline that is moved is taken away: `reschedule(None)`, or another `deadline` set."""
    if isinstance(moved, ast.Call):
        return any(_is_none(argument) for argument in moved.args)
    return isinstance(moved, ast.Attribute) and isinstance(moved.ctx, ast.Store)
