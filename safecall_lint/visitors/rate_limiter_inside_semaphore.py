"""SCL205: a slot is held while waiting for a rate limiter."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Safety, Severity
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.values import Site
from safecall_lint.visiting.slots import taken_label
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.holding import Hold
    from safecall_lint.semantics.scan import CallSite
    from safecall_lint.semantics.stalls import Stall


class RateLimiterInsideSemaphore(Visitor):
    needs = (
        frozenset({"with:gate", "with:lock", ".acquire"}),
        frozenset({"with:limiter", "acquire", "first-party"}),
    )

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        return any(semantics.holding.holds(scope, "gate") for scope in scopes if isinstance(scope, Function))

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        function = self.context.defined(node)
        if function is None:
            return
        for place, stall, hold in self._waits(function):
            self._tell(place, stall, hold, function)

    # -- seeing ----------------------------------------------------------------------------------------------------

    def _waits(self, function: Function) -> Iterator[tuple[ast.expr, Stall | None, Hold]]:
        """The places that wait for a limiter under a gate; with the stall where a callee does the waiting."""
        holding = self.semantics.holding
        gates = holding.holds(function, "gate")
        for limiter in holding.holds(function, "limiter") if gates else ():
            hold = holding.innermost_at(gates, limiter)
            if hold and self.semantics.calls.slows(limiter.taken.value):
                yield limiter.taken.node, None, hold
        told: set[int] = set()
        for site, hold in holding.under(function):
            if hold.taken.kind != "gate" or site.node.lineno in told:
                continue
            admission = self.semantics.calls.admission(site.node, function)
            stall = None if admission else self._called(site, function)
            if stall or (admission and admission.kind == "limiter" and site.awaited):
                told.add(site.node.lineno)
                yield site.node, stall, hold

    def _called(self, site: CallSite, function: Function) -> Stall | None:
        """The wait for a limiter that a call leads to."""
        for callee in self.semantics.evaluator.callees(site.node, function):
            if self.semantics.reach.runs(site, callee):
                found = self.semantics.stalls.limited(callee)
                if found:
                    return found
        return None

    # -- telling ---------------------------------------------------------------------------------------------------

    def _tell(self, place: ast.expr, stall: Stall | None, hold: Hold, function: Function) -> None:
        labels = [(Site(function.module, hold.taken.node), taken_label(self.semantics.holding, hold))]
        if stall:
            labels.append((stall.node, "waits for the limiter here"))
        soft = stall is not None and (stall.job or self.semantics.stalls.for_job(hold))
        self.report(
            Site(function.module, place),
            "a slot is held while waiting for a rate limiter",
            label="waits for its turn with the slot in hand",
            labels=labels,
            help="wait for the rate limiter first, then take the slot",
            fix=self._fix(place, hold),
            severity=Severity.WARNING if soft else None,
            strict=soft,
        )

    def _fix(self, place: ast.expr, hold: Hold) -> Rewrite | None:
        block = self.context.tree(hold.block)
        if not isinstance(block, cst.With):
            return None
        return self._swapped(block, place, hold) or self._nested(block, place) or self._moved_up(block, place)

    def _swapped(self, block: cst.With, place: ast.expr, hold: Hold) -> Rewrite | None:
        """`async with gate, limiter` the other way round."""
        node = hold.block
        assert isinstance(node, ast.With | ast.AsyncWith)
        if len(node.items) != 2 or node.items[1].context_expr is not place or hold.position != 0:
            return None
        first, second = block.items
        if first.asname is not None:
            return None
        items = [second.with_changes(comma=first.comma), first.with_changes(comma=second.comma)]
        return _rewrite("wait for the limiter first", {block: block.with_changes(items=items)})

    def _nested(self, block: cst.With, place: ast.expr) -> Rewrite | None:
        """`async with limiter` as all that stands in `async with gate`."""
        inner = _only(block)
        twin = self.context.twin(inner) if isinstance(inner, cst.With) else None
        if not isinstance(inner, cst.With) or not isinstance(twin, ast.AsyncWith):
            return None
        if not isinstance(inner.body, cst.IndentedBlock):
            return None
        alone = len(block.items) == 1 and len(inner.items) == 1 and block.items[0].asname is None
        if not alone or twin.items[0].context_expr is not place:
            return None
        return _rewrite("wait for the limiter first", {block: _turned(block, inner)})

    def _moved_up(self, block: cst.With, place: ast.expr) -> Rewrite | None:
        """`await limiter.acquire()` as the first statement in `async with gate`."""
        if not isinstance(block.body, cst.IndentedBlock) or len(block.body.body) < 2 or len(block.items) != 1:
            return None
        first, second, *rest = block.body.body
        if (
            not isinstance(first, cst.SimpleStatementLine)
            or len(first.body) != 1
            or not isinstance(second, cst.BaseStatement)
        ):
            return None
        statement = first.body[0]
        twin = self.context.twin(statement)
        awaited = twin.value if isinstance(twin, ast.Expr) else None
        if not isinstance(awaited, ast.Await) or awaited.value is not place or block.items[0].asname is not None:
            return None
        up = first.with_changes(leading_lines=[*block.leading_lines, *first.leading_lines])
        body = block.body.with_changes(body=[second, *rest])
        return _rewrite(
            "wait for the limiter first",
            {block: cst.FlattenSentinel([up, block.with_changes(body=body, leading_lines=())])},
        )


def _turned(outer: cst.With, inner: cst.With) -> cst.With:
    """Two nested blocks the other way round, each with its own comments."""
    first, second = outer.body, inner.body
    assert isinstance(first, cst.IndentedBlock)
    assert isinstance(second, cst.IndentedBlock)
    gaps = [line for line in outer.leading_lines if line.comment is None]
    own = [line for line in outer.leading_lines if line.comment is not None]
    deep = outer.with_changes(leading_lines=own, body=second.with_changes(header=first.header))
    body = first.with_changes(header=second.header, body=[deep])
    return inner.with_changes(leading_lines=[*gaps, *inner.leading_lines], body=body)


def _only(block: cst.With) -> cst.CSTNode | None:
    body = block.body.body if isinstance(block.body, cst.IndentedBlock) else ()
    return body[0] if len(body) == 1 else None


def _rewrite(title: str, nodes: dict[cst.CSTNode, cst.CSTNode | cst.FlattenSentinel[cst.CSTNode]]) -> Rewrite:
    return Rewrite(title, Safety.SAFE, nodes=nodes)
