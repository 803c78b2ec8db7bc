"""What an answer tells the caller about the exception behind it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from safecall_lint.semantics.flow import own_nodes

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function
    from safecall_lint.semantics.replies import Reply

_HARMLESS: Final = frozenset({"status_code", "code", "status", "errno", "retry_after", "headers", "__class__"})
_TRACES: Final = frozenset({"format_exc", "format_exception", "exc_info"})
_ASKING: Final = frozenset({"isinstance", "issubclass", "hasattr", "getattr", "type"})


class Telling(Struct, eq=False):
    """Answers for handlers."""

    def distinguishes(self, handler: ast.ExceptHandler) -> bool:
        """Whether a handler looks at what it caught, and may answer each kind in its own way: it asks for the class, or
        for an attribute that only some exceptions have, in a test, or raises again on some path."""
        name = handler.name or ""
        for node in own_nodes(handler.body):
            if isinstance(node, ast.Match) or (isinstance(node, ast.Raise) and _is_again(node, name)):
                return True
            if isinstance(node, ast.If | ast.IfExp) and any(_is_named(part, name) for part in ast.walk(node.test)):
                return True
        return False

    def text(self, reply: Reply, handler: ast.ExceptHandler, function: Function) -> ast.expr | None:
        """The expression of an answer that carries the exception's own text, also through a local name."""
        for part in reply.body:
            if found := self._carries(part, handler, 0):
                return found
        return None

    def _carries(self, expr: ast.expr, handler: ast.ExceptHandler, depth: int) -> ast.expr | None:
        for node in _spoken(expr):
            if isinstance(node, ast.Name) and node.id == handler.name:
                return expr
            if isinstance(node, ast.Call) and _last(node.func) in _TRACES:
                return expr
            if isinstance(node, ast.Name) and depth < 3:
                for value in _assigned(node.id, handler):
                    if self._carries(value, handler, depth + 1):
                        return value
        return None


def _spoken(expr: ast.expr) -> Iterator[ast.expr]:
    """The parts of an expression whose value may be read in it; `type(e).__name__` and `e.status_code` tell little."""
    stack: list[ast.AST] = [expr]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Attribute) and node.attr in _HARMLESS:
            continue
        if isinstance(node, ast.Call) and _last(node.func) in _ASKING:
            continue
        if isinstance(node, ast.expr):
            yield node
        if not isinstance(node, ast.Lambda):
            stack.extend(ast.iter_child_nodes(node))


def _assigned(name: str, handler: ast.ExceptHandler) -> Iterator[ast.expr]:
    for node in own_nodes(handler.body):
        if isinstance(node, ast.Assign) and any(_is_named(part, name) for part in node.targets):
            yield node.value


def _is_again(node: ast.Raise, name: str) -> bool:
    """Whether a `raise` lets the exception go on as it is."""
    return node.exc is None or (isinstance(node.exc, ast.Name) and node.exc.id == name)


def _is_named(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _last(func: ast.expr) -> str:
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
