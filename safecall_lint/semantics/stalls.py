"""Why a call stands still: it backs off after a failure, pauses for ever, paces itself, polls, or retries."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from safecall_lint.semantics.backoff import waited
from safecall_lint.semantics.pausing import backs_off, counts, ends, failing, up_to, within
from safecall_lint.semantics.retries import Loop, Retries, RetryLoop
from safecall_lint.semantics.roles import in_loop
from safecall_lint.semantics.values import Site

if TYPE_CHECKING:
    from safecall_lint.semantics.calls import Calls
    from safecall_lint.semantics.holding import Hold, Holding
    from safecall_lint.semantics.model import Function
    from safecall_lint.semantics.policies import RetryPolicy
    from safecall_lint.semantics.reach import Reach
    from safecall_lint.semantics.scan import CallSite

Why = Literal["backoff", "endless", "pause", "poll"]
_FAR: Final = 3
_MANY: Final = 2


class Stall(Struct, frozen=True):
    """What makes a call stand still. `steps` are the calls that lead there; `node` is the sleep, the loop or the
    decorator; `why` is "retry" for a retry layer, "limit" for a rate limiter. `attempts` and `seconds` where they can
    be computed. `job`: on the way there more is done than one call, so that a slot around it stands for a job."""

    why: Why | Literal["retry", "limit"]
    steps: tuple[Site, ...]
    node: Site
    attempts: float | None = None
    seconds: float | None = None
    job: bool = False


class Stalls(Struct, eq=False):
    """Answers what makes calls stand still."""

    calls: Calls
    reach: Reach
    retries: Retries
    holding: Holding
    _below: dict[Function, Stall | None] = field(default_factory=dict)

    # -- a sleep in its own function -----------------------------------------------------------------------------

    def why(self, site: CallSite, function: Function, inside: ast.stmt | None = None) -> Why:
        """What a sleep, or a call that only sleeps, is for, seen from the statement `inside` that takes the slot."""
        frames = list(up_to(site.frame, inside))
        if any(failing(frame) for frame in frames):
            return "backoff"
        for frame in frames:
            if isinstance(frame.node, Loop) and frame.section == "body":
                return self._of_loop(frame.node, site, function)
        return "pause"

    def _of_loop(self, loop: Loop, site: CallSite, function: Function) -> Why:
        repeats = [repeat for repeat in self.retries.repeats(function) if repeat.loop is loop]
        if any(not within(site, repeat.attempt) for repeat in repeats):
            return "backoff"
        if isinstance(loop, ast.While) and isinstance(loop.test, ast.Constant) and not ends(loop.body):
            return "endless"
        if not isinstance(loop, ast.While) and not counts(loop):
            return "pause"
        return "backoff" if backs_off(loop, site) else "poll"

    # -- a call of a first-party function --------------------------------------------------------------------------

    def below(self, function: Function) -> Stall | None:
        """The nearest stall in what a function does, or in what it calls."""
        if function not in self._below:
            found = self._search(function)
            if not self.calls.evaluator.idle:
                return found
            self._below[function] = found
        return self._below[function]

    def _search(self, function: Function) -> Stall | None:
        soft: Stall | None = None
        ways: dict[ast.AST, tuple[CallSite, Function]] = {}
        for chain in self.reach.chains(function, self._may_enter):
            ways.update((site.node, (site, chain.function)) for site in chain.function.scan.calls)
            found = self._in(chain.function, chain.steps)
            if found and found.why in ("retry", "backoff", "endless"):
                around = found.node.node in chain.function.node.decorator_list
                many = not around and self._works(chain.function) > _MANY
                return replace(found, job=many or self._is_job([ways[step.node] for step in chain.steps]))
            soft = soft or found
        return soft

    def _is_job(self, way: list[tuple[CallSite, Function]]) -> bool:
        """Whether one of the functions on a way makes further calls, or the same one again and again."""
        return len(way) > _FAR or any(in_loop(site.frame) or self._works(function) > _MANY for site, function in way)

    def _works(self, function: Function) -> int:
        """How many places of a function wait for something of the project or of a vendor."""
        return sum(self._work(site, function) for site in function.scan.calls)

    def _work(self, site: CallSite, function: Function) -> bool:
        if not site.awaited or self.calls.pause(site.node, function):
            return False
        return bool(self.calls.evaluator.callees(site.node, function) or self.calls.vendor(site.node, function))

    def for_job(self, hold: Hold) -> bool:
        """Whether a slot stands for a job: more than a call or two is made with it in hand, or one of them is a job."""
        function = hold.function
        sites = [
            site for site in function.scan.calls if hold.covers(site.node, site.frame) and self._work(site, function)
        ]
        return len(sites) > _MANY or any(self._leads_to_job(site, function) for site in sites)

    def _leads_to_job(self, site: CallSite, function: Function) -> bool:
        stalls = (self.below(callee) for callee in self.calls.evaluator.callees(site.node, function))
        return any(stall.job for stall in stalls if stall)

    def _may_enter(self, site: CallSite, function: Function) -> bool:
        """A limiter's wait is a matter of its own, and what runs under a nearer gate is that gate's."""
        if self._gated(site, function):
            return False
        callees = self.calls.evaluator.callees(site.node, function)
        return not any(self.calls.evaluator.shapes.paces(callee) for callee in callees)

    def _gated(self, site: CallSite, function: Function) -> bool:
        gates = self.holding.holds(function, "gate")
        return any(hold.covers(site.node, site.frame) for hold in gates)

    def _in(self, function: Function, steps: tuple[Site, ...]) -> Stall | None:
        """What stalls in a function itself. One that takes a gate of its own is left to that gate: the one around it
        stands for a whole job."""
        if self.holding.holds(function, "gate"):
            return None
        layer = self.layer(function)
        if layer:
            return Stall("retry", steps, layer.node, layer.attempts, layer.seconds)
        found: Stall | None = None
        for site in function.scan.calls:
            if self.calls.spawned(site):
                continue
            pause = self.calls.pause(site.node, function)
            if pause and not pause.blocking:
                why = self.why(site, function)
                stall = Stall(why, steps, Site(function.module, site.node), None, pause.seconds)
                if why in ("backoff", "endless"):
                    return stall
                found = found or (stall if why == "pause" else None)
        return found

    # -- limiters ----------------------------------------------------------------------------------------------------

    def limited(self, function: Function) -> Stall | None:
        """The nearest place in what a function does where it waits for a rate limiter."""
        ways: dict[ast.AST, tuple[CallSite, Function]] = {}
        for chain in self.reach.chains(function, lambda site, scope: not self._gated(site, scope)):
            ways.update((site.node, (site, chain.function)) for site in chain.function.scan.calls)
            found = self._limits(chain.function)
            if found:
                return Stall("limit", chain.steps, found, job=self._is_job([ways[step.node] for step in chain.steps]))
        return None

    def _limits(self, function: Function) -> Site | None:
        """Where a function itself waits for a limiter; one that takes a gate of its own is left to that gate."""
        if self.holding.holds(function, "gate"):
            return None
        evaluator = self.calls.evaluator
        sleep = evaluator.shapes.paces(function)
        if sleep is not None:
            return Site(function.module, sleep)
        for block in function.scan.withs:
            if isinstance(block.node, ast.With | ast.AsyncWith):
                for item in block.node.items:
                    if any(map(self.calls.slows, evaluator.of_kind(item.context_expr, function, "limiter"))):
                        return Site(function.module, item.context_expr)
        for site in function.scan.calls:
            admission = self.calls.admission(site.node, function) if site.awaited else None
            if admission and admission.kind == "limiter":
                return Site(function.module, site.node)
        return None

    # -- retry layers ----------------------------------------------------------------------------------------------

    def layer(self, function: Function) -> Stall | None:
        """The retry layer, with waits, that a function is or has in its body."""
        if not function.is_async:
            return None
        for policy in self.retries.decorators(function):
            if self.waits(policy):
                return Stall("retry", (), policy.site, policy.attempts)
        for repeat in self.retries.repeats(function):
            if repeat.pauses:
                return self.of_loop(repeat)
        return self._wrapped(function)

    def _wrapped(self, function: Function) -> Stall | None:
        loops = (self.of_iterator(block.node, function) for block in function.scan.loops)
        wrappers = (self.of_wrapper(site, function) for site in function.scan.calls)
        return next((stall for stall in (*loops, *wrappers) if stall), None)

    def of_iterator(self, loop: ast.stmt, function: Function) -> Stall | None:
        """The retry that `async for attempt in AsyncRetrying(...)` is."""
        policy = self.retries.iterator(loop, function) if isinstance(loop, ast.For | ast.AsyncFor) else None
        return Stall("retry", (), policy.site, policy.attempts) if policy and self.waits(policy) else None

    def of_wrapper(self, site: CallSite, function: Function) -> Stall | None:
        """The retry that an awaited call puts around the function it is handed."""
        policy = self.retries.wrapping(site.node, function) if site.awaited else None
        return Stall("retry", (), policy.site, policy.attempts) if policy and self.waits(policy) else None

    def of_loop(self, repeat: RetryLoop) -> Stall:
        """A retry loop as a stall."""
        seconds = waited(repeat.loop, repeat.function, self.calls)
        return Stall("retry", (), repeat.site, repeat.attempts, seconds)

    def waits(self, policy: RetryPolicy) -> bool:
        """Whether a retry waits between its attempts; one that makes a single attempt never does."""
        if policy.attempts is not None and policy.attempts <= 1:
            return False
        if policy.function is not None:
            return self.reach.pause(policy.function) is not None
        return policy.wait != "none"
