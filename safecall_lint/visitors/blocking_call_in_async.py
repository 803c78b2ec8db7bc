"""SCL502: a coroutine stops the event loop, by itself or through a helper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Confidence, Safety
from safecall_lint.semantics.keywords import given
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.values import ClassValue, Site
from safecall_lint.visiting.rewriting import spelled, with_first
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.blocking import Block

_ONE_THREAD = "the event loop is one thread: until this returns no other request moves"


class BlockingCallInAsync(Visitor):
    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        return any(semantics.blocking.of(scope) for scope in scopes if isinstance(scope, Function))

    @classmethod
    def strict_at_most(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        functions = [scope for scope in scopes if isinstance(scope, Function)]
        return all(_strict(block, one, semantics) for one in functions for block in semantics.blocking.of(one))

    def visit_Call(self, node: cst.Call) -> None:
        block = self._found(node)
        if block and block.steps == () and not block.through:
            self._direct(node, block)
        elif block:
            self._helper(node, block)

    def visit_For(self, node: cst.For) -> None:
        twin = self.context.twin(node)
        for block in self._blocks():
            if block.reads and block.node is twin:
                self._reading(node, block)

    def _blocks(self) -> list[Block]:
        function = self.context.function
        return self.semantics.blocking.of(function) if function else []

    def _found(self, node: cst.Call) -> Block | None:
        """What the model says about this very call."""
        blocks = self._blocks()
        if not blocks:
            return None
        span = self.context.slice.span(node)
        for block in blocks:
            at = self.context.module.source.span_at(
                block.node.lineno, block.node.col_offset, block.node.end_lineno or 0, block.node.end_col_offset or 0
            )
            if not block.reads and (at.start, at.end) == (span.start, span.end):
                return block
        return None

    # -- reports -------------------------------------------------------------------------------------------------

    def _direct(self, node: cst.Call, block: Block) -> None:
        sleeps = block.name.endswith(".sleep")
        self.report(
            node,
            f"`{block.name}` stops the event loop of every request",
            label="sleeps in the loop's own thread" if sleeps else "waits in the loop's own thread",
            labels=self._where(),
            notes=[_ONE_THREAD],
            help="await `asyncio.sleep`"
            if sleeps
            else "await an async client, or hand the call to `asyncio.to_thread`",
            fix=self._awaited_sleep(node) if sleeps else self._threaded(node, block),
            strict=_once(self._function, self.semantics),
        )

    def _helper(self, node: cst.Call, block: Block) -> None:
        once = any(self.semantics.roles.once(function) for function in block.through)
        if once and block.local:
            return
        doubtful = _doubtful(block, self.semantics)
        labels = [*self._where(), *((step, "which calls this") for step in block.steps), (block.end, "blocks here")]
        self.report(
            node,
            f"this call stops the event loop: it reaches `{block.name}`",
            label="runs in the loop's own thread",
            labels=labels,
            notes=[_ONE_THREAD],
            help="await an async client there, or hand this call to `asyncio.to_thread`",
            fix=self._threaded(node, block),
            confidence=Confidence.MEDIUM if doubtful else Confidence.HIGH,
            strict=_strict(block, self._function, self.semantics),
        )

    def _reading(self, node: cst.For, block: Block) -> None:
        self.report(
            node.iter,
            "each turn of this loop stops the event loop until data comes",
            label="a synchronous stream, read in the loop's own thread",
            labels=[*self._where(), (block.end, f"`{block.name}` opens the stream")],
            notes=[_ONE_THREAD],
            help="read the stream of the async client with `async for`",
            strict=_once(self._function, self.semantics),
        )

    @property
    def _function(self) -> Function:
        function = self.context.function
        assert function is not None
        return function

    def _where(self) -> list[tuple[cst.CSTNode | Site, str]]:
        return [(Site(self._function.module, self._function.node), "a coroutine")]

    # -- fixes ---------------------------------------------------------------------------------------------------

    def _threaded(self, node: cst.Call, block: Block) -> Rewrite | None:
        """The call handed to a thread, where its result is what the code uses: no context manager, no stream, no
        connection whose every later call would block as well, and no object of the project, which may belong to the
        thread and the context that it was made in."""
        fact = self.semantics.evaluator.facts.fact(block.name)
        if fact is not None and fact.kind == "blocking" and fact.close:
            return None
        if any(isinstance(value, ClassValue) for value in self.context.values(node.func)):
            return None
        parent = self.context.stack[-2]
        streams = bool(given(self.semantics.evaluator, self.context.call(node), "stream", self.context.scope))
        if isinstance(parent, cst.WithItem | cst.For | cst.CompFor | cst.Await) or streams:
            return None
        to_thread = spelled("asyncio.to_thread", self.context.scope)
        if to_thread is None:
            return None
        name, imports = to_thread
        call = with_first(node, node.func).with_changes(func=cst.parse_expression(name))
        return self._awaiting(node, call, "hand the call to a thread", imports)

    def _awaited_sleep(self, node: cst.Call) -> Rewrite | None:
        sleep = spelled("asyncio.sleep", self.context.scope)
        if sleep is None:
            return None
        name, imports = sleep
        call = node.with_changes(func=cst.parse_expression(name))
        return self._awaiting(node, call, "sleep without stopping the loop", imports)

    def _awaiting(self, node: cst.Call, call: cst.Call, title: str, imports: tuple[str, ...]) -> Rewrite:
        awaited = cst.Await(call.with_changes(lpar=[], rpar=[]), lpar=node.lpar, rpar=node.rpar)
        binds = isinstance(self.context.stack[-2], cst.Attribute | cst.Subscript | cst.Call | cst.BinaryOperation)
        if binds and not awaited.lpar:
            awaited = awaited.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        risk = "other tasks run while it waits, and the callee then runs in another thread"
        return Rewrite(title, Safety.UNSAFE, {node: awaited}, imports=imports, risk=risk)


def _strict(block: Block, function: Function, semantics: Semantics) -> bool:
    """Whether only the strict profile is to hear of it."""
    return _once(function, semantics) or (bool(block.through) and not block.reads and _doubtful(block, semantics))


def _once(function: Function, semantics: Semantics) -> bool:
    """Whether the coroutine runs before or after any request is served."""
    return semantics.roles.once(function) or semantics.roles.test(function)


def _doubtful(block: Block, semantics: Semantics) -> bool:
    """Whether a helper may block rarely or not at all: it starts something, a condition decides, or it is far away."""
    started = block.local or any(semantics.roles.once(helper) for helper in block.through)
    return started or len(block.steps) > 1 or block.doubtful
