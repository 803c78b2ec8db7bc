"""SCL403: a retry that never gives up."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.semantics.values import Site
from safecall_lint.visiting.retry_fixes import bounded_policy, counted_loop
from safecall_lint.visiting.retrying import RetryVisitor

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function
    from safecall_lint.semantics.policies import RetryPolicy
    from safecall_lint.semantics.retries import RetryLoop

_PATIENT = ("wait", "until", "poll", "connect", "listen", "watch", "ready", "worker", "consume", "monitor")


class UnboundedRetry(RetryVisitor):
    def loops(self, function: Function) -> list[RetryLoop]:
        return self.semantics.retries.loops(function)

    def on_loop(self, node: cst.Try, loop: RetryLoop) -> None:
        if loop.endless and not self._patient(loop) and not self._limited(loop):
            self._loop(loop)

    def _patient(self, loop: RetryLoop) -> bool:
        """Whether the loop is there to wait for something: a start-up, a consumer, one that backs off."""
        function = loop.function
        if self.semantics.roles.once(function) or any(word in function.name.lower() for word in _PATIENT):
            return True
        attempts = self.semantics.attempts
        caught = [self.semantics.exceptions.caught(handler.type, function) or () for handler in loop.caught]
        if not attempts.known(loop) or attempts.polls(loop) or not any(attempts.transient(row) for row in caught):
            return True
        for handler in loop.caught:
            waits = self.semantics.attempts.waits(loop, handler)
            kinds = {self.semantics.attempts.wait_of(wait, function) for wait in waits or ()}
            slows = bool(kinds & {"growing", "jitter"}) and not self._hopeless(loop)
            if waits is None or "unknown" in kinds or slows:
                return True
        return False

    def _hopeless(self, loop: RetryLoop) -> bool:
        """Whether a loop goes on for ever for failures that never pass, with a caller who waits for its answer."""
        attempts, function = self.semantics.attempts, loop.function
        fact = attempts.vendor_fact(loop)
        answers = (item.value for item in function.scan.returns if item.lineno >= loop.loop.lineno)
        if fact is None or not any(value and not isinstance(value, ast.Constant) for value in answers):
            return False
        caught = (self.semantics.exceptions.caught(handler.type, function) or () for handler in loop.caught)
        return any(attempts.permanent(row, fact, not fact.parses) for row in caught)

    def _limited(self, loop: RetryLoop) -> bool:
        """Whether a deadline holds the loop, or a handler gives up for some failures."""
        frame = next((item.frame for item in loop.function.scan.loops if item.node is loop.loop), None)
        if any(limit.holds(frame) for limit in self.semantics.deadlines.of(loop.function)):
            return True
        return any(self.semantics.attempts.told_apart(handler, loop.function) for handler in loop.caught)

    def _loop(self, loop: RetryLoop) -> None:
        self.report(
            loop.site,
            "this call is repeated until it succeeds, for as long as that takes",
            label="has no other end",
            labels=[(Site(loop.function.module, loop.vendor.node), "is made again after every failure")],
            help="count the attempts and raise the last failure",
            fix=counted_loop(loop, self.context),
        )

    # -- decorators and iterators --------------------------------------------------------------------------------

    def on_decorator(self, place: cst.BaseExpression, policy: RetryPolicy, function: Function) -> None:
        if policy.endless and policy.function is None and self.talks(function):
            self._policy(place, policy)

    def on_iterator(self, place: cst.BaseExpression, policy: RetryPolicy) -> None:
        if policy.endless:
            self._policy(place, policy)

    def _policy(self, place: cst.BaseExpression, policy: RetryPolicy) -> None:
        self.report(
            place,
            "this call is repeated until it succeeds, for as long as that takes",
            label="states no end",
            help="state one: `stop=stop_after_attempt(4)`, `attempts=4` or `max_tries=4`",
            fix=bounded_policy(place, self.context),
        )
