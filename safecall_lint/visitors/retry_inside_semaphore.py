"""SCL204: a retry runs with a slot in hand, its waits included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Severity
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.values import Site
from safecall_lint.visiting.slots import inverted, seconds_text, taken_label
from safecall_lint.visiting.visitor import Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.calls import VendorCall
    from safecall_lint.semantics.holding import Hold
    from safecall_lint.semantics.scan import CallSite
    from safecall_lint.semantics.stalls import Stall


class RetryInsideSemaphore(Visitor):
    needs = (
        frozenset({"with:gate", "with:lock", ".acquire"}),
        frozenset({"sleep", "first-party", "retry", "vendor", "retry()"}),
    )

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        return any(semantics.holding.holds(scope, "gate", "lock") for scope in scopes if isinstance(scope, Function))

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        function = self.context.defined(node)
        if function is None:
            return
        self._loops(function)
        for site, hold in self.semantics.holding.under(function):
            stall = self._called(site, function)
            if stall:
                self._tell(Site(function.module, site.node), stall, hold, function)
            elif own := self._by_itself(site, function):
                self._tell_client(*own, hold, function)

    # -- seeing ----------------------------------------------------------------------------------------------------

    def _loops(self, function: Function) -> None:
        """Retries written out in the block, by hand or with a library's iterator."""
        for hold, stall, loop in self._written(function):
            self._tell(stall.node, stall, hold, function, (hold.block, loop))

    def _written(self, function: Function) -> Iterator[tuple[Hold, Stall, object]]:
        stalls, holding = self.semantics.stalls, self.semantics.holding
        slots = holding.slots(function)
        told: set[object] = set()
        for repeat in stalls.retries.repeats(function) if slots else ():
            hold = holding.innermost(slots, repeat.loop, function)
            if hold and repeat.pauses and repeat.loop not in told:
                told.add(repeat.loop)
                yield hold, stalls.of_loop(repeat), repeat.loop
        for block in function.scan.loops if slots else ():
            hold = holding.innermost(slots, block.node, function)
            stall = stalls.of_iterator(block.node, function) if hold else None
            if hold and stall:
                yield hold, stall, block.node

    def _called(self, site: CallSite, function: Function) -> Stall | None:
        """The retry layer that a call goes through, however deep it lies."""
        stalls = self.semantics.stalls
        around = stalls.of_wrapper(site, function)
        if around:
            return around
        for callee in self.semantics.evaluator.callees(site.node, function):
            if self.semantics.reach.runs(site, callee) and not self.semantics.evaluator.shapes.paces(callee):
                stall = stalls.below(callee)
                if stall and stall.why == "retry":
                    return stall
        return None

    def _by_itself(self, site: CallSite, function: Function) -> tuple[VendorCall, float] | None:
        """A call of an SDK and the attempts that its client makes on its own account."""
        vendor = self.semantics.calls.vendor(site.node, function)
        own = self.semantics.retries.own(vendor.client) if vendor else None
        return (vendor, own[0]) if vendor and own else None

    # -- telling ---------------------------------------------------------------------------------------------------

    def _tell(self, node: Site, stall: Stall, hold: Hold, function: Function, cause: object = None) -> None:
        called = cause is None and (stall.job or self.semantics.stalls.for_job(hold))
        soft = called or hold.taken.kind == "lock"
        thing = "lock" if hold.taken.kind == "lock" else "slot"
        labels = [(Site(function.module, hold.taken.node), taken_label(self.semantics.holding, hold))]
        if stall.node.node is not node.node:
            labels.append((stall.node, f"retries here{_attempts(stall)}"))
        self.report(
            node,
            f"a {thing} is kept through {_spent(stall)}",
            label=f"retries with the {thing} in hand, its waits included",
            labels=labels,
            notes=_through(stall),
            help="take the slot inside the retry, around the single attempt",
            fix=inverted(self.context, hold) if cause is not None else None,
            severity=Severity.WARNING if soft else None,
            strict=soft,
            cause=cause,
        )

    def _tell_client(self, vendor: VendorCall, attempts: float, hold: Hold, function: Function) -> None:
        self.report(
            Site(function.module, vendor.node),
            f"a slot is kept through the {attempts:g} attempts of the SDK itself",
            label="the client retries and sleeps with the slot in hand",
            labels=[(Site(function.module, hold.taken.node), taken_label(self.semantics.holding, hold))],
            notes=[f"`{vendor.fact.name}` retries by itself unless `{vendor.fact.retries_keyword}=0`"],
            help=f"set `{vendor.fact.retries_keyword}=0` and retry around the gate",
            severity=Severity.INFO,
            strict=True,
        )


def _spent(stall: Stall) -> str:
    attempts = f"{stall.attempts:g} attempts" if stall.attempts else "a retry"
    if stall.seconds:
        return f"{attempts} and {seconds_text(stall.seconds)} of backoff"
    return f"{attempts} and the waits between" if stall.attempts else f"{attempts} and all its waits"


def _attempts(stall: Stall) -> str:
    return f", {stall.attempts:g} attempts" if stall.attempts else ""


def _through(stall: Stall) -> list[str]:
    """The functions between the slot and the retry."""
    names = [step.module.path for step in stall.steps]
    return [f"the retry is {len(names)} calls away from the slot"] if len(names) > 1 else []
