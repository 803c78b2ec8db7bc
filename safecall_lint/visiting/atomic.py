"""The fix of a count whose end comes by a later command: both in one transaction of the store."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.visiting.rewriting import block, expression, fresh_name
from safecall_lint.visiting.sending import PROXY, Sent, alike, comments, is_free, sent
from safecall_lint.visiting.visitor import Rewrite
from safecall_lint.visiting.walk import replaced

if TYPE_CHECKING:
    from safecall_lint.semantics.commands import Command
    from safecall_lint.semantics.counters import Apart
    from safecall_lint.semantics.model import Function
    from safecall_lint.visiting.context import Context

_TITLE: Final = "count and end in one transaction"
_ENDS: Final = {"expire": "ex", "pexpire": "px"}


def in_transaction(apart: Apart, node: cst.FunctionDef, function: Function, context: Context) -> Rewrite | None:
    """`INCR` and `EXPIRE` next to each other, sent as one transaction. An end that only the first count sets is set by
    `SET NX` in front of the count, which does the same."""
    count, end = (sent(command, node, function, context) for command in (apart.first, apart.second))
    if count is None or end is None or count.sharded:
        return None
    if len(apart.second.node.args) != 2 or apart.second.node.keywords or not is_free(end, count, function, context):
        return None
    pipe = fresh_name("pipe", function)
    if end.block is count.block and end.at == count.at + 1:
        return _written(count, [_on(pipe, count), _ended(pipe, end)], 0, pipe, end.line)
    first = count.below
    if not isinstance(first, cst.If) or not _is_first(first, count, end, apart.first, context):
        return None
    made = _made(pipe, count, end, comments(first, end.line))
    return _written(count, [made, _on(pipe, count)], 1, pipe, first)


def _is_first(test: cst.If, count: Sent, end: Sent, command: Command, context: Context) -> bool:
    """Whether a statement is `if count == 1: expire(...)` and no more: what holds for the first count only."""
    if test.body is not end.block or len(end.block.body) != 1 or test.orelse is not None or command.name == "hincrby":
        return False
    if end.name not in _ENDS or end.block.header.comment or any(line.comment for line in end.block.footer):
        return False
    match context.expr(test.test):
        case ast.Compare(ast.Name(name), [ast.Eq()], [other]) if name == count.target:
            return alike(other, _step(command.node))
        case _:
            return False


def _step(call: ast.Call) -> ast.expr:
    """By how much a command counts."""
    given = [*call.args[1:], *(item.value for item in call.keywords if item.arg == "amount")]
    return given[0] if given else ast.Constant(1)


def _on(pipe: str, count: Sent) -> cst.SimpleStatementLine:
    return cst.SimpleStatementLine([cst.Expr(count.through(pipe))])


def _ended(pipe: str, end: Sent) -> cst.SimpleStatementLine:
    return replaced(end.line, {end.whole: end.through(pipe)}).with_changes(leading_lines=comments(end.line))


def _made(pipe: str, count: Sent, end: Sent, above: list[cst.EmptyLine]) -> cst.SimpleStatementLine:
    """The counter as nobody has counted yet, with its end."""
    code = cst.Module([])
    key, seconds = code.code_for_node(count.call.args[0].value), code.code_for_node(end.call.args[1].value)
    made = expression(f"{pipe}.set({key}, 0, {_ENDS[end.name]}={seconds}, nx=True)")
    return cst.SimpleStatementLine([cst.Expr(made)], above, end.line.trailing_whitespace)


def _written(count: Sent, lines: list[cst.SimpleStatementLine], at: int, pipe: str, gone: cst.BaseStatement) -> Rewrite:
    """The block that sends the lines, and binds what was bound to the answer of the command at a place."""
    run = f"await {pipe}.execute()" if count.awaited else f"{pipe}.execute()"
    if not isinstance(count.line.body[0], cst.Expr):
        run = f"({run})[{at}]" if count.awaited else f"{run}[{at}]"
    last = replaced(count.line, {count.whole: expression(run)}).with_changes(leading_lines=[])
    opened = cst.With(
        [cst.WithItem(expression(f"{count.store}.pipeline(transaction=True)"), cst.AsName(cst.Name(pipe)))],
        block([*lines, last]),
        cst.Asynchronous() if count.awaited else None,
        leading_lines=count.line.leading_lines,
    )
    return Rewrite(_TITLE, Safety.UNSAFE, {count.line: opened, gone: cst.RemoveFromParent()}, risk=PROXY)
