"""The findings of the engine itself: files that cannot be read, and suppressions that silence nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from safecall_lint.finding import Confidence, Edit, Finding, Fix, Safety, Span
from safecall_lint.rulebook import nearest, rulebook
from safecall_lint.source import Source
from safecall_lint.suppressions import Suppression, Word

UNREADABLE = "syntax-error"
UNUSED = "unused-suppression"
UNKNOWN = "unknown-suppression"
PARSER = f"read by Python {sys.version_info.major}.{sys.version_info.minor}, which does not know newer syntax"


def unreadable(path: str, message: str, line: int = 1, column: int = 1, label: str = "") -> Finding:
    """A file that could not be analysed, so that silence about it is no all-clear."""
    span = Span(0, 0, line, column, line, column)
    return _finding(path, UNREADABLE, span, message, label, help="repair the file, or leave it out with `exclude`")


def unused(source: Source, found: list[Suppression], ran: frozenset[str]) -> Iterator[Finding]:
    """Suppressions of rules that ran and found nothing there. Of a rule that did not run nobody can tell."""
    for one in found:
        words = [word for word in one.words if word.rule in ran and not word.used]
        if words:
            yield _unused(source, one, words)


def unknown(source: Source, found: list[Suppression]) -> Iterator[Finding]:
    """Suppressions that name no rule we have."""
    for one in found:
        if one.flaw:
            help = "write `# safecall: ignore[rule-name] reason` in the statement"
            yield _finding(source.path, UNKNOWN, source.span(one.start, one.end), one.flaw, help=help)
        for word in one.words:
            if word.rule is None and not word.foreign:
                yield _unknown(source, word)


def _unknown(source: Source, word: Word) -> Finding:
    near = nearest(word.text)
    help = f"write `{near}`" if near else "take a name from `safecall-lint rules`"
    span = source.span(word.start, word.end)
    return _finding(source.path, UNKNOWN, span, f"no rule is called `{word.text}`", "silences nothing", help)


def _unused(source: Source, one: Suppression, words: list[Word]) -> Finding:
    named = ", ".join(f"`{word.text}`" for word in words)
    whole = len(words) == len(one.words)
    span = source.span(one.start, one.end) if whole else source.span(words[0].start, words[-1].end)
    edits = (_without(source, one),) if whole else tuple(_without_words(source, one, words))
    fix = Fix(f"delete the suppression of {named}", Safety.SAFE, edits)
    label = f"{named}: nothing to silence here"
    help = "delete it, so that it cannot hide a later mistake"
    return _finding(source.path, UNUSED, span, "a suppression silences nothing", label, help, fix)


def _without_words(source: Source, one: Suppression, words: list[Word]) -> Iterator[Edit]:
    """Delete each word with the separator behind it, or in front of it where no word that stays follows."""
    last_kept = max(index for index, word in enumerate(one.words) if word not in words)
    for index, word in enumerate(one.words):
        if word not in words:
            continue
        if index < last_kept:
            yield Edit(source.span(word.start, one.words[index + 1].start), "")
        else:
            yield Edit(source.span(one.words[index - 1].end, word.end), "")


def _without(source: Source, one: Suppression) -> Edit:
    """Delete our part of the comment, and the white space or the line that nothing else needs."""
    text, comment = source.utf8, one.comment
    before, after = text[comment.start : one.start].strip(), text[one.end : comment.end].strip()
    if before:
        return Edit(source.span(_back(text, one.start), one.end), "")
    if after:
        end = comment.end - len(text[one.end : comment.end].lstrip())
        return Edit(source.span(one.start, end), "" if after.startswith(b"#") else "# ")
    if comment.own_line:
        return Edit(source.span(*source.line_starts[comment.line - 1 : comment.line + 1]), "")
    return Edit(source.span(_back(text, one.start), one.end), "")


def _back(text: bytes, offset: int) -> int:
    return len(text[:offset].rstrip(b" \t\f"))


def _finding(
    path: str, name: str, span: Span, message: str, label: str = "", help: str = "", fix: Fix | None = None
) -> Finding:
    rule = rulebook()[name]
    return Finding(
        path=path,
        span=span,
        code=rule.code,
        name=name,
        severity=rule.severity,
        confidence=Confidence.HIGH,
        message=message,
        label=label,
        help=help,
        fix=fix,
        where=(span.line, span.end_line),
    )
