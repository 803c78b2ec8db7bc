"""What a sleep is for, told by the loops and handlers around it."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from safecall_lint.semantics.flow import leaves_loop, own_nodes

if TYPE_CHECKING:
    from safecall_lint.semantics.retries import Loop
    from safecall_lint.semantics.scan import CallSite, Frame

_TELLS: Final = re.compile(r"retr|attempt|backoff|back_off", re.IGNORECASE)
_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_STATUS_NAMES: Final = frozenset({"status", "status_code", "is_error", "is_success"})
_EMPTY: Final = frozenset({"QueueEmpty", "Empty", "QueueFull", "Full"})


def up_to(frame: Frame | None, inside: ast.stmt | None) -> list[Frame]:
    """The frames around a place, up to the ones that also stand around `inside`."""
    found: list[Frame] = []
    while frame is not None and not encloses(frame.node, inside):
        found.append(frame)
        frame = frame.parent
    return found


def encloses(node: ast.AST, inside: ast.stmt | None) -> bool:
    """Whether a block stands around a statement."""
    if inside is None:
        return False
    if node is inside:
        return not isinstance(inside, ast.Try)
    first: int = getattr(node, "lineno", inside.lineno)
    return first < inside.lineno


def within(site: CallSite, attempt: ast.Try) -> bool:
    """Whether a call stands in the body of a `try`."""
    frames = site.frame.chain() if site.frame else ()
    return any(frame.node is attempt and frame.section == "body" for frame in frames)


def failing(frame: Frame) -> bool:
    """Whether a place runs because something failed: a handler, unless all that it catches is an empty queue."""
    if frame.section != "handler" or not isinstance(frame.node, ast.Try | ast.TryStar):
        return False
    caught = frame.node.handlers[frame.position].type
    names = {node.attr if isinstance(node, ast.Attribute) else node.id for node in parts(caught)}
    return not names or not names <= _EMPTY


def parts(caught: ast.expr | None) -> list[ast.Attribute | ast.Name]:
    """The classes that an `except` clause names."""
    parts = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return [part for part in parts if isinstance(part, ast.Attribute | ast.Name)]


def ends(body: list[ast.stmt]) -> bool:
    """Whether some path ends the loop around `body`."""
    return leaves_loop(body) or any(isinstance(node, ast.Raise) for node in own_nodes(body))


def counts(loop: ast.For | ast.AsyncFor) -> bool:
    """Whether a `for` counts turns instead of going through a collection."""
    call = loop.iter
    name = call.func if isinstance(call, ast.Call) else None
    return isinstance(name, ast.Name | ast.Attribute) and (name.id if isinstance(name, ast.Name) else name.attr) in (
        "range", "count",
    )  # fmt: skip


def backs_off(loop: Loop, site: CallSite) -> bool:
    """Whether a sleep in a counted loop without a handler backs off: it grows, follows a status, or is called so."""
    asleep = [node for argument in site.node.args for node in ast.walk(argument)]
    names = {node.id for node in asleep if isinstance(node, ast.Name)}
    if isinstance(loop, ast.For) and isinstance(loop.target, ast.Name) and loop.target.id in names:
        return True
    if any(grows(node, names) for node in own_nodes(loop.body)):
        return True
    header = ast.unparse(loop.test if isinstance(loop, ast.While) else loop)
    if _TELLS.search(header.splitlines()[0]) or any(
        _TELLS.search(ast.unparse(argument)) for argument in site.node.args
    ):
        return True
    return any(asks_status(frame.node.test) for frame in up_to(site.frame, loop) if isinstance(frame.node, ast.If))


def grows(node: ast.AST, names: set[str]) -> bool:
    """Whether a node makes one of the names grow."""
    if isinstance(node, ast.AugAssign):
        return isinstance(node.target, ast.Name) and node.target.id in names and isinstance(node.op, ast.Mult)
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in names:
        return any(
            isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mult | ast.Pow) for part in ast.walk(node.value)
        )
    return False


def asks_status(test: ast.expr) -> bool:
    """Whether a test looks at a status."""
    for node in ast.walk(test):
        if isinstance(node, ast.Attribute) and node.attr in _STATUS_NAMES:
            return True
        if isinstance(node, ast.Constant) and node.value in _STATUSES and isinstance(node.value, int):
            return True
    return False
