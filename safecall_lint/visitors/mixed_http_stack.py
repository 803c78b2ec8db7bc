"""SCL108: an object of one HTTP stack, or of the wrong style, handed to a client that stands on the other."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.knowledge import Fact, knowledge
from safecall_lint.semantics.model import Function
from safecall_lint.semantics.scan import CallSite
from safecall_lint.semantics.values import Instance, Symbol, Value
from safecall_lint.visiting.rewriting import keyword, spelled
from safecall_lint.visiting.visitor import Place, Rewrite, Visitor

_ALIAS = "alias_httpx"
_CAUGHT = frozenset(f"except:of-{name}" for fact in knowledge().facts.values() for name in fact.accepts)


class MixedHttpStack(Visitor):
    needs = (frozenset({"client", *_CAUGHT}), frozenset({"client", "vendor", "first-party"}))

    def visit_Call(self, node: cst.Call) -> None:
        fact = self.semantics.calls.symbol(self.context.call(node), self.context.scope)
        if fact is None or fact.kind != "client" or not fact.accepts or self._aliased():
            return
        for name in (fact.inner_keyword, fact.timeout_keyword, fact.overrides_limits):
            arg = keyword(node, name) if name else None
            if arg is not None:
                self._argument(arg, fact)

    def _aliased(self) -> bool:
        return self.semantics.roles.everywhere.written(_ALIAS, self.context.module)

    def _argument(self, arg: cst.Arg, owner: Fact) -> None:
        values = self.context.values(arg.value)
        if len(values) != 1 or not isinstance(values[0], Instance) or values[0].call is None:
            return
        given = self.semantics.evaluator.fact(values[0])
        if given is None or not given.stack or given.library not in self._stacks():
            return
        if given.library not in owner.accepts and not self._old(owner):
            self._wrong(arg, values[0], given, owner, f"`{owner.accepts[-1]}` objects only")
        elif _differs(given, owner):
            self._wrong(arg, values[0], given, owner, f"{_article(owner.style)} client")

    def _stacks(self) -> frozenset[str]:
        """The libraries that other clients can stand on."""
        facts = self.semantics.evaluator.facts.facts.values()
        return frozenset(name for fact in facts for name in fact.accepts)

    def _old(self, owner: Fact) -> bool:
        """Whether the project holds the SDK at a version that stood on the other stack."""
        return bool(owner.stack_since) and self.semantics.requirements.below(
            owner.library, owner.stack_since, self.context.module
        )

    def _wrong(self, arg: cst.Arg, value: Instance, given: Fact, owner: Fact, takes: str) -> None:
        short = owner.name.rpartition(".")[2]
        elsewhere = value.site and value.call is not None and not isinstance(arg.value, cst.Call)
        labels: list[tuple[Place, str]] = [(value.site, "made here")] if elsewhere and value.site else []
        when = "here" if owner.inner_keyword else "at the first call"
        self.report(
            arg,
            f"`{short}` takes {takes}: it fails {when}",
            label=f"`{given.name}` is {_article(given.style)} object of `{given.library}`",
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
        libraries = {self._library(value) for value in caught}
        if len(raised) != 1 or len(libraries) != 1 or not libraries <= self._stacks() or libraries & raised:
            return
        (other,), (own,) = libraries, raised
        if own in self._stacks() and not self._aliased():
            self._dead(node, own, other)

    def _library(self, value: Value) -> str:
        return value.name.partition(".")[0] if isinstance(value, Symbol) else ""

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


def _article(style: str) -> str:
    return "an async" if style == "async" else "a sync" if style else "an"


def _differs(given: Fact, owner: Fact) -> bool:
    """Whether one of two is synchronous and the other is not."""
    return {given.style, owner.style} == {"sync", "async"}
