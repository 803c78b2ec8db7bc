"""Which timeouts come out of a piece of code: the clients' own ones, and the `TimeoutError` of everybody else."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from safecall_lint.semantics.flow import own_nodes, ways_out
from safecall_lint.semantics.values import ClassValue, FunctionValue, Instance, Member, Object, Result, Symbol, Value

if TYPE_CHECKING:
    from safecall_lint.semantics.calls import Calls, VendorCall
    from safecall_lint.semantics.evaluate import Evaluator
    from safecall_lint.semantics.exceptions import Exceptions
    from safecall_lint.semantics.model import Function, Scope
    from safecall_lint.semantics.reach import Reach
    from safecall_lint.semantics.scan import CallSite, Frame

TIMEOUT = "builtins.TimeoutError"
_QUIET = frozenset(
    {"sleep", "fan-out", "spawn", "shield", "loop", "task-group", "client", "timeout-config", "connector"}
)
_WAITING = frozenset(
    {
        "result", "wait", "join", "recv", "recv_into", "accept", "connect", "communicate", "urlopen", "request",
        "execute", "fetch", "open", "run", "send", "call", "invoke", "getresponse", "create_connection", "download",
    }
)  # fmt: skip


class Escape(Struct, frozen=True):
    """A vendor call whose own timeout comes out of a block. `site` is the call in the block that makes it, or the
    function called there that does. `renamed` where it comes as an exception of the project."""

    site: CallSite
    vendor: VendorCall
    exception: str
    renamed: bool = False


class Raising(Struct, eq=False):
    """Questions about what a block raises."""

    calls: Calls
    reach: Reach
    exceptions: Exceptions

    @property
    def evaluator(self) -> Evaluator:
        return self.calls.evaluator

    # -- the clients' timeouts -----------------------------------------------------------------------------------

    def escapes(self, block: ast.Try, scope: Scope, renamed: bool = False) -> Iterator[Escape]:
        """The vendor calls in the body of a `try` whose timeouts reach its handlers; with `renamed`, also those that
        functions of the project raise on as exceptions of its own."""
        for site in scope.scan.calls:
            if not within(site.frame, block) or self.calls.spawned(site):
                continue
            plain = list(self._vendors(site, scope, renamed=False))
            others = [] if plain or not renamed else list(self._vendors(site, scope, renamed=True))
            for vendor in [*plain, *others]:
                raised = vendor.fact.timeout_exception
                if raised and not self.caught_before(site.frame, raised, scope, block):
                    yield Escape(site, vendor, raised, vendor in others)

    def _vendors(self, site: CallSite, scope: Scope, renamed: bool) -> Iterator[VendorCall]:
        direct = self.calls.vendor(site.node, scope)
        if direct:
            yield direct
            return
        for callee in self.evaluator.callees(site.node, scope):
            if not self.reach.runs(site, callee):
                continue
            nearest = self.reach.vendor(callee)
            found = self._escaping(callee, nearest.end.fact.timeout_exception, renamed) if nearest else None
            if found:
                yield found

    def _escaping(self, function: Function, raised: str, renamed: bool) -> VendorCall | None:
        """The nearest call in or below a function whose timeout `raised` leaves it."""
        if not raised:
            return None

        def probe(site: CallSite, scope: Function) -> VendorCall | None:
            found = self.calls.vendor(site.node, scope)
            return found if found and found.fact.timeout_exception == raised and enter(site, scope) else None

        def enter(site: CallSite, scope: Function) -> bool:
            return not self.caught_before(site.frame, raised, scope, renamed=renamed)

        chain = self.reach.first(function, probe, enter)
        return chain.end if chain else None

    def caught_before(
        self, frame: Frame | None, raised: str, scope: Scope, block: ast.stmt | None = None, renamed: bool = False
    ) -> bool:
        """Whether a `try` between a place and `block` (or the function's border) catches `raised`; doubt is yes. With
        `renamed`, one that raises an exception of the project for it lets it out."""
        for around in frame.chain() if frame else ():
            if around.node is block:
                return False
            if (
                isinstance(around.node, ast.Try)
                and around.section == "body"
                and self.catches(around.node, raised, scope)
                and not (renamed and self._renames(around.node, raised, scope))
            ):
                return True
        return False

    def catches(self, block: ast.Try, raised: str, scope: Scope) -> bool:
        """Whether a handler of a `try` catches the library exception `raised`; an unknown class counts as yes."""
        for handler in block.handlers:
            caught = self.exceptions.caught(handler.type, scope)
            if caught is None or any(self.exceptions.covers(value, raised) for value in caught):
                return True
        return False

    def _renames(self, block: ast.Try, raised: str, scope: Scope) -> bool:
        """Whether the handlers of a `try` that catch `raised` do nothing in the end but raise, and no HTTP error."""
        for handler in block.handlers:
            caught = self.exceptions.caught(handler.type, scope)
            if caught is None:
                return False
            if any(self.exceptions.covers(value, raised) for value in caught):
                told = [node.exc for node in own_nodes(handler.body) if isinstance(node, ast.Raise) and node.exc]
                return ways_out(handler.body) == {"raise"} and all(self._own(expr, scope) for expr in told)
        return False

    def _own(self, expr: ast.expr, scope: Scope) -> bool:
        """Whether a raised expression is an exception of the project that is no HTTP error."""
        classes = self.evaluator.values(expr.func if isinstance(expr, ast.Call) else expr, scope)
        facts = self.evaluator.facts
        return bool(classes) and all(
            isinstance(value, ClassValue)
            and not any(
                (fact := facts.fact(name)) and fact.kind == "http-error" for name in self.exceptions.ancestors(value)
            )
            for value in classes
        )

    # -- everybody else's timeouts -------------------------------------------------------------------------------

    def times_out(self, block: ast.Try, scope: Scope, sure: bool) -> bool:
        """Whether the body of a `try` raises `TimeoutError`: surely, or (`sure` false) as far as anybody can tell."""
        sites = [site for site in scope.scan.calls if within(site.frame, block)]
        if any(self._by_call(site, scope, sure) for site in sites) or _raises_timeout(block.body):
            return True
        return not sure and any(
            within(frame, block) and not isinstance(getattr(node, "value", None), ast.Call)
            for node, frame in scope.scan.awaits
        )

    def _by_call(self, site: CallSite, scope: Scope, sure: bool) -> bool:
        values = self.evaluator.values(site.node.func, scope)
        if not values:
            return not sure and _may_wait(site)
        return any(self._by_value(value, site, scope, sure) for value in values)

    def _by_value(self, value: Value, site: CallSite, scope: Scope, sure: bool) -> bool:
        match value:
            case Symbol():
                return self._by_symbol(value, site, sure)
            case Member(owner):
                return self._by_member(owner, site, sure)
            case FunctionValue(function):
                return self.reach.runs(site, function) and self._by_function(function, sure)
            case Instance() | Result() | Object():
                return not sure and _may_wait(site)
            case _:
                return False

    def _by_symbol(self, value: Symbol, site: CallSite, sure: bool) -> bool:
        fact = self.evaluator.fact(value)
        if fact is None:
            return not sure and not value.name.startswith("builtins.") and _may_wait(site)
        if fact.kind in _QUIET:
            return False
        return fact.timeout_exception == TIMEOUT or (not sure and fact.kind in ("executor", "wait-for"))

    def _by_member(self, owner: Instance | Object, site: CallSite, sure: bool) -> bool:
        fact = self.evaluator.fact(owner)
        if fact is None:
            return not sure and _may_wait(site)
        return fact.kind == "client" and fact.timeout_exception == TIMEOUT

    def _by_function(self, function: Function, sure: bool) -> bool:
        """Whether something in or below a function raises `TimeoutError`."""

        def probe(site: CallSite, scope: Function) -> bool | None:
            values = self.evaluator.values(site.node.func, scope)
            followed = any(isinstance(value, FunctionValue) for value in values)
            return True if not followed and self._by_call(site, scope, sure) else None

        if self.reach.first(function, probe):
            return True
        return any(_raises_timeout(below.node.body) for below in self.reach.below(function))


def within(frame: Frame | None, block: ast.stmt) -> bool:
    """Whether a place stands in the body of `block`."""
    return any(around.node is block and around.section == "body" for around in (frame.chain() if frame else ()))


def _may_wait(site: CallSite) -> bool:
    """Whether a call of which nothing is known may wait for something: it is awaited, entered, or named so."""
    func = site.node.func
    name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    entered = (
        site.frame is not None
        and isinstance(site.frame.node, ast.AsyncWith | ast.AsyncFor)
        and site.frame.section == "items"
    )
    limited = any(keyword.arg == "timeout" for keyword in site.node.keywords)
    return site.awaited or entered or limited or name in _WAITING


def _raises_timeout(body: list[ast.stmt]) -> bool:
    for node in own_nodes(body):
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            name = raised.attr if isinstance(raised, ast.Attribute) else getattr(raised, "id", "")
            if "Timeout" in name or "TimedOut" in name:
                return True
    return False


def in_raising_handler(block: ast.Try, function: Function) -> bool:
    """Whether a `try` cleans up in a handler that raises in the end, or that keeps what it caught for later."""
    frame = next((item.frame for item in function.scan.tries if item.node is block), None)
    for around in frame.chain() if frame else ():
        if isinstance(around.node, ast.Try) and around.section == "handler":
            handler = around.node.handlers[around.position]
            kept = (node.value for node in own_nodes(handler.body) if isinstance(node, ast.Assign))
            keeps = any(isinstance(value, ast.Name) and value.id == handler.name for value in kept)
            if keeps or not ways_out(handler.body) - {"raise"}:
                return True
    return False


def always_raise(functions: Iterable[Function]) -> bool:
    """Whether there are functions, and each of them raises on every path."""
    bodies = [item.node.body for item in functions]
    return bool(bodies) and not any(ways_out(body) - {"raise"} for body in bodies)
