"""Which fixes go together in one pass, and the text that they give."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from safecall_lint.finding import Edit, Finding, Fix, Safety
from safecall_lint.source import Source


def offered(finding: Finding, unsafe: bool) -> Fix | None:
    """The finding's fix, if it may be applied unasked."""
    allowed = (Safety.SAFE, Safety.UNSAFE) if unsafe else (Safety.SAFE,)
    return finding.fix if finding.fix and finding.fix.safety in allowed else None


def edits_of(finding: Finding) -> tuple[Edit, ...]:
    """The edits of a finding's fix."""
    return finding.fix.edits if finding.fix else ()


def compatible(findings: Iterable[Finding]) -> list[Finding]:
    """The findings whose fixes do not touch each other, from the top of the file. The same edit in two fixes, such as
    one import that both need, is carried out once. The others wait for the next pass; so does a finding whose cause
    another fix rewrites, because it may be gone then."""
    ordered = sorted(findings, key=lambda one: (min(edits_of(one)), one.code))
    free = [one for one in ordered if not any(_rewrites_cause(other, one) for other in ordered if other is not one)]
    taken: set[Edit] = set()
    chosen: list[Finding] = []
    for finding in free or ordered:
        new = [edit for edit in edits_of(finding) if edit not in taken]
        if not any(_touch(edit, other) for edit in new for other in taken):
            taken.update(new)
            chosen.append(finding)
    return chosen


def _rewrites_cause(finding: Finding, other: Finding) -> bool:
    """Whether a finding's fix changes what another finding, of another rule, points at beside its own place."""
    return finding.code != other.code and any(
        label.path == finding.path and edit.span.start < label.span.end and label.span.start < edit.span.end
        for edit in edits_of(finding)
        for label in other.labels
    )


def rewrite(source: Source, findings: Iterable[Finding]) -> Source:
    """The source with the fixes of these findings."""
    edits = {edit for finding in findings for edit in edits_of(finding)}
    return replace(source, text=source.apply(tuple(_in_place(edit, source) for edit in sorted(edits))))


def _touch(one: Edit, other: Edit) -> bool:
    return one.span.start <= other.span.end and other.span.start <= one.span.end


def _in_place(edit: Edit, source: Source) -> Edit:
    """An edit whose new lines end as the line that they come to."""
    newline = source.newline(edit.span.start)
    return edit if "\r" in edit.text else replace(edit, text=edit.text.replace("\n", newline))
