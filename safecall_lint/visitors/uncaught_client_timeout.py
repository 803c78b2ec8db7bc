"""SCL301: a handler meant for timeouts that the client's own timeouts pass by."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst
from msgspec.structs import replace

from safecall_lint.finding import Confidence, Safety
from safecall_lint.semantics.exceptions import BROAD
from safecall_lint.semantics.raising import TIMEOUT, Escape, within
from safecall_lint.semantics.values import Container, Site, Symbol
from safecall_lint.visiting.rewriting import also_catching, spelled
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Scope


class UncaughtClientTimeout(Visitor):
    needs = (frozenset({"except:timeout"}), frozenset({"vendor", "first-party"}))

    def visit_Try(self, node: cst.Try) -> None:
        block = self.context.twin(node)
        if not isinstance(block, ast.Try):
            return
        for handler in node.handlers:
            if handler.type is not None and (caught := self._named(handler)):
                self._check(handler, caught, block)
                return

    def _named(self, handler: cst.ExceptHandler) -> str:
        """The timeout class that a handler names, where that is one which clients may not raise."""
        caught = self.semantics.exceptions.caught(self.context.expr(handler.type), self.context.scope) or ()
        names = [value.name for value in caught if isinstance(value, Symbol)]
        if BROAD & set(names):
            return ""
        facts = self.semantics.evaluator.facts
        return next((name for name in names if name == TIMEOUT or TIMEOUT in facts.ancestors(name)), "")

    def _check(self, handler: cst.ExceptHandler, caught: str, block: ast.Try) -> None:
        scope = self.context.scope
        dead = caught == TIMEOUT and not self.semantics.raising.times_out(block, scope, sure=False)
        missed = [
            escape
            for escape in map(self._dated, self.semantics.raising.escapes(block, scope))
            if not self._expected(escape, block, scope) and self._fires(escape, block, scope, dead, caught)
        ]
        if missed:
            self._tell(handler, caught, list({escape.exception: escape for escape in reversed(missed)}.values()), dead)

    def _dated(self, escape: Escape) -> Escape:
        """The escape as the release raises it that the project holds: on the HTTP library it stood on before."""
        fact = escape.vendor.fact
        owner, _, tail = escape.exception.partition(".")
        if owner != fact.stack or not fact.stack_before:
            return escape
        old = self.semantics.requirements.below(fact.library, fact.stack_since, self.context.module)
        return replace(escape, exception=f"{fact.stack_before}.{tail}") if old else escape

    def _expected(self, escape: Escape, block: ast.Try, scope: Scope) -> bool:
        """Whether a handler of this very `try` names the exception or a narrow base of it."""
        for handler in block.handlers:
            caught = self.semantics.exceptions.caught(handler.type, scope)
            if caught is None:
                return True
            narrow = [value for value in caught if not (isinstance(value, Symbol) and value.name in BROAD)]
            if any(self.semantics.exceptions.covers(value, escape.exception) for value in narrow):
                return True
        return False

    def _fires(self, escape: Escape, block: ast.Try, scope: Scope, dead: bool, caught: str) -> bool:
        """Whether the client's timeout really comes, and nothing else is there to deal with it."""
        if caught != TIMEOUT:
            total = self.semantics.deadlines.own(escape.vendor, ("total",))
            return escape.exception == TIMEOUT and total != math.inf and not self._dealt_with(escape, block, scope)
        own = self.semantics.deadlines.own(escape.vendor)
        if own == math.inf:
            return False
        limits = [
            limit
            for limit in self.semantics.deadlines.of(scope)
            if limit.cuts(escape.site) and limit.raises and self._inside(limit.node, block, scope)
        ]
        if any(own is None or limit.seconds is None or own >= limit.seconds for limit in limits):
            return False
        if self._dealt_with(escape, block, scope):
            return dead
        return bool(limits) or dead or not self.semantics.raising.times_out(block, scope, sure=True)

    def _dealt_with(self, escape: Escape, block: ast.Try, scope: Scope) -> bool:
        """Whether a broad handler below, or one of an outer `try`, takes the exception."""
        raising = self.semantics.raising
        if raising.catches(block, escape.exception, scope):
            return True
        frames = [item.frame for item in scope.scan.tries if item.node is block]
        return any(raising.caught_before(frame, escape.exception, scope) for frame in frames)

    @staticmethod
    def _inside(node: ast.AST, block: ast.Try, scope: Scope) -> bool:
        frames = [item.frame for item in scope.scan.withs if item.node is node]
        frames += [site.frame for site in scope.scan.calls if site.node is node]
        return any(within(frame, block) for frame in frames)

    def _tell(self, handler: cst.ExceptHandler, caught: str, missed: Sequence[Escape], dead: bool) -> None:
        assert handler.type is not None
        first = missed[0]
        name = plain(caught)
        labels = [
            (Site(self.context.module, escape.site.node), f"raises `{plain(escape.exception)}`, which is no `{name}`")
            for escape in missed
        ]
        library = first.vendor.fact.library
        message = f"`{library}` timeouts pass by this handler"
        if dead:
            message = f"this timeout handler never runs: `{library}` raises its own"
        self.report(
            handler.type,
            message,
            label=f"catches `{name}` only",
            labels=labels,
            help=f"catch `{plain(first.exception)}` as well",
            confidence=Confidence.HIGH if dead else Confidence.MEDIUM,
            fix=self._fix(handler, missed),
        )

    def _fix(self, handler: cst.ExceptHandler, missed: Sequence[Escape]) -> Rewrite | None:
        found = [self._spelled(escape.exception) for escape in missed]
        ways = [way for way in found if way]
        if handler.type is None or len(ways) < len(found):
            return None
        if any(isinstance(value, Container) for value in self.context.values(handler.type)) and not isinstance(
            handler.type, cst.Tuple
        ):
            return None
        changed = also_catching(handler.type, [code for code, _ in ways])
        names = ", ".join(f"`{code}`" for code, _ in ways)
        imports = [name for _, needed in ways for name in needed]
        return Rewrite(f"add {names} to the handler", Safety.SAFE, {handler.type: changed}, imports=imports)

    def _spelled(self, exception: str) -> tuple[str, tuple[str, ...]] | None:
        """How this file writes the exception: `asyncio.TimeoutError` where it imports asyncio."""
        if exception != TIMEOUT:
            return spelled(exception, self.context.scope)
        way = spelled("asyncio.TimeoutError", self.context.scope)
        return way if way and not way[1] else ("TimeoutError", ())


def plain(name: str) -> str:
    """An exception's name as code writes it."""
    return name.removeprefix("builtins.")
