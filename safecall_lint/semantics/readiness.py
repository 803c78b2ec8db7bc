"""Which loops ask again on purpose: until a job is done, a server is up, a connection is back."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from msgspec import Struct

from safecall_lint.semantics.flow import own_nodes, ways_out
from safecall_lint.semantics.rounds import after, always_leaves
from safecall_lint.semantics.scan import dotted

if TYPE_CHECKING:
    from safecall_lint.semantics.calls import Calls
    from safecall_lint.semantics.retries import RetryLoop

_ASKING = re.compile(
    r"poll|(^|[_.])wait_|until_ready|is_ready|_ready|check_status|health|is_alive|keep_?alive|heart_?beat|reconnect"
    r"|(^|_)subscri|consume|listener|monitor"
)
_CLOCKS = ("time()", "monotonic()", "perf_counter()", "deadline")
_NEAR = re.compile(r"localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0|/json/version")
_PROBED = re.compile(r"/(healthz?|readyz?|livez|ready|health_check|ping|status)\b")
_READING = frozenset({"get", "head", "options"})
_STATUS = frozenset({"status_code", "status", "ok", "is_success", "is_error", "raise_for_status"})
_STATES = frozenset(
    {
        "running", "pending", "processing", "queued", "in_progress", "in-progress", "starting", "building", "completed",
        "finished", "done", "ready", "succeeded",
    }
)  # fmt: skip
_HTTP = 100
_STATE = re.compile(r"^(\w+_)?(status|state)$")


class Readiness(Struct, eq=False):
    """Answers for retry loops."""

    calls: Calls

    def polls(self, loop: RetryLoop) -> bool:
        """Whether a loop asks again until something is ready: it runs by the clock, says so, pauses before it asks,
        asks for the state of a job, or asks a server only whether it is there."""
        head = ast.unparse(loop.loop.test if isinstance(loop.loop, ast.While) else loop.loop.iter).lower()
        if isinstance(loop.loop, ast.While) and any(clock in head for clock in _CLOCKS):
            return True
        asked = dotted(loop.vendor.node.func).lower()
        names = (head, loop.function.name.lower(), "" if asked == "asyncio.wait_for" else asked.rpartition(".")[2])
        if any(_ASKING.search(name) for name in names) or self._paced(loop):
            return True
        return _asks_state(loop) or self._probes(loop)

    def _paced(self, loop: RetryLoop) -> bool:
        """Whether each turn begins with a pause."""
        first = loop.loop.body[0]
        waited = first.value.value if isinstance(first, ast.Expr) and isinstance(first.value, ast.Await) else None
        call = waited or (first.value if isinstance(first, ast.Expr) else None)
        return isinstance(call, ast.Call) and self.calls.pause(call, loop.function) is not None

    def _probes(self, loop: RetryLoop) -> bool:
        """Whether a loop reads from a server and does nothing with the answer, or reads where servers say that they are
        up, or from a server on this machine."""
        func = loop.vendor.node.func
        if not isinstance(func, ast.Attribute) or func.attr not in _READING:
            return False
        text = _spelled(loop)
        return bool(_NEAR.search(text) or _PROBED.search(text)) or _unread(loop)


def _spelled(loop: RetryLoop) -> str:
    """The arguments of the call, with what their names are bound to in its function."""
    call = loop.vendor.node
    parts: list[ast.expr] = [*call.args, *(item.value for item in call.keywords if item.arg == "url")]
    names = {node.id for part in parts for node in ast.walk(part) if isinstance(node, ast.Name)}
    bound = [row.value for name in names for row in loop.function.scan.bindings.get(name, ()) if row.value is not None]
    return " ".join(ast.unparse(part) for part in (*parts, *bound))


def _unread(loop: RetryLoop) -> bool:
    """Whether nothing of the answer is read but its status."""
    name = _answer(loop)
    if name is None:
        return False
    nodes = list(ast.walk(loop.function.node))
    read = [node for node in nodes if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)]
    status = (node.value for node in nodes if isinstance(node, ast.Attribute) and node.attr in _STATUS)
    known = {id(value) for value in status}
    return all(id(node) in known for node in read)


def _answer(loop: RetryLoop) -> str | None:
    """The name that the answer gets, "" where it gets none, None where it goes elsewhere."""
    call = loop.vendor.node
    for node in own_nodes(loop.attempt.body):
        match node:
            case ast.Expr(value=value) if _is(value, call):
                return ""
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is(value, call):
                return name
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    if _is(item.context_expr, call):
                        return item.optional_vars.id if isinstance(item.optional_vars, ast.Name) else ""
            case _:
                pass
    return None


def _is(value: ast.expr, call: ast.Call) -> bool:
    return value is call or (isinstance(value, ast.Await) and value.value is call)


def _asks_state(loop: RetryLoop) -> bool:
    """Whether a turn in which nothing fails may be followed by another one, because a job is not done yet."""
    tails = (loop.attempt.body, loop.attempt.orelse, after(loop.attempt, loop.loop.body))
    if any(always_leaves(tail) for tail in tails) and "continue" not in ways_out(loop.attempt.body):
        return False
    nodes = [node for tail in tails for node in own_nodes(tail)]
    compared = (node.comparators for node in nodes if isinstance(node, ast.Compare))
    words = [
        item.value for row in compared for part in row for item in ast.walk(part) if isinstance(item, ast.Constant)
    ]
    if any(isinstance(word, str) and word.lower() in _STATES for word in words):
        return True
    if any(isinstance(word, int) and word >= _HTTP for word in words):
        return False
    assigned = (node for node in own_nodes(loop.attempt.body) if isinstance(node, ast.Assign))
    return any(
        isinstance(target, ast.Name)
        and _STATE.match(target.id)
        and any(inner is loop.vendor.node for inner in ast.walk(node.value))
        for node in assigned
        for target in node.targets
    )
