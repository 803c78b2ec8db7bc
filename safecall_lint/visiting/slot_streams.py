"""The fixes of slots that are given back too early: the slot is taken by whatever reads the stream."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.calls import argument
from safecall_lint.semantics.values import Instance
from safecall_lint.visiting.rewriting import fresh_name, spelled
from safecall_lint.visiting.visitor import Rewrite
from safecall_lint.visiting.walk import descendants, replaced

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function
    from safecall_lint.semantics.uses import Use
    from safecall_lint.visiting.context import Context

_RISK: Final = "streams now wait for each other, with their slots in hand until they end"
_INERT: Final = (ast.Name, ast.Attribute, ast.Constant, ast.keyword, ast.expr_context)


def held_by_reader(leave: cst.Return, block: cst.CSTNode, function: Function, context: Context) -> Rewrite | None:
    """`async with gate: return response(generator())` with the slot taken by a generator around that one."""
    if not isinstance(block, cst.With) or not _is_plain(block) or leave.value is None:
        return None
    assert isinstance(block.body, cst.IndentedBlock)
    *before, last = block.body.body
    names = [fresh_name(name, function) for name in ("held", "pieces", "piece")]
    lazy = _generator(leave.value, function, context)
    closing = spelled("contextlib.aclosing", function)
    if lazy is None or closing is None or not isinstance(last, cst.SimpleStatementLine) or leave not in last.body:
        return None
    if any(_awaits(item) for item in before):
        return None
    held, pieces, piece = names
    code = cst.Module([])
    gate, made = code.code_for_node(block.items[0].item), code.code_for_node(lazy)
    reader = cst.parse_statement(
        f"async def {held}():\n    async with {gate}, {closing[0]}({made}) as {pieces}:\n"
        f"        async for {piece} in {pieces}:\n            yield {piece}\n"
    )
    handed = replaced(last, {lazy: cst.parse_expression(f"{held}()")})
    blank = cst.EmptyLine(indent=False)
    handed = handed.with_changes(leading_lines=[blank, *(line for line in handed.leading_lines if line.comment)])
    rest = [*before, reader.with_changes(leading_lines=[blank] if before else []), handed]
    rest[0] = rest[0].with_changes(leading_lines=[*block.leading_lines, *getattr(rest[0], "leading_lines", ())])
    title = "take the slot where the stream is read"
    return Rewrite(title, Safety.UNSAFE, {block: cst.FlattenSentinel(rest)}, imports=closing[1], risk=_RISK)


def read_inside(block: cst.With, below: Sequence[Use], context: Context) -> Rewrite | None:
    """A stream's block with the statements below it that read the stream drawn into it."""
    around = context.stack[-2]
    if not isinstance(around, cst.IndentedBlock) or not isinstance(block.body, cst.IndentedBlock):
        return None
    if any(line.comment for line in block.body.footer):
        return None
    at = around.body.index(block)
    readers = {node for use in below for node in use.around}
    reading = [index for index, item in enumerate(around.body) if readers & _twins(item, context)]
    if not reading or min(reading) <= at:
        return None
    drawn = around.body[at + 1 : max(reading) + 1]
    inner = block.body.with_changes(body=[*block.body.body, *drawn])
    body = [*around.body[:at], block.with_changes(body=inner), *around.body[max(reading) + 1 :]]
    return Rewrite(
        "read the stream inside the block", Safety.UNSAFE, {around: around.with_changes(body=body)}, risk=_RISK
    )


def _twins(item: cst.CSTNode, context: Context) -> set[ast.AST]:
    """The `ast` statements of a statement or line."""
    parts = item.body if isinstance(item, cst.SimpleStatementLine) else (item,)
    return {twin for twin in map(context.twin, parts) if twin is not None}


def _generator(value: cst.BaseExpression, function: Function, context: Context) -> cst.BaseExpression | None:
    """The call of an async generator, or the name that stands for one, that a returned value is or reads."""
    expr = context.expr(value)
    if isinstance(expr, ast.Name):
        rows = function.scan.bindings.get(expr.id, ())
        made = [row.value for row in rows]
        return value if len(made) == 1 and _is_generator(made[0], function, context) else None
    if isinstance(expr, ast.Call) and isinstance(value, cst.Call):
        if _is_generator(expr, function, context):
            parts = (part for given in (*expr.args, *expr.keywords) for part in ast.walk(given))
            return value if all(isinstance(part, _INERT) for part in parts) else None
        for found in context.semantics.evaluator.values(expr, function):
            fact = context.semantics.evaluator.fact(found) if isinstance(found, Instance) else None
            if fact and fact.kind == "streaming-response" and (given := argument(expr, fact)) is not None:
                wanted = ast.dump(given)
                args = (arg.value for arg in value.args)
                inner = next((arg for arg in args if ast.dump(context.expr(arg) or expr) == wanted), None)
                return _generator(inner, function, context) if inner is not None and inner is not value else None
    return None


def _is_generator(expr: ast.expr | None, function: Function, context: Context) -> bool:
    made = context.semantics.streams.generator(expr, function)
    return made is not None and made.is_async


def _is_plain(block: cst.With) -> bool:
    """Whether a block takes one thing by its name, and has no comment at its head or foot."""
    if len(block.items) != 1 or block.items[0].asname or not isinstance(block.body, cst.IndentedBlock):
        return False
    comments = [block.body.header.comment, *(line.comment for line in block.body.footer)]
    taken = descendants(block.items[0].item)
    return not any(comments) and all(isinstance(part, cst.Name | cst.Attribute) for part in taken)


def _awaits(node: cst.CSTNode) -> bool:
    return any(
        isinstance(part, cst.Await) or getattr(part, "asynchronous", None) is not None
        for part in descendants(node, scopes=False)
    )
