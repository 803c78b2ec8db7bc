"""Retries by way of a queue: what failed is put on it again, and whoever takes it makes the next attempt."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from msgspec import Struct

from safecall_lint.semantics.attempted import outward
from safecall_lint.semantics.rounds import ATTEMPT, frames, within
from safecall_lint.semantics.scan import CallSite, dotted

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function
    from safecall_lint.semantics.retries import Retries

_LEAVING = re.compile(r"dead|dlq|fail|error|result|response|reply|done|out(put|box)?(_|$)|event")
_PUTTING = frozenset({"put", "put_nowait"})
_TAKING = frozenset({"get", "get_nowait"})


class Requeue(Struct, frozen=True):
    """A `try` whose `handler` puts the work on a queue again: by the call `again`. `seen` tells whether a vendor is
    seen to be called in the `try`."""

    attempt: ast.Try
    handler: ast.ExceptHandler
    again: CallSite
    seen: bool


class Requeues(Struct, eq=False):
    """Finds them."""

    retries: Retries

    def of(self, function: Function) -> list[Requeue]:
        """The handlers of a function that put on a queue what it was handed or took from that queue."""
        found = (self._requeue(site, function) for site in function.scan.calls)
        return [requeue for requeue in found if requeue]

    def _requeue(self, site: CallSite, function: Function) -> Requeue | None:
        func = site.node.func
        if not isinstance(func, ast.Attribute) or func.attr not in _PUTTING or not site.node.args:
            return None
        around = next((frame for frame in frames(site.frame) if frame.section == "handler"), None)
        if around is None or not isinstance(around.node, ast.Try):
            return None
        handler = around.node.handlers[around.position]
        if not self._same(site.node, func, handler, function):
            return None
        inside = (item for item in function.scan.calls if within(item, around.node, "body"))
        if any(self.retries.is_vendor(item, function) for item in inside):
            return Requeue(around.node, handler, site, True)
        counted = ATTEMPT.search(ast.unparse(handler).lower())
        return Requeue(around.node, handler, site, False) if counted and outward(around.node, function) else None

    @staticmethod
    def _same(call: ast.Call, func: ast.Attribute, handler: ast.ExceptHandler, function: Function) -> bool:
        """Whether what is put on the queue is the work itself: taken from that queue, or, where the code speaks of
        attempts, handed in. What carries the exception is a report."""
        names = {node.id for node in ast.walk(call.args[0]) if isinstance(node, ast.Name)}
        queue = dotted(func.value).lower()
        if handler.name in names or _LEAVING.search(queue):
            return False
        counted = ATTEMPT.search(queue) or ATTEMPT.search(ast.unparse(handler).lower())
        if counted and names & set(function.parameters):
            return True
        for name in names:
            for row in function.scan.bindings.get(name, ()):
                value = row.value.value if isinstance(row.value, ast.Await) else row.value
                taken = value.func if isinstance(value, ast.Call) else None
                if isinstance(taken, ast.Attribute) and taken.attr in _TAKING:
                    if dotted(taken.value) and dotted(taken.value) == dotted(func.value):
                        return True
        return False
