"""What a single call does: talks to a vendor, sleeps, waits for admission, hands work to somebody else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from safecall_lint.semantics.scan import CallSite, dotted
from safecall_lint.semantics.values import Constant, FunctionValue, Instance, Member, Object, Symbol, Value

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.semantics.evaluate import Evaluator
    from safecall_lint.semantics.model import Scope

_SPAWNING_NAMES = frozenset(
    {"create_task", "ensure_future", "start_soon", "add_task", "run_in_executor", "submit", "spawn"}
)


class VendorCall(Struct, frozen=True):
    """A call over the network. `client` is None for module functions such as `requests.get`."""

    node: ast.Call
    scope: Scope
    fact: Fact
    client: Instance | Object | None
    path: tuple[str, ...]

    @property
    def name(self) -> str:
        return ".".join(self.path) or self.fact.name

    @property
    def style(self) -> str:
        return self.fact.style_of(self.path)


class Pause(Struct, frozen=True):
    """A sleep. `seconds` is None where the code does not tell; `constant` when it is the same every time."""

    node: ast.Call
    scope: Scope
    seconds: float | None
    blocking: bool


class Admission(Struct, frozen=True):
    """A wait for a gate, lock or limiter: `await x.acquire()`."""

    node: ast.Call
    scope: Scope
    of: Instance | Object
    kind: str


class Calls(Struct, eq=False):
    """Classifies calls."""

    evaluator: Evaluator

    def vendor(self, call: ast.Call, scope: Scope) -> VendorCall | None:
        """The vendor call that `call` itself is."""
        for value in self.evaluator.values(call.func, scope):
            found = self._vendor(value, call, scope)
            if found:
                return found
        return None

    def _vendor(self, value: Value, call: ast.Call, scope: Scope) -> VendorCall | None:
        match value:
            case Member(owner, path):
                fact = self.evaluator.fact(owner)
                if fact and fact.kind == "client" and is_request(fact, path):
                    return VendorCall(call, scope, fact, owner, path)
            case Symbol(name):
                fact = self.evaluator.fact(value)
                if fact and fact.kind == "call":
                    return VendorCall(call, scope, fact, None, (name.rpartition(".")[2],))
            case FunctionValue(function):
                fact = self.evaluator.declared_fact(function)
                if fact and fact.kind == "client":
                    return VendorCall(call, scope, fact, None, (function.name,))
            case _:
                pass
        return None

    def pause(self, call: ast.Call, scope: Scope) -> Pause | None:
        """The sleep that `call` itself is; `sleep(0)` only yields to the loop and is none."""
        for value in self.evaluator.values(call.func, scope):
            fact = self.evaluator.fact(value) if isinstance(value, Symbol) else None
            if fact and fact.kind == "sleep":
                seconds = self.evaluator.number(argument(call, fact), scope)
                return None if seconds == 0 else Pause(call, scope, seconds, fact.style == "sync")
        return None

    def admission(self, call: ast.Call, scope: Scope) -> Admission | None:
        """The wait for a gate, lock or limiter that `call` itself is."""
        for value in self.evaluator.values(call.func, scope):
            if isinstance(value, Member):
                fact = self.evaluator.fact(value.owner)
                if fact and value.path[-1] in fact.waits and waits(value.owner, fact, call):
                    return Admission(call, scope, value.owner, fact.kind)
            if isinstance(value, FunctionValue) and isinstance(value.receiver, Object):
                fact = self.evaluator.fact(value.receiver)
                if fact and value.function.name in fact.waits:
                    return Admission(call, scope, value.receiver, fact.kind)
        return None

    def slows(self, limiter: Instance | Object) -> bool:
        """Whether entering a limiter waits until it lets one through; some refuse instead."""
        fact = self.evaluator.fact(limiter)
        return fact is not None and waits(limiter, fact)

    def asked(self, call: ast.Call, scope: Scope) -> Instance | Object | None:
        """The limiter that `call` asks whether it may go on, without waiting for it."""
        for value in self.evaluator.values(call.func, scope):
            if isinstance(value, Member):
                fact = self.evaluator.fact(value.owner)
                if fact and fact.kind == "limiter" and value.path[-1] in (*fact.asks, *fact.waits):
                    return value.owner
        return None

    def spawned(self, site: CallSite) -> bool:
        """Whether the call is handed to a task, thread or loop instead of being waited for here."""
        return any(self._spawns(outer) for outer in _outers(site)) or any(
            frame.section == "lambda" for frame in (site.frame.chain() if site.frame else ())
        )

    def _spawns(self, site: CallSite) -> bool:
        func = site.node.func
        name = func.attr if isinstance(func, ast.Attribute) else dotted(func)
        return name in _SPAWNING_NAMES or name in ("to_thread", "run_sync", "run", "run_coroutine_threadsafe")

    def symbol(self, call: ast.Call, scope: Scope) -> Fact | None:
        """The fact of the library function, class or factory method that is called."""
        for value in self.evaluator.values(call.func, scope):
            fact = self.evaluator.fact(value) if isinstance(value, Symbol | Member) else None
            if fact:
                return fact
        return None

    def kind(self, call: ast.Call, scope: Scope) -> str:
        """The vocabulary word of the library function or class that is called, "" where it has none."""
        fact = self.symbol(call, scope)
        return fact.kind if fact else ""


def _outers(site: CallSite) -> Iterator[CallSite]:
    outer = site.outer
    while outer is not None:
        yield outer
        outer = outer.outer


def is_request(fact: Fact, path: tuple[str, ...]) -> bool:
    """Whether a member of a client sends a request when called."""
    if path[-1] in fact.local or ".".join(path) in fact.local or (path[0] in fact.fluent and len(path) == 1):
        return False
    if "*" in fact.calls or ("*.*" in fact.calls and len(path) > 1):
        return True
    return len(path) == 1 and path[0] in fact.calls


def waits(owner: Instance | Object, fact: Fact, call: ast.Call | None = None) -> bool:
    """Whether a gate or limiter makes its callers wait: some refuse unless they, or the call, are told how long to."""
    made = owner.call
    if not fact.waits_keyword or made is None:
        return True
    stated = (keyword_or_position(one, fact.waits_keyword) for one in (made, call) if one is not None)
    return has_unpacking(made) or any(expr is not None for expr in stated)


def argument(call: ast.Call, fact: Fact) -> ast.expr | None:
    """The argument of a call that carries its fact's value (seconds, permits, size)."""
    return keyword_or_position(call, fact.value_keyword, fact.value_position)


def keyword_or_position(call: ast.Call, name: str, position: int = -1) -> ast.expr | None:
    """An argument by keyword, else by position (-1: keyword only)."""
    for keyword in call.keywords:
        if keyword.arg == name and name:
            return keyword.value
    if 0 <= position < len(call.args) and not any(isinstance(arg, ast.Starred) for arg in call.args[: position + 1]):
        return call.args[position]
    return None


def has_unpacking(call: ast.Call) -> bool:
    """Whether `**kwargs` may carry any argument."""
    return any(keyword.arg is None for keyword in call.keywords)


def is_none(value: Value) -> bool:
    """Whether a value is `None`."""
    return value == Constant(None)
