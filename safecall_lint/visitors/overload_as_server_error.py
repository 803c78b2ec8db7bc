"""SCL504: a vendor is late or busy, and the caller is told something else."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.values import Site, Symbol
from safecall_lint.visiting.comeback import with_time
from safecall_lint.visiting.rewriting import fresh_name, spelled
from safecall_lint.visiting.visitor import Place, Rewrite, Visitor
from safecall_lint.visiting.walk import descendants

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.overload import Fault

_LATE = "the vendor did not answer in time"
_SHOWN = 4


class OverloadAsServerError(Visitor):
    needs = (frozenset({"handler"}),)

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        return any(semantics.overload.of(scope) for scope in scopes if isinstance(scope, Function))

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        function = self.context.defined(node)
        for fault in self.semantics.overload.of(function) if function else ():
            assert function is not None
            self._tell(fault, function)

    def _tell(self, fault: Fault, function: Function) -> None:
        self.report(
            Site(function.module, fault.reply.node),
            _message(fault),
            label=_label(fault),
            labels=list(self._labels(fault, function)),
            notes=list(_notes(fault)),
            help=_help(fault),
            fix=self._fix(fault, function),
        )

    def _labels(self, fault: Fault, function: Function) -> Iterator[tuple[Place, str]]:
        if fault.late:
            exception = fault.late.exception.removeprefix("builtins.")
            what = "fails under a name of its own" if fault.late.renamed else f"raises `{exception}`"
            yield Site(function.module, fault.late.site.node), f"{what} when the vendor is late"
        elif fault.vendor:
            yield fault.vendor, "asks the vendor"
        for site, _ in fault.lost[:_SHOWN]:
            yield site, "raised here, caught by the handler"
        if fault.leak is not None:
            yield Site(function.module, fault.leak), "the exception's own text: hosts, paths, ids, parts of prompts"

    # -- the fix -------------------------------------------------------------------------------------------------

    def _fix(self, fault: Fault, function: Function) -> Rewrite | None:
        """Handlers in front of this one for what it does not mean, and the exception's class in place of its text."""
        if fault.curt and not (fault.late or fault.lost or fault.leak is not None):
            return with_time(fault, function, self.context)
        handler, block = self.context.tree(fault.handler), self.context.tree(fault.block)
        if fault.curt or not isinstance(handler, cst.ExceptHandler) or not isinstance(block, cst.Try):
            return None
        hushed = _hushed(handler) if fault.leak is not None else handler
        passed = self._passed_on(fault, function)
        timely = self._in_time(fault, function)
        if hushed is None or passed is None or timely is None:
            return None
        new, imports = timely
        handlers: list[cst.ExceptHandler] = []
        for item in block.handlers:
            handlers += [*passed, *new, hushed] if item is handler else [item]
        title, risk = _told(fault)
        if not title:
            return None
        changed = block.with_changes(handlers=handlers)
        return Rewrite(title, Safety.UNSAFE, {block: changed}, imports=imports, risk=risk)

    def _passed_on(self, fault: Fault, function: Function) -> list[cst.ExceptHandler] | None:
        """`except HTTPException: raise`, where an answer of the block is lost."""
        if not fault.lost:
            return []
        name = self._http_error(fault, function)
        return [_handler(name, "", "raise")] if name else None

    def _in_time(self, fault: Fault, function: Function) -> tuple[list[cst.ExceptHandler], tuple[str, ...]] | None:
        """A handler for the vendor's timeout that answers 504."""
        if not fault.late or fault.late.renamed:
            return [], ()
        name, way = self._http_error(fault, function), spelled(fault.late.exception, function)
        if fault.late.exception.startswith("builtins."):
            way = fault.late.exception.removeprefix("builtins."), ()
        if way is None or not name or self._is_meant(fault, function):
            return None
        bound = fresh_name("late", function)
        answer = f'raise {name}(status_code=504, detail="{_LATE}") from {bound}'
        return [_handler(way[0], bound, answer)], way[1]

    def _is_meant(self, fault: Fault, function: Function) -> bool:
        """Whether the handler names the timeout itself: what is wrong is its answer, and no handler is missing."""
        caught = self.semantics.exceptions.caught(fault.handler.type, function) or ()
        return fault.late is not None and Symbol(fault.late.exception) in caught

    def _http_error(self, fault: Fault, function: Function) -> str:
        """How the handler writes the framework's own error class, where it raises that."""
        call = fault.reply.node
        if not fault.reply.raised or not isinstance(call, ast.Call):
            return ""
        fact = self.semantics.calls.symbol(call, function)
        return ast.unparse(call.func) if fact and fact.value_keyword == "status_code" else ""


def _handler(caught: str, name: str, statement: str) -> cst.ExceptHandler:
    body = cst.IndentedBlock([cst.ensure_type(cst.parse_statement(statement), cst.SimpleStatementLine)])
    bound = cst.AsName(cst.Name(name)) if name else None
    return cst.ExceptHandler(body, cst.parse_expression(caught), bound, leading_lines=[])


def _hushed(handler: cst.ExceptHandler) -> cst.ExceptHandler | None:
    """The handler with `type(e).__name__` where its answer has `str(e)` or a plain `{e}`."""
    if handler.name is None or not isinstance(handler.name.name, cst.Name):
        return None
    name = handler.name.name.value
    kind = cst.parse_expression(f"type({name}).__name__")
    changes: dict[cst.CSTNode, cst.CSTNode] = {}
    for exit_ in descendants(handler.body, scopes=False):
        if isinstance(exit_, cst.Raise | cst.Return):
            spoken = exit_.exc if isinstance(exit_, cst.Raise) else exit_.value
            for node in descendants(spoken, scopes=False) if spoken else ():
                if _is_text(node, name):
                    changes[node] = kind
                elif isinstance(node, cst.FormattedStringExpression) and isinstance(node.expression, cst.Name):
                    if node.expression.value == name:
                        changes[node] = node.with_changes(expression=kind, conversion=None)
    result: cst.CSTNode | cst.RemovalSentinel | cst.FlattenSentinel[cst.CSTNode] = handler
    for old, new in changes.items():
        assert isinstance(result, cst.CSTNode)
        result = result.deep_replace(old, new)
    return result if changes and isinstance(result, cst.ExceptHandler) else None


def _is_text(node: cst.CSTNode, name: str) -> bool:
    """`str(e)` and `repr(e)`."""
    if not isinstance(node, cst.Call) or not isinstance(node.func, cst.Name) or len(node.args) != 1:
        return False
    given = node.args[0].value
    return node.func.value in ("str", "repr") and isinstance(given, cst.Name) and given.value == name


# -- words -----------------------------------------------------------------------------------------------------------


def _message(fault: Fault) -> str:
    status = fault.reply.status
    if fault.late:
        library = fault.late.vendor.fact.library
        blamed = "as if they were bugs" if status == 500 else "as if the caller were at fault"
        return f"`{library}` timeouts leave as {status}, {blamed}"
    if fault.lost:
        was = fault.lost[0][1]
        return f"a {was or 'status'} meant for the caller leaves this handler as {status or 'another one'}"
    if fault.curt:
        return f"this {status} has no `Retry-After`: callers come back at once"
    return "the text of whatever fails here is sent to the caller"


def _label(fault: Fault) -> str:
    if fault.late:
        return "one answer for bugs, timeouts and overload" if fault.reply.status == 500 else "blames the caller"
    if fault.lost:
        return "also catches answers that are meant for the caller"
    return "a refusal without a time to come back" if fault.curt else "carries the exception's text"


def _notes(fault: Fault) -> Iterator[str]:
    if fault.late:
        yield "504 and 503 tell callers to come back later; 500 reads as a bug, 4xx as a request never to be repeated"
    if fault.curt and (fault.late or fault.lost or fault.leak is not None):
        yield "and there is no `Retry-After`"


def _help(fault: Fault) -> str:
    if fault.late:
        also = ", and log the text instead of sending it" if fault.leak is not None else ""
        return f"catch the vendor's timeouts first and answer 504, or 503 with `Retry-After` when it is busy{also}"
    if fault.lost:
        return "put `except HTTPException: raise` in front of this handler"
    if fault.curt:
        return 'add `headers={"Retry-After": ...}` with the seconds after which a new attempt makes sense'
    return "log the exception and answer with a text of your own"


def _told(fault: Fault) -> tuple[str, str]:
    """The title of the fix, and what changes for callers."""
    parts, risks = [], []
    if fault.lost:
        parts.append("let answers through")
        risks.append("callers get the status that the block raises")
    if fault.late and not fault.late.renamed:
        parts.append("answer timeouts with 504")
        risks.append("callers get 504 for timeouts")
    if fault.leak is not None:
        parts.append("send the exception's class, not its text")
        risks.append("callers no longer see the exception's text, and nothing logs it for you")
    return ", ".join(parts), "; ".join(risks)
