"""Imports that lost their last use to a fix, taken out as the fix's author would."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePath

from msgspec import Struct
from msgspec.structs import replace

from safecall_lint.finding import Edit
from safecall_lint.source import Source

_WORD = re.compile(r"\w+")
_PUBLIC = "__all__"
_Import = ast.Import | ast.ImportFrom
_Body = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef


class _Bound(Struct, frozen=True):
    """A name that an import binds for a module or a function, and whether anything there names it."""

    node: _Import
    alias: ast.alias
    body: list[ast.stmt]
    key: tuple[str, str, str]
    used: bool


def without_idle_imports(original: Source, fixed: Source) -> Source:
    """The fixed text without the imports that nothing in it uses and that had a use in the original, or that came with
    a fix whose work another one has done away with. A package's `__init__.py` is left alone: it imports for others."""
    if original.text == fixed.text or PurePath(fixed.path).name == "__init__.py":
        return fixed
    idle_before = {bound.key for bound in _imports(ast.parse(original.text)) if not bound.used}
    idle = [bound for bound in _imports(ast.parse(fixed.text)) if not bound.used and bound.key not in idle_before]
    edits = [edit for node in {bound.node: None for bound in idle} for edit in _without(node, idle, fixed)]
    return replace(fixed, text=fixed.apply(tuple(sorted(edits)))) if edits else fixed


def _imports(tree: ast.Module) -> Iterator[_Bound]:
    """The plain imports of a module and its functions; one that stands under a condition or in a `try` is a choice
    between several."""
    for owner in ast.walk(tree):
        if isinstance(owner, _Body):
            names = _names(owner)
            where = "" if isinstance(owner, ast.Module) else owner.name
            for node in owner.body:
                if isinstance(node, _Import) and getattr(node, "module", "") != "__future__":
                    for alias in node.names:
                        local = alias.asname or alias.name.partition(".")[0]
                        source = getattr(node, "module", None) or ""
                        key = (where, f"{source}:{alias.name}", local)
                        used = local == "*" or alias.name == alias.asname or local in names
                        yield _Bound(node, alias, owner.body, key, used)


def _names(owner: ast.AST) -> set[str]:
    """Every name that the code below a node speaks of, in annotations written as text and in `__all__` too."""
    found: set[str] = set()
    for node in ast.walk(owner):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            found.update(node.names)
        for text in _texts(node):
            found.update(_WORD.findall(text))
    return found


def _texts(node: ast.AST) -> Iterator[str]:
    parts: list[ast.expr | None] = []
    if isinstance(node, ast.arg | ast.AnnAssign):
        parts = [node.annotation]
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        parts = [node.returns]
    elif isinstance(node, ast.Call):
        parts = list(node.args) if getattr(node.func, "id", getattr(node.func, "attr", "")) == "cast" else []
    elif isinstance(node, ast.Assign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        parts = [node.value] if any(getattr(target, "id", "") == _PUBLIC for target in targets) else []
    for part in parts:
        for item in ast.walk(part) if part else ():
            if isinstance(item, ast.Constant) and isinstance(item.value, str):
                yield item.value


def _without(node: _Import, idle: list[_Bound], source: Source) -> Iterator[Edit]:
    """The edits that take names out of an import statement; none where a comment or another statement shares its
    lines, or where its block would be left empty."""
    gone = [bound.alias for bound in idle if bound.node is node]
    body = next(bound.body for bound in idle if bound.node is node)
    start, end = source.line_starts[node.lineno - 1], source.line_starts[node.end_lineno or node.lineno]
    around = source.utf8[start : _at(source, node)[0]] + source.utf8[_at(source, node)[1] : end]
    if around.strip() or b"#" in source.utf8[start:end]:
        return
    if len(gone) < len(node.names):
        yield from (_name_edit(node, alias, gone, source) for alias in gone)
    elif any(item is not node for item in body):
        yield _line_edit(start, end, node.col_offset > 0 and body[0] is node, source)


def _name_edit(node: _Import, alias: ast.alias, gone: list[ast.alias], source: Source) -> Edit:
    """With the comma behind it, or in front of it where no name that stays follows."""
    index = node.names.index(alias)
    if any(item not in gone for item in node.names[index + 1 :]):
        return Edit(source.span(_at(source, alias)[0], _at(source, node.names[index + 1])[0]), "")
    return Edit(source.span(_at(source, node.names[index - 1])[1], _at(source, alias)[1]), "")


def _line_edit(start: int, end: int, opens: bool, source: Source) -> Edit:
    """With the shorter of the blank runs around it, so that no gap grows; where it opens a file or a function, with the
    one below."""
    lines = source.lines
    first, last = source.line_starts.index(start), source.line_starts.index(end)
    above, below = first, last
    while above > 0 and not lines[above - 1].strip():
        above -= 1
    while below < len(lines) and not lines[below].strip():
        below += 1
    if above == 0 or opens or first - above >= below - last:
        return Edit(source.span(start, source.line_starts[below]), "")
    return Edit(source.span(source.line_starts[above], end), "")


def _at(source: Source, node: _Import | ast.alias) -> tuple[int, int]:
    span = source.span_at(node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0)
    return span.start, span.end
