"""Cutting a file into the pieces that LibCST parses: one function, or one statement outside of functions.

A piece is taken by whole lines and wrapped in `if 1:` where it is indented, so no byte of it changes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst
from msgspec import Struct

from safecall_lint.semantics.model import Class, Function, Module, Scope
from safecall_lint.visiting.twins import Twins, twins

if TYPE_CHECKING:
    from safecall_lint.finding import Span


class Unit(Struct, frozen=True):
    """A piece of a file. `scope` is where its statements stand; lines are 1-based and inclusive."""

    scope: Scope
    statements: tuple[ast.stmt, ...]
    first: int
    last: int


def units(module: Module) -> list[Unit]:
    """The file's functions and its statements outside of functions, each once."""
    found: list[Unit] = []
    taken: set[ast.AST] = set()
    scopes: list[Module | Class] = [module, *(item for item in module.scopes if isinstance(item, Class))]
    for scope in scopes:
        body = scope.tree.body if isinstance(scope, Module) else scope.node.body
        for statement in body:
            if isinstance(statement, ast.ClassDef) or statement in taken or _inside_function(scope):
                continue
            taken.add(statement)
            found.append(Unit(scope, (statement,), _first_line(statement), statement.end_lineno or statement.lineno))
    return found


def _inside_function(scope: Scope) -> bool:
    parent = scope.parent if isinstance(scope, Class | Function) else None
    while parent is not None:
        if isinstance(parent, Function):
            return True
        parent = parent.parent
    return False


def _first_line(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])


class Slice:
    """A unit parsed by LibCST, with the way back to the `ast` nodes and to the file's offsets."""

    def __init__(self, module: Module, unit: Unit) -> None:
        self.module = module
        self.unit = unit
        source = module.source
        self.start = source.line_starts[unit.first - 1]
        text = source.utf8[self.start : source.line_starts[unit.last]].decode("utf-8", "surrogatepass")
        self.prefix = f"if 1:{source.newline(self.start)}" if text[:1] in " \t\f" else ""
        self.text = self.prefix + text
        self.tree = cst.parse_module(self.text)

    @cached_property
    def statements(self) -> dict[cst.CSTNode, ast.AST]:
        """Each LibCST statement and handler with its `ast` twin: both trees hold the same ones in the same order."""
        body = list(self.tree.body)
        inner = body[0].body.body if self.prefix and isinstance(body[0], cst.If) else body
        mine = list(_cst_statements(inner))
        theirs = list(_ast_statements(self._ast_body))
        return dict(zip(mine, theirs, strict=True)) if len(mine) == len(theirs) else {}

    @cached_property
    def expressions(self) -> Twins:
        """The calls with their `ast` twins, and what they call and pass; empty where the two trees do not agree."""
        return twins(self.tree, self._ast_body)

    @property
    def _ast_body(self) -> list[ast.stmt]:
        scope = self.unit.scope
        body = scope.tree.body if isinstance(scope, Module) else scope.node.body
        return [item for item in body if self.unit.first <= item.lineno <= self.unit.last]

    @cached_property
    def _spans(self) -> dict[cst.CSTNode, tuple[int, int]]:
        from safecall_lint.visiting.positions import Positions

        shift = self.start - len(self.prefix)
        spans = Positions().of(self.tree)
        return {node: (span.start + shift, span.start + span.length + shift) for node, span in spans.items()}

    def span(self, node: cst.CSTNode) -> Span:
        """Where a node stands in the file."""
        return self.module.source.span(*self._spans[node])

    def offset(self, position: int) -> int:
        """The file's byte offset of a byte offset in `tree.code`."""
        return position + self.start - len(self.prefix)


def _cst_statements(body: object) -> Iterator[cst.CSTNode]:
    for statement in body if isinstance(body, list | tuple) else ():
        if isinstance(statement, cst.SimpleStatementLine):
            yield from statement.body
        else:
            yield from _cst_compound(statement)


def _cst_compound(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.SimpleStatementLine | cst.BaseSmallStatement):
        yield node
        return
    if not isinstance(node, cst.Else | cst.Finally | cst.MatchCase):
        yield node
    if isinstance(node, cst.Match):
        for case in node.cases:
            yield from _cst_compound(case)
        return
    body = getattr(node, "body", None)
    if isinstance(body, cst.IndentedBlock):
        yield from _cst_statements(body.body)
    elif isinstance(body, cst.SimpleStatementSuite):
        yield from body.body
    for handler in getattr(node, "handlers", ()):
        yield from _cst_compound(handler)
    for name in ("orelse", "finalbody"):
        part = getattr(node, name, None)
        if isinstance(part, cst.CSTNode):
            yield from _cst_compound(part)


def _ast_statements(body: list[ast.stmt]) -> Iterator[ast.AST]:
    for statement in body:
        yield from _ast_compound(statement)


def _ast_compound(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if isinstance(node, ast.Match):
        for case in node.cases:
            yield from _ast_statements(case.body)
        return
    yield from _ast_statements(getattr(node, "body", []))
    for handler in getattr(node, "handlers", ()):
        yield from _ast_compound(handler)
    yield from _ast_statements(getattr(node, "orelse", []))
    yield from _ast_statements(getattr(node, "finalbody", []))
