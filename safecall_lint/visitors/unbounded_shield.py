"""SCL307: shielded work that nobody holds and nothing ends."""

from __future__ import annotations

import ast

import libcst as cst

from safecall_lint.semantics.model import Function
from safecall_lint.visiting.visitor import Visitor


class UnboundedShield(Visitor):
    needs = (frozenset({"shield"}),)

    def visit_Call(self, node: cst.Call) -> None:
        function = self.context.function
        if function is None or self.semantics.calls.kind(self.context.call(node), self.context.scope) != "shield":
            return
        site = self.context.site(node)
        given = site.node.args[0] if site and site.node.args else None
        if site is None or not isinstance(given, ast.Call):
            return
        if any(limit.cuts(site) for limit in self.semantics.deadlines.of(function)):
            return
        bounded = any(self._bounded(callee) for callee in self.semantics.evaluator.callees(given, function))
        if not bounded and self.semantics.calls.kind(given, function) not in ("wait-for", "future"):
            self.report(
                node,
                "when this is cancelled, the shielded work runs on and nobody has it",
                label="made here and kept nowhere, with no limit on its time",
                help="keep the task in a variable, and bound it: `wait_for(shield(task), timeout)`",
                notes=("the event loop itself holds tasks by weak references only",),
            )

    def _bounded(self, function: Function) -> bool:
        """Whether the work has a limit of its own around everything it waits for."""
        limits = self.semantics.deadlines.of(function)
        awaited = [site for site in function.scan.calls if site.awaited]
        if not limits:
            return False
        return all(any(limit.cuts(site) or limit.node is site.node for limit in limits) for site in awaited)
