"""What an attempt at a vendor call retries, and what it waits before the next one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from safecall_lint.semantics.calls import Calls, VendorCall, keyword_or_position
from safecall_lint.semantics.exceptions import BROAD, Exceptions
from safecall_lint.semantics.flow import own_nodes, ways_out
from safecall_lint.semantics.own_retries import tried
from safecall_lint.semantics.raising import Raising
from safecall_lint.semantics.readiness import Readiness
from safecall_lint.semantics.values import Site, Symbol, Value

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.semantics.model import Function
    from safecall_lint.semantics.reach import Reach
    from safecall_lint.semantics.retries import Retries, RetryLoop
    from safecall_lint.semantics.scan import CallSite

_LEAVING = frozenset({"raise", "return", "value", "break", "continue"})
_QUIET = frozenset({"return", "value"})
_TRANSIENT = frozenset({"timeout", "transport", "status", "overload"})
_PACING = re.compile(r"sleep|wait|backoff|delay|retry|throttl|limit|pace")
_RESTING = re.compile(r"(^|_)(sleep|wait|back_?off)|^on_retry$")
_SPREAD = ("random", "uniform", "jitter", "expovariate", "randint", "gauss", "betavariate")


class Attempts(Struct, eq=False, dict=True):
    """Questions about what stands in a retry loop."""

    calls: Calls
    reach: Reach
    exceptions: Exceptions
    retries: Retries

    @cached_property
    def raising(self) -> Raising:
        return Raising(self.calls, self.reach, self.exceptions)

    @cached_property
    def _readiness(self) -> Readiness:
        return Readiness(self.calls)

    def polls(self, loop: RetryLoop) -> bool:
        """Whether a loop asks again until something is ready."""
        return self._readiness.polls(loop)

    def known(self, loop: RetryLoop) -> bool:
        """Whether the loop is seen to call a vendor whose failures reach its handlers."""
        return self.vendor(loop) is not None

    def told_apart(self, handler: ast.ExceptHandler, function: Function) -> bool:
        """Whether a handler looks at what it caught, and gives up for some of it."""
        names = self._derived(handler)
        for node in own_nodes(handler.body):
            if isinstance(node, ast.If) and _mentions(node.test, names):
                decides = any(isinstance(item, ast.Assign) for item in node.body)
                if decides or _LEAVING & (ways_out(node.body) | ways_out(node.orelse)):
                    return True
            if isinstance(node, ast.Match) and _mentions(node.subject, names):
                return True
            if isinstance(node, ast.Call) and any(_mentions(arg, names) for arg in node.args):
                callees = self.calls.evaluator.callees(node, function)
                if any(isinstance(item, ast.Raise) for callee in callees for item in ast.walk(callee.node)):
                    return True
        return False

    def lets_go(self, function: Function) -> bool:
        """Whether a function ends quietly for some of what it caught, so that a retry around it never sees that."""
        for block in function.scan.tries:
            for handler in block.node.handlers if isinstance(block.node, ast.Try) else ():
                names = self._derived(handler)
                tests = [node for node in own_nodes(handler.body) if isinstance(node, ast.If)]
                if any(_mentions(node.test, names) and _QUIET & ways_out(node.body) for node in tests):
                    return True
        return False

    @staticmethod
    def _derived(handler: ast.ExceptHandler) -> frozenset[str]:
        """The name of what was caught and the names made from it."""
        names = {handler.name} if handler.name else set()
        made = [node for node in own_nodes(handler.body) if isinstance(node, ast.Assign)]
        for node in sorted(made, key=lambda item: item.lineno):
            if _mentions(node.value, frozenset(names)):
                names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        return frozenset(names)

    def vendor_fact(self, loop: RetryLoop) -> Fact | None:
        """The library that is called, where it is known."""
        found = self.vendor(loop)
        return found.fact if found else None

    def permanent(self, caught: tuple[Value, ...], fact: Fact | None, raises: bool) -> Value | None:
        """The class among `caught` that takes failures which never pass: 4xx and bugs. `raises`: bad statuses raise."""
        for value in caught:
            if isinstance(value, Symbol) and value.name in BROAD:
                return value
            if fact and fact.status_exception and raises and self.exceptions.covers(value, fact.status_exception):
                return value
        return None

    def transient(self, caught: tuple[Value, ...]) -> bool:
        """Whether one of the classes stands for a failure of the vendor or the way there."""
        for value in caught:
            if (isinstance(value, Symbol) and value.name in BROAD) or self.exceptions.means(value) in _TRANSIENT:
                return True
            if any(self.exceptions.covers(value, name) for name in self._passing):
                return True
        return False

    @cached_property
    def _passing(self) -> tuple[str, ...]:
        """What the libraries raise for failures of the vendor or the way there."""
        rows = self.calls.evaluator.facts.exceptions.values()
        ways = (row.name for row in rows if row.means in ("transport", "timeout"))
        return tuple(name for name in ways if not name.startswith("builtins."))

    def own(self, vendor: VendorCall) -> tuple[float, Site | None] | None:
        """The attempts that the client makes for a call by itself, with the place where that is set."""
        base: ast.expr = vendor.node if vendor.client is None else vendor.node.func
        while isinstance(base, ast.Attribute | ast.Call):
            if isinstance(base, ast.Call):
                given = keyword_or_position(base, vendor.fact.retries_keyword)
                if given is not None:
                    attempts = tried(self.calls.evaluator.number(given, vendor.scope), vendor.fact)
                    return (attempts, Site(vendor.scope.module, base)) if attempts else None
            base = base.func if isinstance(base, ast.Call) else base.value
        return self.retries.own(vendor.client)

    def vendor(self, loop: RetryLoop) -> VendorCall | None:
        """The vendor call that a loop makes again, itself or below."""
        direct = self.calls.vendor(loop.vendor.node, loop.function)
        if direct:
            return direct
        callees = self.calls.evaluator.callees(loop.vendor.node, loop.function)
        return next((found for callee in callees if (found := self.below(callee))), None)

    def below(self, function: Function) -> VendorCall | None:
        """The nearest vendor call in or below a function whose failures leave it."""
        nearest = self.reach.vendor(function)
        if nearest is None:
            return None
        raised = nearest.end.fact.timeout_exception or nearest.end.fact.base_exception

        def probe(site: CallSite, scope: Function) -> VendorCall | None:
            found = self.calls.vendor(site.node, scope)
            return found if found and not self.raising.caught_before(site.frame, raised, scope) else None

        def enter(site: CallSite, scope: Function) -> bool:
            return not self.raising.caught_before(site.frame, raised, scope)

        chain = self.reach.first(function, probe, enter)
        return chain.end if chain else None

    def swallowed(self, function: Function) -> bool:
        """Whether a function takes the failures of all its vendor calls itself and raises none, so that nothing is left
        for a retry around it."""
        sites = [site for site in function.scan.calls if self.retries.is_vendor(site, function)]
        return bool(sites) and all(self._ends(site, function) for site in sites)

    def _ends(self, site: CallSite, function: Function) -> bool:
        """Whether a `try` of the function takes every failure of a call, and raises nothing for it."""
        for frame in site.frame.chain() if site.frame else ():
            if not isinstance(frame.node, ast.Try) or frame.section != "body":
                continue
            if any(isinstance(node, ast.Raise) for item in frame.node.handlers for node in own_nodes(item.body)):
                return False
            caught = (self.exceptions.caught(item.type, function) or () for item in frame.node.handlers)
            if any(isinstance(value, Symbol) and value.name in BROAD for row in caught for value in row):
                return True
        return False

    # -- waits ---------------------------------------------------------------------------------------------------

    def waits(self, loop: RetryLoop, handler: ast.ExceptHandler) -> list[ast.Call] | None:
        """The sleeps between a failure that `handler` takes and the next attempt; None where something else may be
        waited for there, or where it sleeps by turns."""
        found: list[ast.Call] = []
        for site in loop.function.scan.calls:
            if not self._between(site, loop, handler):
                if self._within(site, handler) and self.calls.pause(site.node, loop.function):
                    return None
                continue
            if self.calls.pause(site.node, loop.function):
                found.append(site.node)
            elif (
                self.calls.admission(site.node, loop.function)
                or (site.awaited and self._paces(site, loop.function))
                or (not site.awaited and self._sleeps(site, loop.function))
            ):
                return None
        held = (block.node for block in loop.function.scan.withs if self._within_loop(block.node, loop))
        for node in held:
            assert isinstance(node, ast.With | ast.AsyncWith)
            if any(self.calls.evaluator.of_kind(item.context_expr, loop.function, "limiter") for item in node.items):
                return None
        return found

    @staticmethod
    def _within_loop(node: ast.stmt, loop: RetryLoop) -> bool:
        return loop.loop.lineno <= node.lineno <= (loop.loop.end_lineno or 0)

    @staticmethod
    def _between(site: CallSite, loop: RetryLoop, handler: ast.ExceptHandler) -> bool:
        """Whether a call stands in the handler, or in the loop outside of the `try`."""
        chain = list(site.frame.chain()) if site.frame else []
        turns = next(
            (frame.node for frame in chain if isinstance(frame.node, ast.For | ast.AsyncFor | ast.While)), None
        )
        if turns is not loop.loop:
            return False
        inside = next((frame for frame in chain if frame.node is loop.attempt), None)
        if inside is None:
            return True
        if inside.section == "final":
            return True
        return inside.section == "handler" and loop.attempt.handlers[inside.position] is handler

    @staticmethod
    def _within(site: CallSite, handler: ast.ExceptHandler) -> bool:
        return handler.lineno <= site.node.lineno <= (handler.end_lineno or 0)

    def _paces(self, site: CallSite, function: Function) -> bool:
        """Whether an awaited call takes its time on purpose: an unknown one may, one of the project is read."""
        if self.calls.vendor(site.node, function) or self.calls.symbol(site.node, function):
            return False
        callees = self.calls.evaluator.callees(site.node, function)
        if not callees:
            return bool(_PACING.search(ast.unparse(site.node.func).lower()))
        return any(self.reach.pause(callee) for callee in callees)

    def _sleeps(self, site: CallSite, function: Function) -> bool:
        callees = self.calls.evaluator.callees(site.node, function)
        computed = site.outer is not None or isinstance(site.statement, ast.Assign | ast.AnnAssign)
        named = not computed and bool(_RESTING.search(ast.unparse(site.node.func).lower().rpartition(".")[2]))
        return named or any(self.reach.pause(callee) for callee in callees if not callee.is_async)

    def wait_of(self, call: ast.Call, function: Function) -> str:
        """How a sleep behaves over the attempts: "fixed", "growing", "jitter" or "unknown"."""
        pause = self.calls.pause(call, function)
        expr = call.args[0] if call.args else None
        if pause is not None and pause.seconds is not None and _constant(expr, function):
            return "fixed"
        texts = [ast.unparse(node).lower() for node in self._sources(expr, function)]
        if any(word in text for text in texts for word in _SPREAD):
            return "jitter"
        return "growing" if any("**" in text or "*" in text for text in texts) else "unknown"

    def _sources(self, expr: ast.expr | None, function: Function) -> Iterator[ast.AST]:
        """The expression of a wait, what its names are bound to, and the functions of the project that compute it."""
        if expr is None:
            return
        yield expr
        for node in ast.walk(expr):
            if isinstance(node, ast.Name):
                yield from (row.statement for row, _ in function.lookup(node.id) if row.form in ("assign", "unpack"))
        for node in list(ast.walk(expr)):
            if isinstance(node, ast.Call):
                yield from (callee.node for callee in self.calls.evaluator.callees(node, function))


def _constant(expr: ast.expr | None, function: Function, depth: int = 4) -> bool:
    """Whether an expression has the same value in every turn: a literal, a constant, a setting."""
    if expr is None or depth == 0:
        return False
    for node in ast.walk(expr):
        if isinstance(node, ast.Call):
            return False
        if isinstance(node, ast.Name):
            rows = function.scan.bindings.get(node.id, [])
            if len(rows) > 1 or any(row.form in ("for", "unpack") for row in rows):
                return False
            if any(row.form == "assign" and not _constant(row.value, function, depth - 1) for row in rows):
                return False
    return True


def _mentions(node: ast.AST, names: frozenset[str]) -> bool:
    return any(isinstance(item, ast.Name) and item.id in names for item in ast.walk(node))
