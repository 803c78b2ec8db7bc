"""SCL307: shielded work that nobody holds and nothing ends."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.visiting.visitor import Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function


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
        if self._kept(given, function):
            return
        bounded = any(self._bounded(callee) for callee in self.semantics.evaluator.callees(given, function))
        if not bounded and self.semantics.calls.kind(given, function) != "wait-for":
            self.report(
                node,
                "when this is cancelled, the shielded work runs on and nobody has it",
                label="made here and kept nowhere, with no limit on its time",
                help="keep the task in a variable, and bound it: `wait_for(shield(task), timeout)`",
                notes=("the event loop itself holds tasks by weak references only",),
            )

    def _kept(self, given: ast.Call, function: Function) -> bool:
        """Whether the work is somebody's already: a future of another thread, or tasks that have names."""
        kind = self.semantics.calls.kind(given, function)
        args = [arg.value if isinstance(arg, ast.Starred) else arg for arg in given.args]
        named = bool(args) and all(isinstance(arg, ast.Name | ast.Attribute) for arg in args)
        return kind == "future" or (kind == "fan-out" and named)

    def _bounded(self, function: Function) -> bool:
        """Whether the work has a limit of its own around everything it waits for."""
        limits = self.semantics.deadlines.of(function)
        awaited = [site for site in function.scan.calls if site.awaited]
        if not limits:
            return False
        return all(any(limit.cuts(site) or limit.node is site.node for limit in limits) for site in awaited)
