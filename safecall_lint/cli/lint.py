"""The lint run: from options to an exit code."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from safecall_lint.cli import workspace
from safecall_lint.cli.conclude import CLEAN, USAGE, conclude, tell
from safecall_lint.cli.options import Options, UsageError, cache, lookup
from safecall_lint.discovery import MissingPath, discover, printed
from safecall_lint.reporters.sources import Sources
from safecall_lint.settings import Lookup, SettingsError

STDIN = "-"


def run(options: Options) -> int:
    """Carry out a lint run and give its exit code."""
    try:
        _check_place()
        return _run(options, lookup(options))
    except UsageError as error:
        return _refuse(str(error))
    except MissingPath as error:
        return _refuse(f"{error}: there is no such file or folder")
    except SettingsError as error:
        near = f"; the nearest is `{error.near}`" if error.near else ""
        return _refuse(f"{printed(str(error.path.absolute()))}:{error.line}: {error.message}{near}")


def _check_place() -> None:
    """Settings, names in the report and the cache all start from the working directory."""
    try:
        os.getcwd()
    except OSError:
        raise UsageError("the working directory is gone; change to one that exists") from None


def _run(options: Options, settings: Lookup) -> int:
    if options.show_settings:
        from safecall_lint.settings.describe import show

        first = Path(options.paths[0] if options.paths else ".").resolve()
        sys.stdout.write(show(settings.of(first if first.is_dir() else first.parent)))
        return CLEAN
    if STDIN not in options.paths:
        return _run_on_disk(options, settings)
    if len(options.paths) > 1:
        raise UsageError("`-` stands alone: standard input is one file")
    return _run_on_stdin(options, settings)


def _run_on_disk(options: Options, settings: Lookup) -> int:
    found = discover(options.paths or (".",), settings)
    for path in found.skipped:
        tell(f"{path} is left out by `exclude`")
    jobs = options.jobs or workspace.cores()
    known = cache(options, settings)
    if options.fixes:
        outcome = workspace.fix(found.targets, jobs, known, unsafe=options.unsafe_fixes, to_disk=not options.diff)
    else:
        outcome = workspace.lint(found.targets, jobs, known)
    outcome.findings += [
        workspace.unreadable(path, f"the folder cannot be read: {why}") for path, why in found.unreadable
    ]
    return conclude(options, outcome, len(found.targets), Sources(), sys.stdout)


def _run_on_stdin(options: Options, settings: Lookup) -> int:
    """The fixed text goes to standard output, so the report about it goes to standard error."""
    path = options.stdin_filename or "<stdin>"
    raw = sys.stdin.buffer.read()
    chosen = settings.of(Path(path).resolve().parent)
    outcome = workspace.lint_bytes(path, raw, chosen, fixes=options.fixes, unsafe=options.unsafe_fixes)
    sources = Sources({path: outcome.text} if outcome.text else {})
    if not options.fixes or options.diff:
        return conclude(options, outcome, 1, sources, sys.stdout)
    sys.stdout.buffer.write(outcome.text.to_bytes(outcome.text.text) if outcome.text else raw)
    return conclude(options, outcome, 1, sources, sys.stderr)


def _refuse(message: str) -> int:
    tell(f"error: {message}")
    return USAGE
