"""What the rules about retries share: the walk over loops of attempts, retrying decorators and retrying iterators."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import libcst as cst

from safecall_lint.semantics.model import Function, Scope
from safecall_lint.visiting.visitor import Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.policies import RetryPolicy
    from safecall_lint.semantics.requeues import Requeue
    from safecall_lint.semantics.retries import RetryLoop


class RetryVisitor(Visitor):
    """Sees each retry once: a loop at its `try`, a policy at the decorator or at the `for` that states it. Tests may
    retry as they like, unless a rule is for them too: `in_tests`."""

    needs = (frozenset({"handler", "decorator", "retry()", "retry"}),)
    in_tests: ClassVar[bool] = False

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        functions = [scope for scope in scopes if isinstance(scope, Function)]
        return any(semantics.retries.layered(item) or semantics.requeues.of(item) for item in functions)

    # -- what a rule says --------------------------------------------------------------------------------------------

    def loops(self, function: Function) -> list[RetryLoop]:
        """The loops of a function that are judged."""
        return self.semantics.retries.attempts(function)

    def on_loop(self, node: cst.Try, loop: RetryLoop) -> None:
        """Judge a loop that makes an attempt again; `node` is the `try` around the attempt."""

    def on_requeue(self, node: cst.Try, requeue: Requeue) -> None:
        """Judge a handler that puts the work on a queue again; `node` is its `try`."""

    def on_decorated(self, places: Sequence[tuple[cst.BaseExpression, RetryPolicy]], function: Function) -> None:
        """Judge the retrying decorators of a function, outermost first."""
        for place, policy in places:
            self.on_decorator(place, policy, function)

    def on_decorator(self, place: cst.BaseExpression, policy: RetryPolicy, function: Function) -> None:
        """Judge one retrying decorator of a function."""

    def on_iterator(self, place: cst.BaseExpression, policy: RetryPolicy) -> None:
        """Judge what a `for attempt in ...` goes through."""

    def talks(self, function: Function) -> bool:
        """Whether a function makes a vendor call, itself or below, whose failures can leave it."""
        return self.semantics.reach.vendor(function) is not None and not self.semantics.attempts.swallowed(function)

    # -- the walk ----------------------------------------------------------------------------------------------------

    def visit_Try(self, node: cst.Try) -> None:
        block, function = self.context.twin(node), self._judged()
        if isinstance(block, ast.Try) and function is not None:
            for loop in self.loops(function):
                if loop.attempt is block:
                    self.on_loop(node, loop)
            for requeue in self.semantics.requeues.of(function):
                if requeue.attempt is block:
                    self.on_requeue(node, requeue)

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        function = self.context.defined(node)
        if function is None or not node.decorators or self._spared(function):
            return
        lines = {
            theirs.lineno: ours for theirs, ours in zip(function.node.decorator_list, node.decorators, strict=True)
        }
        found = [
            (place.decorator, policy)
            for policy in self.semantics.retries.decorators(function)
            if (place := lines.get(getattr(policy.site.node, "lineno", 0))) is not None
        ]
        if found:
            self.on_decorated(found, function)

    def visit_For(self, node: cst.For) -> None:
        twin, function = self.context.twin(node), self._judged()
        if function is not None and isinstance(twin, ast.For | ast.AsyncFor):
            policy = self.semantics.retries.iterator(twin, function)
            if policy is not None:
                self.on_iterator(node.iter, policy)

    def _judged(self) -> Function | None:
        function = self.context.function
        return None if function is None or self._spared(function) else function

    def _spared(self, function: Function) -> bool:
        return not self.in_tests and self.semantics.roles.test(function)
