"""SCL106: a client that its owner opens and never closes."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.keywords import may_pass
from safecall_lint.semantics.lifetimes import Fate
from safecall_lint.semantics.model import Class, Function
from safecall_lint.semantics.uses import closes_argument
from safecall_lint.visiting.blocks import flush
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.semantics.scan import CallSite


class ClientNeverClosed(Visitor):
    needs = (frozenset({"client", "vendor"}),)

    def visit_Call(self, node: cst.Call) -> None:
        scope = self.context.scope
        if not isinstance(scope, Function) or self.semantics.roles.test(scope):
            return
        site = self.context.site(node)
        made = self.semantics.lifetimes.made(site, scope) if site else None
        fact = self.semantics.evaluator.fact(made.by) if made else None
        if site is None or fact is None or not fact.close or fact.collected or self._belongs_to_another(site):
            return
        fate = self.semantics.lifetimes.fate(site.node, scope)
        if fate is Fate.USED:
            self._of_function(node, site, scope, fact)
        elif fate is Fate.KEPT and made and made.direct:
            self._of_object(node, site, scope, fact)

    def _belongs_to_another(self, site: CallSite) -> bool:
        """Whether a client that it is given to, or an exit stack, closes it."""
        if site.outer is None:
            return False
        return (
            closes_argument(site.outer.node)
            or self.semantics.calls.kind(site.outer.node, self.context.scope) == "client"
        )

    # -- owned by a call -----------------------------------------------------------------------------------------

    def _of_function(self, node: cst.Call, site: CallSite, scope: Function, fact: Fact) -> None:
        if self.semantics.roles.runs_once(scope) or self.semantics.sharing.closed(site, scope, fact):
            return
        self.report(
            node,
            "this client is still open when the call is over",
            label=f"never closed, and out of reach when `{scope.name}` returns",
            help=f"open it with `{_with(fact)}`, or call `{fact.close}()` in a `finally`",
            fix=self._entered(node, fact),
        )

    def _entered(self, node: cst.Call, fact: Fact) -> Rewrite | None:
        """The rest of the block, inside a `with`."""
        statement = self.context.statement()
        line, block = self.context.stack[-1], None
        for parent, child in self.context.around():
            if isinstance(child, cst.SimpleStatementLine):
                line, block = child, parent
                break
        name = _target(statement, node)
        if name is None or not isinstance(block, cst.IndentedBlock) or not isinstance(line, cst.SimpleStatementLine):
            return None
        rest = [item for item in block.body[block.body.index(line) + 1 :] if isinstance(item, cst.BaseStatement)]
        if len(line.body) != 1 or not rest or (fact.style == "async" and not self._is_async()):
            return None
        if self._outlives(name):
            return None
        rest[0] = flush(rest[0])
        item = cst.WithItem(node, asname=cst.AsName(cst.Name(name)))
        entered = cst.With(
            items=[item],
            body=cst.IndentedBlock(rest, header=line.trailing_whitespace),
            leading_lines=line.leading_lines,
            asynchronous=cst.Asynchronous() if fact.style == "async" else None,
        )
        kept = list(block.body[: block.body.index(line)])
        return Rewrite(
            f"use the client inside `{_with(fact)}`",
            Safety.UNSAFE,
            nodes={block: block.with_changes(body=[*kept, entered])},
            risk="what the block hands out must not use the client later",
        )

    def _outlives(self, name: str) -> bool:
        """Whether something that still reads from the client may leave the function: an inner function, or the answer
        to a call that may ask for a stream."""
        scope = self.context.function
        if scope is None:
            return False
        for node in ast.walk(scope.node):
            inner = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and node is not scope.node
            if inner and _mentions(node, name):
                return True
            if isinstance(node, ast.Return) and node.value is not None:
                calls = (item for item in ast.walk(node.value) if isinstance(item, ast.Call))
                streams = (may_pass(self.semantics.evaluator, call, "stream", scope) for call in calls)
                if _mentions(node.value, name) and any(streams):
                    return True
        return False

    def _is_async(self) -> bool:
        return self.context.function is not None and self.context.function.is_async

    # -- owned by an object --------------------------------------------------------------------------------------

    def _of_object(self, node: cst.Call, site: CallSite, scope: Function, fact: Fact) -> None:
        name = self._attribute(site, scope)
        if not name or scope.cls is None or fact.style != "async" or self._closes(scope.cls, name):
            return
        if self.semantics.sharing.lives_on(scope.cls):
            return
        self.report(
            node,
            f"who makes a `{scope.cls.name}` cannot close its client",
            label=f"kept as `self.{name}`, which no method closes",
            help=f"close it with its owner: a `{fact.close}()` on `{scope.cls.name}` that closes `self.{name}`",
        )

    def _attribute(self, site: CallSite, scope: Function) -> str:
        targets = (
            site.statement.targets
            if isinstance(site.statement, ast.Assign)
            else [getattr(site.statement, "target", None)]
        )
        for target in targets:
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                if scope.first_parameter and target.value.id == scope.first_parameter:
                    return target.attr
        return ""

    def _closes(self, cls: Class, name: str) -> bool:
        """Whether some method, of the class or of its bases, closes what the attribute holds or hands it on."""
        for level in self.semantics.evaluator.lineage(cls):
            if any(_releases(node, name) for node in ast.walk(level.node)):
                return True
        return False


def _releases(node: ast.AST, name: str) -> bool:
    """Whether a node closes, enters or hands on `self.<name>`."""
    if isinstance(node, ast.Attribute) and node.attr in ("close", "aclose", "__aexit__", "__exit__"):
        return _is_attribute(node.value, name)
    if isinstance(node, ast.withitem):
        return _is_attribute(node.context_expr, name)
    if isinstance(node, ast.Call):
        values = [*node.args, *(keyword.value for keyword in node.keywords)]
        return any(_is_attribute(value, name) for value in values)
    if isinstance(node, ast.Return):
        return node.value is not None and _is_attribute(node.value, name)
    if isinstance(node, ast.Assign):
        return _is_attribute(node.value, name)
    return isinstance(node, ast.Constant) and node.value == name


def _is_attribute(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == name


def _mentions(node: ast.AST, name: str) -> bool:
    return any(isinstance(item, ast.Name) and item.id == name for item in ast.walk(node))


def _target(statement: cst.CSTNode, node: cst.Call) -> str | None:
    if isinstance(statement, cst.Assign) and statement.value is node and len(statement.targets) == 1:
        target = statement.targets[0].target
        return target.value if isinstance(target, cst.Name) else None
    return None


def _with(fact: Fact) -> str:
    return "async with" if fact.style == "async" else "with"
