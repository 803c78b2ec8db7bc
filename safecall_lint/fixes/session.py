"""Several fixes a pass, linted again after each pass, and nothing kept that was not verified."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from msgspec import Struct, field

from safecall_lint.finding import Finding
from safecall_lint.fixes.edits import compatible, offered, rewrite
from safecall_lint.fixes.idle_imports import without_idle_imports
from safecall_lint.fixes.verify import Unverified, check_findings, check_text, counted
from safecall_lint.report import Report
from safecall_lint.source import Source

MAX_PASSES = 50
Lint = Callable[[Source], Report]
_Key = tuple[str, str, str, bytes, int]


class Rejected(Struct, frozen=True):
    """A fix that was taken back, and why."""

    finding: Finding
    reason: str


class Fixed(Struct, frozen=True):
    """What fixing a file gave: its new source, what was fixed, what was taken back, what is reported now."""

    source: Source
    applied: tuple[Finding, ...]
    rejected: tuple[Rejected, ...]
    report: Report


def fix_source(source: Source, lint: Lint, *, unsafe: bool = False) -> Fixed:
    """Carry out every fix that may be, pass after pass, until none is left; then take out the imports that lost their
    last use."""
    session = _Session(source, lint, unsafe, lint(source))
    for _ in range(MAX_PASSES):
        if not session.run_pass():
            break
    session.tidy(source)
    return Fixed(session.source, tuple(session.applied), session.taken_back(), session.report)


class _Session(Struct):
    source: Source
    lint: Lint
    unsafe: bool
    report: Report
    problem: str = ""
    applied: list[Finding] = field(default_factory=list)
    rejected: dict[_Key, str] = field(default_factory=dict)
    judged: int = 0

    def run_pass(self) -> bool:
        """Fix what goes together, or one by one what does not hold together. False where nothing was left to try.

        What did not hold is tried once more in the text that the other fixes left: a second run would try it too.
        """
        wanted = self._wanted()
        if not wanted and self.rejected and len(self.applied) > self.judged:
            self.rejected.clear()
            self.judged = len(self.applied)
            wanted = self._wanted()
        batch = compatible(wanted.values())
        if batch and not self._try(batch):
            self._try_each([key for key, finding in wanted.items() if finding in batch])
        return bool(batch)

    def tidy(self, original: Source) -> None:
        """Take out the imports that have no use any more, where that changes nothing else that is reported."""
        candidate = without_idle_imports(original, self.source)
        if candidate.text == self.source.text:
            return
        report = self.lint(candidate)
        if not report.crashes and counted(report.findings) == counted(self.report.findings):
            self.source, self.report = candidate, report
        else:
            self.lint(self.source)  # as below

    def _try_each(self, keys: list[_Key]) -> None:
        """From the bottom up, so that the keys of those above stay what they are."""
        for key in reversed(keys):
            finding = self._wanted().get(key)
            if finding and not self._try([finding]):
                self.rejected[key] = self.problem

    def taken_back(self) -> tuple[Rejected, ...]:
        """The fixes that did not hold, of the findings that are still there."""
        known = self._fixable().items()
        return tuple(Rejected(finding, self.rejected[key]) for key, finding in known if key in self.rejected)

    def _wanted(self) -> dict[_Key, Finding]:
        return {key: finding for key, finding in self._fixable().items() if key not in self.rejected}

    def _fixable(self) -> dict[_Key, Finding]:
        """The findings that may be fixed, by what they are known by while the text around them moves: what they say,
        the text they say it about, and the how manieth of its kind each is."""
        found: dict[_Key, Finding] = {}
        kinds: Counter[tuple[str, str, str, bytes]] = Counter()
        for finding in self.report.findings:
            fix = offered(finding, self.unsafe)
            if fix:
                text = self.source.utf8[finding.span.start : finding.span.end]
                kind = (finding.name, finding.message, fix.title, text)
                found[(*kind, kinds[kind])] = finding
                kinds[kind] += 1
        return found

    def _try(self, batch: list[Finding]) -> bool:
        candidate = rewrite(self.source, batch)
        try:
            check_text(self.source, candidate, batch)
            report = self.lint(candidate)
            check_findings(self.report.findings, report, batch)
        except Unverified as problem:
            self.problem = str(problem)
            self.lint(self.source)  # the linter looks modules up: what it knows of this one is the kept text again
            return False
        self.source, self.report = candidate, report
        self.applied += batch
        return True
