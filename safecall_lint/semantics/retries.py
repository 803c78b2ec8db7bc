"""Retry layers: loops that call again after a failure, decorators, wrappers, and clients that retry by themselves."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from safecall_lint.semantics.attempted import outward
from safecall_lint.semantics.exceptions import Exceptions
from safecall_lint.semantics.flow import falls_through
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.own_retries import by_itself
from safecall_lint.semantics.policies import Policies, RetryPolicy
from safecall_lint.semantics.rounds import (
    ATTEMPT,
    after,
    always_leaves,
    awaited_site,
    counter,
    frames,
    goes_round,
    in_handler,
    is_attempts,
    is_set,
    numbers,
    raises_inside,
    succeeds,
    within,
)
from safecall_lint.semantics.scan import dotted
from safecall_lint.semantics.values import FunctionValue, Instance, Object, Site, Value

if TYPE_CHECKING:
    from safecall_lint.semantics.calls import Calls, Pause
    from safecall_lint.semantics.reach import Reach
    from safecall_lint.semantics.scan import CallSite, Frame

Loop = ast.For | ast.AsyncFor | ast.While


class RetryLoop(Struct, frozen=True):
    """A loop that makes a vendor call again after catching its failure.

    `attempts` counts calls, the first included; None where the bound is unknown or there is none: `endless` tells.
    `vendor` is the call site in `function` that is made again; `caught` the handlers that go round again.
    """

    loop: Loop
    attempt: ast.Try
    function: Function
    vendor: CallSite
    caught: tuple[ast.ExceptHandler, ...]
    attempts: float | None
    endless: bool
    pauses: tuple[Pause, ...]

    @property
    def site(self) -> Site:
        return Site(self.function.module, self.loop)


class Retries(Struct, eq=False, dict=True):
    """Finds retry layers."""

    calls: Calls
    reach: Reach
    _layered: dict[Function, bool] = field(default_factory=dict)

    def loops(self, function: Function) -> list[RetryLoop]:
        """The retry loops that stand in the function's own body."""
        found = (self._loop(block.node, block.frame, function, self._vendor_site) for block in function.scan.tries)
        return [loop for loop in found if loop]

    def may_repeat(self, function: Function) -> bool:
        """Whether anything can run again after a failure: a `try` in a loop, a handler that calls the function itself,
        or a retrying decorator."""
        for block in function.scan.tries:
            if any(isinstance(frame.node, Loop) for frame in frames(block.frame)):
                return True
        own = function.module.call_sites.get(function.name, ())
        again = any(scope is function and in_handler(site) for site, scope in own)
        return again or bool(function.node.decorator_list and self.decorators(function))

    def layered(self, function: Function) -> bool:
        """Whether a function is or has a retry: a loop of attempts, a retrying decorator, a retrying iterator."""
        if function not in self._layered:
            loops = (block.node for block in function.scan.loops)
            self._layered[function] = bool(
                (function.node.decorator_list and self.decorators(function))
                or self.attempts(function)
                or any(isinstance(loop, ast.For | ast.AsyncFor) and self.iterator(loop, function) for loop in loops)
            )
        return self._layered[function]

    def may_iterate(self, function: Function) -> bool:
        """Whether a loop of the function runs over a library's retry: `for attempt in Retrying(...)`."""
        loops = (block.node for block in function.scan.loops)
        return any(
            isinstance(loop, ast.For | ast.AsyncFor)
            and isinstance(loop.iter, ast.Call)
            and self.iterator(loop, function)
            for loop in loops
        )

    def repeats(self, function: Function) -> list[RetryLoop]:
        """The loops of a function that do anything awaited again after its failure, a vendor call or not."""
        found = (self._loop(block.node, block.frame, function, awaited_site) for block in function.scan.tries)
        return [loop for loop in found if loop]

    def attempts(self, function: Function) -> list[RetryLoop]:
        """The loops of a function that make a vendor call again, or by their names make attempts at something."""
        found = (self._loop(block.node, block.frame, function, self._attempted) for block in function.scan.tries)
        return [loop for loop in found if loop]

    def _attempted(self, node: ast.Try, function: Function) -> CallSite | None:
        vendor = self._vendor_site(node, function)
        if vendor is not None:
            return vendor
        block = next(block for block in function.scan.tries if block.node is node)
        around = next(frame.node for frame in frames(block.frame) if isinstance(frame.node, Loop))
        inside = [site for site in function.scan.calls if any(frame.node is around for frame in frames(site.frame))]
        tasks = [site for site in inside if site.outer is not None and self.is_vendor(site, function)]
        named = isinstance(around, Loop) and bool(ATTEMPT.search(counter(around)))
        return next(iter([*tasks, *(outward(node, function) if named else [])]), None)

    def _loop(
        self,
        node: ast.stmt,
        frame: Frame | None,
        function: Function,
        find: Callable[[ast.Try, Function], CallSite | None],
    ) -> RetryLoop | None:
        around = next((f for f in frames(frame) if isinstance(f.node, Loop) and f.section == "body"), None)
        if around is None or not isinstance(node, ast.Try) or not isinstance(around.node, Loop):
            return None
        if not is_attempts(around.node) or not succeeds(node, around.node) or numbers(around.node, node):
            return None
        last = always_leaves(after(node, around.node.body))
        again = (item for item in node.handlers if goes_round(item.body, last))
        caught = tuple(item for item in again if not self._corrects(item, function))
        vendor = find(node, function) if caught else None
        if vendor is None:
            return None
        attempts, endless = self._bound(around.node, function)
        if attempts is not None and attempts <= 1 and not is_set(around.node, function):
            return None
        pauses = tuple(self._pauses(around.node, function))
        return RetryLoop(around.node, node, function, vendor, caught, attempts, endless, pauses)

    def _corrects(self, handler: ast.ExceptHandler, function: Function) -> bool:
        """Whether a handler takes nothing but answers that blame the request, so that the next turn asks another."""
        caught = self._exceptions.caught(handler.type, function)
        return bool(caught) and all(self._exceptions.refuses(value) for value in caught or ())

    def _vendor_site(self, node: ast.Try, function: Function) -> CallSite | None:
        for site in function.scan.calls:
            if within(site, node, "body") and not self.calls.spawned(site) and self.is_vendor(site, function):
                return site
        return None

    def is_vendor(self, site: CallSite, function: Function) -> bool:
        """Whether a call talks to a vendor, itself or below."""
        if self.calls.vendor(site.node, function):
            return True
        return any(self.reach.vendor(callee) for callee in self.calls.evaluator.callees(site.node, function))

    def _pauses(self, loop: Loop, function: Function) -> Iterator[Pause]:
        for site in function.scan.calls:
            if any(frame.node is loop for frame in frames(site.frame)) and not self.calls.spawned(site):
                pause = self.calls.pause(site.node, function)
                if pause:
                    yield pause
                    continue
                for callee in self.calls.evaluator.callees(site.node, function):
                    chain = self.reach.pause(callee)
                    if chain and not self.reach.vendor(callee):
                        yield chain.end

    def _bound(self, loop: Loop, function: Function) -> tuple[float | None, bool]:
        """How many attempts a loop makes, and whether it has no end of its own."""
        number = self.calls.evaluator.number
        if isinstance(loop, ast.While):
            test = loop.test
            if isinstance(test, ast.Constant):
                return None, not raises_inside(loop)
            if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Lt | ast.LtE):
                bound = number(test.comparators[0], function)
                extra = 1 if isinstance(test.ops[0], ast.LtE) else 0
                return (bound + extra if bound is not None else None), False
            return None, False
        if isinstance(loop.iter, ast.Call) and isinstance(loop.iter.func, ast.Name) and loop.iter.func.id == "range":
            bounds = [number(arg, function) for arg in loop.iter.args]
            if bounds and all(bound is not None for bound in bounds):
                known = [bound for bound in bounds if bound is not None]
                return (known[0] if len(known) == 1 else known[1] - known[0]), False
            return None, False
        return None, isinstance(loop.iter, ast.Call) and not loop.iter.args

    @cached_property
    def _exceptions(self) -> Exceptions:
        return Exceptions(self.calls.evaluator)

    # -- decorators, wrappers, iterators -------------------------------------------------------------------------

    @cached_property
    def policies(self) -> Policies:
        """The reader of the retry libraries' policies."""
        return Policies(self.calls)

    def policy(self, value: Value, site: Site) -> RetryPolicy | None:
        """The retry policy that a value is: an instance of a library's retry, or its bare decorator."""
        return self.policies.policy(value, site)

    def exceptions(self, expr: ast.expr | None, scope: Scope) -> tuple[Value, ...]:
        """The exception classes that an expression in `except` position names."""
        return self.policies.exceptions(expr, scope)

    def decorators(self, function: Function) -> list[RetryPolicy]:
        """The retry layers that a function's decorators put around it, outermost first."""
        scope = function.parent or function.module
        found = (self._decorator(node, scope, function.is_async) for node in function.node.decorator_list)
        return [policy for policy in found if policy]

    def _decorator(self, node: ast.expr, scope: Scope, is_async: bool) -> RetryPolicy | None:
        target = node.func if isinstance(node, ast.Call) else node
        site = Site(scope.module, node)
        for value in self.calls.evaluator.values(node, scope):
            if policy := self.policy(value, site):
                return policy
        for value in self.calls.evaluator.values(target, scope):
            if isinstance(value, FunctionValue) and (found := self._own_decorator(value.function, site, is_async)):
                return found
        return None

    def _own_decorator(self, decorator: Function, site: Site, is_async: bool) -> RetryPolicy | None:
        """A first-party decorator that retries: a loop in one of its inner functions that calls what it was given.
        Where it has a wrapper for coroutines and one for the others, the decorated function gets its own kind."""
        for outer in (decorator, *decorator.functions.values()):
            wrappers = list(outer.functions.values())
            for wrapper in [item for item in wrappers if item.is_async == is_async] or wrappers:
                if policy := self._wrapper(wrapper, site):
                    return policy
        return None

    def _wrapper(self, wrapper: Function, site: Site) -> RetryPolicy | None:
        outside = set()
        parent = wrapper.parent
        while isinstance(parent, Function):
            outside.update(parent.parameters)
            parent = parent.parent
        over = self._loop_over(wrapper, outside, site)
        called = {dotted(item.node.func) for item in wrapper.scan.calls} & outside
        inner = self.decorators(wrapper) if called and not over else []
        return replace(inner[0], maker=None, function=wrapper, site=site) if inner else over

    def _loop_over(self, function: Function, names: set[str], site: Site) -> RetryPolicy | None:
        """A loop with `try` in `function` around a call of one of `names`."""
        for block in function.scan.tries:
            node = block.node
            around = next((f for f in frames(block.frame) if isinstance(f.node, Loop)), None)
            if around is None or not isinstance(node, ast.Try) or not isinstance(around.node, Loop):
                continue
            called = [
                item
                for item in function.scan.calls
                if within(item, node, "body") and isinstance(item.node.func, ast.Name) and item.node.func.id in names
            ]
            if called and any(falls_through(handler.body) for handler in node.handlers) and succeeds(node, around.node):
                attempts, endless = self._bound(around.node, function)
                return RetryPolicy(None, function, attempts, endless, "unknown", None, site)
        return None

    def wrapping(self, call: ast.Call, scope: Scope) -> RetryPolicy | None:
        """The retry that a call puts around a function it is handed: `retry_call(fn, ...)`, `Retrying()(fn)`."""
        evaluator = self.calls.evaluator
        for value in evaluator.values(call.func, scope):
            if isinstance(value, Instance) and (policy := self.policy(value, Site(scope.module, call))):
                return policy
            if isinstance(value, FunctionValue):
                names = set(value.function.parameters)
                policy = self._loop_over(value.function, names, Site(scope.module, call)) if call.args else None
                if policy:
                    return policy
        return None

    def iterator(self, loop: ast.For | ast.AsyncFor, scope: Scope) -> RetryPolicy | None:
        """The retry that `for attempt in Retrying(...)` and `stamina.retry_context(...)` are."""
        site = Site(scope.module, loop.iter)
        values = [value for value in self.calls.evaluator.values(loop.iter, scope) if isinstance(value, Instance)]
        made = sorted(values, key=lambda value: value.call is None)
        return next((policy for value in made if (policy := self.policy(value, site))), None)

    def own(self, client: Instance | Object | None) -> tuple[float, Site | None] | None:
        """The attempts that a client makes by itself, with the place where it was made; None where it makes one."""
        return by_itself(client, self.calls.evaluator)
