"""What a visitor knows about the node it stands on: scopes, blocks around it, gates in hand, values."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst
from msgspec import Struct

from safecall_lint.semantics.model import Class, Function, Module, Scope
from safecall_lint.visiting.walk import descendants

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.scan import CallSite
    from safecall_lint.semantics.values import Instance, Object, Value
    from safecall_lint.visiting.slices import Slice


class Held(Struct, frozen=True):
    """A gate, lock or limiter that is in hand. `node` is the expression that takes it, `block` the statement that
    holds it."""

    value: Instance | Object
    kind: str
    node: cst.BaseExpression
    block: cst.CSTNode


class Context:
    """The walker's state, shared by the visitors of one slice. `stack` holds the nodes around the current one,
    outermost first; the current node is its last."""

    def __init__(self, piece: Slice, semantics: Semantics) -> None:
        self.slice = piece
        self.semantics = semantics
        self.stack: list[cst.CSTNode] = []
        self._scopes: list[Scope] = [piece.unit.scope]
        self._exprs: dict[cst.CSTNode, ast.expr | None] = {}

    @property
    def module(self) -> Module:
        return self.slice.module

    @property
    def scope(self) -> Scope:
        """The innermost scope around the current node; a function's decorators and defaults belong outside."""
        return self._scopes[-1]

    @property
    def function(self) -> Function | None:
        """The innermost function around the current node."""
        for scope in reversed(self._scopes):
            if isinstance(scope, Function):
                return scope
        return None

    # -- walking -------------------------------------------------------------------------------------------------

    def enter_scope(self, node: cst.FunctionDef | cst.ClassDef) -> bool:
        """Step into a function's or class's body; False where it is unknown to the model."""
        twin = self.slice.statements.get(node)
        inner: Function | Class | None = None
        if isinstance(twin, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = self.scope.functions.get(twin)
        elif isinstance(twin, ast.ClassDef):
            inner = self.scope.classes.get(twin)
        if inner is not None:
            self._scopes.append(inner)
        return inner is not None

    def leave_scope(self) -> None:
        self._scopes.pop()

    def defined(self, node: cst.FunctionDef) -> Function | None:
        """The function of the model that a `def` of the current scope makes."""
        twin = self.twin(node)
        return self.scope.functions.get(twin) if isinstance(twin, ast.FunctionDef | ast.AsyncFunctionDef) else None

    # -- the two trees -------------------------------------------------------------------------------------------

    def tree(self, node: ast.AST) -> cst.CSTNode | None:
        """The LibCST statement or handler of an `ast` node of the slice: the way back from `twin`."""
        return next((mine for mine, theirs in self.slice.statements.items() if theirs is node), None)

    def twin(self, node: cst.CSTNode) -> ast.AST | None:
        """The `ast` node of a statement or handler."""
        return self.slice.statements.get(node)

    def expr(self, node: cst.CSTNode | None) -> ast.expr | None:
        """An expression as `ast` reads it, for questions to the semantic model."""
        if node is None:
            return None
        if known := self.slice.expressions.get(node):
            return known
        if node not in self._exprs:
            code = self.slice.tree.code_for_node(node)
            try:
                self._exprs[node] = ast.parse(f"({code}\n)", mode="eval").body
            except (SyntaxError, ValueError, RecursionError):
                self._exprs[node] = None
        return self._exprs[node]

    def call(self, node: cst.Call) -> ast.Call:
        """A call as `ast` reads it."""
        expr = self.expr(node)
        return expr if isinstance(expr, ast.Call) else ast.Call(ast.Constant(None), [], [])

    def site(self, node: cst.Call) -> CallSite | None:
        """The semantic model's record of a call."""
        twin = self.slice.expressions.get(node)
        if twin is not None:
            return next((row for row in self.scope.scan.calls if row.node is twin), None)
        statement, wanted = self.twin(self.statement()), ast.dump(self.call(node))
        calls = self.scope.scan.calls
        return next((row for row in calls if row.statement is statement and ast.dump(row.node) == wanted), None)

    def written(self, call: ast.Call, inside: cst.CSTNode) -> cst.Call | None:
        """The node of a call, from anywhere above it: the way back from `call`, where no other one reads the same."""
        wanted = ast.dump(call)
        calls = (item for item in descendants(inside) if isinstance(item, cst.Call))
        found = [item for item in calls if ast.dump(self.call(item)) == wanted]
        return found[0] if len(found) == 1 else None

    # -- values --------------------------------------------------------------------------------------------------

    def values(self, node: cst.CSTNode | None) -> tuple[Value, ...]:
        """Everything an expression can be."""
        return self.semantics.evaluator.values(self.expr(node), self.scope)

    def of_kind(self, node: cst.CSTNode | None, *kinds: str) -> list[Instance | Object]:
        """The values of an expression that are one of `kinds`."""
        return self.semantics.evaluator.of_kind(self.expr(node), self.scope, *kinds)

    def number(self, node: cst.CSTNode | None) -> float | None:
        """The number an expression always is, or None."""
        return self.semantics.evaluator.number(self.expr(node), self.scope)

    # -- surroundings --------------------------------------------------------------------------------------------

    def around(self) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
        """Each node around the current one inside its function, innermost first, with its child on the way down."""
        for index in range(len(self.stack) - 2, -1, -1):
            node = self.stack[index]
            if isinstance(node, cst.FunctionDef | cst.Lambda | cst.ClassDef):
                return
            yield node, self.stack[index + 1]

    def held(self, *kinds: str) -> list[Held]:
        """What the current node holds while it runs, innermost first: `async with` items and `acquire()` with a
        `release()` in `finally`. Only `kinds` (gate, lock, limiter) where given."""
        found = [item for node, child in self.around() for item in self._held_by(node, child)]
        return [item for item in found if not kinds or item.kind in kinds]

    def _held_by(self, node: cst.CSTNode, child: cst.CSTNode) -> Iterator[Held]:
        if isinstance(node, cst.With):
            for item in node.items:
                if item is child:
                    return
                yield from self._holding(item.item, node)
        elif isinstance(node, cst.Try) and child is node.body and node.finalbody:
            yield from self._released(node)

    def _holding(self, expression: cst.BaseExpression, block: cst.CSTNode) -> Iterator[Held]:
        for value in self.of_kind(expression, "gate", "lock", "limiter"):
            yield Held(value, self.semantics.evaluator.kind(value), expression, block)
            return

    def _released(self, node: cst.Try) -> Iterator[Held]:
        assert node.finalbody is not None
        for statement in node.finalbody.body.body:
            for call in statement.body if isinstance(statement, cst.SimpleStatementLine) else ():
                value = call.value if isinstance(call, cst.Expr) else None
                if isinstance(value, cst.Call) and isinstance(value.func, cst.Attribute):
                    if value.func.attr.value.startswith("release"):
                        yield from self._holding(value.func.value, node)

    def loops(self) -> list[cst.For | cst.While]:
        """The loops around the current node inside its function, innermost first, whose body it is in."""
        return [node for node, child in self.around() if isinstance(node, cst.For | cst.While) and child is node.body]

    def tries(self) -> list[cst.Try]:
        """The `try` statements around the current node whose body it is in, innermost first."""
        return [node for node, child in self.around() if isinstance(node, cst.Try) and child is node.body]

    def statement(self) -> cst.CSTNode:
        """The statement the current node belongs to."""
        for node in reversed(self.stack):
            if node in self.slice.statements:
                return node
        return self.stack[0]
