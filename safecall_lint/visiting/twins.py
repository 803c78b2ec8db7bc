"""The calls of a LibCST slice and their `ast` twins.

Both trees hold the same calls, so in one order of walking the n-th of one is the n-th of the other. By its twin a call
is known to the semantic model as it stands in the file; its text parsed anew would be a stranger there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import libcst as cst

from safecall_lint.visiting.walk import descendants

Twins: TypeAlias = "dict[cst.CSTNode, ast.expr]"


def twins(tree: cst.Module, statements: Iterable[ast.stmt]) -> Twins:
    """The calls of a tree with what is called and what is passed; none where the two trees do not agree."""
    mine = [node for node in descendants(tree) if isinstance(node, cst.Call)]
    theirs = [node for statement in statements for node in _calls(statement)]
    found: Twins = {}
    if len(mine) != len(theirs):
        return found
    for call, twin in zip(mine, theirs, strict=True):
        passed = _passed(twin)
        if len(call.args) != len(passed) or _last_name(call.func) != _name(twin.func):
            return {}
        found[call], found[call.func] = twin, twin.func
        found.update((arg.value, item) for arg, item in zip(call.args, passed, strict=True))
    return found


def _calls(statement: ast.stmt) -> Iterator[ast.Call]:
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call):
            yield node
        waiting += reversed(_children(node))


def _children(node: ast.AST) -> Sequence[ast.AST]:
    """The children in LibCST's order: `ast` has keywords apart from positions, values from keys, and defaults from
    parameters."""
    match node:
        case ast.Call():
            return [node.func, *_passed(node)]
        case ast.Dict():
            return [item for pair in zip(node.keys, node.values, strict=True) for item in pair if item is not None]
        case ast.arguments():
            parts = [child for item in ast.iter_child_nodes(node) for child in _part(item)]
            return sorted(parts, key=_place)
        case _:
            return list(ast.iter_child_nodes(node))


def _part(node: ast.AST) -> list[ast.expr]:
    """The annotation of a parameter; a default as it is."""
    found = node.annotation if isinstance(node, ast.arg) else node
    return [found] if isinstance(found, ast.expr) else []


def _passed(call: ast.Call) -> list[ast.expr]:
    """What is passed, in the order of the source."""
    if not call.keywords:
        return [_unstarred(item) for item in call.args]
    return [_unstarred(item) for item in sorted([*call.args, *(item.value for item in call.keywords)], key=_place)]


def _unstarred(item: ast.expr) -> ast.expr:
    return item.value if isinstance(item, ast.Starred) else item


def _place(node: ast.expr) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _last_name(func: cst.BaseExpression) -> str:
    if isinstance(func, cst.Attribute):
        return func.attr.value
    return func.value if isinstance(func, cst.Name) else ""


def _name(func: ast.expr) -> str:
    if isinstance(func, ast.Attribute):
        return func.attr
    return func.id if isinstance(func, ast.Name) else ""
