"""SCL601: a limiter in memory, once per process, for a quota that the vendor counts once."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.semantics.calls import argument
from safecall_lint.semantics.model import Function
from safecall_lint.semantics.stores import in_memory, stored
from safecall_lint.semantics.values import Instance, Object
from safecall_lint.visiting.visitor import Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics.deployment import Processes

_OWN = "a limiter in memory knows only the calls of its own process"


class PerPodRateLimiter(Visitor):
    needs = (frozenset({"limiter", "new:limiter"}),)

    def visit_Call(self, node: cst.Call) -> None:
        site = self.context.site(node) if self._kept() else None
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
        if processes and self.semantics.guarding.vendor(value, self._name(), module):
            self._report(node, value, processes)

    def _report(self, node: cst.Call, value: Instance | Object, processes: Processes) -> None:
        self.report(
            node,
            self._product(value, processes),
            label="one for each process",
            labels=[(row.site, row.says) for row in processes.evidence],
            notes=[_OWN],
            help="count in a store that all processes share, such as Redis",
        )

    def _product(self, value: Instance | Object, processes: Processes) -> str:
        if processes.count is None:
            return "each process has this limiter: the vendor sees them all together"
        limit, count = self._limit(value), processes.count
        seen = f"up to {limit * count:g} calls, not {limit:g}" if limit else "all of them"
        return f"{count} processes limit apart: the vendor sees {seen}"

    def _limit(self, value: Instance | Object) -> float | None:
        fact = self.semantics.evaluator.fact(value)
        if fact is None or value.call is None or value.scope is None:
            return None
        first = value.call.args[0] if value.call.args else None
        stated = argument(value.call, fact) if fact.value_keyword else first
        return self.semantics.evaluator.number(stated, value.scope)

    def _kept(self) -> bool:
        """Whether what is made here lives as long as the process: on module or class level, or on an object."""
        if not isinstance(self.context.scope, Function):
            return True
        statement = self.context.twin(self.context.statement())
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        return any(isinstance(target, ast.Attribute | ast.Subscript) for target in targets)

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
