"""The fixes of a question and a count that are apart: one script of the store, which nothing interrupts, or a pipeline
that is a transaction."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.flow import ways_out
from safecall_lint.visiting.rewriting import expression, fresh_name, with_keyword
from safecall_lint.visiting.sending import PROXY, Sent, comments, is_free, plain, sent, store_of
from safecall_lint.visiting.visitor import Rewrite
from safecall_lint.visiting.walk import replaced

if TYPE_CHECKING:
    from safecall_lint.semantics.counters import Apart
    from safecall_lint.semantics.model import Function
    from safecall_lint.visiting.context import Context
    from safecall_lint.visiting.walk import Replacement

_RISK: Final = "the store has to allow `EVAL`, and a test's stand-in for it has to run Lua"
_SIGNS: Final = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_NOT: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_TURNED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_SCRIPT: Final = """
local found = redis.call('{ask}', KEYS[1])
if tonumber(found or 0) {sign} tonumber(ARGV[1]) then
    redis.call({count})
end
return found
"""


def in_script(apart: Apart, node: cst.FunctionDef, function: Function, context: Context) -> Rewrite | None:
    """A question, a test and the count next to each other, in one script that asks, and counts where there is room."""
    if apart.first.goes_with(apart.second):
        return _as_transaction(apart, node, function, context)
    ask, count = (sent(command, node, function, context) for command in (apart.first, apart.second))
    if ask is None or count is None or not is_free(count, ask, function, context):
        return None
    if not isinstance(count.line.body[0], cst.Expr) or count.line.trailing_whitespace.comment or len(ask.call.args) > 1:
        return None
    room = _room(ask, count, context)
    counts = _counts(apart.second.node, ask, context)
    if room is None or counts is None:
        return None
    script = _SCRIPT.format(ask=ask.name.upper(), sign=room[0], count=counts[0])
    name, head = _constant(script, f"{count.name.upper()}_IF_ROOM", function)
    key = cst.Module([]).code_for_node(ask.call.args[0].value)
    asked = expression(f"{ask.store}.eval({', '.join([name, '1', key, room[1], *counts[1]])})")
    line = replaced(ask.line, {ask.call: asked})
    line = line.with_changes(leading_lines=[*line.leading_lines, *comments(count.line)])
    nodes: dict[cst.CSTNode, Replacement] = {ask.line: line, count.line: cst.RemoveFromParent()}
    return Rewrite("ask and count in one script", Safety.UNSAFE, nodes, head=head, risk=_RISK)


def _as_transaction(apart: Apart, node: cst.FunctionDef, function: Function, context: Context) -> Rewrite | None:
    """The pipeline that sends both, as a transaction."""
    made = apart.first.batch.made if apart.first.batch is not None else None
    call = context.written(made, node) if made is not None else None
    fact = store_of(made, function, context) if made is not None else None
    if call is None or fact is None or fact.sharded or not any(arg.keyword for arg in call.args):
        return None
    whole = with_keyword(call, "transaction", "True")
    return Rewrite("make the pipeline a transaction", Safety.UNSAFE, {call: whole}, risk=PROXY)


def _room(ask: Sent, count: Sent, context: Context) -> tuple[str, str] | None:
    """When there is room, as a sign between what was found and a limit, and the limit. The count is reached only then:
    below a test that leaves where there is none, or first thing in a test that there is."""
    test = ask.below
    twin = context.twin(test) if isinstance(test, cst.If) else None
    if not isinstance(test, cst.If) or not isinstance(twin, ast.If):
        return None
    found = _compared(twin.test, ask)
    if found is None or not plain(found[1], ask.target):
        return None
    limit = ast.unparse(found[1])
    if count.block is ask.block and count.at == ask.at + 2 and not twin.orelse and "end" not in ways_out(twin.body):
        return _NOT[found[0]], limit
    inside = count.block is test.body and count.at == 0 and len(count.block.body) > 1
    return (found[0], limit) if inside else None


def _compared(test: ast.expr, ask: Sent) -> tuple[str, ast.expr] | None:
    """What the answer is compared with, by the sign that stands behind the answer."""
    match test:
        case ast.Compare(left, [op], [right]) if type(op) in _SIGNS and ask.target:
            sign = _SIGNS[type(op)]
            if _is_answer(left, ask):
                return sign, right
            return (_TURNED[sign], left) if _is_answer(right, ask) else None
        case _:
            return None


def _is_answer(expr: ast.expr, ask: Sent) -> bool:
    return isinstance(expr, ast.Name) and expr.id == ask.target


def _counts(call: ast.Call, ask: Sent, context: Context) -> tuple[str, list[str]] | None:
    """How the script counts, and what it is given for that after the limit."""
    value = context.expr(ask.value)
    match call:
        case ast.Call(ast.Attribute(attr="zadd"), [_, ast.Dict([ast.expr() as member], [score])], []):
            given = [ast.unparse(score), ast.unparse(member)]
        case ast.Call(ast.Attribute(attr="sadd" | "lpush" | "rpush"), [_, item], []):
            given = [ast.unparse(item)]
        case ast.Call(ast.Attribute(attr="set"), [_, ast.BinOp(left, ast.Add() | ast.Sub() as op, step)], []):
            if not (_is_number(value) and _is_answer(left, ask)):
                return None
            sign = "+" if isinstance(op, ast.Add) else "-"
            return f"'SET', KEYS[1], tonumber(found or 0) {sign} tonumber(ARGV[2])", [ast.unparse(step)]
        case _:
            return None
    if context.expr(ask.whole) is None or not _is_whole(value, ask, context):
        return None
    command = call.func.attr.upper() if isinstance(call.func, ast.Attribute) else ""
    places = ", ".join(f"ARGV[{number}]" for number in range(2, 2 + len(given)))
    return f"'{command}', KEYS[1], {places}", given


def _is_whole(value: ast.expr | None, ask: Sent, context: Context) -> bool:
    """Whether a line binds the answer as it is, or as the whole number that it is."""
    whole = context.expr(ask.whole)
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "int" and len(value.args) == 1:
        value = value.args[0]
    return value is not None and whole is not None and ast.dump(value) == ast.dump(whole)


def _is_number(value: ast.expr | None) -> bool:
    """Whether a line binds the answer as a whole number, none as 0: `int(... or 0)`."""
    match value:
        case ast.Call(ast.Name("int"), [ast.BoolOp(ast.Or(), [_, ast.Constant(0)])], []):
            return True
        case _:
            return False


def _constant(script: str, wanted: str, function: Function) -> tuple[str, list[str]]:
    """The name of a script in the module, and what defines it: nothing where the module has it already."""
    for name, rows in function.module.scan.bindings.items():
        value = rows[0].value if len(rows) == 1 else None
        if isinstance(value, ast.Constant) and value.value == script and not function.scan.bindings.get(name):
            return name, []
    name = fresh_name(wanted, function)
    return name, [f'{name} = """{script}"""']
