"""The fix of pauses that ignore what the vendor said: the time of its `Retry-After`, where there is one."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.values import Symbol
from safecall_lint.visiting.rewriting import expression, fresh_name, from_module, spelled
from safecall_lint.visiting.visitor import Rewrite

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function
    from safecall_lint.visiting.context import Context

_NAME: Final = "retry_after"
_MOST: Final = 60
_STATUS: Final = ("status", "status_code")
_HELPER: Final = '''
def {name}(headers, otherwise: float) -> float:
    """Seconds until the vendor takes the next request: its `Retry-After`, {most} at most; `otherwise` without one."""
    asked = headers.get("Retry-After", "")
    try:
        seconds = float(asked)
    except ValueError:
        date = {parse}(asked)
        if date is None:
            return otherwise
        seconds = {epoch}(date) - {now}()
    return min(max(0.0, seconds), {most}.0)'''


def heeded(node: cst.Call, cause: ast.AST, function: Function, context: Context) -> Rewrite | None:
    """The pause as long as the vendor asks. `cause` is how the code knows that it was refused: a test of the status, or
    the class that a handler names."""
    handler = next((item for item, _ in context.around() if isinstance(item, cst.ExceptHandler)), None)
    caught = context.twin(handler) if handler else None
    made = _helper(function)
    if made is None or len(node.args) != 1 or not isinstance(caught, ast.ExceptHandler | None):
        return None
    named = caught.name if caught else None
    nodes: dict[cst.CSTNode, cst.CSTNode] = {}
    headers = _tested(cause, caught, function, context)
    if headers is None and caught is not None and caught.type is cause:
        named = caught.name or fresh_name("refused", function)
        headers = headers_of(named, caught, function, context)
    if headers is None:
        return None
    name, imports, head = made
    given = node.args[0].value
    pause = expression(f"{name}({headers}, {cst.Module([]).code_for_node(given)})")
    nodes[given] = pause
    if handler is not None and handler.name is None and named:
        bound = handler.with_changes(
            name=cst.AsName(cst.Name(named)), whitespace_after_except=cst.SimpleWhitespace(" ")
        )
        nodes = {handler: cst.ensure_type(bound.deep_replace(given, pause), cst.ExceptHandler)}
    risk = f"the pause is as long as the vendor asks, up to {_MOST} s"
    return Rewrite("wait as long as the vendor asks", Safety.UNSAFE, nodes, imports=imports, head=head, risk=risk)


def _tested(cause: ast.AST, caught: ast.ExceptHandler | None, function: Function, context: Context) -> str | None:
    """The headers of the answer whose status a test looks at."""
    for part in ast.walk(cause):
        if not isinstance(part, ast.Attribute) or part.attr not in _STATUS:
            continue
        if isinstance(part.value, ast.Attribute) and part.value.attr == "response":
            return f"{ast.unparse(part.value)}.headers"
        if isinstance(part.value, ast.Name):
            name = part.value.id
            if caught is not None and caught.name == name:
                return headers_of(name, caught, function, context)
            return f"{name}.headers" if _is_reply(name, function, context) else None
    return None


def headers_of(name: str, caught: ast.ExceptHandler, function: Function, context: Context) -> str | None:
    """The headers that a caught exception has, where each class that it may be has them at the same place."""
    classes = context.semantics.exceptions.caught(caught.type, function) or ()
    rows = context.semantics.evaluator.facts.exceptions
    found = {
        next(
            (
                row.headers
                for base in context.semantics.exceptions.ancestors(one)
                if (row := rows.get(base)) and row.headers
            ),
            "",
        )
        if isinstance(one, Symbol)
        else ""
        for one in classes
    }
    if len(found) != 1 or "" in found:
        return None
    (path,) = found
    return f"{name}.{path}" if "." in path else f"{name}.{path} or {{}}"


def _is_reply(name: str, function: Function, context: Context) -> bool:
    """Whether a name is only ever the answer of a client that gives the answer itself, with its headers."""
    rows = function.scan.bindings.get(name, ())
    values = [row.value.value if isinstance(row.value, ast.Await) else row.value for row in rows]
    calls = [context.semantics.calls.vendor(value, function) for value in values if isinstance(value, ast.Call)]
    return bool(rows) and len(calls) == len(rows) and all(call is not None and call.fact.parses for call in calls)


def _helper(function: Function) -> tuple[str, tuple[str, ...], list[str]] | None:
    """The name of the function that reads the header, and what makes it: the module's own from an earlier fix, or a
    new one."""
    module = function.module
    parsing = [from_module("email.utils", name, module) for name in ("parsedate_tz", "mktime_tz")]
    ways = [way for way in (*parsing, spelled("time.time", module)) if way]
    if len(ways) < 3:
        return None
    parse, epoch, now = (way[0] for way in ways)
    for name in (_NAME, fresh_name(_NAME, function)):
        code = _HELPER.format(name=name, most=_MOST, parse=parse, epoch=epoch, now=now)
        own = [row.statement for row, owner in function.lookup(name) if owner is module and row.form == "def"]
        if len(own) == 1 and ast.dump(own[0]) == ast.dump(ast.parse(code).body[0]):
            return name, (), []
    return name, tuple(dict.fromkeys(item for way in ways for item in way[1])), [code]
