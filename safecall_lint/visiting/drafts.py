"""Visitors speak of syntax nodes; findings of spans and text. This is where one becomes the other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import pairwise
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Edit, Fix, Span
from safecall_lint.semantics.values import Site
from safecall_lint.visiting.import_places import Head
from safecall_lint.visiting.walk import replaced

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Module
    from safecall_lint.semantics.project import Project
    from safecall_lint.visiting.slices import Slice
    from safecall_lint.visiting.visitor import Place, Rewrite


def span_of(place: Place, piece: Slice) -> Span:
    """Where a place stands in its file; a compound statement is shown by its first line only."""
    if isinstance(place, Site):
        return _site_span(place)
    span = piece.span(place)
    if isinstance(place, cst.BaseCompoundStatement | cst.ExceptHandler) and span.end_line > span.line:
        source = piece.module.source
        line = source.lines[span.line - 1].rstrip()
        return source.span(span.start, source.line_starts[span.line - 1] + len(line))
    return span


def _site_span(site: Site) -> Span:
    node, source = site.node, site.module.source
    line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
    end_line, end_column = getattr(node, "end_lineno", line), getattr(node, "end_col_offset", column + 1)
    if isinstance(node, ast.stmt) and end_line > line and hasattr(node, "body"):
        end_line, end_column = line, len(source.lines[line - 1].rstrip())
    return source.span_at(line, column, end_line, end_column)


def fix_of(rewrite: Rewrite, piece: Slice, project: Project) -> Fix | None:
    """The rewrite as edits of the file, or None where it changes nothing."""
    edits = [*_node_edits(rewrite, piece), *_site_edits(rewrite), *_inserted(rewrite, piece, project)]
    unique = sorted(dict.fromkeys(edits))
    if not unique or any(a.span.end > b.span.start for a, b in pairwise(unique)):
        return None
    return Fix(rewrite.title, rewrite.safety, tuple(unique), rewrite.risk)


def _node_edits(rewrite: Rewrite, piece: Slice) -> Iterator[Edit]:
    if not rewrite.nodes:
        return
    changed = replaced(piece.tree, rewrite.nodes)
    before, after = piece.text.encode(), changed.code.encode()
    source = piece.module.source
    for start, end, text in _differences(before, after):
        yield Edit(source.span(piece.offset(start), piece.offset(end)), text.decode())


def _differences(before: bytes, after: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The changed runs of lines, each narrowed to the bytes that differ."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    starts = [0]
    for line in old:
        starts.append(starts[-1] + len(line))
    for tag, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield _narrowed(starts[i], b"".join(old[i:j]), b"".join(new[k:m]))


def _narrowed(start: int, old: bytes, new: bytes) -> tuple[int, int, bytes]:
    """Cut the common beginning and end off a change, never through a character."""
    limit = min(len(old), len(new))
    head = next((i for i in range(limit) if old[i] != new[i]), limit)
    while head and head < len(old) and (old[head] & 0xC0) == 0x80:
        head -= 1
    tail = next((i for i in range(limit - head) if old[-1 - i] != new[-1 - i]), limit - head)
    while tail and (old[-tail] & 0xC0) == 0x80:
        tail -= 1
    return start + head, start + len(old) - tail, new[head : len(new) - tail]


def _site_edits(rewrite: Rewrite) -> Iterator[Edit]:
    for site, text in rewrite.sites:
        yield Edit(_site_span(site), text)


def _inserted(rewrite: Rewrite, piece: Slice, project: Project) -> Iterator[Edit]:
    """Imports with the file's others, `head` below all of them, `before` in front of the unit's own statement."""
    module = piece.module
    source = module.source
    if rewrite.imports or rewrite.head:
        head = Head.of(source, module.tree, lambda name: project.locate(name, module.file) is not None)
        texts = dict(head.insertions(rewrite.imports))
        if rewrite.head:
            end = source.line_starts[head.below(rewrite.head)]
            texts[end] = texts.get(end, "") + head.text(rewrite.head)
        for at, text in texts.items():
            unended = 0 < at == len(source.utf8) and not source.utf8.endswith((b"\n", b"\r"))
            yield Edit(source.span(at, at), "\n" + text.removesuffix("\n") if unended else text)
    if rewrite.before:
        at = source.line_starts[_top_line(module, piece.unit.first) - 1]
        yield Edit(source.span(at, at), "\n".join(rewrite.before) + "\n\n\n")


def _top_line(module: Module, line: int) -> int:
    """The first line of the top-level statement that a line belongs to, its decorators included."""
    for statement in module.tree.body:
        decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
        first = min([statement.lineno, *(item.lineno for item in decorators)])
        if first <= line <= (statement.end_lineno or first):
            return first
    return line
