"""Small questions about control flow inside a block."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)


def falls_through(body: list[ast.stmt]) -> bool:
    """Whether a loop can go round again after `body`: some path ends in `continue` or runs off its end."""
    return _completes(body) or any(isinstance(node, ast.Continue) for node in own_nodes(body, loops=False))


def _completes(body: list[ast.stmt]) -> bool:
    """Whether some path runs off the end of `body`."""
    for statement in body:
        if isinstance(statement, ast.Return | ast.Raise | ast.Break | ast.Continue):
            return False
        if isinstance(statement, ast.If) and statement.orelse:
            if not _completes(statement.body) and not _completes(statement.orelse):
                return False
        elif isinstance(statement, ast.With | ast.AsyncWith):
            if not _completes(statement.body):
                return False
        elif isinstance(statement, ast.Try):
            paths = [[*statement.body, *statement.orelse], *(handler.body for handler in statement.handlers)]
            if not _completes(statement.finalbody) or not any(_completes(path) for path in paths):
                return False
    return True


def completes(body: list[ast.stmt]) -> bool:
    """Whether some path runs off the end of `body`: it does not always raise, return, break or continue."""
    return _completes(body)


def leaves_loop(body: list[ast.stmt]) -> bool:
    """Whether some path in `body` ends the loop around it by `return` or `break`."""
    for node in own_nodes(body, loops=True):
        if isinstance(node, ast.Return):
            return True
    return any(isinstance(node, ast.Break) for node in own_nodes(body, loops=False))


def own_nodes(body: Iterable[ast.AST], loops: bool = True) -> Iterator[ast.AST]:
    """The nodes of a block without those of nested scopes, and, where `loops` is false, of nested loops."""
    stack = list(body)
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, _SCOPES) or (not loops and isinstance(node, _LOOPS)):
            continue
        stack.extend(ast.iter_child_nodes(node))


def ways_out(body: list[ast.stmt]) -> frozenset[str]:
    """How a block can be left: "raise", "value" (a `return` with one), "return", "break", "continue", or "end"."""
    found: set[str] = set()
    for statement in body:
        ways = _ways_of(statement)
        found |= ways - {"end"}
        if "end" not in ways:
            return frozenset(found)
    return frozenset(found | {"end"})


def _ways_of(statement: ast.stmt) -> frozenset[str]:
    match statement:
        case ast.Raise():
            return frozenset({"raise"})
        case ast.Return(value=value):
            none = value is None or (isinstance(value, ast.Constant) and value.value is None)
            return frozenset({"return" if none else "value"})
        case ast.Break():
            return frozenset({"break"})
        case ast.Continue():
            return frozenset({"continue"})
        case ast.If():
            return ways_out(statement.body) | ways_out(statement.orelse)
        case ast.With() | ast.AsyncWith():
            return ways_out(statement.body)
        case ast.Try():
            return _ways_of_try(statement)
        case ast.For() | ast.AsyncFor() | ast.While():
            return _ways_of_loop(statement)
        case ast.Match():
            inside = frozenset[str]().union(*(ways_out(case.body) for case in statement.cases))
            return inside if _takes_all(statement.cases[-1]) else inside | {"end"}
        case ast.Expr(value=ast.Call(func=func)) if _exits(func):
            return frozenset({"raise"})
        case _:
            return frozenset({"end"})


def _ways_of_try(statement: ast.Try) -> frozenset[str]:
    final = ways_out(statement.finalbody)
    paths = [ways_out([*statement.body, *statement.orelse]), *(ways_out(item.body) for item in statement.handlers)]
    inside = frozenset[str]().union(*paths)
    return inside | (final - {"end"}) if "end" in final else final


def _ways_of_loop(statement: ast.For | ast.AsyncFor | ast.While) -> frozenset[str]:
    inside = ways_out(statement.body)
    left = inside - {"break", "continue", "end"}
    if isinstance(statement, ast.While) and isinstance(statement.test, ast.Constant) and "break" not in inside:
        return left
    if not inside & {"break", "continue", "end"} and _enters(statement):
        return left
    return left | ({"end"} if "break" in inside else ways_out(statement.orelse))


def _takes_all(case: ast.match_case) -> bool:
    """Whether a case has neither a pattern that may fail nor a guard."""
    return case.guard is None and isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None


def _enters(statement: ast.For | ast.AsyncFor | ast.While) -> bool:
    """Whether the body of a loop runs at least once, for all to see: a written-out collection, `range` of a number."""
    source = statement.iter if isinstance(statement, ast.For) else None
    if isinstance(source, ast.List | ast.Tuple | ast.Set):
        return any(not isinstance(item, ast.Starred) for item in source.elts)
    if isinstance(source, ast.Call) and isinstance(source.func, ast.Name) and source.func.id == "range":
        stop = source.args[0] if len(source.args) == 1 else None
        return isinstance(stop, ast.Constant) and isinstance(stop.value, int) and stop.value > 0
    return False


def _exits(func: ast.expr) -> bool:
    name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    return name in ("exit", "_exit", "fail", "skip", "abort")


def following(block: ast.stmt, body: list[ast.stmt]) -> list[ast.stmt] | None:
    """The statements that follow `block` in `body`, or in the block inside it that holds it and all blocks around."""
    for index, statement in enumerate(body):
        if statement is block:
            return body[index + 1 :]
        for inner in (getattr(statement, name, None) for name in ("body", "orelse", "finalbody")):
            found = following(block, inner) if isinstance(inner, list) else None
            if found is not None:
                return [*found, *body[index + 1 :]]
    return None
