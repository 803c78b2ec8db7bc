"""SCL109: what a module makes once is used by more than one event loop."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.knowledge import knowledge
from safecall_lint.semantics.lifetimes import Fate
from safecall_lint.semantics.model import Function, Module, Scope
from safecall_lint.semantics.roles import in_loop
from safecall_lint.semantics.values import Instance, Member, Site
from safecall_lint.visiting.visitor import Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics.event_loops import Run
    from safecall_lint.semantics.scan import CallSite

_LOOPS = [fact for fact in knowledge().facts.values() if fact.kind == "loop"]
_RUNS = frozenset({"run", *(f"loop.{name}" for fact in _LOOPS for name in fact.calls)})
_COMMANDS = re.compile(r"(?:^|/)(?:cli|commands|management)(?:/|\.py$)")
_BOUND = ("client", "gate", "lock", "limiter")


class ClientAcrossEventLoops(Visitor):
    needs = (_RUNS,)

    def visit_Call(self, node: cst.Call) -> None:
        scope = self.context.scope
        site = self.context.site(node)
        run = self.semantics.event_loops.run(site, scope) if site else None
        for shared, use in self._shared(run, scope) if run else ():
            if run and self._again(run, scope, shared):
                self._report(node, shared, use)
                return

    def _shared(self, run: Run, scope: Scope) -> Iterator[tuple[Instance, Site]]:
        """What the coroutines of a run use and a module or the run's own object keeps, with the place of the use."""
        for function in run.functions:
            chain = self.semantics.reach.first(function, lambda site, inner: self._used(site, inner, scope))
            if chain:
                yield chain.end

    def _used(self, site: CallSite, function: Function, scope: Scope) -> tuple[Instance, Site] | None:
        """A call of a client that is kept, or a `with` on a gate, in the function of a call."""
        for value in self.semantics.evaluator.values(site.node.func, function):
            if isinstance(value, Member) and isinstance(value.owner, Instance) and self._is_shared(value.owner, scope):
                return value.owner, Site(function.module, site.node)
        for block in function.scan.withs:
            for item in getattr(block.node, "items", ()):
                for value in self.semantics.evaluator.values(item.context_expr, function):
                    if isinstance(value, Instance) and self._is_shared(value, scope):
                        return value, Site(function.module, item.context_expr)
        return None

    def _is_shared(self, value: Instance, scope: Scope) -> bool:
        """Whether the next run of `scope` meets the same thing: a module made it, or the constructor of the object."""
        fact = self.semantics.evaluator.fact(value)
        if fact is None or fact.kind not in _BOUND or fact.style == "sync" or value.call is None:
            return False
        return isinstance(value.scope, Module) or self._of_object(value, scope)

    def _of_object(self, value: Instance, scope: Scope) -> bool:
        made = value.scope
        if not isinstance(made, Function) or not isinstance(scope, Function) or not made.cls or not scope.cls:
            return False
        if made.name != "__init__" or scope.name == "__init__" or value.call is None:
            return False
        own = made.cls in self.semantics.evaluator.lineage(scope.cls)
        return own and self.semantics.lifetimes.fate(value.call, made) is Fate.KEPT

    def _again(self, run: Run, scope: Scope, shared: Instance) -> bool:
        """Whether another loop uses the same thing: the loop is made repeatedly, or it is not the only one."""
        if in_loop(run.maker.frame):
            return True
        if isinstance(scope, Function) and self.semantics.roles.test(scope):
            return False
        command = _COMMANDS.search(self.context.module.source.path)
        if isinstance(scope, Function) and not command and self.semantics.roles.per_request(scope):
            return True
        sites = (row for rows in self.context.module.call_sites.values() for row in rows)
        others = ((self.semantics.event_loops.run(site, where), where) for site, where in sites)
        return any(
            other.maker.node is not run.maker.node
            and any(found.call is shared.call for found, _ in self._shared(other, where))
            for other, where in others
            if other is not None
        )

    def _report(self, node: cst.Call, shared: Instance, use: Site) -> None:
        name = shared.name.rpartition(".")[2]
        made = shared.site
        self.report(
            node,
            f"each run has its own event loop, but the `{name}` is bound to one",
            label="starts a new event loop, and ends it",
            labels=[*([(made, "made once for the process")] if made else []), (use, "used here")],
            help="make it in the coroutine that is run, or keep one per event loop",
            notes=["what was opened in a loop that has ended fails with `Event loop is closed` or waits for ever"],
        )
