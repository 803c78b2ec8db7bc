"""SCL702: a streamed response that some path leaves open."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.flow import leaves_loop
from safecall_lint.semantics.keywords import asks_for_stream
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.uses import Use, uses
from safecall_lint.visiting.rewriting import spelled
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.calls import VendorCall

_HELD = "not read at all it keeps its connection for ever; half read, until the garbage collector finds it"

_READING = frozenset({f".{name}" for name in ("aread", "raise_for_status", "aiter_bytes", "aiter_lines", "aiter_text")})


class UnclosedStream(Visitor):
    needs = (
        frozenset({".send", ".stream", ".get", ".post", ".request", ".create", "vendor", *_READING}),
        frozenset({"vendor", "first-party"}),
    )

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        functions = (scope for scope in scopes if isinstance(scope, Function))
        return any(_opened(semantics, function) for function in functions)

    def visit_Assign(self, node: cst.Assign) -> None:
        target = node.targets[0].target
        call = node.value.expression if isinstance(node.value, cst.Await) else node.value
        if len(node.targets) != 1 or not isinstance(target, cst.Name) or not isinstance(call, cst.Call):
            return
        function = self.context.function
        twin, scope = self.context.call(call), self.context.scope
        handed = self.semantics.streams.handed(twin, scope)
        vendor = handed or self.semantics.calls.vendor(twin, scope)
        if function is None or vendor is None:
            return
        line = getattr(self.context.twin(node), "lineno", 0)
        found = [use for use in uses(function, target.value, line) if use.node.lineno >= line]
        if any(use.how in ("surely", "escape") for use in found):
            return
        if not handed and vendor.fact.streams and vendor.path[-1:] and vendor.path[-1] in vendor.fact.streams:
            self._manager(call, found)
        elif handed or asks_for_stream(self.semantics.evaluator, twin, scope):
            self._response(node, call, target.value, vendor, found)

    # -- `client.stream(...)` ------------------------------------------------------------------------------------

    def _manager(self, call: cst.Call, found: list[Use]) -> None:
        entered = any(use.attribute in ("__aenter__", "__enter__") for use in found)
        if entered and not any(use.how == "close" for use in found):
            self._report(call, "nothing leaves this context manager again", None)

    # -- `stream=True` -------------------------------------------------------------------------------------------

    def _response(self, node: cst.Assign, call: cst.Call, name: str, vendor: VendorCall, found: list[Use]) -> None:
        if len(vendor.path) > 1 or not vendor.fact.parses:
            if any(map(_left_early, found)):
                self._report(call, "an early exit from the loop leaves the stream open", None, strict=True)
            return
        closed = any(use.how == "close" for use in found)
        if vendor.fact.stack == "requests":
            if not closed and not _drained(found):
                self._report(call, "not read to its end, not closed", None, strict=True)
            return
        label = "closed only where nothing fails" if closed else "not closed when the code below stops early"
        fix = None if any(map(_handed_on, found)) else self._closing(node, name, vendor)
        self._report(call, label, fix, strict=closed)

    def _report(self, call: cst.Call, label: str, fix: Rewrite | None, strict: bool = False) -> None:
        self.report(
            call,
            "this streamed response is not closed on every path",
            label=label,
            notes=[_HELD],
            help="open it in a `with` block",
            fix=fix,
            strict=strict,
        )

    def _closing(self, node: cst.Assign, name: str, vendor: VendorCall) -> Rewrite | None:
        """What follows in the block inside `async with aclosing(response)`."""
        line, block = self.context.stack[-2], self.context.stack[-3]
        manager = "contextlib.aclosing" if vendor.style == "async" else "contextlib.closing"
        spelling = spelled(manager, self.context.scope)
        if (
            not isinstance(block, cst.IndentedBlock)
            or not isinstance(line, cst.SimpleStatementLine)
            or spelling is None
        ):
            return None
        at = list(block.body).index(line)
        rest = list(block.body[at + 1 :])
        if not rest or self._used_outside(block, name):
            return None
        item = cst.WithItem(cst.parse_expression(f"{spelling[0]}({name})"))
        asynchronous = cst.Asynchronous() if vendor.style == "async" else None
        held = cst.With([item], cst.IndentedBlock(rest), asynchronous=asynchronous)
        changed = block.with_changes(body=[*block.body[: at + 1], held])
        return Rewrite("close the response when the block ends", Safety.SAFE, {block: changed}, imports=spelling[1])

    def _used_outside(self, block: cst.IndentedBlock, name: str) -> bool:
        """Whether the function reads the name anywhere below the block."""
        function, twin = self.context.function, self.context.twin(block.body[-1])
        if twin is None and isinstance(block.body[-1], cst.SimpleStatementLine):
            twin = self.context.twin(block.body[-1].body[-1])
        last = getattr(twin, "end_lineno", None)
        return function is None or last is None or any(True for _ in uses(function, name, last + 1))


def _opened(semantics: Semantics, function: Function) -> bool:
    """Whether the function gives a name to a stream that it, or one that it calls, opens."""
    for site in function.scan.calls:
        value = site.statement.value if isinstance(site.statement, ast.Assign) else None
        if site.node is (value.value if isinstance(value, ast.Await) else value):
            if semantics.streams.opens(site.node, function) or semantics.streams.handed(site.node, function):
                return True
    return False


def _left_early(use: Use) -> bool:
    """Whether a loop over the stream has a `break` or `return`."""
    loop = next((node for node in use.around if isinstance(node, ast.For | ast.AsyncFor)), None)
    return use.how == "iterate" and loop is not None and leaves_loop(loop.body)


def _handed_on(use: Use) -> bool:
    """Whether the body's pieces go to somebody who reads them later, so that only he can close."""
    outer = [node for node in use.around if not isinstance(node, ast.Attribute | ast.Call)]
    return use.how == "iterate" and not (outer and isinstance(outer[0], ast.For | ast.AsyncFor | ast.comprehension))


def _drained(found: list[Use]) -> bool:
    """Whether the body is read to its end where nothing fails."""
    whole = any(use.attribute in ("content", "text", "json", "raw") for use in found)
    return whole or any(use.how == "iterate" and not _left_early(use) for use in found)
