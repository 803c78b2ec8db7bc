"""The base of every rule: how a visitor sees and how it reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import libcst as cst
from msgspec import Struct, field

from safecall_lint.finding import Confidence, Safety, Severity

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.model import Scope
    from safecall_lint.semantics.values import Site
    from safecall_lint.visiting.context import Context
    from safecall_lint.visiting.walk import Replacement

Place: TypeAlias = "cst.CSTNode | Site"


class Rewrite(Struct, frozen=True):
    """A fix in terms of syntax. `nodes` replaces nodes of the slice; `sites` replaces the text of `ast` nodes of the
    same file; `imports` are modules to import (`httpx`), or names to import from one (`x.y:name`); `before` are
    statements to put, as lines of code, in front of the top-level statement that the slice belongs to; `head` are lines
    to put after the file's imports, each once however many fixes ask for it."""

    title: str
    safety: Safety
    nodes: Mapping[cst.CSTNode, Replacement] = field(default_factory=dict)
    sites: Sequence[tuple[Site, str]] = ()
    imports: Sequence[str] = ()
    before: Sequence[str] = ()
    head: Sequence[str] = ()
    risk: str = ""


class Report(Struct, frozen=True):
    """What a visitor says about one place."""

    rule: str
    node: Place
    message: str
    label: str
    help: str
    labels: tuple[tuple[Place, str], ...]
    notes: tuple[str, ...]
    fix: Rewrite | None
    severity: Severity | None
    confidence: Confidence
    strict: bool
    cause: object = None


class Visitor:
    """One rule. A subclass has methods `visit_<NodeType>` and `leave_<NodeType>`; its module's name is the rule's.

    `needs` says when a function is worth parsing: every group must share a word with what the semantic model saw in
    it (see `semantics.marks`).
    """

    rule: ClassVar[str] = ""
    needs: ClassVar[tuple[frozenset[str], ...]] = ()

    def __init_subclass__(cls) -> None:
        cls.rule = cls.__module__.rpartition(".")[2].replace("_", "-")

    def __init__(self, context: Context) -> None:
        self.context = context
        self.reports: list[Report] = []

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        """A last question before LibCST is asked, for a rule that the semantic model can answer without syntax.

        `scopes` are the functions and classes that start in the piece.
        """
        return True

    @classmethod
    def strict_at_most(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        """Whether all that the rule could report in the piece is for the strict profile only, where the semantic model
        can tell. It is asked where nobody would see such a report."""
        return False

    @property
    def semantics(self) -> Semantics:
        return self.context.semantics

    def report(
        self,
        node: Place,
        message: str,
        *,
        label: str = "",
        help: str = "",
        labels: Sequence[tuple[Place, str]] = (),
        notes: Sequence[str] = (),
        fix: Rewrite | None = None,
        severity: Severity | None = None,
        confidence: Confidence = Confidence.HIGH,
        strict: bool = False,
        cause: object = None,
    ) -> None:
        """Report the mistake at `node`.

        `message` is the fact and its consequence, `label` says why this span, `labels` show the other half of the
        cause, `notes` give evidence, `help` is one imperative. `severity` only where it is less grave than the page's;
        `strict` where only the strict profile is to show it. Where several rules that run report the same `cause`, the
        one with the lowest code speaks.
        """
        self.reports.append(
            Report(
                self.rule,
                node,
                message,
                label,
                help,
                tuple(labels),
                tuple(notes),
                fix,
                severity,
                confidence,
                strict,
                cause,
            )
        )
