"""What a retry by decorator, wrapper or iterator does: how often, how long it waits, and on which exceptions."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from safecall_lint.semantics.calls import Calls, keyword_or_position
from safecall_lint.semantics.evaluation.arguments import argument_of, default_of
from safecall_lint.semantics.model import Function
from safecall_lint.semantics.values import ClassValue, FunctionValue, Instance, Site, Symbol, Value

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Scope

Wait = Literal["none", "fixed", "growing", "jitter", "unknown"]


class RetryPolicy(Struct, frozen=True):
    """A retry by decorator, wrapper or iterator. `attempts` as in `RetryLoop`; `on` are the exceptions retried, None
    where a predicate decides; `maker` is what was called to make it; `sorts` where it gives up for some of them."""

    maker: Instance | None
    function: Function | None
    attempts: float | None
    endless: bool
    wait: Wait
    on: tuple[Value, ...] | None
    site: Site
    sorts: bool = False


class Policies(Struct, eq=False):
    """Reads the policies of the retry libraries."""

    calls: Calls

    def policy(self, value: Value, site: Site) -> RetryPolicy | None:
        """The retry policy that a value is: an instance of a library's retry, or its bare decorator."""
        evaluator = self.calls.evaluator
        declared = evaluator.declared_fact(value.function) if isinstance(value, FunctionValue) else None
        fact = declared or evaluator.fact(value)
        if fact is None or fact.kind != "retry":
            return None
        if isinstance(value, Symbol | FunctionValue):
            endless = fact.attempts_keyword != "" and fact.attempts_default is None
            on = tuple(Symbol(name) for name in fact.on_default)
            return RetryPolicy(None, None, fact.attempts_default, endless, _wait(fact.wait_default), on, site)
        return self._instance(value, site) if isinstance(value, Instance) else None

    def _instance(self, value: Instance, site: Site) -> RetryPolicy:
        fact = self.calls.evaluator.fact(value)
        assert fact is not None
        if value.call is None or value.scope is None:
            return RetryPolicy(value, None, None, False, "unknown", None, site)
        attempts: float | None = fact.attempts_default
        endless = attempts is None and fact.library != "declared"
        wait = _wait(fact.wait_default)
        stop = self._argument(value, site, fact.attempts_keyword)
        if stop is not None:
            attempts, endless = self._stop(*stop)
        if any(keyword.arg is None or keyword.arg == "max_time" for keyword in value.call.keywords):
            endless = False
        if endless and fact.timeout_default is not None:
            limit = keyword_or_position(value.call, fact.timeout_keyword)
            endless = isinstance(limit, ast.Constant) and limit.value is None
        waiting = self._argument(value, site, fact.wait_keyword)
        wait = self._wait_of(*waiting) if waiting is not None else wait
        sorts = keyword_or_position(value.call, fact.but_keyword) is not None
        on = self._on(value, self._argument(value, site, fact.on_keyword, fact.on_position))
        return RetryPolicy(value, None, attempts, endless, wait, on, site, sorts)

    def _argument(self, value: Instance, site: Site, keyword: str, position: int = -1) -> tuple[ast.expr, Scope] | None:
        """What a policy is given, and where that stands. Where a function of the project makes it, what is one of the
        function's parameters comes from the call at `site`, or is its default."""
        assert value.call is not None and value.scope is not None
        expr = keyword_or_position(value.call, keyword, position)
        maker, call = value.scope, site.node
        if not isinstance(expr, ast.Name) or not isinstance(maker, Function) or not isinstance(call, ast.Call):
            return (expr, value.scope) if expr is not None else None
        made = self.calls.evaluator.values(call.func, site.module)
        if any(isinstance(item, FunctionValue) and item.function is maker for item in made):
            passed = argument_of(call, expr.id, maker)
            if passed is not None:
                return passed, site.module
            expr = default_of(maker).get(expr.id, expr)
        return expr, maker

    def _stop(self, expr: ast.expr, scope: Scope) -> tuple[float | None, bool]:
        evaluator = self.calls.evaluator
        direct = evaluator.number(expr, scope)
        if direct is not None:
            return direct, False
        if isinstance(expr, ast.BinOp):
            left, right = self._stop(expr.left, scope), self._stop(expr.right, scope)
            known = [count for count, _ in (left, right) if count is not None]
            return (min(known) if known else None), left[1] and right[1]
        for value in evaluator.values(expr, scope):
            fact = evaluator.fact(value)
            if isinstance(value, Instance) and fact and fact.kind == "retry-stop" and value.call and value.scope:
                argument = keyword_or_position(value.call, fact.value_keyword, fact.value_position)
                return evaluator.number(argument, value.scope), False
            if fact and fact.kind == "retry-stop-never":
                return None, True
        none = isinstance(expr, ast.Constant) and expr.value is None
        return None, none

    def _wait_of(self, expr: ast.expr, scope: Scope) -> Wait:
        if isinstance(expr, ast.BinOp):
            parts: set[Wait] = {self._wait_of(expr.left, scope), self._wait_of(expr.right, scope)}
            return "jitter" if "jitter" in parts else "growing" if "growing" in parts else parts.pop()
        for value in self.calls.evaluator.values(expr, scope):
            fact = self.calls.evaluator.fact(value)
            if fact and fact.kind.startswith("retry-wait-"):
                return _wait(fact.kind.removeprefix("retry-wait-"))
        return "unknown"

    def _on(self, value: Instance, given: tuple[ast.expr, Scope] | None) -> tuple[Value, ...] | None:
        """The exceptions a policy retries: a type, a tuple of types, or tenacity's `retry_if_exception_type(...)`."""
        evaluator = self.calls.evaluator
        if given is None:
            fact = evaluator.fact(value)
            return tuple(Symbol(name) for name in fact.on_default) if fact else ()
        expr, scope = given
        found: list[Value] = []
        if isinstance(expr, ast.BinOp):
            sides = (self._on(value, (expr.left, scope)), self._on(value, (expr.right, scope)))
            known = [side for side in sides if side is not None]
            return tuple(item for side in known for item in side) if len(known) == 2 else None
        for item in evaluator.values(expr, scope):
            fact = evaluator.fact(item)
            if isinstance(item, Instance) and fact and fact.kind == "retry-on-type" and item.call and item.scope:
                types = keyword_or_position(item.call, fact.value_keyword, fact.value_position)
                found.extend(self.exceptions(types, item.scope))
            elif isinstance(item, Symbol | ClassValue):
                found.append(item)
            elif not isinstance(item, FunctionValue):
                found.extend(self.exceptions(expr, scope))
            else:
                return None
        return tuple(dict.fromkeys(found)) or None

    def exceptions(self, expr: ast.expr | None, scope: Scope) -> tuple[Value, ...]:
        """The exception classes that an expression in `except` position names."""
        found: list[Value] = []
        for value in self.calls.evaluator.values(expr, scope):
            elements = getattr(value, "elements", (value,))
            found.extend(item for item in elements if isinstance(item, Symbol | ClassValue))
        return tuple(dict.fromkeys(found))


def _wait(text: str) -> Wait:
    known: dict[str, Wait] = {"none": "none", "fixed": "fixed", "growing": "growing", "jitter": "jitter"}
    return known.get(text, "unknown")
