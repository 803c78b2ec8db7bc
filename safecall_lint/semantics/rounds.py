"""How a loop goes round: which turns are attempts, what ends it, where a call stands in it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from safecall_lint.semantics.flow import falls_through, leaves_loop, own_nodes, ways_out
from safecall_lint.semantics.scan import CallSite, Frame, dotted

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function

Loop = ast.For | ast.AsyncFor | ast.While
ATTEMPT = re.compile(r"attempt|retr(y|ies)|tries|retry_count")
_QUICK = frozenset(
    {"debug", "info", "warning", "error", "exception", "log", "print", "format", "str", "len", "int", "range"}
)
_SERVING = re.compile(r"running|clos(ed|ing)|stop|shut|terminat|alive|cancel|is_set|connected")
_ASKING = re.compile(
    r"^input$|(^|\.)(getpass|prompt_async)$|(^|\.)(app|session|click|typer|questionary|inquirer)\.prompt$"
    r"|(^|\.)(prompt|confirm)\.ask$"
)
_TAKING = frozenset({"pop", "popleft", "popitem", "get_nowait"})
_GATHERING = frozenset({"append", "appendleft", "extend", "extendleft"})


def frames(frame: Frame | None) -> Iterator[Frame]:
    """A frame and the ones around it, innermost first."""
    while frame is not None:
        yield frame
        frame = frame.parent


def in_handler(site: CallSite) -> bool:
    """Whether a call stands in a handler."""
    return any(frame.section == "handler" for frame in frames(site.frame))


def within(site: CallSite, node: ast.AST, section: str) -> bool:
    """Whether a call stands in a section of a block."""
    return any(frame.node is node and frame.section == section for frame in frames(site.frame))


def awaited_site(node: ast.Try, function: Function) -> CallSite | None:
    """The first awaited call in the body of a `try`, or the first one that an `async with` there enters."""
    for site in function.scan.calls:
        if within(site, node, "body") and (site.awaited or entered(site)):
            return site
    return None


def entered(site: CallSite) -> bool:
    """Whether an `async with` enters what the call gives."""
    frame = site.frame
    return frame is not None and isinstance(frame.node, ast.AsyncWith) and frame.section == "items"


def goes_round(body: list[ast.stmt], last: bool) -> bool:
    """Whether the loop turns again after a handler; `last`: what follows the `try` always leaves the loop."""
    return falls_through(body) and (not last or "continue" in ways_out(body))


def counter(loop: Loop) -> str:
    """The code that says how often a loop turns."""
    head = loop.test if isinstance(loop, ast.While) else ast.Tuple([loop.target, loop.iter], ast.Load())
    return ast.unparse(head).lower()


def plain(site: CallSite) -> bool:
    """Whether a call is one of those that cannot fail for long: a log, a constructor of text."""
    return tail_name(site.node) in _QUICK and not site.awaited


def is_attempts(loop: Loop) -> bool:
    """Whether the turns of a loop are attempts at the same thing: not items of a collection, nor rounds of a service or
    of a talk with somebody at the keyboard."""
    if any(asks_somebody(node) for node in own_nodes(loop.body)):
        return False
    if isinstance(loop, ast.While):
        return not drains(loop) and not (_SERVING.search(counter(loop)) and not compares(loop.test))
    source = loop.iter
    if not isinstance(source, ast.Call):
        return False
    name = source.func.attr if isinstance(source.func, ast.Attribute) else getattr(source.func, "id", "")
    return name in ("range", "count", "retry_context", "AsyncRetrying", "Retrying")


def succeeds(attempt: ast.Try, loop: Loop) -> bool:
    """Whether the turn in which nothing fails is the last one: then going round again means a failure was caught.

    `while` loops need an exit that always happens; `range` loops may also leave on a condition.
    """
    tails = [attempt.body, attempt.orelse, after(attempt, loop.body)]
    if any(always_leaves(tail) for tail in tails) or any(map(_is_end, attempt.handlers)):
        return True
    if isinstance(loop, ast.While) and isinstance(loop.test, ast.Constant):
        return False
    if any(gathers(tail, loop) for tail in tails):
        return False
    if isinstance(loop, ast.While):
        return flag_set(attempt, loop.test)
    return any(leaves_loop(tail) for tail in tails)


def _is_end(handler: ast.ExceptHandler) -> bool:
    """Whether a handler leaves because a stream is read to its end."""
    name = handler.type.id if isinstance(handler.type, ast.Name) else ""
    return name in ("StopAsyncIteration", "StopIteration") and always_leaves(handler.body)


def is_set(loop: Loop, function: Function) -> bool:
    """Whether somebody else says how often a loop turns: an attribute or a parameter, whatever its default is."""
    head = loop.test if isinstance(loop, ast.While) else loop.iter
    nodes = list(ast.walk(head))
    given = (node.id for node in nodes if isinstance(node, ast.Name))
    return any(isinstance(node, ast.Attribute) for node in nodes) or any(name in function.parameters for name in given)


def numbers(loop: Loop, attempt: ast.Try) -> bool:
    """Whether the attempt asks for another thing in each turn: a loop that does not count attempts hands its number to
    a call."""
    if isinstance(loop, ast.While) or not isinstance(loop.target, ast.Name) or ATTEMPT.search(counter(loop)):
        return False
    number = loop.target.id
    calls = (node for node in own_nodes(attempt.body) if isinstance(node, ast.Call) and tail_name(node) not in _QUICK)
    given = (part for call in calls for part in (*call.args, *(item.value for item in call.keywords)))
    return any(isinstance(node, ast.Name) and node.id == number for part in given for node in ast.walk(part))


def asks_somebody(node: ast.AST) -> bool:
    """Whether a node is a call that waits for what somebody types."""
    if not isinstance(node, ast.Call):
        return False
    return bool(_ASKING.search(dotted(node.func).lower()))


def drains(loop: ast.While) -> bool:
    """Whether a loop runs while a collection has items, and takes one in each turn."""
    names = {dotted(node) for node in ast.walk(loop.test) if isinstance(node, ast.Name | ast.Attribute)}
    taken = (node for node in own_nodes(loop.body) if isinstance(node, ast.Call))
    return any(
        isinstance(node.func, ast.Attribute)
        and (node.func.attr in _TAKING or (node.func.attr == "get" and not node.args))
        and dotted(node.func.value) in names
        for node in taken
    )


def gathers(tail: list[ast.stmt], loop: Loop) -> bool:
    """Whether a turn in which nothing fails adds to what the loop's head measures, or, in a loop that does not count
    attempts, to any collection: then each turn is another piece of the whole."""
    head = counter(loop)
    for node in own_nodes(tail):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _GATHERING:
            name = dotted(node.func.value).lower()
            if name and (re.search(rf"\b{re.escape(name)}\b", head) or not ATTEMPT.search(head)):
                return True
    return False


def always_leaves(body: list[ast.stmt]) -> bool:
    """Whether a block always returns or breaks where nothing fails."""
    if not body:
        return False
    last = body[-1]
    if isinstance(last, ast.Return | ast.Break):
        return True
    if isinstance(last, ast.With | ast.AsyncWith):
        return always_leaves(last.body)
    if isinstance(last, ast.If):
        return always_leaves(last.body) and (always_leaves(last.orelse) or raises(last.orelse))
    return isinstance(last, ast.Try) and always_leaves(last.body)


def raises(body: list[ast.stmt]) -> bool:
    """Whether a block ends by raising."""
    return bool(body) and isinstance(body[-1], ast.Raise)


def after(attempt: ast.Try, body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements that follow the `try` in the loop's body, at whatever depth it stands."""
    for index, statement in enumerate(body):
        if statement is attempt:
            return body[index + 1 :]
        if isinstance(statement, ast.With | ast.AsyncWith) and attempt in ast.walk(statement):
            return after(attempt, statement.body) or body[index + 1 :]
    return []


def flag_set(attempt: ast.Try, test: ast.expr) -> bool:
    """Whether the attempt sets a name that the loop's test reads, or leaves."""
    names = {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
    body = [*attempt.body, *attempt.orelse]
    return any(
        isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in names
        for statement in body
        for node in ast.walk(statement)
    ) or any(leaves_loop(tail) for tail in (attempt.body, attempt.orelse))


def raises_inside(loop: Loop) -> bool:
    """Whether an endless loop gives up somewhere: a handler that goes round may also raise, break or return, a test is
    followed by raising or breaking, or by leaving in whatever way under a test of a number outside of the attempt."""
    if any(
        isinstance(inner, ast.Raise | ast.Break | ast.Return)
        for node in ast.walk(loop)
        if isinstance(node, ast.ExceptHandler) and falls_through(node.body)
        for inner in ast.walk(node)
    ):
        return True
    counted = (node for node in ast.walk(loop) if isinstance(node, ast.If) and compares(node.test))
    if any(isinstance(last, ast.Raise | ast.Break) for node in counted for last in node.body[-1:]):
        return True
    return any(
        isinstance(node, ast.If) and isinstance(node.body[-1], ast.Return) and compares(node.test, equal=False)
        for node in loop.body
    )


def compares(test: ast.expr, equal: bool = True) -> bool:
    """Whether a test compares; `equal`: also for being the same."""
    orders = (ast.Gt, ast.GtE, ast.Lt, ast.LtE, ast.Eq) if equal else (ast.Gt, ast.GtE, ast.Lt, ast.LtE)
    return any(isinstance(node, orders) for node in ast.walk(test))


def tail_name(call: ast.Call) -> str:
    """The last part of the name that is called."""
    func = call.func
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
