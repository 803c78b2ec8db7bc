"""SCL601: a limiter in memory, once per process, for a quota that the vendor counts once."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.keeping import outlives
from safecall_lint.semantics.stores import in_memory, stored
from safecall_lint.semantics.values import Instance, Object, Site
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.semantics.deployment import Processes
    from safecall_lint.semantics.shares import Share

_OWN = "a limiter in memory knows only the calls of its own process"


class PerPodRateLimiter(Visitor):
    needs = (frozenset({"limiter", "new:limiter"}),)

    def visit_Call(self, node: cst.Call) -> None:
        kept = outlives(self.context.twin(self.context.statement()), self.context.scope)
        site = self.context.site(node) if kept else None
        if site is None:
            return
        for value in self.semantics.evaluator.values(site.node, self.context.scope):
            if self.semantics.evaluator.kind(value) == "limiter" and isinstance(value, Instance | Object):
                if value.call is site.node and not self._is_shared(value):
                    self._made(node, value)
                return

    def _made(self, node: cst.Call, value: Instance | Object) -> None:
        module = self.context.module
        processes = self.semantics.deployment.of(module.file)
        if not processes or not self.semantics.guarding.vendor(value, self._name(), module):
            return
        share = self.semantics.shares.of(value)
        if share is None or not share.enough(processes.count):
            self._report(node, value, processes, share)

    def _report(self, node: cst.Call, value: Instance | Object, processes: Processes, share: Share | None) -> None:
        self.report(
            node,
            self._product(value, processes, share),
            label="one for each process",
            labels=[(row.site, row.says) for row in processes.evidence],
            notes=[_OWN],
            help="divide the limit by the number of processes, or count in a store that all of them share",
            fix=self._divided(value, processes) if share is None else None,
        )

    def _product(self, value: Instance | Object, processes: Processes, share: Share | None) -> str:
        if processes.count is None:
            return "each process has this limiter: the vendor sees them all together"
        limit, count = self.semantics.shares.limit(value), processes.count
        meant = share.whole if share else limit
        seen = f"up to {limit * count:g} calls, not {meant:g}" if limit and meant else "all of them"
        return f"{count} processes limit apart: the vendor sees {seen}"

    def _divided(self, value: Instance | Object, processes: Processes) -> Rewrite | None:
        """The limit divided by the number of processes, where that is known and leaves enough for a call."""
        fact, limit = self.semantics.evaluator.fact(value), self.semantics.shares.limit(value)
        stated = self.semantics.shares.stated(value)
        if not (processes.fixed and processes.count and fact and limit and stated) or fact.value_least is None:
            return None
        if limit / processes.count < fact.value_least or self._is_weighed(value, fact):
            return None
        text = ast.unparse(stated)
        whole = text if isinstance(stated, ast.Constant | ast.Name | ast.Attribute | ast.Call) else f"({text})"
        site = Site(self.context.module, stated)
        risk = f"a process keeps to its share while others need none, and {processes.count} is what the files say today"
        title = f"give each of {processes.count} processes its share"
        return Rewrite(title, Safety.UNSAFE, sites=[(site, f"{whole} / {processes.count}")], risk=risk)

    def _is_weighed(self, value: Instance | Object, fact: Fact) -> bool:
        """Whether one call may take more of the limit than a share of it has."""
        return bool(fact.value_least) and self.semantics.guarding.weighs(value, self._name(), self.context.module)

    def _name(self) -> str:
        """What the limiter is called where it is kept: a variable, an attribute, or a collection."""
        statement = self.context.twin(self.context.statement())
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        for target in targets:
            kept = target.value if isinstance(target, ast.Subscript) else target
            if isinstance(kept, ast.Name | ast.Attribute):
                return kept.id if isinstance(kept, ast.Name) else kept.attr
        return ""

    def _is_shared(self, value: Instance | Object) -> bool:
        """Whether a limiter keeps its count where other processes see it."""
        if isinstance(value, Object):
            return stored(value.cls, self.semantics.evaluator)
        fact = self.semantics.evaluator.fact(value)
        if fact is None or value.call is None or value.scope is None:
            return False
        return not in_memory(value.call, value.scope, fact, self.semantics.evaluator)
