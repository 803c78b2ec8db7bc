"""SCL203: a pause is awaited with a slot in hand."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import libcst as cst
from msgspec import Struct

from safecall_lint.finding import Severity
from safecall_lint.semantics.backoff import waited
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.retries import Loop
from safecall_lint.semantics.values import Site
from safecall_lint.visiting.slots import inverted, seconds_text, taken_label
from safecall_lint.visiting.visitor import Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.holding import Hold
    from safecall_lint.semantics.scan import CallSite

_BRIEF = 0.1


class _Sleep(Struct, frozen=True):
    """A call that sleeps with a slot in hand. `ends` is the sleep itself where a callee does it."""

    site: CallSite
    hold: Hold
    why: str
    seconds: float | None
    ends: Site | None = None
    job: bool = False


class SleepInsideSemaphore(Visitor):
    needs = (frozenset({"with:gate", "with:lock", ".acquire"}), frozenset({"sleep", "first-party"}))

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        return any(semantics.holding.holds(scope, "gate", "lock") for scope in scopes if isinstance(scope, Function))

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        function = self.context.defined(node)
        if function is None:
            return
        told: dict[object, list[_Sleep]] = {}
        for sleep in self._sleeps(function):
            told.setdefault(self._cause(sleep), []).append(sleep)
        for cause, sleeps in told.items():
            self._tell(cause, sleeps, function)

    # -- seeing ----------------------------------------------------------------------------------------------------

    def _sleeps(self, function: Function) -> Iterator[_Sleep]:
        for site, hold in self.semantics.holding.under(function):
            pause = self.semantics.calls.pause(site.node, function)
            if pause and not pause.blocking and site.awaited:
                why = self.semantics.stalls.why(site, function, hold.block)
                if why != "poll" and not (why == "pause" and (pause.seconds or 1) < _BRIEF):
                    yield _Sleep(site, hold, why, pause.seconds)
            elif pause is None:
                yield from self._called(site, hold, function)

    def _called(self, site: CallSite, hold: Hold, function: Function) -> Iterator[_Sleep]:
        evaluator, stalls = self.semantics.evaluator, self.semantics.stalls
        for callee in evaluator.callees(site.node, function):
            if not self.semantics.reach.runs(site, callee) or evaluator.shapes.paces(callee):
                continue
            stall = stalls.below(callee)
            if stall is None or stall.why in ("retry", "poll"):
                continue
            why = stalls.why(site, function, hold.block) if stall.why == "pause" else stall.why
            if why != "poll" and not (why == "pause" and (stall.seconds or 1) < _BRIEF):
                job = stall.job or stalls.for_job(hold)
                yield _Sleep(site, hold, why, stall.seconds, stall.node, job)
                return

    @staticmethod
    def _cause(sleep: _Sleep) -> object:
        """Sleeps of one loop are one mistake."""
        loop = _loop_of(sleep)
        return (sleep.hold.block, loop) if loop and sleep.why != "pause" else (sleep.hold.block, sleep.site.node)

    # -- telling ---------------------------------------------------------------------------------------------------

    def _tell(self, cause: object, sleeps: list[_Sleep], function: Function) -> None:
        first = sleeps[0]
        written = all(sleep.ends is None for sleep in sleeps)
        fix = inverted(self.context, first.hold) if first.why != "pause" and written else None
        soft = first.why == "pause" or first.job or first.hold.taken.kind == "lock"
        self.report(
            Site(function.module, _awaited(first.site, function)),
            self._message(first, function),
            label=self._label(first),
            labels=[*self._labels(sleeps, function)],
            help=_HELP[first.why],
            fix=fix,
            severity=Severity.WARNING if soft else None,
            strict=soft,
            cause=cause,
        )

    def _message(self, sleep: _Sleep, function: Function) -> str:
        thing = "lock" if sleep.hold.taken.kind == "lock" else "slot"
        if sleep.why == "endless":
            return f"a {thing} is held for good by a loop that never ends"
        seconds = self._seconds(sleep, function)
        amount = f"up to {seconds_text(seconds)} of " if seconds else ""
        if sleep.why == "pause":
            return f"a {thing} is held through a pause" + (f" of {seconds_text(seconds)}" if seconds else "")
        return f"a {thing} is held through {amount or 'a '}backoff"

    def _seconds(self, sleep: _Sleep, function: Function) -> float | None:
        """How long the slot is held; of a backoff in a callee only one turn is known, so nothing is said."""
        if sleep.why != "backoff":
            return sleep.seconds
        if sleep.ends is not None:
            return None
        loop = _loop_of(sleep)
        return waited(loop, function, self.semantics.calls) if loop else sleep.seconds

    def _label(self, sleep: _Sleep) -> str:
        permits = self.semantics.holding.permits(sleep.hold.taken.value)
        if sleep.why == "backoff" and permits and sleep.hold.taken.kind == "gate":
            return f"waits with the slot in hand: at {permits:g} failing calls nobody else gets in"
        return f"waits with the {'lock' if sleep.hold.taken.kind == 'lock' else 'slot'} in hand"

    def _labels(self, sleeps: list[_Sleep], function: Function) -> Iterator[tuple[Site, str]]:
        hold = sleeps[0].hold
        yield Site(function.module, hold.taken.node), taken_label(self.semantics.holding, hold)
        for sleep in sleeps:
            if sleep.ends:
                yield sleep.ends, "sleeps here"
        for sleep in sleeps[1:]:
            yield Site(function.module, sleep.site.node), "and here"


_HELP = {
    "backoff": "give the slot back before sleeping: take it inside the loop, around the call",
    "endless": "take the slot inside the loop, around the work of one turn",
    "pause": "pace calls with a rate limiter in front of the gate, and sleep after the `async with`",
}


def _loop_of(sleep: _Sleep) -> Loop | None:
    """The outermost loop between the slot and the sleep."""
    found: Loop | None = None
    for frame in sleep.site.frame.chain() if sleep.site.frame else ():
        if frame.node is sleep.hold.block:
            break
        if isinstance(frame.node, Loop) and frame.node.lineno > sleep.hold.block.lineno:
            found = frame.node
    return found


def _awaited(site: CallSite, function: Function) -> ast.expr:
    """The `await` around a call, where there is one."""
    for node, _ in function.scan.awaits:
        if isinstance(node, ast.Await) and node.value is site.node:
            return node
    return site.node
