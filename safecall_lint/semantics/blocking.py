"""What stops the event loop: a synchronous request, sleep or subprocess that runs in a coroutine's own time."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct, field

from safecall_lint.semantics.calls import Calls, is_request
from safecall_lint.semantics.keywords import asks_for_stream
from safecall_lint.semantics.values import FunctionValue, Instance, Member, Result, Site, Symbol, Value

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function, Scope
    from safecall_lint.semantics.scan import CallSite

_LIMIT = 200
_HARMLESS = frozenset(
    {
        "append", "extend", "items", "keys", "values", "setdefault", "join", "split", "rsplit", "splitlines", "strip",
        "lstrip", "rstrip", "startswith", "endswith", "lower", "upper", "format", "isoformat", "debug", "info",
        "warning", "error", "exception",
    }
)  # fmt: skip


class Block(Struct, frozen=True):
    """A call or loop in a coroutine that stops the event loop. `node` stands in the coroutine; `end` is the call that
    blocks; `steps` are the calls of helpers on the way to it, `through` those helpers; `doubtful` when a condition on
    that way decides whether it is reached; `reads` for the `for` loop over a synchronous stream."""

    node: ast.Call | ast.For
    end: Site
    name: str
    steps: tuple[Site, ...] = ()
    through: tuple[Function, ...] = ()
    doubtful: bool = False

    @property
    def reads(self) -> bool:
        return isinstance(self.node, ast.For)

    @property
    def local(self) -> bool:
        """Whether it waits for this machine only: a subprocess, not a peer and not the clock."""
        return self.name.startswith(("subprocess.", "os."))


class _Step(Struct, frozen=True):
    """A call of a helper."""

    site: Site
    callee: Function
    doubtful: bool


class Blocking(Struct, eq=False):
    """Finds what blocks."""

    calls: Calls
    _known: dict[Function, list[Block]] = field(default_factory=dict)
    _helpers: dict[Function, Block | None] = field(default_factory=dict)
    _insides: dict[Function, tuple[Block | None, list[_Step]]] = field(default_factory=dict)

    def of(self, function: Function) -> list[Block]:
        """What blocks in a coroutine, in source order."""
        if not function.is_async:
            return []
        if function not in self._known:
            self._known[function] = [*self._calls(function), *self._streams(function)]
        return self._known[function]

    def _calls(self, function: Function) -> Iterator[Block]:
        for site in function.scan.calls:
            if not _may_block(site) or self.calls.spawned(site):
                continue
            if name := self.direct(site, function):
                yield Block(site.node, Site(function.module, site.node), name)
                continue
            below = next(filter(None, map(self._helper, self._entered(site, function))), None)
            if below:
                yield Block(site.node, below.end, below.name, below.steps, below.through, below.doubtful)

    def direct(self, site: CallSite, scope: Scope) -> str:
        """The name of the blocking call that `site` itself is, else ""."""
        if site.awaited:
            return ""
        names = [self._blocks(value) for value in self.calls.evaluator.values(site.node.func, scope)]
        if not names or not all(names):
            return ""
        name = names[0] or ""
        return name if not name.endswith(".sleep") or self.calls.pause(site.node, scope) else ""

    def _blocks(self, value: Value) -> str | None:
        """What a callee is called where calling it blocks; None where it does not, or nothing is known."""
        match value:
            case Symbol(name):
                fact = self.calls.evaluator.fact(value)
                if fact and (fact.kind == "blocking" or (fact.kind in ("call", "sleep") and fact.style == "sync")):
                    return name
            case Member(owner, path):
                fact = self.calls.evaluator.fact(owner)
                if fact and fact.kind == "client" and fact.style_of(path) == "sync" and is_request(fact, path):
                    made_by = fact.name.rpartition(".")[2]
                    return ".".join([made_by if made_by[:1].isupper() else fact.library, *path])
            case FunctionValue(function):
                fact = self.calls.evaluator.declared_fact(function)
                if fact and fact.kind == "blocking":
                    return function.name
            case _:
                pass
        return None

    # -- helpers -------------------------------------------------------------------------------------------------

    def _entered(self, site: CallSite, scope: Scope) -> list[Function]:
        """The synchronous first-party functions whose body runs during a call."""
        callees = self.calls.evaluator.callees(site.node, scope)
        if any(callee.is_async for callee in callees):
            return []
        return [callee for callee in callees if _runs(callee, site)]

    def _helper(self, start: Function) -> Block | None:
        """The nearest blocking call in or below a synchronous function."""
        if start not in self._helpers:
            self._helpers[start] = self._search(start)
        return self._helpers[start]

    def _search(self, start: Function) -> Block | None:
        queue: list[tuple[Function, tuple[_Step, ...]]] = [(start, ())]
        seen = {start}
        for function, steps in queue:
            found, edges = self._inside(function)
            if found:
                doubtful = bool(steps) and (found.doubtful or any(step.doubtful for step in steps))
                through = (start, *(step.callee for step in steps))
                return Block(found.node, found.end, found.name, tuple(step.site for step in steps), through, doubtful)
            for step in edges:
                if step.callee not in seen and len(seen) < _LIMIT:
                    seen.add(step.callee)
                    queue.append((step.callee, (*steps, step)))
        return None

    def _inside(self, function: Function) -> tuple[Block | None, list[_Step]]:
        """The first call of a function that blocks by itself, and the helpers that it enters before."""
        if function not in self._insides:
            self._insides[function] = self._look(function)
        return self._insides[function]

    def _look(self, function: Function) -> tuple[Block | None, list[_Step]]:
        edges: list[_Step] = []
        for site in function.scan.calls:
            if not _may_block(site) or self.calls.spawned(site):
                continue
            here = Site(function.module, site.node)
            if name := self.direct(site, function):
                return Block(site.node, here, name, doubtful=_conditional(site)), edges
            edges += [_Step(here, callee, _conditional(site)) for callee in self._entered(site, function)]
        return None, edges

    # -- streams -------------------------------------------------------------------------------------------------

    def _streams(self, function: Function) -> Iterator[Block]:
        """`for` loops that wait for each next piece of a synchronous client's answer."""
        for block in function.scan.loops:
            if isinstance(block.node, ast.For):
                source = _streamed(block.node.iter)
                for value in self.calls.evaluator.values(source, function):
                    name = self._stream(value)
                    made = value.call if isinstance(value, Result | Instance) else None
                    if name and made is not None:
                        yield Block(block.node, Site(function.module, made), name)
                        break

    def _stream(self, value: Value) -> str:
        fact = None
        path: tuple[str, ...] = ()
        if isinstance(value, Result):
            fact, path = self.calls.evaluator.fact(value.of.owner), value.of.path
        elif isinstance(value, Instance):
            fact = self.calls.evaluator.fact(value)
        call, scope = (value.call, value.scope) if isinstance(value, Result | Instance) else (None, None)
        if (
            fact is None
            or call is None
            or scope is None
            or fact.style_of(path) != "sync"
            or fact.kind not in ("client", "call")
        ):
            return ""
        if not path and fact.kind == "client":
            return ""
        asked = asks_for_stream(self.calls.evaluator, call, scope)
        lazy = (bool(path) and path[-1] in fact.streams) or fact.name.endswith(".stream")
        return ".".join(path) or fact.name if asked or lazy else ""


def _may_block(site: CallSite) -> bool:
    """A first look at a call, before it is asked what it calls: an awaited one gives the loop back."""
    func = site.node.func
    return not site.awaited and not (isinstance(func, ast.Attribute) and func.attr in _HARMLESS)


def _conditional(site: CallSite) -> bool:
    frames = site.frame.chain() if site.frame else ()
    return any(isinstance(frame.node, ast.If | ast.Match) and frame.section != "test" for frame in frames)


def _runs(callee: Function, site: CallSite) -> bool:
    """Whether a call runs its callee's body here: a generator's runs as it is iterated; an awaited decorated function
    is somebody's wrapper, most often one that hands the work to a thread."""
    if callee.is_generator and "contextmanager" not in callee.decorator_names:
        return site.frame is not None and isinstance(site.frame.node, ast.For) and site.frame.section == "items"
    return not (site.awaited and callee.decorator_names)


def _streamed(expr: ast.expr) -> ast.expr:
    """The response that `response.iter_lines()` and `enumerate(response)` read."""
    while isinstance(expr, ast.Call):
        if isinstance(expr.func, ast.Attribute) and expr.func.attr.startswith("iter"):
            expr = expr.func.value
        elif isinstance(expr.func, ast.Name) and expr.func.id == "enumerate" and expr.args:
            expr = expr.args[0]
        else:
            break
    return expr
