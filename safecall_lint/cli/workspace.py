"""All files of one run: linted, and fixed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from msgspec import Struct, field

from safecall_lint.cache import Cache
from safecall_lint.cli.progress import tracked
from safecall_lint.discovery import Target, excluded
from safecall_lint.finding import Finding, Span
from safecall_lint.report import Crash, Report
from safecall_lint.settings import Settings
from safecall_lint.source import Source, SourceError, decode, read

if TYPE_CHECKING:
    from safecall_lint.engine import Linter
    from safecall_lint.fixes import Fixed

_ROUNDS = 5


class Outcome(Struct):
    """What a run gave: what is reported, what was fixed and what went wrong; the text, if it came from no file."""

    findings: list[Finding] = field(default_factory=list)
    crashes: list[Crash] = field(default_factory=list)
    applied: list[Finding] = field(default_factory=list)
    changes: list[tuple[Source, Source]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    text: Source | None = None

    def add(self, report: Report) -> None:
        """Take in one file's report."""
        self.findings += report.findings
        self.fail(report.crashes)

    def fail(self, crashes: Iterable[Crash]) -> None:
        """Take in what we failed at, each failure of a rule on a file once."""
        known = {(crash.path, crash.rule) for crash in self.crashes}
        self.crashes += [crash for crash in crashes if (crash.path, crash.rule) not in known]

    def report(self, reports: Iterable[Report]) -> None:
        """Take in what all files give."""
        for one in reports:
            self.add(one)
        self.findings.sort(key=lambda finding: finding.order)

    def add_fixed(self, before: Source, fixed: Fixed) -> None:
        """Take in what fixing one file, perhaps for another time, gave."""
        self.applied += fixed.applied
        if fixed.source.text != before.text:
            first = next((old for old, new in self.changes if new.path == before.path), before)
            self.changes = [(old, new) for old, new in self.changes if new.path != before.path]
            self.changes.append((first, fixed.source))

    def take_back(self, fixed: Iterable[Fixed]) -> None:
        """Take in the fixes that did not hold."""
        self.problems += [
            f"{one.finding.path}:{one.finding.span.line}: the fix of `{one.finding.name}` was taken back: {one.reason}"
            for file in fixed
            for one in file.rejected
        ]


def lint(targets: Sequence[Target], jobs: int = 1, cache: Cache | None = None) -> Outcome:
    """Lint files on disk. What comes out does not depend on how many processes take part, nor on the cache."""
    outcome = Outcome()
    outcome.report(_reports(targets, jobs, cache))
    return outcome


def fix(
    targets: Sequence[Target], jobs: int = 1, cache: Cache | None = None, *, unsafe: bool, to_disk: bool
) -> Outcome:
    """Fix files. One file's fix can change what is said about another, so all are looked at again until none changes,
    and what is reported is what is left then; where nothing is written that is not known, and nothing is reported. A
    cache tells which files to fix, but no fix is taken from it."""
    from safecall_lint.fixes import offered
    from safecall_lint.parallel import Linters

    outcome = Outcome()
    done: dict[int, Fixed | None] = {}
    reports = _reports(targets, jobs, cache)
    for _ in range(_ROUNDS):
        linters, written = Linters(), False
        for index, report in enumerate(reports):
            outcome.fail(report.crashes)
            if any(offered(finding, unsafe) for finding in report.findings) and (
                index not in done or _changed_since(done[index], report)
            ):
                done[index] = _fix(targets[index], linters.of(targets[index].settings), outcome, unsafe, to_disk)
                written |= bool((fixed := done[index]) and fixed.applied)
        if not (to_disk and written):
            break
        reports = _reports(targets, jobs, cache)
    outcome.take_back(fixed for fixed in done.values() if fixed)
    if to_disk:
        outcome.report(reports)
    return outcome


def _changed_since(fixed: Fixed | None, report: Report) -> bool:
    """Whether a file gives something else than when its own fixing ended, because of another file's fix."""
    return fixed is not None and _said(fixed.report) != _said(report)


def _said(report: Report) -> list[tuple[Span, str, str]]:
    return [(finding.span, finding.name, finding.message) for finding in report.findings]


def lint_bytes(path: str, raw: bytes, settings: Settings, *, fixes: bool, unsafe: bool) -> Outcome:
    """Lint, and fix, a file's content that was handed over."""
    from safecall_lint.engine import Linter

    outcome, linter = Outcome(), Linter(settings)
    try:
        source = outcome.text = decode(path, raw)
    except SourceError as error:
        outcome.findings.append(unreadable(path, error.message, error.line, error.column))
        return outcome
    if excluded(os.path.abspath(path), settings):
        return outcome
    if not fixes:
        outcome.add(linter.source(source))
        return outcome
    from safecall_lint.fixes import fix_source

    done = fix_source(source, linter.source, unsafe=unsafe)
    outcome.add_fixed(source, done)
    outcome.take_back([done])
    outcome.add(done.report)
    outcome.text = done.source
    return outcome


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def unreadable(path: str, message: str, line: int = 1, column: int = 1) -> Finding:
    """A file or folder that could not be analysed."""
    from safecall_lint import verdicts

    return verdicts.unreadable(path, message, line, column)


def _reports(targets: Sequence[Target], jobs: int, cache: Cache | None) -> list[Report]:
    """The reports, in the order of the files whatever the order in which they came in."""
    session = cache.session(targets) if cache else None
    found = {index: report for index, one in enumerate(targets) if session and (report := session.report(one))}
    missing = [index for index in range(len(targets)) if index not in found]
    if missing:
        from safecall_lint.parallel import Linters, reports

        linters = Linters(session.searches if session else None)
        fresh = reports([targets[index] for index in missing], jobs, linters)
        with closing(tracked(fresh, len(missing), "checked")) as numbered:
            for number, report in numbered:
                found[missing[number]] = report
                if session:
                    session.learn(targets[missing[number]], report)
    if session:
        session.save()
    return [found[index] for index in range(len(targets))]


def _fix(target: Target, linter: Linter, outcome: Outcome, unsafe: bool, to_disk: bool) -> Fixed | None:
    """Fix one file; None where we failed at it."""
    from safecall_lint.fixes import fix_source, write

    try:
        before = read(target.path)
        fixed = fix_source(before, linter.source, unsafe=unsafe)
        if to_disk and fixed.source.text != before.text:
            write(before, fixed.source)
    except SourceError as error:
        outcome.problems.append(f"{target.path}: {error.message}")
    except Exception as error:  # noqa: BLE001 - one file that we fail on does not take the others along
        outcome.fail([Crash.of(error, target.path)])
    else:
        outcome.add_fixed(before, fixed)
        return fixed
    return None
