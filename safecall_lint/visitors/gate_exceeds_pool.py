"""SCL107: a gate lets more calls through than the client behind it has connections."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Safety, Severity
from safecall_lint.semantics.lifetimes import Fate
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.raising import within
from safecall_lint.semantics.values import Instance, Object, Site
from safecall_lint.visiting.rewriting import spelled
from safecall_lint.visiting.visitor import Place, Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics.calls import VendorCall
    from safecall_lint.semantics.pools import Pool
    from safecall_lint.semantics.scan import Block
    from safecall_lint.visiting.context import Context, Held


class GateExceedsPool(Visitor):
    needs = (frozenset({"with:gate", ".release"}), frozenset({"vendor", "first-party"}))

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._told: set[tuple[Instance | Object, Site]] = set()

    def visit_Call(self, node: cst.Call) -> None:
        held = self.context.held("gate", "lock")
        tightest = self._tightest(held)
        if tightest is None:
            return
        gate, admitted = tightest
        for vendor in self._vendor_calls(self.context.call(node), self.context.scope):
            pool = self.semantics.pools.of(vendor.client) if vendor.client is not None else None
            if pool and admitted > pool.size and self._is_shared(vendor, gate) and self._is_first(gate, pool):
                self._told.add((gate.value, pool.client))
                self._report(gate, admitted, pool)

    def _is_first(self, gate: Held, pool: Pool) -> bool:
        """Whether no earlier block of the module takes the same gate for the same pool: the two numbers that do not fit
        are told of once."""
        if (gate.value, pool.client) in self._told:
            return False
        line = self._line(gate)
        earlier = (
            (block, scope)
            for scope in self.context.module.scopes
            for block in scope.scan.withs
            if block.node.lineno < line and self._takes(block, scope, gate)
        )
        return not any(self._reaches(block, scope, pool) for block, scope in earlier)

    def _line(self, gate: Held) -> int:
        return getattr(self.context.twin(gate.block), "lineno", 0)

    def _takes(self, block: Block, scope: Scope, gate: Held) -> bool:
        items = block.node.items if isinstance(block.node, ast.With | ast.AsyncWith) else []
        return any(gate.value in self.semantics.evaluator.values(item.context_expr, scope) for item in items)

    def _reaches(self, block: Block, scope: Scope, pool: Pool) -> bool:
        """Whether a call in a block comes to a pool."""
        inside = (site for site in scope.scan.calls if within(site.frame, block.node))
        clients = (vendor.client for site in inside for vendor in self._vendor_calls(site.node, scope))
        found = (self.semantics.pools.of(client) for client in clients if client is not None)
        return any(other is not None and other.client == pool.client for other in found)

    def _tightest(self, held: list[Held]) -> tuple[Held, float] | None:
        """The gate that admits the fewest, where every gate in hand tells how many it admits."""
        counted = [(item, self.semantics.holding.permits(item.value)) for item in held]
        known = [(item, count) for item, count in counted if count is not None]
        return min(known, key=lambda pair: pair[1]) if known and len(known) == len(held) else None

    def _vendor_calls(self, call: ast.Call, scope: Scope) -> Iterator[VendorCall]:
        direct = self.semantics.calls.vendor(call, scope)
        if direct:
            yield direct
            return
        for callee in self.semantics.evaluator.callees(call, scope):
            chain = self.semantics.reach.vendor(callee)
            if chain:
                yield chain.end

    def _is_shared(self, vendor: VendorCall, gate: Held) -> bool:
        """Whether the gate's calls use one pool: not a client that each of them makes for itself."""
        client = vendor.client
        if not isinstance(client, Instance) or client.call is None or not isinstance(client.scope, Function):
            return True
        return client.scope is gate.value.scope or (
            self.semantics.lifetimes.fate(client.call, client.scope) in (Fate.KEPT, Fate.HANDED)
        )

    def _report(self, gate: Held, admitted: float, pool: Pool) -> None:
        waits = pool.fact.overload_exception
        end = "the rest time out" if waits else "the rest wait"
        labels: list[tuple[Place, str]] = [(pool.client, _size(pool))]
        made = gate.value.site
        if made:
            labels.insert(0, (made, f"admits {admitted:g} at once"))
        self.report(
            gate.node,
            f"{admitted:g} calls are let into a pool of {pool.size:g} connections: {end}",
            label="lets more calls through than there are connections",
            labels=labels,
            help=f"give the pool {admitted:g} connections, or the gate {pool.size:g} slots",
            notes=self._notes(pool, waits),
            severity=None if pool.fact.loses_slots else Severity.WARNING,
            fix=self._aligned(int(admitted), pool),
        )

    def _notes(self, pool: Pool, waits: str) -> list[str]:
        notes = [f"a call that finds no connection fails with `{waits.rpartition('.')[2]}`"] if waits else []
        if pool.fact.loses_slots:
            notes.append(
                f"`{pool.fact.library}` can lose a connection for good when a call is cancelled while it waits for one"
            )
        return notes

    def _aligned(self, admitted: int, pool: Pool) -> Rewrite | None:
        title = f"give the pool {admitted} connections"
        stated = pool.stated
        if stated is not None:
            literal = stated.module is self.context.module and isinstance(stated.node, ast.Constant)
            return Rewrite(title, Safety.SAFE, sites=[(stated, str(admitted))]) if literal else None
        text = self._with_limits(admitted, pool)
        return Rewrite(title, Safety.SAFE, sites=[(pool.client, text)]) if text else None

    def _with_limits(self, admitted: int, pool: Pool) -> str | None:
        """The client's call with its limits written out, where that is one line."""
        name = spelled(f"{pool.fact.library}.Limits", self.context.scope)
        text = ast.get_source_segment(pool.client.module.source.text, pool.client.node)
        if pool.client.module is not self.context.module or pool.fact.limits_keyword != "limits" or not text:
            return None
        if "\n" in text or name is None or name[1]:
            return None
        kept = max(pool.fact.keepalive_default or 0, 0)
        gap = "" if text.endswith("()") else ", "
        return f"{text[:-1]}{gap}limits={name[0]}(max_connections={admitted}, max_keepalive_connections={kept}))"


def _size(pool: Pool) -> str:
    if math.isinf(pool.size):
        return "no limit"
    owner = "" if pool.stated else f", the default of `{pool.fact.library}`"
    return f"{pool.size:g} connections{owner}"
