"""Files -> findings: what the rules saw, minus what is suppressed, off, or not for test files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from safecall_lint.finding import Finding, Severity
from safecall_lint.globs import globs
from safecall_lint.report import TOO_DEEP, Crash, Report
from safecall_lint.rulebook import find, rulebook
from safecall_lint.settings import Profile, Selection, Settings, select
from safecall_lint.source import Source, SourceError, decode, raw_bytes
from safecall_lint.suppressions import may_silence, suppressions, unsilenced
from safecall_lint.test_files import is_test
from safecall_lint.texts import Known
from safecall_lint.trail import Trail
from safecall_lint.verdicts import PARSER, UNREADABLE, unknown, unreadable, unused

if TYPE_CHECKING:
    from safecall_lint import visiting


class Linter:
    """Lints the files that share one `Settings`. What it learns about the project's modules is kept between files."""

    def __init__(
        self,
        settings: Settings,
        overlay: Mapping[str, Source] | None = None,
        trail: Trail | None = None,
        searched: Known | None = None,
    ) -> None:
        from safecall_lint.semantics.project import Project

        self.settings = settings
        self.selection = select(settings)
        self.project = Project(
            declared=settings.declared,
            overlay=overlay or {},
            deployment=settings.deployment,
            runtime_module=settings.runtime_module,
            target_version=settings.target_version,
            trail=trail or Trail(),
            searched=searched or {},
        )
        self._broken: frozenset[str] = frozenset()

    def file(self, path: str) -> Report:
        """Lint a file on disk."""
        try:
            return self.source(self._read(path))
        except SourceError as error:
            return self._report(path, [unreadable(path, error.message, error.line, error.column)])

    def _read(self, path: str) -> Source:
        raw, status = raw_bytes(path)
        self.project.trail.saw(self.project.absolute(path), status, raw)
        return decode(path, raw)

    def source(self, source: Source) -> Report:
        """Lint a text."""
        selection = self._selection(source)
        seen, crashes = self._check(source, selection)
        if any(finding.name == UNREADABLE for finding in seen):
            return self._report(source.path, seen, crashes)
        found = suppressions(source)
        kept = unsilenced(found, seen)
        if found:
            ran = frozenset(name for name in selection.rules - self._broken if not rulebook()[name].engine)
            failed = {crash.rule for crash in crashes}
            kept += [*unused(source, found, frozenset() if "" in failed else ran - failed), *unknown(source, found)]
        return self._report(source.path, [one for one in kept if self._shown(one, selection)], crashes)

    def _selection(self, source: Source) -> Selection:
        """The rules that a file is checked by."""
        selection = self.selection.without(self._ignored(source.path))
        everywhere = self.settings.tests == "all" or self.settings.profile == Profile.ALL
        return selection if everywhere or not is_test(source, self.settings) else selection.for_tests()

    def _check(self, source: Source, selection: Selection) -> tuple[list[Finding], list[Crash]]:
        from safecall_lint import visiting
        from safecall_lint.semantics.project import SyntaxProblem

        rules, crashes = selection.rules - self._broken, list[Crash]()
        lenient = frozenset[str]() if may_silence(source) else selection.lenient
        while True:
            try:
                return visiting.check(source, self.project, rules, lenient), crashes
            except SyntaxProblem as problem:
                place = (problem.line, problem.column)
                return [unreadable(source.path, problem.message, *place, label=PARSER)], crashes
            except visiting.RuleCrash as crash:
                if isinstance(crash.cause, RecursionError):
                    return [unreadable(source.path, TOO_DEEP)], crashes
                crashes.append(self._crash(crash, source.path))
                rules -= {crash.rule}
            except RecursionError:
                return [unreadable(source.path, TOO_DEEP)], crashes
            except Exception as error:  # noqa: BLE001 - one file that we fail on does not take the others along
                return [], [*crashes, Crash.of(error, source.path)]

    def _crash(self, crash: visiting.RuleCrash, path: str) -> Crash:
        """A rule's failure; one whose visitor cannot be imported is told once, not for each file."""
        from safecall_lint.visiting import RuleBroken

        if isinstance(crash, RuleBroken):
            self._broken |= {crash.rule}
            path = ""
        return Crash.of(crash.cause, path, crash.rule)

    def _report(self, path: str, findings: list[Finding], crashes: list[Crash] | None = None) -> Report:
        """A file that cannot be read is reported whatever is selected: only an explicit `ignore` silences that."""
        if any(finding.name == UNREADABLE for finding in findings):
            ignored = _named(self.settings.ignore) | self._ignored(path)
            findings = [finding for finding in findings if finding.name not in ignored]
        return Report(tuple(sorted(findings, key=lambda finding: finding.order)), tuple(crashes or ()))

    def _shown(self, finding: Finding, selection: Selection) -> bool:
        if finding.name not in selection.rules or (finding.strict and not selection.shows_strict(finding.name)):
            return False
        return not selection.errors_only or finding.severity is Severity.ERROR

    def _ignored(self, path: str) -> frozenset[str]:
        if not self.settings.per_file_ignores:
            return frozenset()
        relative = os.path.relpath(path, self.settings.root).replace(os.sep, "/")
        return frozenset(name for names in self._ignores_of(relative) for name in names)

    def _ignores_of(self, relative: str) -> Iterator[frozenset[str]]:
        for pattern, rules in self.settings.per_file_ignores:
            if globs((pattern,)).verdict(relative):
                yield _named(rules)


def _named(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(rule.name for word in words for rule in find(word))
