"""SCL402: a retry repeats every failure, also the ones that never pass."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Confidence, Safety
from safecall_lint.semantics.attempted import by_hand, picks
from safecall_lint.semantics.exceptions import BROAD
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.repairs import repaired
from safecall_lint.semantics.values import Instance, Object, Site, Symbol, Value
from safecall_lint.visiting.retrying import RetryVisitor
from safecall_lint.visiting.rewriting import spelled
from safecall_lint.visiting.visitor import Place, Rewrite

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.semantics.policies import RetryPolicy
    from safecall_lint.semantics.requeues import Requeue
    from safecall_lint.semantics.retries import RetryLoop

_TOO_MANY = 2
_NO_FAILURES = frozenset(
    {
        "builtins.KeyboardInterrupt", "builtins.SystemExit", "builtins.GeneratorExit", "asyncio.CancelledError",
        "asyncio.exceptions.CancelledError",
    }
)  # fmt: skip
_HELP = "name the failures that are over soon: timeouts, connection errors, 429 and 5xx"


class RetryOnEverything(RetryVisitor):
    def on_loop(self, node: cst.Try, loop: RetryLoop) -> None:
        if not self.semantics.attempts.polls(loop) and loop.attempts != 2:
            self._loop(node, loop)

    def _loop(self, node: cst.Try, loop: RetryLoop) -> None:
        attempts, function = self.semantics.attempts, loop.function
        fact = attempts.vendor_fact(loop)
        raises = fact is not None and (not fact.parses or _raises_for_status(loop.attempt))
        for handler, twin in zip(node.handlers, loop.attempt.handlers, strict=True):
            caught = self.semantics.exceptions.caught(twin.type, function)
            if caught is None or self._status_settled(loop, twin, fact) or _given(twin.type, function):
                continue
            wide = attempts.permanent(caught, fact, raises)
            if wide is None or twin not in loop.caught or attempts.told_apart(twin, function):
                continue
            doubts = self._doubts(loop, twin, fact)
            if doubts < _TOO_MANY:
                labels: list[tuple[Place, str]] = [(loop.site, "makes the next attempt")]
                self._tell(handler.type or handler, wide, labels, self._fix(loop, handler, wide, fact), doubts > 0)
            return

    def on_requeue(self, node: cst.Try, requeue: Requeue) -> None:
        attempts, function = self.semantics.attempts, self.context.function
        if function is None:
            return
        caught = self.semantics.exceptions.caught(requeue.handler.type, function)
        wide = attempts.permanent(caught, None, False) if caught else None
        handler = next((item for item in node.handlers if self.context.twin(item) is requeue.handler), None)
        if wide is not None and handler is not None and not attempts.told_apart(requeue.handler, function):
            again: tuple[Place, str] = (Site(function.module, requeue.again.node), "puts it on the queue again")
            self._tell(handler.type or handler, wide, [again], None, not requeue.seen)

    def _doubts(self, loop: RetryLoop, handler: ast.ExceptHandler, fact: Fact | None) -> int:
        """How many reasons there are to think that the same refused request is not sent again: no vendor is seen, or
        one below code that works a browser; no bad status can become an exception (two where the `try` does nothing but
        call); what failed goes into the next request."""
        silent = fact is not None and bool(fact.parses) and not self._tells_status(loop)
        inside = [node for item in loop.attempt.body for node in ast.walk(item)]
        alone = [node for node in inside if isinstance(node, ast.Call | ast.Return)] == [loop.vendor.node]
        below = self.semantics.calls.vendor(loop.vendor.node, loop.function) is None
        unseen = fact is None or (below and by_hand(loop.attempt, loop.function))
        return sum((unseen, silent, silent and alone, repaired(loop, handler)))

    def _tells_status(self, loop: RetryLoop) -> bool:
        """Whether a bad status can become an exception in the body of the `try`: here, or in a function of the
        project. Without that only what never arrived is made again, and the code's own bugs."""
        vendor = self.semantics.attempts.vendor(loop)
        if _raises_for_status(loop.attempt) or (vendor is not None and isinstance(vendor.client, Object)):
            return True
        inside = [node for statement in loop.attempt.body for node in ast.walk(statement)]
        if any(isinstance(node, ast.Raise | ast.Assert) for node in inside):
            return True
        return any(self._told_below(node, loop.function) for node in inside if isinstance(node, ast.Call))

    def _told_below(self, call: ast.Call, function: Function) -> bool:
        """Whether a function of the project that is called may raise for what the vendor answered: for all that is seen
        of it."""
        for callee in self.semantics.evaluator.callees(call, function):
            chain = self.semantics.reach.vendor(callee)
            if chain is not None and (len(chain.steps) > 1 or isinstance(chain.end.client, Object)):
                return True
            for way in {callee, chain.function if chain is not None else callee}:
                if any(isinstance(node, ast.Raise) or _asks_for_raise(node) for node in ast.walk(way.node)):
                    return True
        return False

    def _status_settled(self, loop: RetryLoop, handler: ast.ExceptHandler, fact: Fact | None) -> bool:
        """Whether an earlier handler takes the bad statuses, and this one is for what is left of the library's own."""
        caught = self.semantics.exceptions.caught(handler.type, loop.function) or ()
        if fact is None or any(isinstance(value, Symbol) and value.name in BROAD for value in caught):
            return False
        earlier = loop.attempt.handlers[: loop.attempt.handlers.index(handler)]
        return any(
            self.semantics.exceptions.covers(value, fact.status_exception)
            for item in earlier
            for value in self.semantics.exceptions.caught(item.type, loop.function) or ()
        )

    def _tell(
        self, node: Place, wide: Value, labels: list[tuple[Place, str]], fix: Rewrite | None, doubtful: bool = False
    ) -> None:
        name = wide.name if isinstance(wide, Symbol) else ""
        broad = name in BROAD
        what = "bugs and bad requests" if broad else "bad requests and wrong keys"
        self.report(
            node,
            f"every failure is tried again, {what} as well",
            label="takes all exceptions" if broad else f"`{name}` takes 400, 401 and 404 too",
            labels=labels,
            help=_HELP,
            confidence=Confidence.MEDIUM if doubtful else Confidence.HIGH,
            strict=doubtful,
            fix=fix,
        )

    def _fix(self, loop: RetryLoop, handler: cst.ExceptHandler, wide: Value, fact: Fact | None) -> Rewrite | None:
        if fact is None or not fact.transient or handler.type is None or isinstance(handler.type, cst.Tuple):
            return None
        if not self._fails_as_known(loop, fact):
            return None
        ways = [self._spelled(name) for name in fact.transient]
        known = [way for way in ways if way is not None]
        if len(known) < len(ways) or not isinstance(wide, Symbol):
            return None
        names = [code for code, _ in known]
        code = names[0] if len(names) == 1 else f"({', '.join(names)})"
        imports = [item for _, needed in known for item in needed]
        return Rewrite(
            f"retry `{code}` only",
            Safety.UNSAFE,
            {handler.type: cst.parse_expression(code)},
            imports=imports,
            risk="other failures are raised at once",
        )

    def _fails_as_known(self, loop: RetryLoop, fact: Fact) -> bool:
        """Whether the library's own classes are all that a good attempt fails with: nothing else is waited for or
        called below, no bad status becomes another exception, and no other handler takes a part."""
        inside = [node for statement in loop.attempt.body for node in ast.walk(statement)]
        calls = [node for node in inside if isinstance(node, ast.Call)]
        awaited = [node.value for node in inside if isinstance(node, ast.Await) and isinstance(node.value, ast.Call)]
        return (
            len(loop.attempt.handlers) == 1
            and not (fact.parses and self._tells_status(loop))
            and not any(isinstance(node, ast.Raise | ast.Assert) for node in inside)
            and not any(self.semantics.evaluator.callees(call, loop.function) for call in calls)
            and all(call is loop.vendor.node or self._of_answer(call, loop) for call in awaited)
            and self.semantics.calls.vendor(loop.vendor.node, loop.function) is not None
        )

    def _of_answer(self, call: ast.Call, loop: RetryLoop) -> bool:
        """Whether a call is for a vendor, or reads what it has answered."""
        reads = isinstance(call.func, ast.Attribute) and call.func.attr in ("json", "text", "read", "aread")
        return reads or self.semantics.calls.vendor(call, loop.function) is not None

    def _spelled(self, name: str) -> tuple[str, tuple[str, ...]] | None:
        if name.startswith("builtins."):
            return name.removeprefix("builtins."), ()
        return spelled(name, self.context.scope)

    # -- decorators and iterators --------------------------------------------------------------------------------

    def on_decorator(self, place: cst.BaseExpression, policy: RetryPolicy, function: Function) -> None:
        if (
            policy.function is not None
            or policy.sorts
            or self.semantics.attempts.lets_go(function)
            or not self.talks(function)
        ):
            return
        if not self._wide(policy):
            self._of_statuses(place, policy, function)
        else:
            own = any(self.semantics.calls.vendor(site.node, function) for site in function.scan.calls)
            self._tell(place, Symbol("builtins.Exception"), [], None, picks(function) and not own)

    def _of_statuses(self, place: cst.BaseExpression, policy: RetryPolicy, function: Function) -> None:
        """A policy on the class of all bad statuses, around a call that raises it."""
        vendor = self.semantics.attempts.below(function) if policy.on else None
        if vendor is None or policy.on is None:
            return
        bodies = [function.node, *([vendor.scope.node] if isinstance(vendor.scope, Function) else [])]
        made = vendor.client.call if isinstance(vendor.client, Instance) else None
        raises = not vendor.fact.parses or any(map(_raised, [*bodies, *([made] if made else [])]))
        wide = self.semantics.attempts.permanent(policy.on, vendor.fact, raises)
        if wide is not None:
            self._tell(place, wide, [], None, doubtful=vendor.fact.parses != () and any(map(_tests_status, bodies)))

    def on_iterator(self, place: cst.BaseExpression, policy: RetryPolicy) -> None:
        if self._wide(policy):
            self._tell(place, Symbol("builtins.Exception"), [], None)

    def _wide(self, policy: RetryPolicy) -> bool:
        """Whether a policy retries every exception: it names `Exception`, or leaves out only what is no failure."""
        if policy.on is not None and any(isinstance(item, Symbol) and item.name in BROAD for item in policy.on):
            return not self._result(policy)
        return self._all_but(policy)

    def _all_but(self, policy: RetryPolicy) -> bool:
        """`retry_if_not_exception_type((KeyboardInterrupt, SystemExit))`."""
        maker = policy.maker
        if maker is None or maker.call is None or maker.scope is None:
            return False
        given = next((item.value for item in maker.call.keywords if item.arg == "retry"), None)
        for value in self.semantics.evaluator.values(given, maker.scope) if given is not None else ():
            fact = self.semantics.evaluator.fact(value)
            if isinstance(value, Instance) and fact and fact.kind == "retry-on-other" and value.call and value.scope:
                left = self.semantics.retries.exceptions(value.call.args[0] if value.call.args else None, value.scope)
                names = [item.name if isinstance(item, Symbol) else "" for item in left]
                return bool(names) and all(name in _NO_FAILURES for name in names)
        return False

    def _result(self, policy: RetryPolicy) -> bool:
        """Whether the policy looks at results only."""
        maker = policy.maker
        if maker is None or maker.call is None or maker.scope is None:
            return False
        given = next((item.value for item in maker.call.keywords if item.arg == "retry"), None)
        kinds = [self.semantics.evaluator.fact(value) for value in self.semantics.evaluator.values(given, maker.scope)]
        return any(fact and fact.kind == "retry-on-result" for fact in kinds)


def _raised(code: ast.AST) -> bool:
    """Whether bad statuses become exceptions somewhere in a piece of code."""
    return any(_asks_for_raise(node) for node in ast.walk(code))


def _tests_status(code: ast.AST) -> bool:
    """Whether a piece of code looks at a status, and so may raise for some only."""
    tests = (node.test for node in ast.walk(code) if isinstance(node, ast.If))
    return any(getattr(part, "attr", "") in ("status_code", "status") for test in tests for part in ast.walk(test))


def _raises_for_status(block: ast.Try) -> bool:
    """Whether bad statuses become exceptions in the body of a `try`."""
    return any(_asks_for_raise(node) for statement in block.body for node in ast.walk(statement))


def _asks_for_raise(node: ast.AST) -> bool:
    """Whether a node asks that bad statuses become exceptions."""
    if isinstance(node, ast.Attribute):
        return node.attr == "raise_for_status"
    return isinstance(node, ast.keyword) and node.arg == "raise_for_status"


def _given(expr: ast.expr | None, function: Function) -> bool:
    """Whether callers say what is caught: the classes come in by a parameter."""
    names = {node.id for node in ast.walk(expr) if isinstance(node, ast.Name)} if expr is not None else set()
    scope: Scope | None = function
    while isinstance(scope, Function):
        if names & set(scope.parameters):
            return True
        scope = scope.parent
    return False
