"""Fixes of retries: an end for what has none, and pauses that grow and vary."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.flow import ways_out
from safecall_lint.semantics.rounds import after
from safecall_lint.semantics.values import Instance, Site, Symbol
from safecall_lint.visiting.rewriting import fresh_name, spelled, with_keyword
from safecall_lint.visiting.visitor import Rewrite

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.semantics.retries import RetryLoop
    from safecall_lint.visiting.context import Context

_ATTEMPTS: Final = 4
_ENDED: Final = "a vendor that stays away for longer is an error now"
_SLOWER: Final = "failing takes longer, also after the last attempt"


def counted_loop(loop: RetryLoop, context: Context) -> Rewrite | None:
    """`while True` around attempts as a `for` over a few of them, of which the last one's failure is raised."""
    node = context.tree(loop.loop)
    statements = [*loop.attempt.body, *loop.attempt.orelse, *after(loop.attempt, loop.loop.body)]
    if not isinstance(node, cst.While) or node.orelse or {"end", "continue"} & ways_out(statements):
        return None
    if not isinstance(node.test, cst.Name) or node.test.value != "True" or not isinstance(node.body, cst.IndentedBlock):
        return None
    name = fresh_name("attempt", loop.function)
    last = cst.parse_statement(f"if {name} == {_ATTEMPTS - 1}:\n    raise\n")
    body: cst.CSTNode = node.body
    for caught in loop.caught:
        handler = context.tree(caught)
        if not isinstance(handler, cst.ExceptHandler) or not isinstance(handler.body, cst.IndentedBlock):
            return None
        ending = handler.body.with_changes(body=[last, *handler.body.body])
        body = body.deep_replace(handler.body, ending)
    assert isinstance(body, cst.IndentedBlock)
    counted = cst.For(
        cst.Name(name),
        cst.parse_expression(f"range({_ATTEMPTS})"),
        body,
        leading_lines=node.leading_lines,
    )
    return Rewrite(f"give up after {_ATTEMPTS} attempts", Safety.UNSAFE, {node: counted}, risk=_ENDED)


def bounded_policy(place: cst.BaseExpression, context: Context) -> Rewrite | None:
    """A number of attempts for a library's retry that states none."""
    fact = _maker(place, context)
    if fact is None or not fact.attempts_keyword:
        return None
    value = str(_ATTEMPTS)
    imports: tuple[str, ...] = ()
    if stop := _of_kind(fact, "retry-stop", context):
        way = spelled(stop, context.scope)
        if way is None:
            return None
        value, imports = f"{way[0]}({_ATTEMPTS})", way[1]
    nodes: dict[cst.CSTNode, cst.CSTNode] = {place: _with(place, fact.attempts_keyword, value)}
    return Rewrite(f"give up after {_ATTEMPTS} attempts", Safety.UNSAFE, nodes, imports=imports, risk=_ENDED)


def varying_policy(place: cst.BaseExpression, context: Context) -> Rewrite | None:
    """A wait that grows and varies for a library's retry."""
    fact = _maker(place, context)
    wait = _of_kind(fact, "retry-wait-jitter", context) if fact else ""
    way = spelled(wait, context.scope) if wait else None
    if fact is None or way is None:
        return None
    nodes: dict[cst.CSTNode, cst.CSTNode] = {place: _with(place, fact.wait_keyword, f"{way[0]}(max=60)")}
    return Rewrite(f"wait by `{wait}`", Safety.UNSAFE, nodes, imports=way[1], risk=_SLOWER)


def paused_handlers(handlers: list[cst.ExceptHandler], loop: RetryLoop, context: Context) -> Rewrite | None:
    """A pause at the end of handlers that go round at once."""
    counting = _counter(loop, context)
    sleeping = spelled("asyncio.sleep" if loop.function.is_async else "time.sleep", context.scope)
    chance = spelled("random.uniform", context.scope)
    if counting is None or sleeping is None or chance is None:
        return None
    name, nodes = counting
    waits = "await " if loop.function.is_async else ""
    pause = cst.parse_statement(f"{waits}{sleeping[0]}({chance[0]}(0, 2**{name}))")
    for handler in handlers:
        body = _before_continue(handler.body, pause)
        if body is None:
            return None
        nodes[handler.body] = body
    imports = (*sleeping[1], *chance[1])
    return Rewrite("wait between the attempts", Safety.UNSAFE, nodes, imports=imports, risk=_SLOWER)


def varied_pause(wait: ast.Call, grows: bool, loop: RetryLoop, context: Context) -> Rewrite | None:
    """A pause as long as chance has it: up to what it was, longer with each attempt."""
    chance = spelled("random.uniform", context.scope)
    target = loop.loop.target if isinstance(loop.loop, ast.For) else None
    if chance is None or len(wait.args) != 1:
        return None
    most = ast.get_source_segment(context.module.source.text, wait.args[0])
    if not grows:
        if not isinstance(target, ast.Name) or target.id == "_" or not isinstance(wait.args[0], ast.Constant):
            return None
        most = f"2**{target.id}" if most == "1" else f"{most} * 2**{target.id}"
    code = f"{chance[0]}(0, {most})"
    sites = [(Site(context.module, wait.args[0]), code)]
    return Rewrite("let the pause grow and vary", Safety.UNSAFE, sites=sites, imports=chance[1], risk=_SLOWER)


def _maker(place: cst.BaseExpression, context: Context) -> Fact | None:
    """The library function that a decorator or iterator calls, or is, right here."""
    called = place.func if isinstance(place, cst.Call) else place
    for value in context.values(called):
        if isinstance(value, Symbol | Instance) and (fact := context.semantics.evaluator.fact(value)):
            return fact if fact.kind == "retry" else None
    return None


def _of_kind(fact: Fact, kind: str, context: Context) -> str:
    """The first name of a kind in a retry's own library, "" where it has none."""
    facts = context.semantics.evaluator.facts.facts.values()
    return next((item.name for item in facts if item.kind == kind and item.library == fact.library), "")


def _with(place: cst.BaseExpression, keyword: str, value: str) -> cst.Call:
    return with_keyword(place if isinstance(place, cst.Call) else cst.Call(place), keyword, value)


def _counter(loop: RetryLoop, context: Context) -> tuple[str, dict[cst.CSTNode, cst.CSTNode]] | None:
    """The name that counts the attempts of a `for`, and what is replaced so that it has one."""
    node = context.tree(loop.loop)
    if not isinstance(node, cst.For) or not isinstance(node.target, cst.Name):
        return None
    if not isinstance(loop.loop, ast.For) or getattr(getattr(loop.loop.iter, "func", None), "id", "") != "range":
        return None
    if node.target.value != "_":
        return node.target.value, {}
    name = fresh_name("attempt", loop.function)
    return name, {node.target: cst.Name(name)}


def _before_continue(body: cst.BaseSuite, statement: cst.BaseStatement) -> cst.BaseSuite | None:
    """A handler's body with a statement at its end: before its `continue`, in place of its `pass`."""
    if not isinstance(body, cst.IndentedBlock):
        return None
    *before, last = body.body
    if isinstance(last, cst.SimpleStatementLine) and len(last.body) == 1:
        if isinstance(last.body[0], cst.Continue):
            return body.with_changes(body=[*before, statement, last])
        if isinstance(last.body[0], cst.Pass):
            assert isinstance(statement, cst.SimpleStatementLine)
            return body.with_changes(body=[*before, last.with_changes(body=statement.body)])
        if isinstance(last.body[0], cst.Return | cst.Raise | cst.Break):
            return None
    return body.with_changes(body=[*body.body, statement])
