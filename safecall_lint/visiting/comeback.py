"""The fix of refusals without a time to come back: the vendor's own, where it is at hand, else a few seconds."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.calls import has_unpacking
from safecall_lint.visiting.heeding import headers_of
from safecall_lint.visiting.rewriting import fresh_name, keyword, with_keyword
from safecall_lint.visiting.visitor import Rewrite

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function
    from safecall_lint.semantics.overload import Fault
    from safecall_lint.visiting.context import Context

_SECONDS: Final = 5
_PLACES: Final = 2


def with_time(fault: Fault, function: Function, context: Context) -> Rewrite | None:
    """The answer of a handler with `Retry-After` among its headers."""
    handler, made = context.tree(fault.handler), fault.reply.node
    if not isinstance(handler, cst.ExceptHandler) or not isinstance(made, ast.Call) or has_unpacking(made):
        return None
    fact, call = context.semantics.calls.symbol(made, function), context.written(made, handler)
    if fact is None or fact.value_keyword != "status_code" or call is None or keyword(call, "headers"):
        return None
    if sum(arg.keyword is None for arg in call.args) > _PLACES:
        return None
    name = fault.handler.name or fresh_name("refused", function)
    headers = headers_of(name, fault.handler, function, context)
    told = f'{headers}.get("Retry-After", "{_SECONDS}")' if headers and " or " not in headers else f'"{_SECONDS}"'
    answer = with_keyword(call, "headers", f'{{"Retry-After": {told}}}')
    nodes: dict[cst.CSTNode, cst.CSTNode] = {call: answer}
    if handler.name is None and name in told:
        bound = handler.with_changes(name=cst.AsName(cst.Name(name)))
        nodes = {handler: cst.ensure_type(bound.deep_replace(call, answer), cst.ExceptHandler)}
    title = f"ask callers to come back after {_SECONDS} s, or when the vendor says"
    return Rewrite(title, Safety.UNSAFE, nodes, risk="callers wait for that long")
