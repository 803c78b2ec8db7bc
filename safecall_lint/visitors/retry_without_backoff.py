"""SCL404: a retry that waits too little, or always the same, before it tries again."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Severity
from safecall_lint.semantics.flow import own_nodes
from safecall_lint.semantics.repairs import changed, repaired
from safecall_lint.semantics.values import Site
from safecall_lint.visiting.retry_fixes import paused_handlers, varied_pause, varying_policy
from safecall_lint.visiting.retrying import RetryVisitor

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function
    from safecall_lint.semantics.policies import RetryPolicy
    from safecall_lint.semantics.requeues import Requeue
    from safecall_lint.semantics.retries import RetryLoop
    from safecall_lint.visiting.visitor import Place, Rewrite

_ENOUGH = 2


class RetryWithoutBackoff(RetryVisitor):
    def on_loop(self, node: cst.Try, loop: RetryLoop) -> None:
        few = loop.attempts is not None and loop.attempts <= _ENOUGH
        if not few and not self.semantics.attempts.polls(loop):
            self._loop(node, loop)

    def _loop(self, node: cst.Try, loop: RetryLoop) -> None:
        told: set[int] = set()
        at_once: list[cst.ExceptHandler] = []
        for handler, twin in zip(node.handlers, loop.attempt.handlers, strict=True):
            caught = self.semantics.exceptions.caught(twin.type, loop.function)
            if twin not in loop.caught or caught is None or not self.semantics.attempts.transient(caught):
                continue
            if self._another(loop, twin):
                continue
            waits = self.semantics.attempts.waits(loop, twin)
            if waits == []:
                at_once.append(handler)
            for wait in waits or ():
                if wait.lineno not in told:
                    told.add(wait.lineno)
                    self._waited(wait, loop)
        if at_once:
            self._at_once(at_once, loop)

    def on_requeue(self, node: cst.Try, requeue: Requeue) -> None:
        """What is put on a queue at once may be taken at once; who takes it may also pause, so it is for the strict
        profile."""
        function = self.context.function
        caught = self.semantics.exceptions.caught(requeue.handler.type, function) if function is not None else None
        if function is None or not caught or not self.semantics.attempts.transient(caught):
            return
        calls = [item for item in own_nodes(requeue.handler.body) if isinstance(item, ast.Call)]
        paused = any(self.semantics.calls.pause(call, function) for call in calls)
        if not paused and not self.semantics.attempts.told_apart(requeue.handler, function):
            self.report(
                Site(function.module, requeue.again.node),
                "what failed is queued again at once: the vendor cannot recover",
                label="nothing waits before this",
                help="wait before it goes back, longer each time and by chance: `random.uniform(0, 2**attempt)`",
                strict=True,
            )

    def _another(self, loop: RetryLoop, handler: ast.ExceptHandler) -> bool:
        """Whether the next attempt is another request: what failed went into it, or a handler that gives up for the
        other failures changed it; or a function that is handed the failure decides."""
        if repaired(loop, handler):
            return True
        handed = all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) for node in handler.body)
        apart = self.semantics.attempts.told_apart(handler, loop.function)
        return apart and (handed or changed(loop, handler))

    def _doubtful(self, handlers: list[cst.ExceptHandler], loop: RetryLoop) -> bool:
        """Whether no vendor is seen, time has passed already, or the next attempt goes somewhere else."""
        twins = [self.context.twin(handler) for handler in handlers]
        known = self.semantics.attempts.known(loop)
        other = all(isinstance(twin, ast.ExceptHandler) and changed(loop, twin) for twin in twins)
        return not known or other or all(item.type is not None and self._late(item) for item in handlers)

    def _at_once(self, handlers: list[cst.ExceptHandler], loop: RetryLoop) -> None:
        """One report for the loop, at the handler that takes most; the others are labels."""
        first = next((item for item in reversed(handlers) if item.type is None or not self._late(item)), handlers[0])
        labels: list[tuple[Place, str]] = [(loop.site, f"{_count(loop.attempts)} in a row")]
        labels += [(item.type or item, "no pause here either") for item in handlers if item is not first]
        self.report(
            first.type or first,
            "the next attempt starts at once: the vendor gets no time to recover",
            label="goes round again without a pause",
            labels=labels,
            help="wait between the attempts, longer each time and by chance: `random.uniform(0, 2**attempt)`",
            strict=self._doubtful(handlers, loop),
            fix=paused_handlers(handlers, loop, self.context),
        )

    def _late(self, handler: cst.ExceptHandler) -> bool:
        """Whether a handler takes timeouts only: time has passed already."""
        caught = self.semantics.exceptions.caught(self.context.expr(handler.type), self.context.scope) or ()
        return all(self.semantics.exceptions.means(value) == "timeout" for value in caught)

    def _waited(self, wait: ast.Call, loop: RetryLoop) -> None:
        kind = self.semantics.attempts.wait_of(wait, loop.function)
        place = Site(loop.function.module, wait)
        if kind == "fixed":
            labels: list[tuple[Place, str]] = [(loop.site, "all callers come back together")]
            self._same(place, labels, varied_pause(wait, False, loop, self.context))
        elif kind == "growing":
            fix = varied_pause(wait, True, loop, self.context)
            self._no_jitter(place, [(loop.site, _count(loop.attempts))], fix)

    def _same(self, place: Place, labels: list[tuple[Place, str]], fix: Rewrite | None) -> None:
        self.report(
            place,
            "a constant pause sends every caller back in the same moment",
            label="waits the same before every attempt",
            labels=labels,
            help="let the pause grow and vary: `random.uniform(0, 2**attempt)`",
            strict=True,
            fix=fix,
        )

    def _no_jitter(self, place: Place, labels: list[tuple[Place, str]], fix: Rewrite | None = None) -> None:
        self.report(
            place,
            "the pause grows without jitter, so callers come back together",
            label="is the same for all who failed together",
            labels=labels,
            help="add chance: `random.uniform(0, delay)`",
            severity=Severity.INFO,
            strict=True,
            fix=fix,
        )

    # -- decorators and iterators --------------------------------------------------------------------------------

    def on_decorator(self, place: cst.BaseExpression, policy: RetryPolicy, function: Function) -> None:
        if self.talks(function):
            self._policy(place, policy)

    def on_iterator(self, place: cst.BaseExpression, policy: RetryPolicy) -> None:
        self._policy(place, policy)

    def _policy(self, place: cst.BaseExpression, policy: RetryPolicy) -> None:
        if policy.attempts is not None and policy.attempts <= _ENOUGH:
            return
        if policy.on is not None and not self.semantics.attempts.transient(policy.on):
            return
        if policy.wait == "none" and policy.function is None:
            self.report(
                place,
                "the next attempt starts at once: the vendor gets no time to recover",
                label=f"{_count(policy.attempts)} without a pause",
                help="state a wait that grows and varies: `wait_exponential_jitter(max=60)`",
                strict=policy.on is None,
                fix=varying_policy(place, self.context),
            )
        elif policy.wait == "fixed":
            self._same(place, [], varying_policy(place, self.context))
        elif policy.wait == "growing":
            self._no_jitter(place, [])


def _count(attempts: float | None) -> str:
    return f"{attempts:g} attempts" if attempts is not None else "every attempt"
