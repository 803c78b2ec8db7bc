"""What the rules about gates and limiters made per call share."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, ClassVar, Final

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.calls import argument
from safecall_lint.semantics.model import Function
from safecall_lint.visiting.visitor import Place, Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics.scan import CallSite
    from safecall_lint.semantics.solitude import How

_LABELS: Final[dict[str, str]] = {
    "inline": "made and taken in one breath: nobody else can hold it",
    "local": "made anew by each call, and taken by that call alone",
    "task": "made anew for each task, and taken by that task alone",
    "property": "made anew each time the property is read",
    "factory": "made anew for each `async with`",
}
_RISK = "calls that ran at once now wait for each other"


class MadeAnew(Visitor):
    """Reports constructor calls of some kinds whose value a single task meets."""

    kinds: ClassVar[tuple[str, ...]] = ()

    def look(self, node: cst.Call) -> None:
        """Judge a call."""
        function = self.context.scope
        if not isinstance(function, Function) or self.semantics.roles.test(function):
            return
        fact = self.semantics.calls.symbol(self.context.call(node), function)
        if fact is None or fact.kind not in self.kinds or fact.library == "declared" or fact.shares:
            return
        site = self.context.site(node)
        how = self.semantics.solitude.how(site, function, fact.kind == "limiter") if site else None
        if site and how and (fact.kind != "lock" or how == "inline" or self._guards(function)):
            self._tell(node, site, how, fact.kind, function)

    def _guards(self, function: Function) -> bool:
        """Whether a lock of the function's own is held around vendor calls."""
        return any(hold.taken.kind == "lock" for hold in self.semantics.holding.slots(function))

    def _tell(self, node: cst.Call, site: CallSite, how: How, kind: str, function: Function) -> None:
        thing = {"gate": "semaphore", "lock": "lock", "limiter": "rate limiter"}[kind]
        self.report(
            node,
            f"a new {thing} for every {_EVERY[how]} limits nothing",
            label=_LABELS[how],
            labels=self._labels(node, how),
            notes=self._notes(site, kind, function),
            help=_HELP[how],
            fix=self._fix(node, site, how, function),
        )

    def _labels(self, node: cst.Call, how: How) -> list[tuple[Place, str]]:
        loops = self.context.loops() if how == "task" else []
        return [(loops[0], "each turn makes another one")] if loops else []

    def _notes(self, site: CallSite, kind: str, function: Function) -> list[str]:
        fact = self.semantics.calls.symbol(site.node, function)
        given = argument(site.node, fact) if fact else None
        permits = self.semantics.evaluator.number(given, function) if given is not None else None
        if permits is None or kind == "lock":
            return []
        return [f"the limit of {permits:g} holds within one call; across calls there is none"]

    # -- fixes -------------------------------------------------------------------------------------------------------

    def _fix(self, node: cst.Call, site: CallSite, how: How, function: Function) -> Rewrite | None:
        if how == "local" and self._constant(site, function):
            return self._to_module(node, function)
        return self._before_loop(node, site, function) if how == "task" else None

    def _constant(self, site: CallSite, function: Function) -> bool:
        """Whether the arguments mean the same at module level."""
        names = {part.id for part in ast.walk(site.node) if isinstance(part, ast.Name)}
        return not any(owner is not function.module for name in names for _, owner in function.lookup(name))

    def _to_module(self, node: cst.Call, function: Function) -> Rewrite | None:
        statement = self.context.stack[-2]
        line = self.context.stack[-3]
        if (
            not isinstance(statement, cst.Assign)
            or not isinstance(line, cst.SimpleStatementLine)
            or len(line.body) != 1
        ):
            return None
        target = statement.targets[0].target
        if not isinstance(target, cst.Name) or function.module.lookup(target.value):
            return None
        plain = line.with_changes(leading_lines=[item for item in line.leading_lines if item.comment])
        code = [text.strip() for text in cst.Module([plain]).code.splitlines()]
        title = f"make `{target.value}` once, at module level"
        return Rewrite(title, Safety.UNSAFE, nodes={line: cst.RemoveFromParent()}, before=code, risk=_RISK)

    def _before_loop(self, node: cst.Call, site: CallSite, function: Function) -> Rewrite | None:
        """Make it once, in front of the loop whose turns make it."""
        loop = next((item for item in self.context.loops()), None)
        twin = self.context.twin(loop) if loop else None
        if (
            not isinstance(loop, cst.For)
            or not isinstance(twin, ast.For)
            or not isinstance(loop.body, cst.IndentedBlock)
        ):
            return None
        turning = {part.id for part in ast.walk(twin) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
        if turning & {part.id for part in ast.walk(site.node) if isinstance(part, ast.Name)}:
            return None
        line = next((item for item in loop.body.body if item in self.context.stack), None)
        if not isinstance(line, cst.SimpleStatementLine) or len(loop.body.body) < 2:
            return None
        statement = line.body[0]
        if not isinstance(statement, cst.Assign) or statement.value is not node or len(line.body) != 1:
            return None
        rest = [item for item in loop.body.body if item is not line]
        up = line.with_changes(
            leading_lines=[*loop.leading_lines, *(item for item in line.leading_lines if item.comment)]
        )
        after = loop.with_changes(body=loop.body.with_changes(body=rest), leading_lines=())
        risk = "the tasks now wait for each other"
        return Rewrite(
            "make it once, before the loop", Safety.UNSAFE, nodes={loop: cst.FlattenSentinel([up, after])}, risk=risk
        )


_EVERY: Final[dict[str, str]] = {
    "inline": "call",
    "local": "call",
    "task": "task",
    "property": "read",
    "factory": "call",
}
_HELP: Final[dict[str, str]] = {
    "inline": "make it once, at module level or on the object, and take that one",
    "local": "make it once, at module level or on the object, and take that one",
    "task": "make it once, before the loop, and hand every task the same one",
    "property": "make it once, in the constructor, and return that one",
    "factory": "make it once and return that one",
}
