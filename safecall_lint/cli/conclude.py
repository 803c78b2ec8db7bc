"""The end of a run: the report, what went wrong, and the exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TextIO

from safecall_lint.cli.options import Options
from safecall_lint.cli.workspace import Outcome
from safecall_lint.finding import Severity
from safecall_lint.report import Crash
from safecall_lint.reporters import Format, render
from safecall_lint.reporters.lines import Line
from safecall_lint.reporters.paint import paint
from safecall_lint.reporters.sources import Sources
from safecall_lint.reporters.summary import fixed, statistics, summary

DEBUG = "SAFECALL_LINT_DEBUG"
CLEAN, FOUND, USAGE, INTERNAL = range(4)
_DIFF_STYLES = {"+": "added", "-": "removed", "@": "gutter"}


def conclude(options: Options, outcome: Outcome, files: int, sources: Sources, stream: TextIO) -> int:
    """Write what there is to say and give the exit code."""
    for problem in outcome.problems:
        tell(problem)
    for crash in outcome.crashes:
        tell_crash(crash)
    paint(_output(options, outcome, files, sources), stream)
    stream.flush()
    if outcome.applied:
        tell(fixed(outcome.applied, len(outcome.changes), written=not options.diff))
    return _code(options, outcome)


def tell(message: str) -> None:
    """Say something that is no part of the report."""
    print(message, file=sys.stderr)


def tell_crash(crash: Crash) -> None:
    """Say in one line that we failed; the traceback is for those who ask for it."""
    debug = os.environ.get(DEBUG)
    more = f"\n{crash.trace}" if debug else f" ({DEBUG}=1 tells where)"
    tell(f"internal error: {crash}; this is a mistake in safecall-lint, please report it{more}")


def _output(options: Options, outcome: Outcome, files: int, sources: Sources) -> Iterator[Line]:
    if options.diff:
        yield from _diff(outcome)
    elif options.fix_only:
        return
    elif options.statistics:
        yield from statistics(outcome.findings)
    else:
        yield from render(options.output_format, outcome.findings, sources)
        if options.output_format is Format.FULL:
            yield summary(outcome.findings, files)


def _diff(outcome: Outcome) -> Iterator[Line]:
    from safecall_lint.fixes import unified

    for before, after in outcome.changes:
        for line in unified(before, after).split("\n")[:-1]:
            yield ((line, _DIFF_STYLES.get(line[:1], "")),)


def _code(options: Options, outcome: Outcome) -> int:
    if outcome.crashes:
        return INTERNAL
    ranks = list(Severity)
    counted = any(ranks.index(one.severity) <= ranks.index(options.fail_on) for one in outcome.findings)
    failed = bool(outcome.changes) if options.diff else counted and not options.fix_only
    return FOUND if failed and not options.exit_zero else CLEAN
