"""Findings as rows of plain JSON, and back. A row that is none raises ValueError or TypeError."""

from __future__ import annotations

from typing import Any

from safecall_lint.finding import Confidence, Edit, Finding, Fix, Label, Safety, Severity, Span

Row = list[Any]


def encode(finding: Finding) -> Row:
    """A finding as a row."""
    fix = finding.fix
    return [
        finding.path,
        _row(finding.span),
        finding.code,
        finding.name,
        finding.severity.value,
        finding.confidence.value,
        finding.message,
        finding.label,
        finding.help,
        [[label.path, _row(label.span), label.message] for label in finding.labels],
        list(finding.notes),
        fix and [fix.title, fix.safety.value, [[_row(edit.span), edit.text] for edit in fix.edits], fix.risk],
        list(finding.where),
        finding.strict,
    ]


def decode(row: Row) -> Finding:
    """The finding of a row."""
    path, span, code, name, severity, confidence, message, label, help, labels, notes, fix, where, strict = row
    first, last = where
    return Finding(
        path=_text(path),
        span=_span(span),
        code=_text(code),
        name=_text(name),
        severity=Severity(severity),
        confidence=Confidence(confidence),
        message=_text(message),
        label=_text(label),
        help=_text(help),
        labels=tuple(Label(_text(place), _span(part), _text(words)) for place, part, words in labels),
        notes=tuple(_text(note) for note in notes),
        fix=None if fix is None else _fix(fix),
        where=(_number(first), _number(last)),
        strict=bool(strict),
    )


def _row(span: Span) -> list[int]:
    return [span.start, span.end, span.line, span.column, span.end_line, span.end_column]


def _fix(row: Row) -> Fix:
    title, safety, edits, risk = row
    changes = tuple(Edit(_span(span), _text(text)) for span, text in edits)
    return Fix(_text(title), Safety(safety), changes, _text(risk))


def _span(row: Row) -> Span:
    start, end, line, column, end_line, end_column = map(_number, row)
    return Span(start, end, line, column, end_line, end_column)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is expected")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("a number is expected")
    return value
