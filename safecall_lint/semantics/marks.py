"""Which kinds of things happen in a piece of a file: the cheap question that decides whether LibCST is asked at all."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from safecall_lint.knowledge import knowledge
from safecall_lint.semantics.calls import Calls, is_request
from safecall_lint.semantics.evaluation import origin
from safecall_lint.semantics.holding import Holding
from safecall_lint.semantics.values import (
    ClassValue,
    Container,
    FunctionValue,
    Instance,
    Member,
    Object,
    Result,
    Symbol,
    Value,
)

if TYPE_CHECKING:
    from safecall_lint.semantics.evaluate import Evaluator
    from safecall_lint.semantics.model import Function, Module, Scope
    from safecall_lint.semantics.scan import CallSite

_NAMES = frozenset({"handler", "loop", "decorator", "yield"})


class Marks:
    """Words for what stands between two lines of the given scopes, looked for cheapest first.

    By names alone: "handler", "loop", "decorator", "yield", and ".<name>" for a method that is called. By the blocks:
    "with:<kind>" for an `async with` or `with`; "except:<meaning>" for each library exception that a handler names and
    that has one ("timeout", "status", ...), "except:any" for `Exception` and a bare handler, "except:all" for
    `BaseException` and a bare one, "except:of-<library>" whatever an exception means. By the calls: the kind of what is
    called ("client", "sleep", "retry", ...), "vendor" for a request, "acquire" for a wait on a gate or limiter,
    "first-party" for a function of the project, and "new:<kind>" for a class of the project that acts as one of a kind.
    """

    def __init__(self, scopes: list[Scope], first: int, last: int, evaluator: Evaluator) -> None:
        self.scopes = scopes
        self.first = first
        self.last = last
        self.evaluator = evaluator
        self.seen: set[str] = set()

    def fitting(self, needs: Needs) -> Sequence[int]:
        """The numbers of those of `needs` that are met by what happens here."""
        met: Sequence[int] = ()
        for stage, look in enumerate((self._names, self._blocks, self._calls)):
            look()
            met, undecided = needs.after(stage, frozenset(self.seen & needs.words))
            if not undecided:
                break
        return met

    def _names(self) -> None:
        for scope in self.scopes:
            scan = scope.scan
            for site in scan.calls:
                if isinstance(site.node.func, ast.Attribute) and self._inside(site.node):
                    self.seen.add(f".{site.node.func.attr}")
            if any(self._inside(block.node) for block in scan.tries):
                self.seen.add("handler")
            if any(self._inside(block.node) for block in scan.loops):
                self.seen.add("loop")
            if any(function.decorator_list and self._inside(function) for function in scan.functions):
                self.seen.add("decorator")
            if scan.yields:
                self.seen.add("yield")

    def _blocks(self) -> None:
        for scope in self.scopes:
            for block in scope.scan.withs:
                if self._inside(block.node) and isinstance(block.node, ast.With | ast.AsyncWith):
                    self.seen.update(_of_with(block.node, scope, self.evaluator))
            for block in scope.scan.tries:
                if self._inside(block.node) and isinstance(block.node, ast.Try | ast.TryStar):
                    for handler in block.node.handlers:
                        self.seen.update(_of_caught(handler.type, scope, self.evaluator))

    def _calls(self) -> None:
        telling = None if _is_wild(self.scopes[0].module) else telling_names()
        for scope in self.scopes:
            for site in scope.scan.calls:
                if not self._inside(site.node):
                    continue
                if telling is None or _may_tell(site.node.func, scope, telling, self.evaluator):
                    self.seen.update(_of_call(site, scope, self.evaluator))
                else:
                    self.seen.add("first-party")

    def _inside(self, node: ast.expr | ast.stmt) -> bool:
        return self.first <= node.lineno <= self.last


Group = frozenset[str]


class Needs:
    """What several rules need: for each, groups of words, every one of which must share a word with what happens in a
    piece. What follows from the words seen so far is worked out once, because pieces are many and alike."""

    def __init__(self, needs: Iterable[tuple[Group, ...]]) -> None:
        self._needs = tuple(needs)
        self._known: dict[tuple[int, Group], tuple[tuple[int, ...], bool]] = {}
        self.words = frozenset[str]().union(*(group for groups in self._needs for group in groups))

    def after(self, stage: int, seen: Group) -> tuple[tuple[int, ...], bool]:
        """The numbers of the needs that are met, and whether a later stage can still meet another."""
        if (stage, seen) not in self._known:
            states = [self._state(groups, stage, seen) for groups in self._needs]
            met = tuple(number for number, state in enumerate(states) if state)
            self._known[stage, seen] = met, None in states
        return self._known[stage, seen]

    @staticmethod
    def _state(groups: tuple[Group, ...], stage: int, seen: Group) -> bool | None:
        missing = [group for group in groups if not group & seen]
        if not missing:
            return True
        return None if all(max(map(_stage_of, group)) > stage for group in missing) else False


def _stage_of(word: str) -> int:
    if word in _NAMES or word.startswith("."):
        return 0
    return 1 if word.startswith(("with:", "except:")) else 2


@cache
def telling_names() -> frozenset[str]:
    """The last names that a call must have to be one of a library's that the tables know."""
    found: set[str] = {name.rpartition(".")[2] for name in (*knowledge().facts, *knowledge().aliases)}
    for fact in knowledge().facts.values():
        found.update(fact.calls, fact.waits, fact.releases, fact.fluent, (fact.close,))
    return frozenset(found)


@cache
def wild_packages() -> re.Pattern[bytes]:
    """Packages with clients any of whose methods is a request, so that a method's name tells nothing."""
    words = {name.partition(".")[0] for name, fact in knowledge().facts.items() if "*" in fact.calls}
    return re.compile(rb"\b(?:" + b"|".join(re.escape(word).encode() for word in sorted(words) or ["$^"]) + rb")\b")


@lru_cache(maxsize=8)
def _is_wild(module: Module) -> bool:
    return wild_packages().search(module.source.utf8) is not None


def _may_tell(func: ast.expr, scope: Scope, telling: frozenset[str], evaluator: Evaluator) -> bool:
    """A plain name, a name the tables know, something imported or of a module that is, or a chain as deep as the
    vendors' SDKs have them."""
    if not isinstance(func, ast.Attribute) or func.attr in telling:
        return True
    if isinstance(func.value, ast.Name):
        rows = origin.rows(evaluator, func.value.id, scope)
        return any(row.form == "import" or owner.module is not scope.module for row, owner in rows)
    return isinstance(func.value, ast.Attribute) and not (
        isinstance(func.value.value, ast.Name) and func.value.value.id in ("self", "cls")
    )


def _of_call(site: CallSite, scope: Scope, evaluator: Evaluator) -> Iterator[str]:
    for value in evaluator.values(site.node.func, scope):
        yield from _of_callee(value, evaluator)


def _of_callee(value: Value, evaluator: Evaluator) -> Iterator[str]:
    match value:
        case Symbol():
            fact = evaluator.fact(value)
            if fact:
                yield fact.kind
                if fact.kind == "call":
                    yield "vendor"
        case Member(owner, path):
            if maker := evaluator.fact(value):
                yield maker.kind
            fact = evaluator.fact(owner)
            if fact and fact.kind == "client" and is_request(fact, path):
                yield "vendor"
            elif fact and path[-1] in fact.waits:
                yield "acquire"
            elif fact:
                yield f"{fact.kind}.{path[-1]}"
        case FunctionValue() | ClassValue() | Object():
            yield "first-party"
            if isinstance(value, FunctionValue) and isinstance(value.receiver, Object):
                shape = evaluator.fact(value.receiver)
                if shape and value.function.name in shape.waits:
                    yield "acquire"
            if made := _made(value, evaluator):
                yield f"new:{made}"
            if isinstance(value, FunctionValue) and _gives_task(value.function):
                yield "spawn"
            if isinstance(value, ClassValue) and (base := evaluator.library_base(value.cls)):
                yield base.kind
        case Instance():
            kind = evaluator.kind(value)
            if kind:
                yield f"{kind}()"
        case _:
            pass


_BROAD = {"builtins.Exception": "except:any", "builtins.BaseException": "except:all"}


def _made(value: FunctionValue | ClassValue | Object, evaluator: Evaluator) -> str:
    """The kind of what a call makes, of a first-party class or of a function that the settings declare."""
    if isinstance(value, FunctionValue):
        fact = evaluator.declared_fact(value.function)
        return fact.kind if fact else ""
    if not isinstance(value, ClassValue):
        return ""
    return evaluator.kind(Object(value.cls)) or ("breaker" if "breaker" in value.cls.name.lower() else "")


def _gives_task(function: Function) -> bool:
    """Whether a function returns a call by the name of one that starts a task."""
    exits = (item.value.func for item in function.scan.returns if isinstance(item.value, ast.Call))
    return any(getattr(func, "attr", getattr(func, "id", "")) in ("create_task", "ensure_future") for func in exits)


def _of_with(node: ast.With | ast.AsyncWith, scope: Scope, evaluator: Evaluator) -> Iterator[str]:
    for item in node.items:
        for value in evaluator.values(item.context_expr, scope):
            if isinstance(value, Instance | Object) and (kind := evaluator.kind(value)):
                yield f"with:{kind}"
            elif isinstance(value, Result):
                yield "with:result"
        if isinstance(item.context_expr, ast.Call):
            for taken in Holding(Calls(evaluator)).entered(item.context_expr, scope):
                yield f"with:{taken.kind}"


def _of_caught(expr: ast.expr | None, scope: Scope, evaluator: Evaluator) -> Iterator[str]:
    if expr is None:
        yield from ("except:any", "except:all")
    for part in expr.elts if isinstance(expr, ast.Tuple) else [expr]:
        for value in evaluator.values(part, scope):
            for item in value.elements if isinstance(value, Container) else (value,):
                if isinstance(item, Symbol):
                    row = evaluator.facts.exceptions.get(item.name)
                    yield _BROAD.get(item.name) or f"except:{row.means if row else ''}"
                    yield f"except:of-{item.name.partition('.')[0]}"
                elif isinstance(item, Instance) and evaluator.kind(item) == "cancellation":
                    yield "except:cancellation"
