"""What a rule reports: plain data, free of syntax trees, paths logic and colours.

Everything downstream (fix engine, reporters, cache, editor server) reads these types and nothing else.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field


class Severity(StrEnum):
    """How much harm the mistake does when it strikes."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Confidence(StrEnum):
    """How sure the analysis is that the code really does it."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Safety(StrEnum):
    """Who may apply a fix: `--fix`, `--unsafe-fixes`, or only a reader of the suggestion."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    DISPLAY = "display-only"


class Span(Struct, frozen=True, order=True):
    """A range of a file. `start` and `end` are byte offsets into its UTF-8 text without a BOM; lines and columns are
    1-based, columns count characters, `end_column` is exclusive."""

    start: int
    end: int
    line: int
    column: int
    end_line: int
    end_column: int


class Label(Struct, frozen=True):
    """The other half of a cause, in this file or another one."""

    path: str
    span: Span
    message: str


class Edit(Struct, frozen=True, order=True):
    """Replace `span` by `text`."""

    span: Span
    text: str


class Fix(Struct, frozen=True):
    """A rewrite of one file that removes the finding. `title` is an imperative; `edits` are sorted and disjoint.

    `risk` names in one clause what changes for the caller; it is empty for a safe fix.
    """

    title: str
    safety: Safety
    edits: tuple[Edit, ...]
    risk: str = ""


class Finding(Struct, frozen=True):
    """One mistake at one place. `name` and `code` both identify the rule; `help` is one imperative sentence.

    `where` is the statement that a suppression comment covers: its first and last line, 1-based. A `strict` finding
    is shown only under the strict profile, or where its rule was selected by its own name or code.
    """

    path: str
    span: Span
    code: str
    name: str
    severity: Severity
    confidence: Confidence
    message: str
    label: str = ""
    help: str = ""
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    fix: Fix | None = None
    where: tuple[int, int] = field(default=(0, 0))
    strict: bool = False

    @property
    def order(self) -> tuple[str, int, int, str]:
        """Sort key: path, position, code."""
        return (self.path, self.span.start, self.span.end, self.code)
