"""Comments that silence a finding.

    # safecall: ignore[name-or-code, ...] reason        the statement it stands in, or the next one on a line of its own
    # noqa: SCL203, E501                                 the same; codes of other tools are none of our business
    # safecall: ignore-file[name-or-code, ...] reason    the whole file; on a line of its own

A comment after code, or on any line of a statement that spans several, covers that whole statement; of a compound
statement that is its header, never its body. A comment above decorators covers them and the header below. A `noqa`
without codes was written for another tool, and silences nothing of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

from msgspec import Struct, field

from safecall_lint.comments import Comment, comments
from safecall_lint.finding import Finding
from safecall_lint.rulebook import exactly
from safecall_lint.source import Source

_OURS = re.compile(
    r"#\s*safecall:\s*(?P<verb>ignore-file|ignore)\b(?:\s*\[(?P<words>[^\]#]*)\])?"
    r"(?:(?!\s#(?:\s|noqa|\w+:)).)*"  # the reason, up to the next comment in the comment
)
_NOQA = re.compile(r"#\s*noqa\s*:\s*(?P<words>[A-Z][A-Z0-9]*\d\b(?:[\s,]+[A-Z][A-Z0-9]*\d\b)*)(?![\w-])", re.IGNORECASE)
_OUR_CODE = re.compile(rb"#.*scl\d", re.IGNORECASE)
_WORD = re.compile(r"[^\s,]+")
_CODE = re.compile(r"SCL\d*", re.IGNORECASE)


class Scope(Enum):
    """What a suppression covers."""

    STATEMENT = "statement"
    FILE = "file"
    NOTHING = "nothing"


class Word(Struct):
    """One name or code in a suppression: the rule it means, if any, and whether it silenced anything. `foreign` marks
    another tool's code."""

    text: str
    start: int
    end: int
    rule: str | None
    foreign: bool = False
    used: bool = False


class Suppression(Struct):
    """One suppression. `start` and `end` are the offsets of our part of the comment, reason included. `flaw` says why
    it silences nothing."""

    comment: Comment
    scope: Scope
    start: int
    end: int
    words: list[Word] = field(default_factory=list)
    flaw: str = ""

    def silences(self, finding: Finding) -> bool:
        """Whether it covers a finding; the word that does is marked as used."""
        if self.scope is Scope.NOTHING or (self.scope is Scope.STATEMENT and not self._covers(finding)):
            return False
        matching = [word for word in self.words if word.rule == finding.name]
        for word in matching:
            word.used = True
        return bool(matching)

    def _covers(self, finding: Finding) -> bool:
        first, last = finding.where if finding.where[0] else (finding.span.line, finding.span.end_line)
        return self.comment.covers[0] <= last and first <= self.comment.covers[1]


def suppressions(source: Source) -> list[Suppression]:
    """The suppressions of a source."""
    return [found for comment in comments(source) for found in _read(comment)] if may_silence(source) else []


def may_silence(source: Source) -> bool:
    """Whether splitting the text into tokens, which is slow, can be worth it."""
    text = source.utf8
    return b"safecall:" in text or ((b"SCL" in text or b"scl" in text) and bool(_OUR_CODE.search(text)))


def unsilenced(found: list[Suppression], findings: list[Finding]) -> list[Finding]:
    """The findings that no suppression covers. Each one that does is marked as used, so none may be passed over."""
    return [finding for finding in findings if not [one for one in found if one.silences(finding)]]


def _read(comment: Comment) -> Iterator[Suppression]:
    for match in _OURS.finditer(comment.text):
        yield _ours(comment, match)
    for match in _NOQA.finditer(comment.text):
        yield _noqa(comment, match)


def _ours(comment: Comment, match: re.Match[str]) -> Suppression:
    start, end = _offsets(comment, match.start(), match.start() + len(match[0].rstrip()))
    if match["words"] is None or not match["words"].strip():
        flaw = "a suppression that names no rule silences nothing"
        return Suppression(comment, Scope.NOTHING, start, end, flaw=flaw)
    words = _words(comment, match)
    if match["verb"] == "ignore":
        return Suppression(comment, Scope.STATEMENT, start, end, words)
    if comment.own_line:
        return Suppression(comment, Scope.FILE, start, end, words)
    flaw = "`ignore-file` behind code silences nothing"
    return Suppression(comment, Scope.NOTHING, start, end, flaw=flaw)


def _noqa(comment: Comment, match: re.Match[str]) -> Suppression:
    start, end = _offsets(comment, match.start(), match.end())
    words = _words(comment, match)
    for word in words:
        word.foreign = not _CODE.fullmatch(word.text)
    return Suppression(comment, Scope.STATEMENT, start, end, words)


def _words(comment: Comment, match: re.Match[str]) -> list[Word]:
    return [_word(comment, word[0], match.start("words") + word.start()) for word in _WORD.finditer(match["words"])]


def _word(comment: Comment, text: str, at: int) -> Word:
    rule = exactly(text.upper() if _CODE.fullmatch(text) else text)
    return Word(text, *_offsets(comment, at, at + len(text)), rule.name if rule else None)


def _offsets(comment: Comment, start: int, end: int) -> tuple[int, int]:
    before, part = comment.text[:start].encode("utf-8", "surrogatepass"), comment.text[start:end]
    first = comment.start + len(before)
    return first, first + len(part.encode("utf-8", "surrogatepass"))
