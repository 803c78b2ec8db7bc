"""Fixes of waits that have no end: a limit on the whole, or on the gap between two pieces of a stream."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final, TypeAlias

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.calls import VendorCall, keyword_or_position
from safecall_lint.semantics.values import Constant, Instance
from safecall_lint.visiting.rewriting import spelled, with_keyword
from safecall_lint.visiting.visitor import Rewrite

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.visiting.context import Context

GAP: Final = 30
READ: Final = ("read", "sock_read")
_SANE: Final = "30.0"
Bound: TypeAlias = tuple[str, str]


def bound_of(config: Fact, call: ast.Call, streamed: bool) -> Bound:
    """The phase and the value that a timeout object which bounds nothing is to state: the gap between two pieces, of a
    stream or where the whole was left open on purpose; else the whole."""
    if config.complete and keyword_or_position(call, "read") is None:
        return "read", _SANE
    whole, *gaps = config.bounds
    remedy = config.timeout_remedy or _SANE
    if gaps and streamed:
        return gaps[0], f"{GAP}"
    opened = keyword_or_position(call, whole, config.phases.index(whole)) is not None
    return (gaps[0] if gaps and opened else whole), remedy


def bounded_gap(vendor: VendorCall, call: cst.Call, total: bool, context: Context) -> Rewrite | None:
    """The timeout that the call has, with a bound on the gap; a limit on the whole, where `total`, is taken away."""
    config = _config(vendor, context)
    way = spelled(config.name, vendor.scope) if config else None
    if config is None or way is None:
        return None
    gap = next((phase for phase in config.phases if phase in READ), "")
    kept = _kept(vendor, {gap, "total"}, context)
    if kept is None or not gap:
        return None
    whole = ["total=None"] if "total" in config.phases else []
    value = f"{way[0]}({', '.join([*whole, *kept, f'{gap}={GAP}'])})"
    risk = f"a vendor that is silent for {GAP} s is given up"
    risk += ", and nothing bounds the stream as a whole" if total else ""
    nodes: dict[cst.CSTNode, cst.CSTNode] = {call: with_keyword(call, vendor.fact.call_timeout, value)}
    return Rewrite(f"end the stream after {GAP} s of silence", Safety.UNSAFE, nodes, imports=way[1], risk=risk)


def _config(vendor: VendorCall, context: Context) -> Fact | None:
    """The class in which the vendor's own library states timeouts, where its calls take one."""
    facts, package = context.semantics.evaluator.facts, vendor.fact.name.partition(".")[0]
    if vendor.fact.call_timeout != "timeout":
        return None
    named = (facts.fact(f"{package}.{name}") for name in ("Timeout", "ClientTimeout"))
    return next((fact for fact in named if fact and fact.kind == "timeout-config"), None)


def _kept(vendor: VendorCall, dropped: set[str], context: Context) -> list[str] | None:
    """The arguments of the timeout in force that stay as they are; None where they cannot be told, or hold names."""
    given, scope = context.semantics.deadlines.stated(vendor), vendor.scope
    client = vendor.client
    if given is None and isinstance(client, Instance) and client.call is not None and client.scope is not None:
        given, scope = keyword_or_position(client.call, vendor.fact.timeout_keyword), client.scope
    values = context.semantics.evaluator.values(given, scope)
    if not values or any(isinstance(part, ast.Call) for part in ast.walk(vendor.node.func)):
        return None
    if all(value == Constant(None) for value in values):
        return [] if vendor.fact.stack == "aiohttp" else ["None"]
    (value, *others) = values
    if others or not isinstance(value, Instance) or value.call is None:
        return None
    rows = [("", arg) for arg in value.call.args] + [(item.arg or "**", item.value) for item in value.call.keywords]
    if vendor.fact.stack == "aiohttp" and value.call.args:
        return None
    kept = [(name, expr) for name, expr in rows if name not in dropped]
    if not all(isinstance(expr, ast.Constant) for _, expr in kept):
        return None
    return [f"{name}={ast.unparse(expr)}" if name else ast.unparse(expr) for name, expr in kept]
