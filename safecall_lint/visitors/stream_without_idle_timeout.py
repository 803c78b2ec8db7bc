"""SCL701: a stream that may fall silent for ever, or is cut however well it flows."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.semantics.calls import VendorCall, keyword_or_position
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.pieces import read_by_pieces
from safecall_lint.semantics.values import Instance, Site
from safecall_lint.visiting.stream_timeouts import bounded_gap
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics

_GAP = ("read", "sock_read", "timeout")
_WORDS = frozenset({".stream", ".send", ".create", "vendor"})


class StreamWithoutIdleTimeout(Visitor):
    needs = (_WORDS, frozenset({"vendor"}))

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        return any(_suspects(semantics, scope) for scope in scopes if isinstance(scope, Function))

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        twin = self.context.twin(node)
        function = self.context.scope.functions.get(twin) if twin else None  # type: ignore[call-overload]
        for vendor, total in _suspects(self.semantics, function) if function else ():
            call = self.context.written(vendor.node, node)
            fix = bounded_gap(vendor, call, total, self.context) if call else None
            self._report(vendor, total, fix)

    def _report(self, vendor: VendorCall, total: bool, fix: Rewrite | None) -> None:
        given = self._given(vendor)
        if total:
            message = "a total timeout cuts this stream however well it flows"
            label = "one limit for the whole answer"
            note = "a long answer is cut in the middle, a silent one is held until then"
        else:
            message = "this stream can fall silent for ever"
            label = "no read timeout: the gap between two pieces has no bound"
            note = f"{vendor.fact.library} counts its read timeout anew for each piece, and here it is switched off"
        self.report(
            Site(vendor.scope.module, vendor.node),
            message,
            label=label,
            labels=[(given, "the timeout stands here")] if given else (),
            notes=[note],
            help=f"bound the gap: {_cure(vendor)}",
            fix=fix,
            strict=total,
        )

    def _given(self, vendor: VendorCall) -> Site | None:
        """Where the client got the timeout that the call does not state itself."""
        if vendor.client is None or vendor.client.site is None or self.semantics.deadlines.stated(vendor) is not None:
            return None
        call = vendor.client.call
        given = keyword_or_position(call, vendor.fact.timeout_keyword) if call else None
        return Site(vendor.client.site.module, given) if given is not None else vendor.client.site


def _suspects(semantics: Semantics, function: Function) -> list[tuple[VendorCall, bool]]:
    """The function's calls that open a stream without a bound on its gaps; True where only a total one stands."""
    found: list[tuple[VendorCall, bool]] = []
    limits = semantics.deadlines.of(function)
    for site in function.scan.calls:
        vendor = semantics.calls.vendor(site.node, function)
        if vendor is None or vendor.fact.stack == "requests" or limits:
            continue
        if vendor.fact.gap_default is not None and vendor.style == "async":
            continue
        if vendor.fact.stack == "aiohttp":
            if read_by_pieces(vendor.node, function) and (verdict := _aiohttp(semantics, vendor)) is not None:
                found.append((vendor, verdict))
        elif semantics.streams.opens(site.node, function) and semantics.deadlines.own(vendor, _GAP) == math.inf:
            found.append((vendor, False))
    return found


def _aiohttp(semantics: Semantics, vendor: VendorCall) -> bool | None:
    """Whether a total limit is all there is (True), nothing at all (False), or the gap is bounded or unknown (None)."""
    stated = semantics.deadlines.stated(vendor)
    made = vendor.client.call if vendor.client else None
    given = stated if stated is not None else keyword_or_position(made, vendor.fact.timeout_keyword) if made else None
    if given is None or _is_none(given):
        return None
    if semantics.deadlines.own(vendor, ("sock_read",)) != math.inf:
        return None
    scope = vendor.scope if stated is not None or vendor.client is None else vendor.client.scope
    configs = semantics.evaluator.values(given, scope or vendor.scope)
    totals = [
        keyword_or_position(value.call, "total", 0) for value in configs if isinstance(value, Instance) and value.call
    ]
    spoken = [total for total in totals if total is not None and not _is_none(total)]
    return bool(spoken) or semantics.deadlines.own(vendor, ("total",)) != math.inf


def _is_none(expr: ast.expr) -> bool:
    return isinstance(expr, ast.Constant) and expr.value is None


def _cure(vendor: VendorCall) -> str:
    if vendor.fact.stack == "aiohttp":
        return "`aiohttp.ClientTimeout(total=None, sock_read=30)`"
    return f"a read timeout on the call or the client, such as `{vendor.fact.stack}.Timeout(30)`"
