"""One finding's code frame: the lines it points at, with marks and labels under them."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from safecall_lint.finding import Finding, Span
from safecall_lint.reporters.lines import Line, Piece, harmless, width
from safecall_lint.reporters.sources import Sources

_WIDEST = 180
_LEAD = 40


class Mark(Struct, frozen=True):
    """Columns of one line with a label. Columns count from 0: characters first, terminal cells once they are drawn."""

    path: str
    line: int
    start: int
    end: int
    label: str
    style: str

    @property
    def sign(self) -> str:
        """What is drawn under the code."""
        return "-" if self.style == "secondary" else "^"


def marks_of(finding: Finding, sources: Sources) -> list[Mark]:
    """The primary mark and those of the labels."""
    primary = _mark(finding.path, finding.span, finding.label, finding.severity.value, sources)
    others = [_mark(label.path, label.span, label.message, "secondary", sources) for label in finding.labels]
    return [primary, *others]


def frame(marks: list[Mark], sources: Sources, gutter: int) -> Iterator[Line]:
    """The frames, the primary mark's file first."""
    for path in dict.fromkeys(mark.path for mark in marks):
        here = [mark for mark in marks if mark.path == path]
        arrow = "-->" if path == marks[0].path else ":::"
        place = f"{harmless(path)}:{here[0].line}:{here[0].start + 1}"
        yield ((f"{' ' * gutter}{arrow} ", "gutter"), (place, ""))
        yield from _file(here, sources, gutter)


def _mark(path: str, span: Span, label: str, style: str, sources: Sources) -> Mark:
    end = span.end_column
    if span.end_line > span.line:
        end = len((sources.line(path, span.line) or "").rstrip()) + 1
    return Mark(path, span.line, span.column - 1, max(end - 1, span.column), label, style)


def _file(marks: list[Mark], sources: Sources, gutter: int) -> Iterator[Line]:
    numbers = sorted({mark.line for mark in marks if sources.line(mark.path, mark.line) is not None})
    if numbers:
        yield _row(gutter)
    for before, number in zip([None, *numbers], numbers, strict=False):
        if before is not None and number == before + 2:
            yield _code(gutter, before + 1, _cut(sources.line(marks[0].path, before + 1) or "", 0)[0])
        elif before is not None and number > before + 1:
            yield (("...", "gutter"),)
        yield from _line([mark for mark in marks if mark.line == number], sources, gutter)


def _line(marks: list[Mark], sources: Sources, gutter: int) -> Iterator[Line]:
    code, skipped = _cut(sources.line(marks[0].path, marks[0].line) or "", min(mark.start for mark in marks))
    drawn = [_in_cells(mark, code, skipped) for mark in marks]
    yield _code(gutter, marks[0].line, code)
    for row in _rows(drawn):
        yield from _labels(row, gutter)


def _cut(text: str, start: int) -> tuple[str, int]:
    """A line short enough to show, and by how many characters its columns moved to the left."""
    if len(text) <= _WIDEST:
        return text, 0
    first = max(0, start - _LEAD)
    lead = "…" if first else ""
    tail = "…" if first + _WIDEST < len(text) else ""
    return lead + text[first : first + _WIDEST] + tail, first - len(lead)


def _in_cells(mark: Mark, code: str, skipped: int) -> Mark:
    start, end = (min(max(column - skipped, 0), len(code) + 1) for column in (mark.start, mark.end))
    first = width(harmless(code[:start])) + max(0, start - len(code))
    return replace(mark, start=first, end=max(width(harmless(code[:end])), first + 1))


def _rows(marks: list[Mark]) -> list[list[Mark]]:
    """Marks that do not touch share a row."""
    rows: list[list[Mark]] = []
    for mark in sorted(marks, key=lambda one: (one.start, one.end)):
        row = next((row for row in rows if row[-1].end < mark.start), None)
        if row is None:
            rows.append([mark])
        else:
            row.append(mark)
    return rows


def _labels(row: list[Mark], gutter: int) -> Iterator[Line]:
    """The marks with the last one's label behind it; the other labels hang below theirs, the rightmost first."""
    *others, last = row
    yield _row(
        gutter, *_at([(mark.start, mark.sign * (mark.end - mark.start), mark.style) for mark in row]), *_said(last)
    )
    hanging = [mark for mark in others if mark.label]
    if hanging:
        yield _row(gutter, *_at([(mark.start, "|", mark.style) for mark in hanging]))
    while hanging:
        said = hanging.pop()
        bars = [(mark.start, "|", mark.style) for mark in hanging]
        yield _row(gutter, *_at([*bars, (said.start, harmless(said.label), said.style)]))


def _said(mark: Mark) -> list[Piece]:
    return [(f" {harmless(mark.label)}", mark.style)] if mark.label else []


def _at(pieces: list[tuple[int, str, str]]) -> Iterator[Piece]:
    done = 0
    for column, text, style in pieces:
        yield " " * (column - done), ""
        yield text, style
        done = column + width(text)


def _row(gutter: int, *pieces: Piece) -> Line:
    return ((f"{' ' * gutter} |", "gutter"), *_spaced(pieces))


def _spaced(pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    return ((" ", ""), *pieces) if pieces else ()


def _code(gutter: int, number: int, text: str) -> Line:
    code = harmless(text).rstrip()
    return ((f"{number:>{gutter}} |", "gutter"), (f" {code}" if code else "", ""))
