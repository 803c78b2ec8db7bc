"""Limits on time: scopes that cut what runs in them, `wait_for`, and the clients' own timeouts."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from safecall_lint.semantics.calls import VendorCall, argument, has_unpacking, keyword_or_position
from safecall_lint.semantics.keywords import may_pass
from safecall_lint.semantics.values import Constant, Instance, Site

if TYPE_CHECKING:
    from safecall_lint.semantics.evaluate import Evaluator
    from safecall_lint.semantics.model import Scope
    from safecall_lint.semantics.scan import Block, CallSite, Frame

PHASES = ("total", "read", "sock_read", "timeout")


class Deadline(Struct, frozen=True):
    """A limit on how long some code may run.

    `node` is the `with` statement, or the `wait_for` call; `item` is the position among the `with` items. `maker` is
    the call that states the limit, `limit` its argument and `seconds` its value, None where the code does not tell.
    `name` is what `as` binds. `raises` tells whether it ends in a `TimeoutError`: `move_on_after` does not.
    `frame` is where it stands. `whole` marks one that is made to cover a whole piece of work, its waits included.
    """

    node: ast.With | ast.AsyncWith | ast.Call
    item: int
    maker: ast.Call
    limit: ast.expr | None
    seconds: float | None
    name: str
    raises: bool
    scope: Scope
    frame: Frame | None
    whole: bool = False

    @property
    def site(self) -> Site:
        return Site(self.scope.module, self.maker)

    def holds(self, frame: Frame | None) -> bool:
        """Whether what stands in `frame` runs under this limit."""
        for inner in frame.chain() if frame else ():
            if inner.node is self.node and (inner.section == "body" or inner.position > self.item >= 0):
                return True
        return False

    def cuts(self, site: CallSite) -> bool:
        """Whether a call of the same scope runs under this limit."""
        outer = site.outer
        while outer is not None:
            if outer.node is self.node:
                return True
            outer = outer.outer
        return self.holds(site.frame)


class Deadlines(Struct, eq=False):
    """Finds limits on time."""

    evaluator: Evaluator

    def of(self, scope: Scope) -> list[Deadline]:
        """The limits that stand in a scope's own code, in source order."""
        scopes = [limit for block in scope.scan.withs for limit in self._of_block(block, scope)]
        waits = [limit for site in scope.scan.calls for limit in self._of_call(site, scope)]
        return scopes + waits

    def _of_block(self, block: Block, scope: Scope) -> Iterator[Deadline]:
        assert isinstance(block.node, ast.With | ast.AsyncWith)
        for index, item in enumerate(block.node.items):
            for value in self.evaluator.values(item.context_expr, scope):
                if not isinstance(value, Instance) or value.call is None or value.scope is None:
                    continue
                fact = self.evaluator.fact(value)
                if fact and fact.kind in ("timeout-scope", "deadline"):
                    limit = argument(value.call, fact)
                    seconds = self.evaluator.number(limit, value.scope)
                    name = item.optional_vars.id if isinstance(item.optional_vars, ast.Name) else ""
                    raises = bool(fact.timeout_exception)
                    whole = fact.kind == "deadline"
                    yield Deadline(
                        block.node, index, value.call, limit, seconds, name, raises, value.scope, block.frame, whole
                    )

    def _of_call(self, site: CallSite, scope: Scope) -> Iterator[Deadline]:
        for value in self.evaluator.values(site.node.func, scope):
            fact = self.evaluator.fact(value)
            if fact and fact.kind == "wait-for":
                limit = argument(site.node, fact)
                never = isinstance(limit, ast.Constant) and limit.value is None
                if limit is not None and not never:
                    seconds = self.evaluator.number(limit, scope)
                    yield Deadline(site.node, -1, site.node, limit, seconds, "", True, scope, site.frame)

    def own(self, vendor: VendorCall, phases: Sequence[str] = PHASES) -> float | None:
        """How long the client itself lets a call take: infinite where it was told not to end it, None where unknown.

        Where the client has several limits, it is the first of `phases` that it was given.
        """
        fact = vendor.fact
        keyword = fact.call_timeout or fact.timeout_keyword
        given = keyword_or_position(vendor.node, keyword)
        if given is not None:
            return self._seconds(given, vendor.scope, phases, fact.timeout_scale)
        if may_pass(self.evaluator, vendor.node, keyword, vendor.scope):
            return None
        refined = self._refined(vendor)
        if refined is not None:
            return self._seconds(*refined, phases, fact.timeout_scale)
        if vendor.client is None:
            return math.inf if fact.timeout_default is None else fact.timeout_default
        return self._of_client(vendor, phases)

    def _of_client(self, vendor: VendorCall, phases: Sequence[str]) -> float | None:
        client, fact = vendor.client, vendor.fact
        if not isinstance(client, Instance) or client.call is None or client.scope is None:
            return None
        given = keyword_or_position(client.call, fact.timeout_keyword, fact.timeout_position)
        default = fact.none_is_default and isinstance(given, ast.Constant) and given.value is None
        if given is not None and not default:
            return self._seconds(given, client.scope, phases, fact.timeout_scale)
        if any(
            may_pass(self.evaluator, client.call, name, client.scope)
            for name in (fact.timeout_keyword, *fact.transport_keywords)
        ):
            return None
        return math.inf if fact.timeout_default is None else fact.timeout_default

    def inherited(self, vendor: VendorCall) -> float | None:
        """How long an SDK lets a call take that stands on an HTTP client it was given: what that client was told, else
        the SDK's own default. None where either is unknown."""
        client, fact = vendor.client, vendor.fact
        if not isinstance(client, Instance) or client.call is None or client.scope is None or not fact.inner_keyword:
            return None
        given = keyword_or_position(client.call, fact.inner_keyword)
        made = self.evaluator.of_kind(given, client.scope, "client")
        if len(made) != 1 or not isinstance(made[0], Instance) or made[0].call is None or has_unpacking(made[0].call):
            return None
        inner = self.evaluator.fact(made[0])
        told = keyword_or_position(made[0].call, inner.timeout_keyword) if inner else None
        if told is not None and made[0].scope is not None:
            return self._seconds(told, made[0].scope, PHASES)
        return fact.timeout_default

    def _refined(self, vendor: VendorCall) -> tuple[ast.expr, Scope] | None:
        """The limit that a copy of the client was given: `client.with_options(timeout=60).get(...)`."""
        base: ast.expr = vendor.node.func
        while isinstance(base, ast.Attribute):
            base = base.value
        made = [(base, vendor.scope)]
        if isinstance(base, ast.Name):
            made = [(row.value, owner) for row, owner in vendor.scope.lookup(base.id) if row.value is not None]
        for expr, scope in made:
            if (
                isinstance(expr, ast.Call)
                and isinstance(expr.func, ast.Attribute)
                and expr.func.attr in vendor.fact.fluent
            ):
                given = keyword_or_position(expr, vendor.fact.timeout_keyword)
                return (given, scope) if given is not None else None
        return None

    def stated(self, vendor: VendorCall) -> ast.expr | None:
        """The limit that the call itself was given."""
        return keyword_or_position(vendor.node, vendor.fact.call_timeout or vendor.fact.timeout_keyword)

    def _seconds(self, expr: ast.expr, scope: Scope, phases: Sequence[str], scale: float = 1.0) -> float | None:
        values = self.evaluator.values(expr, scope)
        if isinstance(expr, ast.Tuple) and expr.elts:
            return self._seconds(expr.elts[-1], scope, phases, scale)
        if len(values) != 1:
            return None
        (value,) = values
        if value == Constant(None):
            return math.inf
        if isinstance(value, Instance) and value.call is not None and value.scope is not None:
            fact = self.evaluator.fact(value)
            if fact is None or fact.kind != "timeout-config":
                return None
            return self._configured(value.call, value.scope, phases, fact.timeout_scale)
        number = self.evaluator.number(expr, scope)
        return number * scale if number is not None else None

    def _configured(self, call: ast.Call, scope: Scope, phases: Sequence[str], scale: float) -> float | None:
        for name in phases:
            given = keyword_or_position(call, name)
            if given is not None:
                return self._seconds(given, scope, phases, scale)
        if call.args:
            return self._seconds(call.args[0], scope, phases, scale)
        return None if has_unpacking(call) else math.inf
