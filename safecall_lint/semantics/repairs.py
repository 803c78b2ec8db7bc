"""Which attempts differ from the one before: what failed goes into the next request, or that goes somewhere else."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from safecall_lint.semantics.flow import own_nodes
from safecall_lint.semantics.rounds import tail_name
from safecall_lint.semantics.scan import dotted

if TYPE_CHECKING:
    from safecall_lint.semantics.retries import RetryLoop

_LOGGING = frozenset(
    {"debug", "info", "warning", "warn", "error", "exception", "critical", "log", "print", "format_exc", "sleep"}
)
_SWITCHING = re.compile(
    r"switch|rotat|fail_?over|fallback|next_(key|model|server|proxy|host|account|endpoint)|blacklist|exclude|mark_"
)
_ADDING = frozenset({"append", "extend", "insert", "add", "update"})


def repaired(loop: RetryLoop, handler: ast.ExceptHandler) -> bool:
    """Whether a handler puts what it caught, or what it says about it, into something that the next attempt reads."""
    fed = _fed(handler)
    return bool(fed) and any(name in fed for name in _asked(loop))


def changed(loop: RetryLoop, handler: ast.ExceptHandler) -> bool:
    """Whether each way through a handler that goes round gives the next attempt something else to send, or another
    place to send it to."""
    return not _unchanged(handler.body, _asked(loop))


def _unchanged(body: list[ast.stmt], asked: set[str]) -> set[str]:
    """How a block goes round without a change of what is asked: "end" off its end, "continue"."""
    found: set[str] = set()
    for node in body:
        if isinstance(node, ast.If):
            ways = _unchanged(node.body, asked) | _unchanged(node.orelse, asked)
            found |= ways - {"end"}
            if "end" not in ways:
                return found
        elif isinstance(node, ast.Continue):
            return found | {"continue"}
        elif isinstance(node, ast.Raise | ast.Return | ast.Break) or _changes(node, asked):
            return found
    return found | {"end"}


def _changes(node: ast.stmt, asked: set[str]) -> bool:
    """Whether a statement changes what is asked, or where."""
    for inner in own_nodes([node]):
        if isinstance(inner, ast.Call) and _SWITCHING.search(tail_name(inner).lower()):
            return True
        if isinstance(inner, ast.Assign) and not _is_count(inner.value):
            if any(_target(target) in asked for target in inner.targets):
                return True
    return False


def _fed(handler: ast.ExceptHandler) -> set[str]:
    """The names that carry what a handler caught, apart from its own, and those of collections that it adds to."""
    carrying = {handler.name} if handler.name else set()
    statements = [node for node in own_nodes(handler.body) if isinstance(node, ast.Assign | ast.AugAssign | ast.Expr)]
    for node in sorted(statements, key=lambda item: item.lineno):
        match node:
            case ast.Assign(targets=targets, value=value) if _mentions(value, carrying) and not _is_kept(value):
                carrying.update(name for target in targets if (name := _target(target)))
            case ast.AugAssign(target=target, value=value) if _mentions(value, carrying) or _is_text(value):
                carrying.add(_target(target))
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=owner, attr=attr)) as call) if attr in _ADDING:
                if _mentions(call, carrying) or any(_is_message(part) for part in call.args):
                    carrying.add(dotted(owner))
            case _:
                pass
    return carrying - {handler.name or "", ""}


def _asked(loop: RetryLoop) -> set[str]:
    """What the turns of a loop read outside of the handlers to make their request: not to log it or to raise it."""
    before = loop.loop.body[: next((i for i, node in enumerate(loop.loop.body) if node is loop.attempt), 0)]
    found: set[str] = set()
    for node in own_nodes([*before, *loop.attempt.body]):
        if isinstance(node, ast.Call) and tail_name(node) not in _LOGGING:
            parts = (*node.args, *(item.value for item in node.keywords))
            found |= {dotted(item) for part in parts for item in ast.walk(part) if isinstance(item, ast.expr)}
        if isinstance(node, ast.JoinedStr | ast.BinOp) and not _is_logged(node, loop):
            found |= {dotted(item) for item in ast.walk(node) if isinstance(item, ast.Name | ast.Attribute)}
    return found - {""}


def _is_logged(node: ast.expr, loop: RetryLoop) -> bool:
    """Whether a text stands in a call that logs, or in a `raise`."""
    for outer in ast.walk(loop.loop):
        if isinstance(outer, ast.Raise) or (isinstance(outer, ast.Call) and tail_name(outer) in _LOGGING):
            if any(inner is node for inner in ast.walk(outer)):
                return True
    return False


def _mentions(node: ast.AST, names: set[str]) -> bool:
    return any(isinstance(item, ast.Name | ast.Attribute) and dotted(item) in names for item in ast.walk(node))


def _is_kept(value: ast.expr) -> bool:
    """Whether a value is the exception as it is: kept to be raised at the end."""
    return isinstance(value, ast.Name)


def _is_count(value: ast.expr) -> bool:
    """Whether a value is a number, or is made of one: a counter, the length of a pause."""
    parts = (value.left, value.right) if isinstance(value, ast.BinOp) else (value,)
    return any(isinstance(part, ast.Constant) and isinstance(part.value, int | float) for part in parts)


def _is_text(value: ast.expr) -> bool:
    return isinstance(value, ast.JoinedStr) or (isinstance(value, ast.Constant) and isinstance(value.value, str))


def _is_message(part: ast.expr) -> bool:
    """Whether an argument is a message of a talk with a model: `{"role": ..., "content": ...}`."""
    keys = part.keys if isinstance(part, ast.Dict) else ()
    return any(isinstance(key, ast.Constant) and key.value == "role" for key in keys)


def _target(node: ast.expr) -> str:
    while isinstance(node, ast.Subscript):
        node = node.value
    return dotted(node)
