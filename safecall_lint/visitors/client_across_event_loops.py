"""SCL109: what a module makes once is used by more than one event loop."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import libcst as cst

from safecall_lint.semantics.model import Function, Module, Scope
from safecall_lint.semantics.roles import in_loop
from safecall_lint.semantics.scan import CallSite
from safecall_lint.semantics.values import Instance, Member, Site
from safecall_lint.visiting.visitor import Visitor

_COMMANDS = re.compile(r"(?:^|/)(?:cli|commands|management)(?:/|\.py$)")
_BOUND = ("client", "gate", "lock", "limiter")


class ClientAcrossEventLoops(Visitor):
    needs = (frozenset({"run"}),)

    def visit_Call(self, node: cst.Call) -> None:
        scope = self.context.scope
        site = self.context.site(node)
        if site is None or self.semantics.calls.kind(site.node, scope) != "run":
            return
        for shared, use in self._shared(site, scope):
            if self._again(site, scope, shared):
                self._report(node, shared, use)
                return

    def _shared(self, site: CallSite, scope: Scope) -> Iterator[tuple[Instance, Site]]:
        """What the coroutine of a run uses and a module makes, with the place of the use."""
        for inner in scope.scan.calls:
            if inner.outer is site:
                for function in self.semantics.evaluator.callees(inner.node, scope):
                    chain = self.semantics.reach.first(function, self._used)
                    if chain:
                        yield chain.end

    def _used(self, site: CallSite, function: Function) -> tuple[Instance, Site] | None:
        """A call of a module's client, or a `with` on its gate, in the function of a call."""
        for value in self.semantics.evaluator.values(site.node.func, function):
            if isinstance(value, Member) and isinstance(value.owner, Instance) and self._is_shared(value.owner):
                return value.owner, Site(function.module, site.node)
        for block in function.scan.withs:
            for item in getattr(block.node, "items", ()):
                for value in self.semantics.evaluator.values(item.context_expr, function):
                    if isinstance(value, Instance) and self._is_shared(value):
                        return value, Site(function.module, item.context_expr)
        return None

    def _is_shared(self, value: Instance) -> bool:
        fact = self.semantics.evaluator.fact(value)
        if fact is None or fact.kind not in _BOUND or fact.style == "sync":
            return False
        return isinstance(value.scope, Module) and value.call is not None

    def _again(self, site: CallSite, scope: Scope, shared: Instance) -> bool:
        """Whether another loop uses the same thing: this run is repeated, or it is not the only one."""
        if in_loop(site.frame):
            return True
        if isinstance(scope, Function) and self.semantics.roles.test(scope):
            return False
        command = _COMMANDS.search(self.context.module.source.path)
        if isinstance(scope, Function) and not command and self.semantics.roles.per_request(scope):
            return True
        others = (row for rows in self.context.module.call_sites.values() for row in rows)
        return any(
            other.node is not site.node
            and self.semantics.calls.kind(other.node, where) == "run"
            and any(found.call is shared.call for found, _ in self._shared(other, where))
            for other, where in others
            if isinstance(other.node.func, ast.Attribute | ast.Name)
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
