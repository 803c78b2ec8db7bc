"""Refusals of admission: which exceptions say that the call was never sent because this process is full."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct, field

from safecall_lint.semantics.flow import own_nodes
from safecall_lint.semantics.raising import TIMEOUT, Raising, within
from safecall_lint.semantics.values import ClassValue, Symbol, Value

if TYPE_CHECKING:
    from safecall_lint.semantics.admissions import Admissions, QueueTimeout
    from safecall_lint.semantics.model import Function, Scope
    from safecall_lint.semantics.scan import Block, CallSite, Frame

_LIMIT = 200


class Refusal(Struct, frozen=True):
    """A queue timeout whose exception comes out of a piece of code, as itself or as the class it is turned into."""

    queue: QueueTimeout
    exception: Value


class Refusals(Struct, eq=False):
    """Finds the refusals that a piece of code raises."""

    admissions: Admissions
    raising: Raising
    _own: dict[Scope, list[QueueTimeout]] = field(default_factory=dict)

    def of_block(self, block: ast.stmt, scope: Scope) -> Iterator[Refusal]:
        """The refusals that come out of the body of a `try` or loop, nearest first."""
        return self._in(scope, lambda frame: within(frame, block), block, set())

    def of_function(self, function: Function) -> Iterator[Refusal]:
        """The refusals that come out of a function, nearest first."""
        return self._in(function, _anywhere, None, {function})

    def _in(
        self, scope: Scope, inside: Callable[[Frame | None], bool], block: ast.stmt | None, seen: set[Function]
    ) -> Iterator[Refusal]:
        for queue in self._queues(scope):
            frame = _frame(queue, scope)
            if inside(frame):
                yield from self._leaving(Refusal(queue, Symbol(TIMEOUT)), frame, scope, block)
        for site in scope.scan.calls:
            if inside(site.frame) and not self.admissions.calls.spawned(site):
                for found in self._below(site, scope, seen):
                    yield from self._leaving(found, site.frame, scope, block)

    def _below(self, site: CallSite, scope: Scope, seen: set[Function]) -> Iterator[Refusal]:
        """The refusals that leave the functions that a call runs."""
        for callee in self.admissions.evaluator.callees(site.node, scope):
            if callee not in seen and len(seen) < _LIMIT and self.admissions.reach.runs(site, callee):
                seen.add(callee)
                yield from self._in(callee, _anywhere, None, seen)

    def _queues(self, scope: Scope) -> list[QueueTimeout]:
        if scope not in self._own:
            self._own[scope] = [queue for queue in self.admissions.queue_timeouts(scope) if queue.deadline.raises]
        return self._own[scope]

    def _leaving(
        self, refusal: Refusal, frame: Frame | None, scope: Scope, block: ast.stmt | None
    ) -> Iterator[Refusal]:
        """What a refusal becomes on its way through the handlers around a place, up to `block`."""
        for around in frame.chain() if frame else ():
            if around.node is block:
                break
            if isinstance(around.node, ast.Try) and around.section == "body":
                handler = self.taking(around.node, refusal.exception, scope)
                if handler is not None:
                    for value in self._raised(handler, refusal, scope):
                        yield Refusal(refusal.queue, value)
                    return
        yield refusal

    def _raised(self, handler: ast.ExceptHandler, refusal: Refusal, scope: Scope) -> Iterator[Value]:
        """The classes that a handler raises for a refusal."""
        for node in own_nodes(handler.body):
            if isinstance(node, ast.Raise):
                expr = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
                if expr is None or (isinstance(expr, ast.Name) and expr.id == handler.name):
                    yield refusal.exception
                    continue
                values = self.admissions.evaluator.values(expr, scope)
                yield from (value for value in values if isinstance(value, ClassValue | Symbol))

    def taking(self, block: ast.Try, raised: Value, scope: Scope) -> ast.ExceptHandler | None:
        """The handler of a `try` that takes an exception; an unknown class takes nothing."""
        for handler in block.handlers:
            caught = self.raising.exceptions.caught(handler.type, scope) or ()
            if any(self.covers(value, raised) for value in caught):
                return handler
        return None

    def covers(self, caught: Value, raised: Value) -> bool:
        """Whether catching `caught` catches `raised`."""
        exceptions = self.raising.exceptions
        if isinstance(raised, Symbol):
            return exceptions.covers(caught, raised.name)
        if isinstance(raised, ClassValue) and isinstance(caught, ClassValue):
            return caught.cls in exceptions.evaluator.lineage(raised.cls)
        ancestors = exceptions.ancestors(raised) or ("builtins.Exception", "builtins.BaseException")
        return isinstance(caught, Symbol) and caught.name in ancestors


def _anywhere(_: Frame | None) -> bool:
    return True


def _frame(queue: QueueTimeout, scope: Scope) -> Frame | None:
    """Where a queue timeout stands."""
    node = queue.deadline.node
    blocks: list[Block] = [block for block in scope.scan.withs if block.node is node]
    if blocks:
        return blocks[0].frame
    return next((site.frame for site in scope.scan.calls if site.node is node), None)
