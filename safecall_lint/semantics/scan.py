"""What one pass over a scope's own statements finds: its bindings, calls, blocks and nested scopes.

Nested functions and classes are recorded, not entered: each is a scope with a scan of its own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from msgspec import Struct, field

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


class Frame(Struct, eq=False):
    """A block that encloses a node: the statement, the section of it that we are in, and the frame around it.

    `section` is "body", "items", "test", "handler", "orelse", "final", "lambda" or "comprehension"; `position` is the
    index of the with item or handler.
    """

    node: ast.AST
    section: str
    parent: Frame | None
    position: int = -1

    def chain(self) -> Iterable[Frame]:
        frame: Frame | None = self
        while frame is not None:
            yield frame
            frame = frame.parent


class Binding(Struct, eq=False):
    """One way a name gets its value. `form`: assign, annotation, parameter, with, for, item, import, def, class,
    except, unpack. `value` is the expression it comes from; `statement` the place to show."""

    form: str
    name: str
    value: ast.expr | None
    statement: ast.AST
    annotation: ast.expr | None = None
    target: str = ""
    frame: Frame | None = None


class CallSite(Struct, eq=False):
    """A call that the scope itself makes. `awaited` when an `await` stands directly on it; `outer` is the call in
    whose arguments it stands."""

    node: ast.Call
    frame: Frame | None
    statement: ast.stmt
    awaited: bool
    outer: CallSite | None


class Block(Struct, eq=False):
    """A compound statement of the scope with its surroundings."""

    node: ast.stmt
    frame: Frame | None


class Scan(Struct, eq=False):
    """What one scope owns, in source order."""

    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    attributes: dict[str, list[Binding]] = field(default_factory=dict)
    calls: list[CallSite] = field(default_factory=list)
    withs: list[Block] = field(default_factory=list)
    tries: list[Block] = field(default_factory=list)
    loops: list[Block] = field(default_factory=list)
    returns: list[ast.Return] = field(default_factory=list)
    yields: list[tuple[ast.Yield | ast.YieldFrom, Frame | None]] = field(default_factory=list)
    awaits: list[tuple[ast.AST, Frame | None]] = field(default_factory=list)
    functions: list[FunctionNode] = field(default_factory=list)
    classes: list[ast.ClassDef] = field(default_factory=list)
    global_names: set[str] = field(default_factory=set)
    nonlocal_names: set[str] = field(default_factory=set)

    def bind(self, binding: Binding) -> None:
        self.bindings.setdefault(binding.name, []).append(binding)


def dotted(node: ast.expr) -> str:
    """`a.b.c` for a chain of attributes on a name, else ""."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    parts.append(node.id)
    return ".".join(reversed(parts))
