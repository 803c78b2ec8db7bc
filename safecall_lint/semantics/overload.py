"""How failures of vendors leave a service: handlers around vendor calls, and what they tell the caller."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from safecall_lint.semantics.exceptions import BROAD
from safecall_lint.semantics.raising import Escape, Raising, within
from safecall_lint.semantics.values import ClassValue, Site, Symbol, Value

if TYPE_CHECKING:
    from safecall_lint.semantics.entries import Entries
    from safecall_lint.semantics.model import Function, Scope
    from safecall_lint.semantics.replies import Replies, Reply
    from safecall_lint.semantics.scan import Block, CallSite, Frame
    from safecall_lint.semantics.telling import Telling
    from safecall_lint.semantics.threads import Threads

_BUSY: Final = frozenset({429, 503})
_TELLING: Final = frozenset({408, 424, 429, 499, 502, 503, 504})
_MEANING: Final = frozenset({"timeout", "overload", "status", "transport"})


class Fault(Struct, frozen=True):
    """What is wrong with how a handler answers. `late` is the vendor's timeout that leaves as a mistake of ours or of
    the caller; `lost` are answers of the block itself that become `reply`; `leak` is the expression that carries the
    exception's text; `curt` tells that a refusal does not say when to come back. `vendor` is the call that fails."""

    handler: ast.ExceptHandler
    block: ast.Try
    reply: Reply
    late: Escape | None
    lost: tuple[tuple[Site, int | None], ...]
    leak: ast.expr | None
    curt: bool
    vendor: Site | None

    @property
    def wrong(self) -> bool:
        return bool(self.late or self.lost or self.leak is not None or self.curt)


class Overload(Struct, eq=False):
    """Answers for functions."""

    raising: Raising
    replies: Replies
    telling: Telling
    threads: Threads
    entries: Entries
    _known: dict[Scope, list[Fault]] = field(default_factory=dict)

    def of(self, function: Function) -> list[Fault]:
        """The handlers of a function that answer for a vendor in a wrong way, one row each."""
        if function not in self._known:
            found = [fault for block in function.scan.tries for fault in self._of_block(block, function)]
            if not self.raising.evaluator.idle:
                return found
            self._known[function] = found
        return self._known[function]

    def _of_block(self, block: Block, function: Function) -> Iterator[Fault]:
        if not isinstance(block.node, ast.Try):
            return
        for handler in block.node.handlers:
            replies = self.replies.of(handler.body, function)
            if replies and not self.telling.distinguishes(handler):
                faults = (self._fault(handler, block.node, reply, function) for reply in replies)
                if found := next((fault for fault in faults if fault.wrong), None):
                    yield found

    def _fault(self, handler: ast.ExceptHandler, block: ast.Try, reply: Reply, function: Function) -> Fault:
        caught = self.raising.exceptions.caught(handler.type, function)
        broad = _is_broad(caught)
        site = self._asked(block, function)
        late = self._late(handler, block, reply, function)
        lost = tuple(self._lost(handler, block, reply, function)) if broad else ()
        leak = None
        if self._speaks_for_others(handler, block, caught, reply, site, function):
            leak = self.telling.text(reply, handler, function)
        curt = reply.status in _BUSY and not reply.retry_after and site is not None and self._is_busy(caught)
        return Fault(handler, block, reply, late, lost, leak, curt, site)

    # -- the vendor --------------------------------------------------------------------------------------------------

    def _asked(self, block: ast.Try, function: Function) -> Site | None:
        """The first call in the body of a `try` that asks a vendor, by itself or below."""
        for site in function.scan.calls:
            if within(site.frame, block) and self._asks(site, function):
                return Site(function.module, site.node)
        return None

    def _asks(self, site: CallSite, function: Function) -> bool:
        if self.threads.vendors(site, function):
            return True
        if self.raising.calls.spawned(site):
            return False
        if self.raising.calls.vendor(site.node, function):
            return True
        callees = self.raising.evaluator.callees(site.node, function)
        return any(self.raising.reach.runs(site, callee) and self.raising.reach.vendor(callee) for callee in callees)

    def _late(self, handler: ast.ExceptHandler, block: ast.Try, reply: Reply, function: Function) -> Escape | None:
        """The vendor's timeout that comes to a handler whose answer blames somebody else."""
        if reply.status is None or not 400 <= reply.status <= 500 or reply.status in _TELLING:
            return None
        before = block.handlers[: block.handlers.index(handler)]
        for escape in self.raising.escapes(block, function, renamed=not before and self._is_all(handler, function)):
            if not self._takes(before, escape.exception, function, doubt=True):
                if self._takes([handler], escape.exception, function, doubt=False):
                    return escape
        return None

    def _is_all(self, handler: ast.ExceptHandler, function: Function) -> bool:
        return _is_broad(self.raising.exceptions.caught(handler.type, function))

    def _takes(self, handlers: list[ast.ExceptHandler], raised: str, function: Function, *, doubt: bool) -> bool:
        for handler in handlers:
            caught = self.raising.exceptions.caught(handler.type, function)
            if caught is None:
                if doubt:
                    return True
            elif any(self.raising.exceptions.covers(value, raised) for value in caught):
                return True
        return False

    # -- answers that get lost ---------------------------------------------------------------------------------------

    def _lost(
        self, handler: ast.ExceptHandler, block: ast.Try, reply: Reply, function: Function
    ) -> Iterator[tuple[Site, int | None]]:
        """The HTTP errors raised in the body of a `try`, there or in a function called there, that its own broad
        handler turns into another."""
        before = block.handlers[: block.handlers.index(handler)]
        if any(self._takes_answers(part, function) for part in before):
            return
        for own in self._raised(block.body, function, block):
            if own.status != reply.status:
                yield Site(function.module, own.statement), own.status
        for site in function.scan.calls:
            if within(site.frame, block) and not self._kept(site.frame, function, block):
                yield from self._lost_below(site, function, reply)

    def _lost_below(self, site: CallSite, function: Function, reply: Reply) -> Iterator[tuple[Site, int | None]]:
        reach = self.raising.reach
        if self.raising.calls.spawned(site):
            return
        for callee in self.raising.evaluator.callees(site.node, function):
            if not reach.runs(site, callee) or callee.is_generator:
                continue
            for chain in reach.chains(callee, lambda step, scope: not self._kept(step.frame, scope)):
                for own in self._raised(chain.function.node.body, chain.function):
                    if own.status != reply.status:
                        yield Site(chain.function.module, own.statement), own.status

    def _raised(self, body: list[ast.stmt], function: Function, block: ast.Try | None = None) -> Iterator[Reply]:
        """The HTTP errors that leave some statements of a function."""
        for own in self.replies.of(body, function):
            frames = [site.frame for site in function.scan.calls if site.node is own.node]
            if own.raised and not any(self._kept(frame, function, block) for frame in frames):
                yield own

    def _kept(self, frame: Frame | None, function: Function, block: ast.Try | None = None) -> bool:
        """Whether a `try` between a place and `block`, or the border of the function, takes an HTTP error."""
        for around in frame.chain() if frame else ():
            if around.node is block:
                return False
            if isinstance(around.node, ast.Try) and around.section == "body":
                if any(self._takes_answers(part, function) for part in around.node.handlers):
                    return True
        return False

    def _takes_answers(self, handler: ast.ExceptHandler, function: Function) -> bool:
        caught = self.raising.exceptions.caught(handler.type, function)
        if caught is None or _is_broad(caught):
            return True
        names = [name for value in caught for name in self.raising.exceptions.ancestors(value)]
        facts = [self.raising.evaluator.facts.fact(name) for name in names]
        return any(fact and fact.kind == "http-error" for fact in facts)

    # -- what is told ------------------------------------------------------------------------------------------------

    def _speaks_for_others(
        self,
        handler: ast.ExceptHandler,
        block: ast.Try,
        caught: tuple[Value, ...] | None,
        reply: Reply,
        site: Site | None,
        function: Function,
    ) -> bool:
        """Whether the text of what a handler caught may be a vendor's, and is no answer to a mistake of the caller."""
        if caught is None or (reply.status is not None and reply.status < 400):
            return False
        if _is_broad(caught):
            return site is not None or self._waits_for_others(block, function)
        meanings = {self.raising.exceptions.means(value) for value in caught if isinstance(value, Symbol)}
        foreign = any(self._is_foreign(value) for value in caught)
        blamed = reply.status is not None and reply.status < 500 and reply.status not in _TELLING
        return site is not None and foreign and not (blamed and meanings <= {"status", ""})

    def _waits_for_others(self, block: ast.Try, function: Function) -> bool:
        """Whether a route awaits something of which nothing is known, so that it may be anybody. Coroutines of the
        project that reach no vendor end in its own storage, most of them."""
        awaited = (site for site in function.scan.calls if site.awaited and within(site.frame, block))
        unknown = any(not self.raising.evaluator.values(site.node.func, function) for site in awaited)
        return unknown and self.entries.role(function) == "route"

    def _is_foreign(self, value: Value) -> bool:
        """Whether an exception class is one that a client library raises."""
        facts = self.raising.evaluator.facts
        if not isinstance(value, Symbol) or value.name.startswith("builtins.") or value.name not in facts.exceptions:
            return False
        own = facts.fact(value.name)
        return own is None or own.kind != "http-error"

    def _is_busy(self, caught: tuple[Value, ...] | None) -> bool:
        """Whether what is caught may mean that a vendor is late or refuses."""
        if caught is None or _is_broad(caught):
            return True
        return any(
            self.raising.exceptions.means(value) in _MEANING
            for value in caught
            if isinstance(value, Symbol | ClassValue)
        )


def _is_broad(caught: tuple[Value, ...] | None) -> bool:
    return any(isinstance(value, Symbol) and value.name in BROAD for value in caught or ())
