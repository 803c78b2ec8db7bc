"""The fix of retries around streams: an attempt that has handed something on is the last one."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.visiting.rewriting import behind, fresh_name
from safecall_lint.visiting.visitor import Rewrite
from safecall_lint.visiting.walk import Replacement, descendants, replaced

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function
    from safecall_lint.visiting.context import Context

_RISK: Final = "a stream that breaks off is an error for its reader, who may have to ask again"


def until_first_chunk(
    loop: ast.AST, sent: Iterable[ast.expr], handlers: Sequence[ast.ExceptHandler], function: Function, context: Context
) -> Rewrite | None:
    """A flag that is set before anything is `sent`, and `raise` for the `handlers` of the loop once it is set."""
    node = context.tree(loop)
    if not isinstance(node, cst.For | cst.While):
        return None
    name = fresh_name("started", function)
    nodes: dict[cst.CSTNode, Replacement] = {}
    for expr in sent:
        line = _line_of(expr, node, function, context)
        if line is None:
            return None
        nodes[line] = cst.FlattenSentinel(behind(f"{name} = True", line))
    for caught in handlers:
        handler = context.tree(caught)
        if not isinstance(handler, cst.ExceptHandler) or not isinstance(handler.body, cst.IndentedBlock):
            return None
        leave = cst.parse_statement(f"if {name}:\n    raise\n")
        nodes[handler.body] = handler.body.with_changes(body=[leave, *handler.body.body])
    changed = cst.FlattenSentinel(behind(f"{name} = False", replaced(node, nodes)))
    title = "retry only until the first chunk is out"
    return Rewrite(title, Safety.UNSAFE, {node: changed}, risk=_RISK)


def _line_of(expr: ast.expr, loop: cst.CSTNode, function: Function, context: Context) -> cst.SimpleStatementLine | None:
    """The line that an expression stands in, where it is one in a block."""
    for statement in ast.walk(function.node):
        if isinstance(statement, ast.Expr | ast.Assign) and any(item is expr for item in ast.walk(statement)):
            small = context.tree(statement)
            lines = (item for item in descendants(loop, scopes=False) if isinstance(item, cst.SimpleStatementLine))
            return next((line for line in lines if small in line.body), None)
    return None
