"""What has to hold before a rewrite is kept."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable

from safecall_lint.comments import Comment, comments
from safecall_lint.finding import Edit, Finding
from safecall_lint.fixes.edits import edits_of
from safecall_lint.report import Report
from safecall_lint.rulebook import rulebook
from safecall_lint.source import Source, SourceError


class Unverified(Exception):
    """A rewrite that is not kept, and why."""


def check_text(before: Source, after: Source, batch: list[Finding]) -> None:
    """The new text parses, fits the file's encoding, and has every comment.

    Raises:
        Unverified: one of that does not hold.
    """
    try:
        ast.parse(after.text)
        after.to_bytes(after.text)
    except SourceError as error:
        raise Unverified(error.message) from None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Unverified("the new text does not parse") from None
    _check_comments(before, after, batch)


def check_findings(before: Iterable[Finding], report: Report, batch: list[Finding]) -> None:
    """The findings that were fixed are gone, and no rule reports more than it did.

    Counts are compared, not places: a rewrite moves what it does not change. The engine's own rules may speak up, as
    where the reason for a suppression is gone. So may what the strict profile alone shows: a call that left the event
    loop is now one that an endpoint waits for, and whether a fix holds is the same under each profile.

    Raises:
        Unverified: one of that does not hold.
    """
    if report.crashes:
        raise Unverified("a rule fails on the new text")
    had, fixed = counted(before), counted(batch)
    for (name, strict), count in counted(report.findings).items():
        if fixed[name, strict] and count > had[name, strict] - fixed[name, strict]:
            raise Unverified(f"`{name}` is still reported in the new text")
        if count > had[name, strict] and not strict and not rulebook()[name].engine:
            raise Unverified(f"the new text has a new `{name}`")


def counted(findings: Iterable[Finding]) -> Counter[tuple[str, bool]]:
    """How many findings there are by rule, and by whether the strict profile alone shows them."""
    return Counter((one.name, one.strict or rulebook()[one.name].profile == "strict") for one in findings)


def _check_comments(before: Source, after: Source, batch: list[Finding]) -> None:
    old = comments(before)
    about = [edit for finding in batch if _is_about_comments(finding, before, old) for edit in edits_of(finding)]
    kept = Counter(one.text for one in old if not any(_touches(edit, one) for edit in about))
    lost = kept - Counter(one.text for one in comments(after))
    if lost:
        raise Unverified(f"the new text has lost the comment `{next(iter(lost))}`")


def _is_about_comments(finding: Finding, before: Source, old: list[Comment]) -> bool:
    """Whether the fix edits nothing but comments and the white space around them, so that losing one is its purpose."""
    return all(any(_is_within(edit, one, before.utf8) for one in old) for edit in edits_of(finding))


def _is_within(edit: Edit, comment: Comment, text: bytes) -> bool:
    outside = text[edit.span.start : comment.start] + text[comment.end : edit.span.end]
    return _touches(edit, comment) and not outside.strip()


def _touches(edit: Edit, comment: Comment) -> bool:
    return edit.span.start < comment.end and comment.start < edit.span.end
