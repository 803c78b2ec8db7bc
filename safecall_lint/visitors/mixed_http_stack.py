"""SCL108: an object of one HTTP stack, or of the wrong style, handed to a client that stands on the other."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

import libcst as cst
from msgspec import Struct

from safecall_lint.finding import Safety
from safecall_lint.knowledge import Fact, knowledge
from safecall_lint.semantics.calls import is_request
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.values import ClassValue, Instance, Member, Object, Symbol, Value
from safecall_lint.visiting.rewriting import keyword, spelled
from safecall_lint.visiting.visitor import Place, Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.scan import CallSite

_ALIAS = "alias_httpx"
_CAUGHT = frozenset(f"except:of-{name}" for fact in knowledge().facts.values() for name in fact.accepts)


class _Given(Struct, frozen=True):
    """What is handed over. `fact` is of the library class that it is an instance of, or extends."""

    value: Instance | Object
    fact: Fact


class MixedHttpStack(Visitor):
    needs = (
        frozenset({"client", "timeout-config", ".__init__", *_CAUGHT}),
        frozenset({"client", "vendor", "first-party", ".__init__"}),
    )

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        return not scopes or any(_catches(semantics, scope) or _hands_over(semantics, scope) for scope in scopes)

    def visit_Call(self, node: cst.Call) -> None:
        for name, found, owner, takes, when in _mixed(self.semantics, self.context.call(node), self.context.scope):
            if arg := keyword(node, name):
                self._wrong(arg, found, owner, takes, when)

    def _wrong(self, arg: cst.Arg, found: _Given, owner: Fact, takes: str, when: str) -> None:
        value, given, short = found.value, found.fact, owner.name.rpartition(".")[2]
        name = value.cls.name if isinstance(value, Object) else given.name
        elsewhere = value.site and value.call is not None and not isinstance(arg.value, cst.Call)
        labels: list[tuple[Place, str]] = [(value.site, "made here")] if elsewhere and value.site else []
        self.report(
            arg,
            f"`{short}` takes {takes}: it fails {when}",
            label=f"`{name}` is {_article(given.style)} object of `{given.library}`",
            labels=labels,
            help=f"pass {takes.removesuffix(' only')}",
            fix=self._swapped(arg, given, owner),
        )

    def _swapped(self, arg: cst.Arg, given: Fact, owner: Fact) -> Rewrite | None:
        """The twin of what was given, by the same arguments."""
        library = given.library if given.library in owner.accepts else owner.accepts[-1]
        tail = given.name.rpartition(".")[2]
        if _differs(given, owner):
            tail = f"Async{tail}" if owner.style == "async" else tail.removeprefix("Async")
        twin = f"{library}.{tail}"
        written = spelled(twin, self.context.scope) if self.semantics.evaluator.facts.fact(twin) else None
        if not isinstance(arg.value, cst.Call) or written is None:
            return None
        changed = arg.value.with_changes(func=cst.parse_expression(written[0]))
        return Rewrite(
            f"use `{twin}`",
            Safety.UNSAFE,
            nodes={arg.value: changed},
            imports=written[1],
            risk="its arguments are taken over as they are",
        )

    # -- handlers that never fire --------------------------------------------------------------------------------

    def visit_ExceptHandler(self, node: cst.ExceptHandler) -> None:
        scope, block = self.context.scope, self.context.stack[-2]
        twin = self.context.twin(block)
        if node.type is None or not isinstance(scope, Function) or not isinstance(twin, ast.Try):
            return
        caught = self.semantics.exceptions.caught(self.context.expr(node.type), scope) or ()
        raised = self._raised(twin, scope)
        libraries = {_library(value) for value in caught}
        if len(raised) != 1 or len(libraries) != 1 or not libraries <= _stacks() or libraries & raised:
            return
        (other,), (own,) = libraries, raised
        if own in _stacks() and not _aliased(self.semantics, scope):
            self._dead(node, own, other)

    def _raised(self, block: ast.Try, scope: Function) -> frozenset[str]:
        """The libraries whose requests a `try` body makes; "" stands for code that is not known."""
        return frozenset(
            name
            for site in scope.scan.calls
            if site.frame and any(frame.node is block and frame.section == "body" for frame in site.frame.chain())
            for name in self._libraries(site, scope)
        )

    def _libraries(self, site: CallSite, scope: Function) -> Iterator[str]:
        vendor = self.semantics.calls.vendor(site.node, scope)
        if vendor:
            yield vendor.fact.library
            return
        for callee in self.semantics.evaluator.callees(site.node, scope):
            chain = self.semantics.reach.vendor(callee)
            yield chain.end.fact.library if chain else ""

    def _dead(self, node: cst.ExceptHandler, own: str, other: str) -> None:
        assert node.type is not None
        self.report(
            node.type,
            f"this handler never runs: `{own}` does not raise `{other}`'s exceptions",
            label=f"a class of `{other}`, which no call in the body uses",
            help=f"catch the exception of `{own}`",
            notes=[f"`{own}` and `{other}` have classes of the same names that are not related"],
            fix=self._renamed(node.type, own, other),
        )

    def _renamed(self, expr: cst.BaseExpression, own: str, other: str) -> Rewrite | None:
        values = self.context.values(expr)
        if len(values) != 1 or not isinstance(values[0], Symbol):
            return None
        twin = own + values[0].name.removeprefix(other)
        written = spelled(twin, self.context.scope) if twin in self.semantics.evaluator.facts.exceptions else None
        if written is None:
            return None
        return Rewrite(
            f"catch `{twin}`",
            Safety.UNSAFE,
            nodes={expr: cst.parse_expression(written[0])},
            imports=written[1],
            risk="the handler begins to run",
        )


@cache
def _keywords() -> frozenset[str]:
    """The arguments by which clients take objects of an HTTP stack."""
    taking = [fact for fact in knowledge().facts.values() if fact.accepts]
    names = {fact.inner_keyword for fact in taking} | {fact.timeout_keyword for fact in taking}
    return frozenset(names | {fact.overrides_limits for fact in taking} | {fact.call_timeout for fact in taking})


@cache
def _stacks() -> frozenset[str]:
    """The libraries that other clients can stand on."""
    return frozenset(name for fact in knowledge().facts.values() for name in fact.accepts)


def _library(value: Value) -> str:
    return value.name.partition(".")[0] if isinstance(value, Symbol) else ""


def _mixed(semantics: Semantics, call: ast.Call, scope: Scope) -> Iterator[tuple[str, _Given, Fact, str, str]]:
    """The arguments of a call that its client cannot take: by which name, what is given, to what, what that takes, and
    when it fails."""
    passed = {item.arg: item.value for item in call.keywords if item.arg in _keywords()}
    fact = _made(semantics, call, scope) if passed else None
    if fact and fact.kind == "client" and fact.accepts:
        owner, names = fact, [fact.inner_keyword, fact.timeout_keyword, fact.overrides_limits]
        when = "here" if fact.inner_keyword else "at the first call"
    elif passed and (asked := _asked(semantics, call, scope)) and asked.accepts:
        owner, names, when = asked, [asked.call_timeout], "here"
    else:
        return
    if _aliased(semantics, scope):
        return
    for name in filter(None, names):
        values = semantics.evaluator.values(passed[name], scope) if name in passed else ()
        value = values[0] if len(values) == 1 else None
        given = semantics.evaluator.fact(value) if isinstance(value, Instance | Object) else None
        if not isinstance(value, Instance | Object) or not given or not given.stack or given.library not in _stacks():
            continue
        if given.library not in owner.accepts and not _old(semantics, owner, scope):
            yield name, _Given(value, given), owner, f"`{owner.accepts[-1]}` objects only", when
        elif _differs(given, owner):
            yield name, _Given(value, given), owner, f"{_article(owner.style)} client", when


def _made(semantics: Semantics, call: ast.Call, scope: Scope) -> Fact | None:
    """What a call makes: an object of a library, or of a first-party subclass that takes the same arguments."""
    evaluator = semantics.evaluator
    fact = semantics.calls.symbol(call, scope)
    if fact is not None:
        return fact
    if ast.unparse(call.func) == "super().__init__" and isinstance(scope, Function) and scope.cls:
        return evaluator.library_base(scope.cls)
    values = [value for value in evaluator.values(call.func, scope) if isinstance(value, ClassValue)]
    plain = [value for value in values if evaluator.method(value.cls, "__init__") is None]
    return evaluator.library_base(plain[0].cls) if plain else None


def _asked(semantics: Semantics, call: ast.Call, scope: Scope) -> Fact | None:
    """The client that a call sends a request by, or asks for a copy with other options."""
    for value in semantics.evaluator.values(call.func, scope):
        fact = semantics.evaluator.fact(value.owner) if isinstance(value, Member) else None
        if isinstance(value, Member) and fact and fact.kind == "client":
            return fact if is_request(fact, value.path) or value.path[-1] in fact.fluent else None
    return None


def _aliased(semantics: Semantics, scope: Scope) -> bool:
    return semantics.roles.everywhere.written(_ALIAS, scope.module)


def _old(semantics: Semantics, owner: Fact, scope: Scope) -> bool:
    """Whether the project holds the SDK at a version that stood on the other stack."""
    return bool(owner.stack_since) and semantics.requirements.below(owner.library, owner.stack_since, scope.module)


def _hands_over(semantics: Semantics, scope: Scope) -> bool:
    return any(True for site in scope.scan.calls for _ in _mixed(semantics, site.node, scope))


def _catches(semantics: Semantics, scope: Scope) -> bool:
    """Whether a handler names a class of an HTTP stack."""
    blocks = (block.node for block in scope.scan.tries)
    types = (handler.type for block in blocks if isinstance(block, ast.Try) for handler in block.handlers)
    caught = (semantics.exceptions.caught(one, scope) or () for one in types if one is not None)
    return any(_library(value) in _stacks() for values in caught for value in values)


def _article(style: str) -> str:
    return "an async" if style == "async" else "a sync" if style else "an"


def _differs(given: Fact, owner: Fact) -> bool:
    """Whether one of two is synchronous and the other is not."""
    return {given.style, owner.style} == {"sync", "async"}
