"""SCL703: a retry around code that has already handed on the beginning of an answer."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.semantics.flow import own_nodes
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.scan import Frame
from safecall_lint.semantics.values import Site
from safecall_lint.visiting.first_chunk import until_first_chunk
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics

_SENDING = frozenset(
    {"send", "send_text", "send_json", "send_bytes", "send_str", "put", "put_nowait", "emit", "publish"}
)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_NEXT = frozenset({"anext", "next", "__anext__", "__next__"})
_OPENING = frozenset({"aiter", "iter", "__aiter__", "__iter__"})
_SENT = frozenset(f".{name}" for name in _SENDING)

Sent = tuple[ast.expr, Frame | None]
Loop = ast.For | ast.AsyncFor | ast.While


class RetryMidStream(Visitor):
    needs = (frozenset({"loop"}), frozenset({"yield", *_SENT}), frozenset({"handler", "decorator", "retry"}))

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        return any(semantics.retries.layered(scope) for scope in scopes if isinstance(scope, Function))

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        twin = self.context.twin(node)
        function = self.context.scope.functions.get(twin) if twin else None  # type: ignore[call-overload]
        if function is not None:
            self._loops(function)
            self._iterators(function)
            self._decorated(function)

    def _loops(self, function: Function) -> None:
        for loop in self.semantics.retries.loops(function):
            sent = next((row for row in _sent(function) if _in(row[1], loop.attempt, "body")), None)
            inner = _inner_loop(sent[1], loop.attempt) if sent else None
            if sent is None or inner is None or not self._streams(inner, function):
                continue
            if _resumes(loop.attempt, inner) or any(_guarded(handler, loop.attempt) for handler in loop.caught):
                continue
            again = [h for h in loop.caught if not self._only_status(h, function)]
            if again:
                handed = [row[0] for row in _sent(function) if _in(row[1], loop.attempt, "body")]
                fix = until_first_chunk(loop.loop, handed, again, function, self.context)
                self._report(function, sent[0], Site(function.module, again[0]), "after which the loop asks again", fix)

    def _iterators(self, function: Function) -> None:
        for block in function.scan.loops:
            loop = block.node
            if not isinstance(loop, ast.For | ast.AsyncFor) or self.semantics.retries.iterator(loop, function) is None:
                continue
            for node, frame in _sent(function):
                inner = _inner_loop(frame, loop)
                if inner is not None and _in(frame, loop, "body") and self._streams(inner, function):
                    self._report(function, node, Site(function.module, loop.iter), "makes the whole attempt again")
                    break

    def _decorated(self, function: Function) -> None:
        policies = self.semantics.retries.decorators(function)
        if not policies or function.is_generator:
            return
        for node, frame in _sent(function):
            inner = _inner_loop(frame, None)
            if inner is not None and self._streams(inner, function):
                self._report(function, node, policies[0].site, "runs the whole function again")
                return

    def _streams(self, loop: Loop, function: Function) -> bool:
        """Whether a loop reads a vendor's stream."""
        source = _source(loop)
        while isinstance(source, ast.Call) and isinstance(source.func, ast.Attribute):
            if not source.func.attr.startswith(("aiter", "iter", "text_stream")):
                break
            source = source.func.value
        streams = self.semantics.streams
        generator = streams.generator(source, function)
        if streams.opens(source, function) or (generator and streams.works(generator)):
            return True
        names = [source] if isinstance(source, ast.Name) else []
        names += [source.value] if isinstance(source, ast.Attribute) and isinstance(source.value, ast.Name) else []
        rows = [row for name in names for row in function.scan.bindings.get(name.id, ())]
        made = (row.value for row in rows if row.form in ("assign", "with", "annotation"))
        return any(streams.lazy(_argument(value, _OPENING) or value, function) for value in made)

    def _only_status(self, handler: ast.ExceptHandler, function: Function) -> bool:
        """Whether a handler catches only answers that come before the first chunk."""
        caught = self.semantics.exceptions.caught(handler.type, function)
        return bool(caught) and all(self.semantics.exceptions.means(value) == "status" for value in caught or ())

    def _report(self, function: Function, sent: ast.expr, again: Site, why: str, fix: Rewrite | None = None) -> None:
        self.report(
            Site(function.module, sent),
            "a retry after the first chunk sends the beginning twice",
            label="already on its way to the reader",
            labels=[(again, why)],
            notes=["an answer that breaks off is asked for anew, and the new one starts from its first word"],
            help="retry only until the first chunk is out, then let the failure through",
            fix=fix,
        )


def _sent(function: Function) -> Iterator[Sent]:
    """What a function hands on: what it yields, and what it sends, puts or writes."""
    yield from function.scan.yields
    for site in function.scan.calls:
        func = site.node.func
        if isinstance(func, ast.Attribute) and func.attr in _SENDING and site.node.args:
            names = {node.id for arg in site.node.args for node in ast.walk(arg) if isinstance(node, ast.Name)}
            loop = _inner_loop(site.frame, None)
            if loop is not None and names & _targets(loop):
                yield site.node, site.frame


def _source(loop: Loop) -> ast.expr | None:
    """What a loop reads: what a `for` goes through, or what a `while` asks for the next piece."""
    if not isinstance(loop, ast.While):
        return loop.iter
    return next(filter(None, (_argument(node, _NEXT) for node in own_nodes([loop.test, *loop.body]))), None)


def _argument(node: ast.AST | None, names: frozenset[str]) -> ast.expr | None:
    """The object of a call by one of `names`, function or method: `anext(it)`, `it.__anext__()`."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[first, *_]) if name in names:
            return first
        case ast.Call(func=ast.Attribute(value=owner, attr=name)) if name in names:
            return owner
        case _:
            return None


def _pieces(loop: Loop) -> set[str]:
    """The names that a loop gives each piece."""
    if not isinstance(loop, ast.While):
        return {name.id for name in _names([loop.target])}
    taking = (node for node in own_nodes([loop.test, *loop.body]) if isinstance(node, ast.Assign | ast.NamedExpr))
    found = (node for node in taking if any(_argument(part, _NEXT) for part in ast.walk(node.value)))
    return {name.id for node in found for name in _names([node]) if isinstance(name.ctx, ast.Store)}


def _targets(loop: Loop) -> set[str]:
    """The loop's variable and the names that its body makes."""
    head = [loop.test if isinstance(loop, ast.While) else loop.target]
    return {name.id for name in _names([*head, *loop.body]) if isinstance(name.ctx, ast.Store)}


def _in(frame: Frame | None, node: ast.AST, section: str) -> bool:
    return frame is not None and any(outer.node is node and outer.section == section for outer in frame.chain())


def _inner_loop(frame: Frame | None, until: ast.AST | None) -> Loop | None:
    """The innermost loop around a place that goes through something, inside `until`."""
    for outer in frame.chain() if frame else ():
        if outer.node is until:
            return None
        if isinstance(outer.node, _LOOPS) and outer.section == "body" and _source(outer.node) is not None:
            return outer.node
    return None


def _guarded(handler: ast.ExceptHandler, attempt: ast.Try) -> bool:
    """Whether a handler gives up once something was sent: it tests a name that the attempt sets."""
    made = {name.id for name in _names(attempt.body) if isinstance(name.ctx, ast.Store)}
    for node in ast.walk(handler):
        tested = isinstance(node, ast.If) and made & {name.id for name in _names([node.test])}
        if tested and any(isinstance(inner, ast.Raise | ast.Return | ast.Break) for inner in ast.walk(node)):
            return True
    return False


def _names(nodes: Iterable[ast.AST]) -> Iterator[ast.Name]:
    for node in nodes:
        yield from (inner for inner in ast.walk(node) if isinstance(inner, ast.Name))


def _resumes(attempt: ast.Try, loop: Loop) -> bool:
    """Whether the next attempt goes on where this one stopped: what asks for the stream uses what the loop counts."""
    counted = _targets(loop) - _pieces(loop)
    inside, source = set(_names([loop])), _source(loop)
    asking = [*(name for name in _names(attempt.body) if name not in inside), *_names([source] if source else [])]
    return any(isinstance(name.ctx, ast.Load) and name.id in counted for name in asking)
