"""SCL406: a request that changes something is sent again although the first may have arrived."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.semantics.calls import VendorCall, keyword_or_position
from safecall_lint.semantics.values import Constant, Site, Value
from safecall_lint.visiting.idempotency import keyed
from safecall_lint.visiting.retrying import RetryVisitor

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function
    from safecall_lint.semantics.policies import RetryPolicy
    from safecall_lint.semantics.retries import RetryLoop
    from safecall_lint.visiting.visitor import Place, Rewrite

_CHANGING = frozenset({"post", "patch"})


class UnsafeRetry(RetryVisitor):
    def on_loop(self, node: cst.Try, loop: RetryLoop) -> None:
        if not self.semantics.attempts.polls(loop):
            self._loop(loop)

    def _loop(self, loop: RetryLoop) -> None:
        vendor = self.semantics.attempts.vendor(loop)
        if vendor is None or not self._changes(vendor) or self._keyed(vendor, loop.function):
            return
        for handler in loop.caught:
            caught = self.semantics.exceptions.caught(handler.type, loop.function) or ()
            if self._late(caught, vendor) and not self.semantics.attempts.told_apart(handler, loop.function):
                fix = keyed(vendor, loop, self.context)
                self._tell(Site(loop.function.module, loop.vendor.node), vendor, loop.site, fix)
                return

    def on_decorated(self, places: Sequence[tuple[cst.BaseExpression, RetryPolicy]], function: Function) -> None:
        vendor = self.semantics.attempts.below(function)
        if vendor is None or not self._changes(vendor) or self._keyed(vendor, function):
            return
        for _, policy in places:
            repeats = policy.attempts is None or policy.attempts > 1
            if repeats and policy.on is not None and self._late(policy.on, vendor):
                self._tell(Site(vendor.scope.module, vendor.node), vendor, policy.site)
                return

    def _changes(self, vendor: VendorCall) -> bool:
        """Whether a call is a POST or PATCH, or one of any method in a file that sends those."""
        if not vendor.fact.parses:
            return False
        last = vendor.path[-1]
        if last in _CHANGING:
            return True
        if last not in ("request", "stream"):
            return False
        given = keyword_or_position(vendor.node, "method", 0)
        if given is None:
            return False
        values = self.semantics.evaluator.values(given, vendor.scope)
        known = [value.value for value in values if isinstance(value, Constant)]
        if known:
            return any(str(value).lower() in _CHANGING for value in known)
        text = vendor.scope.module.source.utf8
        return isinstance(given, ast.Name) and (b'"POST"' in text or b"'POST'" in text)

    @staticmethod
    def _keyed(vendor: VendorCall, function: Function) -> bool:
        """Whether the files speak of idempotency."""
        return any(b"idempoten" in module.source.utf8.lower() for module in {vendor.scope.module, function.module})

    def _late(self, caught: tuple[Value, ...], vendor: VendorCall) -> bool:
        """Whether failures are retried that come after the request was sent."""
        stack = vendor.fact.stack
        raised = (vendor.fact.timeout_exception, f"{stack}.ReadTimeout", f"{stack}.ServerDisconnectedError")
        return any(self.semantics.exceptions.covers(value, name) for value in caught for name in raised if name)

    def _tell(self, node: Place, vendor: VendorCall, again: Site, fix: Rewrite | None = None) -> None:
        self.report(
            node,
            "this request may be carried out twice: a lost answer is no lost request",
            label="changes something at the vendor",
            labels=[(again, "sends it again when the answer is late")],
            help="send an idempotency key that stays the same, or retry only what failed before sending",
            fix=fix,
        )
