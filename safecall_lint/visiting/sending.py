"""Where a function sends a command to a store, for the fixes that send it otherwise."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import libcst as cst
from msgspec import Struct

from safecall_lint.semantics.scan import dotted
from safecall_lint.semantics.values import Instance, Member, Symbol
from safecall_lint.visiting.walk import descendants

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.semantics.commands import Command
    from safecall_lint.semantics.model import Function
    from safecall_lint.visiting.context import Context

PROXY: Final = "a proxy in front of the store has to know `MULTI`, and a test's stand-in for it has to know pipelines"
_NEVER: Final = (ast.Await, ast.NamedExpr, ast.Yield, ast.YieldFrom, ast.Lambda)


class Sent(Struct, frozen=True):
    """A command in a line of its own: the `line`, where it stands in its `block`, the call in it, and that call with
    its `await`. `store` is the code of what it is sent to, whose keys live on several nodes where it is `sharded`."""

    name: str
    store: str
    sharded: bool
    block: cst.IndentedBlock
    at: int
    line: cst.SimpleStatementLine
    call: cst.Call
    whole: cst.BaseExpression

    @property
    def awaited(self) -> bool:
        return self.whole is not self.call

    @property
    def below(self) -> cst.BaseCompoundStatement | cst.SimpleStatementLine | None:
        """The statement after the line."""
        rest = self.block.body[self.at + 1 :]
        found = rest[0] if rest else None
        return found if isinstance(found, cst.BaseCompoundStatement | cst.SimpleStatementLine) else None

    @property
    def value(self) -> cst.BaseExpression | None:
        """The expression that the line evaluates."""
        only = self.line.body[0]
        return only.value if isinstance(only, cst.Assign | cst.AnnAssign | cst.Expr) else None

    @property
    def target(self) -> str:
        """The one name that the line binds, "" where it binds none, or several."""
        only = self.line.body[0]
        bound = only.targets[0].target if isinstance(only, cst.Assign) and len(only.targets) == 1 else None
        bound = only.target if isinstance(only, cst.AnnAssign) else bound
        return bound.value if isinstance(bound, cst.Name) else ""

    def through(self, name: str) -> cst.Call:
        """The call, made on something else than the store."""
        func = cst.ensure_type(self.call.func, cst.Attribute)
        return self.call.with_changes(func=func.with_changes(value=cst.Name(name)))


def sent(command: Command, node: cst.FunctionDef, function: Function, context: Context) -> Sent | None:
    """The line by which a function sends a command itself: not through a pipeline, nor by another function, and to a
    store that the tables know."""
    func, fact = command.node.func, store_of(command.node, command.owner, context)
    if (
        fact is None
        or command.owner is not function
        or command.batch is not None
        or not isinstance(func, ast.Attribute)
    ):
        return None
    call = context.written(command.node, node)
    if call is None or not dotted(func.value):
        return None
    for block, at, line in _lines(node):
        whole = _whole(line, call)
        if whole is not None:
            return Sent(command.name, ast.unparse(func.value), fact.sharded, block, at, line, call, whole)
    return None


def store_of(call: ast.Call, function: Function, context: Context) -> Fact | None:
    """What the tables know of the store that a method is called on."""
    evaluator = context.semantics.evaluator
    owners = [value.owner for value in evaluator.values(call.func, function) if isinstance(value, Member)]
    facts = [evaluator.fact(owner) for owner in owners if isinstance(owner, Instance)]
    return next((fact for fact in facts if fact is not None and fact.kind == "store"), None)


def _lines(node: cst.FunctionDef) -> Iterator[tuple[cst.IndentedBlock, int, cst.SimpleStatementLine]]:
    for block in descendants(node):
        if isinstance(block, cst.IndentedBlock):
            for at, line in enumerate(block.body):
                if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1:
                    yield block, at, line


def _whole(line: cst.SimpleStatementLine, call: cst.Call) -> cst.BaseExpression | None:
    """A call with its `await`, where a line makes it once and in any case."""
    only = line.body[0]
    parts = list(descendants(only)) if isinstance(only, cst.Assign | cst.AnnAssign | cst.Expr) else []
    if call not in parts or any(call in descendants(maybe) for part in parts for maybe in _maybe(part)):
        return None
    awaits = (part for part in parts if isinstance(part, cst.Await) and part.expression is call)
    return next(awaits, call)


def _maybe(node: cst.CSTNode) -> list[cst.CSTNode]:
    """What of an expression is evaluated at another time, more often or perhaps never."""
    match node:
        case cst.Lambda() | cst.BaseComp():
            return [node]
        case cst.BooleanOperation(right=right):
            return [right]
        case cst.IfExp(body=body, orelse=orelse):
            return [body, orelse]
        case _:
            return []


def is_free(later: Sent, earlier: Sent, function: Function, context: Context) -> bool:
    """Whether a command can be sent together with an earlier one: in the same way, and what it is given is the same
    then, but for what is counted on the earlier one's answer: no name of it is bound by that, and nothing is run for it
    but what libraries compute."""
    given = [_step(context.expr(arg.value), earlier) for arg in later.call.args[1:]]
    for part in (part for expr in given if expr is not None for part in ast.walk(expr)):
        if isinstance(part, _NEVER) or (isinstance(part, ast.Name) and part.id == earlier.target):
            return False
        if isinstance(part, ast.Call):
            values = context.semantics.evaluator.values(part.func, function)
            if not values or not all(isinstance(value, Symbol) for value in values):
                return False
    return later.awaited == earlier.awaited


def _step(expr: ast.expr | None, earlier: Sent) -> ast.expr | None:
    """What is added to an earlier command's answer; anything else as it is."""
    match expr:
        case ast.BinOp(ast.Name(name), _, right) if name == earlier.target:
            return right
        case _:
            return expr


def plain(expr: ast.expr, without: str) -> bool:
    """Whether an expression is names, attributes and numbers, and none of them is called `without`."""
    parts = list(ast.walk(expr))
    kinds = (ast.Name, ast.Attribute, ast.Constant, ast.BinOp, ast.operator, ast.expr_context)
    named = any(isinstance(part, ast.Name) and part.id == without for part in parts)
    return not named and all(isinstance(part, kinds) for part in parts)


def alike(one: ast.expr, other: ast.expr) -> bool:
    """Whether two expressions read the same."""
    return ast.dump(one) == ast.dump(other)


def comments(*statements: cst.If | cst.SimpleStatementLine) -> list[cst.EmptyLine]:
    """The comments above statements, without blank lines."""
    return [line for item in statements for line in item.leading_lines if line.comment]
