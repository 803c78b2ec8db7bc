"""SCL405: two layers retry the same call, and their attempts multiply."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.knowledge import Fact, knowledge
from safecall_lint.semantics.calls import VendorCall, keyword_or_position
from safecall_lint.semantics.exceptions import BROAD
from safecall_lint.semantics.values import Member, Site, Symbol
from safecall_lint.visiting.retrying import RetryVisitor
from safecall_lint.visiting.visitor import Place, Rewrite

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.model import Function, Scope
    from safecall_lint.semantics.policies import RetryPolicy
    from safecall_lint.semantics.retries import RetryLoop


@cache
def _wrappers() -> frozenset[str]:
    """The methods by which a client of some library gives one that retries."""
    return frozenset(fact.retry_method for fact in knowledge().facts.values() if fact.retry_method)


class StackedRetries(RetryVisitor):
    needs = (RetryVisitor.needs[0] | {f".{name}" for name in _wrappers()},)

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        if not scopes or any(_wrapping(site.node) for scope in scopes for site in scope.scan.calls):
            return True
        return super().worth(semantics, scopes)

    # -- loops ---------------------------------------------------------------------------------------------------

    def on_loop(self, node: cst.Try, loop: RetryLoop) -> None:
        if self._again(loop) and not self.semantics.attempts.polls(loop):
            self._loop(loop)

    def _again(self, loop: RetryLoop) -> bool:
        """Whether the loop repeats what the vendor's client repeats too."""
        for handler in loop.caught:
            caught = self.semantics.exceptions.caught(handler.type, loop.function)
            apart = self.semantics.attempts.told_apart(handler, loop.function)
            if caught is not None and self.semantics.attempts.transient(caught) and not apart:
                return True
        return False

    def _loop(self, loop: RetryLoop) -> None:
        vendor = self.semantics.attempts.vendor(loop)
        own = self.semantics.attempts.own(vendor) if vendor else None
        if vendor is not None and own is not None:
            self._client(loop.site, loop.attempts, vendor, own)
            return
        for callee in self.semantics.evaluator.callees(loop.vendor.node, loop.function):
            for policy in self.semantics.retries.decorators(callee):
                if policy.attempts is None or policy.attempts > 1:
                    self._layers(loop.site, loop.attempts, policy.site, policy.attempts)
                    return

    # -- decorators and iterators --------------------------------------------------------------------------------

    def on_decorated(self, places: Sequence[tuple[cst.BaseExpression, RetryPolicy]], function: Function) -> None:
        repeating = [row for row in places if self._repeats(row[1])]
        if len(repeating) > 1:
            (place, outer), (_, inner) = repeating[:2]
            self._layers(place, outer.attempts, inner.site, inner.attempts)
        elif repeating:
            self._below(*repeating[0], function)

    def _repeats(self, policy: RetryPolicy) -> bool:
        if policy.attempts is not None and policy.attempts <= 1:
            return False
        if policy.function is not None:
            tries = [item.node for item in policy.function.scan.tries if isinstance(item.node, ast.Try)]
            handlers = [handler for item in tries for handler in item.handlers]
            return not any(self.semantics.attempts.told_apart(handler, policy.function) for handler in handlers)
        return policy.on is None or self.semantics.attempts.transient(policy.on)

    def _meets(self, policy: RetryPolicy, fact: Fact) -> bool:
        """Whether a policy retries what the library raises; a class of the project may wrap it."""
        raised = {fact.timeout_exception, fact.status_exception, fact.base_exception, *fact.transient} - {""}
        if policy.on is None or not raised:
            return True
        if any(not isinstance(value, Symbol) or value.name in BROAD for value in policy.on):
            return True
        exceptions = self.semantics.exceptions
        names = {name for value in policy.on for name in exceptions.ancestors(value)}
        return bool(raised & names) or any(exceptions.covers(value, name) for value in policy.on for name in raised)

    def _below(self, place: Place, policy: RetryPolicy, function: Function) -> None:
        """Another layer inside of the decorated function: the client's, a loop's, a callee's decorator."""
        vendor = self.semantics.attempts.below(function)
        own = self.semantics.attempts.own(vendor) if vendor else None
        if vendor is not None and own is not None:
            if self._meets(policy, vendor.fact):
                self._client(place, policy.attempts, vendor, own)
            return
        loops = [] if self.semantics.attempts.swallowed(function) else self.semantics.retries.loops(function)
        for loop in loops:
            if self._again(loop):
                self._layers(place, policy.attempts, loop.site, loop.attempts)
                return

    # -- clients that wrap themselves ----------------------------------------------------------------------------

    def visit_Call(self, node: cst.Call) -> None:
        """`client.with_retry()`: a layer around a client that retries by itself."""
        call, scope = self.context.call(node), self.context.scope
        for value in self.context.values(node.func) if _wrapping(call) else ():
            fact = self.semantics.evaluator.fact(value.owner) if isinstance(value, Member) else None
            own = self.semantics.retries.own(value.owner) if isinstance(value, Member) else None
            if not fact or not own or not isinstance(value, Member) or value.path[-1] != fact.retry_method:
                continue
            on = keyword_or_position(call, fact.on_keyword)
            caught = self.semantics.retries.policies.exceptions(on, scope) if on is not None else ()
            stated = keyword_or_position(call, fact.attempts_keyword)
            outer = self.semantics.evaluator.number(stated, scope) if stated is not None else fact.attempts_default
            if outer != 1 and (not caught or self.semantics.attempts.transient(caught)):
                self._around(node, outer, fact, own)
                return

    # -- report --------------------------------------------------------------------------------------------------

    def _client(self, place: Place, outer: float | None, vendor: VendorCall, own: tuple[float, Site | None]) -> None:
        call: tuple[Place, str] = (Site(vendor.scope.module, vendor.node), "the call")
        self._around(place, outer, vendor.fact, own, call, fix=self._fix(vendor))

    def _around(
        self,
        place: Place,
        outer: float | None,
        fact: Fact,
        own: tuple[float, Site | None],
        *calls: tuple[Place, str],
        fix: Rewrite | None = None,
    ) -> None:
        """A layer around a client that retries by itself."""
        attempts, made = own
        by_itself = f"`{fact.library}` makes {attempts:g} attempts by itself"
        labels: list[tuple[Place, str]] = [(made, by_itself)] if made is not None else []
        default = fact.retries_default - fact.retries_first
        said = f" (`{fact.retries_keyword}`)" if fact.retries_keyword else ""
        note = f"`{fact.library}` retries {default} times by default{said}"
        self.report(
            place,
            _headline(outer, attempts),
            label=_label(outer),
            labels=[*labels, *calls],
            notes=(note,) if default else (),
            help=_help(fact),
            fix=fix,
        )

    def _layers(self, place: Place, outer: float | None, inner: Site, attempts: float | None) -> None:
        self.report(
            place,
            _headline(outer, attempts),
            label=_label(outer),
            labels=[(inner, "retries as well" if attempts is None else f"makes up to {attempts:g} attempts itself")],
            help="let one layer retry",
        )

    def _fix(self, vendor: VendorCall) -> Rewrite | None:
        """Turn the client's own retries off for this call, where the call names its client."""
        if vendor.scope.module is not self.context.module or "with_options" not in vendor.fact.fluent:
            return None
        base: ast.expr = vendor.node.func
        for _ in vendor.path:
            base = base.value if isinstance(base, ast.Attribute) else base
        text = ast.get_source_segment(vendor.scope.module.source.text, base)
        if not isinstance(base, ast.Name | ast.Attribute) or text is None:
            return None
        code = f"{text}.with_options({vendor.fact.retries_keyword}=0)"
        return Rewrite(
            f"turn the client's own retries off for this call: `{code}`",
            Safety.SAFE,
            sites=[(Site(vendor.scope.module, base), code)],
        )


def _wrapping(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in _wrappers()


def _help(fact: Fact) -> str:
    """What to do about a client, or a call, that retries by itself."""
    if not fact.retries_keyword:
        return "let one layer retry: turn the client's own attempts off, or drop this one"
    where = "client" if fact.kind == "client" else "call"
    return (
        f"let one layer retry: pass `{fact.retries_keyword}={int(fact.retries_first)}` to the {where}, or drop this one"
    )


def _headline(outer: float | None, inner: float | None) -> str:
    if outer is None or inner is None:
        return "two layers retry this call, and their attempts multiply"
    return f"two retry layers multiply to {outer * inner:g} requests for one call"


def _label(outer: float | None) -> str:
    return "repeats all of them" if outer is None else f"repeats all of them up to {outer:g} times"
