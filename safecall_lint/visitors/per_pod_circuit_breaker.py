"""SCL602: a circuit breaker in memory, once per process."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.semantics.calls import argument
from safecall_lint.semantics.keeping import outlives
from safecall_lint.semantics.stores import in_memory, stored
from safecall_lint.semantics.values import ClassValue
from safecall_lint.visiting.shared_breaker import shared
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.semantics.deployment import Processes
    from safecall_lint.semantics.model import Class, Function


class PerPodCircuitBreaker(Visitor):
    needs = (frozenset({"breaker", "new:breaker"}),)

    def visit_Call(self, node: cst.Call) -> None:
        call = self.context.call(node)
        fact = self.semantics.calls.symbol(call, self.context.scope)
        if fact is not None and fact.kind == "breaker":
            if in_memory(call, self.context.scope, fact, self.semantics.evaluator):
                self._in_memory(node, self._threshold(call, fact), shared(node, fact, self.context))
        elif _registry(self.context.function) or not self._own(call):
            return
        elif outlives(self.context.twin(self.context.statement()), self.context.scope):
            self._in_memory(node, None, None)

    def _in_memory(self, node: cst.Call, threshold: float | None, fix: Rewrite | None) -> None:
        processes = self.semantics.deployment.of(self.context.module.file)
        if processes is None:
            return
        opens = f", and each opens after {threshold:g} failures" if threshold else ""
        self.report(
            node,
            _message(processes),
            label=f"one for each process{opens}",
            labels=[(row.site, row.says) for row in processes.evidence],
            notes=_product(processes, threshold),
            help="keep the breaker's state in a store that all processes share, such as Redis",
            fix=fix,
        )

    def _threshold(self, call: ast.Call, fact: Fact) -> float | None:
        given = argument(call, fact)
        return self.semantics.evaluator.number(given, self.context.scope) if given is not None else fact.value_default

    def _own(self, call: ast.Call) -> bool:
        """Whether the call makes a breaker of the project: a class of that name that counts failures, or holds such."""
        for value in self.semantics.evaluator.values(call.func, self.context.scope):
            if isinstance(value, ClassValue) and "breaker" in value.cls.name.lower():
                seen = stored(value.cls, self.semantics.evaluator)
                return not seen and (_counts(value.cls) or any(map(_counts, self._made_by(value.cls))))
        return False

    def _made_by(self, cls: Class) -> list[Class]:
        """The breakers that a registry's methods make."""
        calls = [(site.node, method) for method in cls.methods.values() for site in method.scan.calls]
        found = [value for call, method in calls for value in self.semantics.evaluator.values(call.func, method)]
        return [value.cls for value in found if isinstance(value, ClassValue) and "breaker" in value.cls.name.lower()]


def _registry(function: Function | None) -> bool:
    """Whether a method belongs to a class that holds breakers: where that one is made is what is told."""
    return function is not None and function.cls is not None and "breaker" in function.cls.name.lower()


def _counts(cls: Class) -> bool:
    """Whether a class counts failures on itself, or has a method to be told of them."""
    told = any("failure" in name and not name.startswith("get") for name in cls.methods)
    return told or any(
        isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Attribute) and "fail" in node.target.attr
        for node in ast.walk(cls.node)
    )


def _message(processes: Processes) -> str:
    if processes.count is None:
        return "each process learns on its own that the vendor is down"
    return f"each of {processes.count} processes learns on its own that the vendor is down"


def _product(processes: Processes, threshold: float | None) -> list[str]:
    if processes.count is None or threshold is None:
        return ["a breaker in memory knows only the failures of its own process"]
    total = processes.count * threshold
    return [f"up to {total:g} calls fail before all {processes.count} have stopped"]
