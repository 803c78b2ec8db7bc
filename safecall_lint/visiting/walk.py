"""One walk over a LibCST tree for any number of visitors.

LibCST's own `visit()` costs ten times as much: it enters every whitespace node and rebuilds the tree as it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar

import libcst as cst

_LAYOUT = frozenset(
    {
        "leading_lines", "lines_after_decorators", "header", "footer", "trailing_whitespace", "indent", "newline",
        "lpar", "rpar", "lbracket", "rbracket", "lbrace", "rbrace", "comma", "equal", "semicolon", "dot", "colon",
        "asynchronous", "indicator", "first_colon", "second_colon", "empty_lines",
    }
)  # fmt: skip


class Rule(Protocol):
    """A visitor, for the walk: the name of its rule, and methods `visit_<NodeType>` and `leave_<NodeType>`."""

    rule: ClassVar[str]


@cache
def _children_names(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    """The fields of a node type that can hold code."""
    return tuple(f.name for f in fields(kind) if f.name not in _LAYOUT and not f.name.startswith("whitespace"))


def children(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """The code below a node, in source order where the grammar is, without layout."""
    for name in _children_names(type(node)):
        value = getattr(node, name)
        if isinstance(value, cst.CSTNode):
            yield value
        elif isinstance(value, list | tuple):
            for item in value:
                if isinstance(item, cst.CSTNode):
                    yield item


Node = TypeVar("Node", bound="cst.CSTNode")
Replacement: TypeAlias = "cst.CSTNode | cst.RemovalSentinel | cst.FlattenSentinel[cst.CSTNode]"
Handler = tuple[str, Callable[[Any], None]]
Handlers = dict[str, list[Handler]]


def handlers(visitors: Sequence[Rule], prefix: str) -> Handlers:
    """The visitors' methods `<prefix>_<NodeType>` by node type, each with the name of its rule."""
    found: Handlers = {}
    for visitor in visitors:
        for name in _method_names(type(visitor), prefix + "_"):
            kind = name.removeprefix(prefix + "_")
            found.setdefault(kind, []).append((visitor.rule, getattr(visitor, name)))
    return found


@cache
def _method_names(visitor: type, prefix: str) -> tuple[str, ...]:
    return tuple(name for name in dir(visitor) if name.startswith(prefix))


def descendants(node: cst.CSTNode, *, scopes: bool = True) -> Iterator[cst.CSTNode]:
    """A node and everything below it, each in front of what it holds; nested functions, lambdas and classes are not
    entered unless `scopes`."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        below = [
            child
            for child in children(current)
            if scopes or not isinstance(child, cst.FunctionDef | cst.Lambda | cst.ClassDef)
        ]
        below.reverse()
        waiting += below


def replaced(tree: Node, nodes: Mapping[cst.CSTNode, Replacement]) -> Node:
    """The tree with some of its nodes replaced, removed or turned into several; only what stands above them is rebuilt.

    LibCST's transformers do the same in fifty times the time: they rebuild every node.
    """
    above = _ancestors(tree, nodes)
    result = _rebuilt(tree, nodes, above)
    assert isinstance(result, type(tree))
    return result


def _ancestors(tree: cst.CSTNode, nodes: Mapping[cst.CSTNode, Replacement]) -> set[cst.CSTNode]:
    """Every node that has one of `nodes` below it."""
    found: set[cst.CSTNode] = set()
    stack: list[tuple[cst.CSTNode, bool]] = [(tree, False)]
    path: list[cst.CSTNode] = []
    while stack:
        node, done = stack.pop()
        if done:
            path.pop()
            continue
        if node in nodes:
            found.update(path)
            continue
        path.append(node)
        stack.append((node, True))
        stack.extend((child, False) for child in children(node))
    return found


def _rebuilt(node: cst.CSTNode, nodes: Mapping[cst.CSTNode, Replacement], above: set[cst.CSTNode]) -> Replacement:
    if node in nodes:
        return nodes[node]
    if node not in above:
        return node
    changes: dict[str, object] = {}
    for name in _children_names(type(node)):
        value = getattr(node, name)
        if isinstance(value, cst.CSTNode):
            new = _rebuilt(value, nodes, above)
            if new is not value:
                changes[name] = None if isinstance(new, cst.RemovalSentinel) else new
        elif isinstance(value, list | tuple) and any(item in above or item in nodes for item in value):
            changes[name] = list(_flat(_rebuilt(item, nodes, above) for item in value))
    return node.with_changes(**changes) if changes else node


def _flat(items: Iterable[Replacement]) -> Iterator[cst.CSTNode]:
    for item in items:
        if isinstance(item, cst.FlattenSentinel):
            yield from item.nodes
        elif isinstance(item, cst.CSTNode) and not (isinstance(item, cst.SimpleStatementLine) and not item.body):
            yield item
