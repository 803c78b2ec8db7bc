"""The command line's shape: options, commands and their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from safecall_lint.cli import COMMANDS, print_version
from safecall_lint.cli.options import Options, split
from safecall_lint.finding import Severity
from safecall_lint.reporters.formats import Format
from safecall_lint.settings.model import Profile

_NAME = "safecall-lint"
_RULES = "Names, codes or prefixes of codes, with commas or repeated."

_lint = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
_commands = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


class _Understood(Exception):
    """The way out of typer, which would answer Ctrl-C during a run in its own words."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.options = options


@_commands.command()
def rules(as_json: Annotated[bool, Option("--json", help="As a JSON array.")] = False) -> None:
    """List the rules: code, name, severity, profile, fix, summary."""
    from safecall_lint.cli.commands import list_rules

    raise typer.Exit(list_rules(as_json))


@_commands.command()
def schema() -> None:
    """Print the JSON schema of [tool.safecall-lint]."""
    from safecall_lint.cli.commands import print_schema

    raise typer.Exit(print_schema())


@_commands.command()
def new(
    name: Annotated[str, Argument(help="The rule's name: the fault, in lower case with hyphens.")],
    group: Annotated[str, Option(help="The group it belongs to; its code is the group's next free one.")],
) -> None:
    """Start a rule in a checkout: its page and its visitor."""
    from safecall_lint.cli.scaffold import scaffold

    raise typer.Exit(scaffold(name, group))


@_commands.command()
def size(
    rate: Annotated[str, Option(help="The vendor's quota, calls/seconds: 60/60.")],
    latency: Annotated[float, Option(help="Seconds that a slow but good call takes.")],
    pods: Annotated[int, Option(help="Processes that share the quota.")] = 1,
    call_timeout: Annotated[float | None, Option(help="Seconds for one attempt.")] = None,
    queue_timeout: Annotated[float | None, Option(help="Seconds that a call waits to be admitted.")] = None,
    deadline: Annotated[float | None, Option(help="Seconds for the whole call.")] = None,
    max_concurrency: Annotated[int | None, Option(help="Slots that you have in mind, to be checked.")] = None,
    max_connections: Annotated[int | None, Option(help="Connections that you have in mind, to be checked.")] = None,
) -> None:
    """Compute slots, connections and queue for a vendor's quota; refuse sets that cannot work."""
    from safecall_lint.cli.service import Sizes, print_sizes

    asked = Sizes(rate, latency, pods, call_timeout, queue_timeout, deadline, max_concurrency, max_connections)
    raise typer.Exit(print_sizes(asked))


@_commands.command()
def vendor(folder: Annotated[Path, Argument(help="The folder to make.")]) -> None:
    """Copy the runtime into a project, for images without the linter."""
    from safecall_lint.cli.service import copy

    raise typer.Exit(copy(folder))


_EPILOG = f"Commands: {', '.join(COMMANDS)}; see `{_NAME} COMMAND --help`. A folder named so is ./{COMMANDS[0]}."


@_lint.command(epilog=_EPILOG)
def lint(
    paths: Annotated[
        list[str] | None, Argument(help="Files and folders; `-` is standard input. Default: here.")
    ] = None,
    select: Annotated[list[str] | None, Option(help=f"Only these rules. {_RULES}")] = None,
    ignore: Annotated[list[str] | None, Option(help=f"Not these rules. {_RULES}")] = None,
    extend_select: Annotated[list[str] | None, Option(help=f"These rules too. {_RULES}")] = None,
    profile: Annotated[Profile | None, Option(help="The rules to start from.")] = None,
    exclude: Annotated[list[str] | None, Option(help="Files and folders to leave out, as in a .gitignore.")] = None,
    output_format: Annotated[Format, Option(help="How findings are written.")] = Format.FULL,
    statistics: Annotated[bool, Option("--statistics", help="Only count, by rule.")] = False,
    fix: Annotated[bool, Option("--fix", help="Carry out safe fixes.")] = False,
    unsafe_fixes: Annotated[bool, Option("--unsafe-fixes", help="Carry out unsafe fixes too.")] = False,
    diff: Annotated[bool, Option("--diff", help="Show what fixes would change, and write nothing.")] = False,
    fix_only: Annotated[bool, Option("--fix-only", help="Carry out fixes and report nothing.")] = False,
    exit_zero: Annotated[bool, Option("--exit-zero", help="Exit with 0 whatever is found.")] = False,
    fail_on: Annotated[Severity, Option(help="Exit with 1 from this severity on.")] = Severity.INFO,
    config: Annotated[Path | None, Option(help="Use this settings file for every file.")] = None,
    isolated: Annotated[bool, Option("--isolated", help="Use no settings file.")] = False,
    show_settings: Annotated[bool, Option("--show-settings", help="Print the settings that hold, and stop.")] = False,
    stdin_filename: Annotated[str | None, Option(help="The path that standard input stands for.")] = None,
    jobs: Annotated[int | None, Option("--jobs", "-j", min=1, help="How many processes. Default: the cores.")] = None,
    no_cache: Annotated[bool, Option("--no-cache", help="Neither use nor write a cache.")] = False,
    cache_dir: Annotated[Path | None, Option(help="The cache's folder. Default: .safecall_lint_cache.")] = None,
    explain: Annotated[str | None, Option(metavar="RULE", help="Print a rule's page, and stop.")] = None,
    version: Annotated[bool, Option("--version", help="Print the version, and stop.")] = False,
) -> None:
    """Find the calls to other people's APIs that take a service down under load, and rewrite them.

    Exit codes: 0 nothing found, 1 findings, 2 wrong usage or settings, 3 a mistake in safecall-lint.
    """
    if version:
        raise typer.Exit(print_version())
    if explain:
        from safecall_lint.cli.commands import explain as explain_rule

        raise typer.Exit(explain_rule(explain))
    options = Options(
        paths=tuple(paths or ()),
        select=split(select),
        ignore=split(ignore),
        extend_select=split(extend_select),
        profile=profile,
        exclude=tuple(exclude or ()),
        output_format=output_format,
        statistics=statistics,
        fix=fix,
        unsafe_fixes=unsafe_fixes,
        diff=diff,
        fix_only=fix_only,
        exit_zero=exit_zero,
        fail_on=fail_on,
        config=config,
        isolated=isolated,
        show_settings=show_settings,
        stdin_filename=stdin_filename,
        jobs=jobs,
        no_cache=no_cache,
        cache_dir=cache_dir,
    )
    raise _Understood(options)


def parse_and_run(arguments: list[str]) -> int:
    """Run the command that the first word names, and lint where it names none."""
    app = _commands if arguments[0] in COMMANDS else _lint
    try:
        app(arguments, prog_name=_NAME)
    except _Understood as understood:
        options = understood.options
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    else:
        return 0
    from safecall_lint.cli.lint import run as run_lint

    return run_lint(options)
