"""SCL407: a 429 or 503 is retried after a pause of our own although the vendor said how long to wait."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.semantics.flow import own_nodes, ways_out
from safecall_lint.semantics.values import Constant, Container, Site, Symbol
from safecall_lint.visiting.heeding import heeded
from safecall_lint.visiting.visitor import Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function
    from safecall_lint.semantics.scan import CallSite, Frame

_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_STATUSES = frozenset({429, 503})
_SAID = ("retry-after", "retry_after", "retryafter", "retryinfo", "retrydelay", "ratelimit-reset", "ratelimit_reset")
_NAMES = frozenset({"TOO_MANY_REQUESTS", "HTTP_429_TOO_MANY_REQUESTS", "SERVICE_UNAVAILABLE", "too_many_requests"})


class IgnoredRetryAfter(Visitor):
    needs = (frozenset({"sleep"}), frozenset({"handler", "vendor", "loop"}))

    def visit_Call(self, node: cst.Call) -> None:
        function = self.context.function
        if function is None or self.semantics.roles.test(function):
            return
        if self.semantics.calls.pause(self.context.call(node), self.context.scope) is None:
            return
        site = self.context.site(node)
        cause = self._cause(site, function) if site else None
        if cause is None or site is None or _starting(cause, site):
            return
        if not self._reads(site, function):
            self.report(
                node,
                "the vendor says how long to wait, and nobody reads it",
                label="waits on a schedule of its own",
                labels=[(Site(function.module, cause), "the answer here carries `Retry-After`")],
                help="sleep for `Retry-After` (seconds or a date), capped, and by your own schedule without it",
                fix=heeded(node, cause, function, self.context),
            )

    def _cause(self, site: CallSite, function: Function) -> ast.AST | None:
        """The test or handler that makes this pause one after a 429 or 503."""
        for frame in site.frame.chain() if site.frame else ():
            node = frame.node
            if isinstance(node, ast.If) and frame.section == "body" and self._asks(node.test, function):
                return node.test
            if isinstance(node, ast.Match) and (case := _case(node, site)) is not None and _asks(case.pattern):
                return case.pattern
            if isinstance(node, ast.Try) and frame.section == "handler":
                handler = node.handlers[frame.position]
                if (other := _left_out(handler, site)) is not None:
                    return other
                if self._limited(handler, function):
                    return handler.type
            if isinstance(node, _LOOPS):
                return None
        return None

    def _asks(self, test: ast.expr, function: Function) -> bool:
        """Whether a test is one for 429 or 503, written out or by the name of a collection that holds it."""
        named = (node for node in ast.walk(test) if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In))
        sets = (item for node in named for item in self.semantics.evaluator.values(node.comparators[0], function))
        held = {
            item.value
            for one in sets
            if isinstance(one, Container)
            for item in one.elements
            if isinstance(item, Constant)
        }
        return _asks(test) or bool(held & _STATUSES)

    def _limited(self, handler: ast.ExceptHandler, function: Function) -> bool:
        """Whether a handler names an exception that stands for one of these statuses alone."""
        facts = self.semantics.evaluator.facts.exceptions
        caught = self.semantics.exceptions.caught(handler.type, function) or ()
        rows = [facts.get(value.name) for value in caught if isinstance(value, Symbol)]
        return bool(rows) and all(row is not None and row.status in _STATUSES for row in rows)

    def _reads(self, site: CallSite, function: Function) -> bool:
        """Whether the function, or one that computes the pause, speaks of the header."""
        nodes: list[ast.AST] = [function.node]
        handed = [node for frame in _turn(site) for node in own_nodes(_block(frame))]
        for call in (*handed, *(node for argument in site.node.args for node in ast.walk(argument))):
            if isinstance(call, ast.Call):
                nodes += [callee.node for callee in self.semantics.evaluator.callees(call, function)]
        texts = [ast.unparse(node).lower() for node in nodes]
        return any(word in text for text in texts for word in _SAID)


def _turn(site: CallSite) -> Iterator[Frame]:
    """The blocks around a call within one turn of the loop that it stands in."""
    for frame in site.frame.chain() if site.frame else ():
        if isinstance(frame.node, _LOOPS):
            return
        yield frame


def _starting(cause: ast.AST, site: CallSite) -> bool:
    """Whether a loop by the clock waits for a server that answers 503 until it is up."""
    text = ast.unparse(cause).lower()
    if "429" in text or "too_many" in text or "rate" in text:
        return False
    loops = (frame.node for frame in site.frame.chain() if isinstance(frame.node, ast.While)) if site.frame else ()
    return any("time()" in head or "monotonic()" in head for head in (ast.unparse(loop.test) for loop in loops))


def _block(frame: Frame) -> list[ast.stmt]:
    """The statements of the section that a frame stands for."""
    node = frame.node
    if isinstance(node, ast.Try) and frame.section == "handler":
        return node.handlers[frame.position].body
    return getattr(node, "body", [])


def _asks(test: ast.AST) -> bool:
    """Whether a test is one for 429 or 503."""
    negative = {id(node.operand) for node in ast.walk(test) if isinstance(node, ast.UnaryOp)}
    for node in ast.walk(test):
        if isinstance(node, ast.Constant) and node.value in _STATUSES and id(node) not in negative:
            return True
        if getattr(node, "attr", getattr(node, "id", "")) in _NAMES:
            return True
    return False


def _case(node: ast.Match, site: CallSite) -> ast.match_case | None:
    """The case of a `match` that a call stands in."""
    line = site.node.lineno
    return next((item for item in node.cases if item.body[0].lineno <= line <= (item.body[-1].end_lineno or 0)), None)


def _left_out(handler: ast.ExceptHandler, site: CallSite) -> ast.expr | None:
    """The test above a call by which a handler leaves for every other status: `if error.status != 429: raise`."""
    for statement in handler.body:
        if isinstance(statement, ast.If) and statement.lineno < site.node.lineno and _asks(statement.test):
            differs = any(isinstance(op, ast.NotEq | ast.NotIn) for op in getattr(statement.test, "ops", ()))
            if differs and "end" not in ways_out(statement.body):
                return statement.test
    return None
