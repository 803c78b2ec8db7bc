"""What the command line asked for, and the settings that follow from it."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from safecall_lint.cache import NAME, Cache
from safecall_lint.cache.folder import is_foreign, leads_out
from safecall_lint.finding import Severity
from safecall_lint.reporters import Format
from safecall_lint.settings import Lookup, Profile, Settings, SettingsError
from safecall_lint.settings.kinds import RULES, BadValue
from safecall_lint.settings.load import read


class UsageError(Exception):
    """A command line that cannot be carried out."""


class Options(Struct, frozen=True):
    """The command line of a lint run."""

    paths: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    profile: Profile | None = None
    exclude: tuple[str, ...] = ()
    output_format: Format = Format.FULL
    statistics: bool = False
    exit_zero: bool = False
    fail_on: Severity = Severity.INFO
    config: Path | None = None
    isolated: bool = False
    show_settings: bool = False
    fix: bool = False
    unsafe_fixes: bool = False
    diff: bool = False
    fix_only: bool = False
    stdin_filename: str | None = None
    jobs: int | None = None
    no_cache: bool = False
    cache_dir: Path | None = None

    @property
    def fixes(self) -> bool:
        """Whether fixes are carried out, on disk or in a diff."""
        return self.fix or self.fix_only or self.diff


def lookup(options: Options) -> Lookup:
    """Where settings come from, with what the command line says on top.

    Raises:
        UsageError: the options contradict each other, or name no rule.
        SettingsError: `--config` names a file that cannot be used.
    """
    if options.config and options.isolated:
        raise UsageError("--config and --isolated exclude each other")
    if options.unsafe_fixes and not options.fixes:
        raise UsageError("--unsafe-fixes goes with --fix, --fix-only or --diff")
    for option, words in (
        ("select", options.select),
        ("ignore", options.ignore),
        ("extend-select", options.extend_select),
    ):
        _check(option, words)
    fixed = _config(options.config) if options.config else None
    return Lookup(fixed, options.isolated, lambda settings: _adjusted(settings, options))


def cache(options: Options, settings: Lookup) -> Cache | None:
    """The cache of a run: where the command line says, else where the settings of the working directory say. A link in
    the project does not lead it out of there.

    Raises:
        UsageError: what is named is no folder, or one with other files.
    """
    if options.no_cache:
        return None
    here = settings.of(Path.cwd())
    named = options.cache_dir or (here.root / here.cache_dir if here.cache_dir else None)
    if named:
        _check_folder(named, "--cache-dir" if options.cache_dir else "`cache-dir`")
    place = named or here.root / NAME
    return None if not options.cache_dir and leads_out(place, here.root) else Cache(place.absolute())


def split(values: list[str] | None) -> tuple[str, ...]:
    """Words of an option that may be repeated and may hold commas."""
    return tuple(word for value in values or () for word in value.replace(",", " ").split())


def _check(option: str, words: tuple[str, ...]) -> None:
    try:
        RULES.read(list(words))
    except BadValue as error:
        near = f"; the nearest is {error.near}" if error.near else ""
        raise UsageError(f"--{option}: {error.message}{near}") from None


def _check_folder(named: Path, option: str) -> None:
    if named.exists() and not named.is_dir():
        raise UsageError(f"{option}: {named} is not a folder")
    if is_foreign(named):
        raise UsageError(f"{option}: {named} is no cache and holds other files; name a new or an empty folder")


def _config(path: Path) -> Settings:
    settings = read(path)
    if settings is None:
        raise SettingsError(path, 1, "the file has no [tool.safecall-lint]")
    return replace(settings, root=Path.cwd())


def _adjusted(settings: Settings, options: Options) -> Settings:
    """`--select` starts afresh: what the file selects and ignores is gone. The other options add to the file's."""
    if options.select:
        settings = replace(settings, select=options.select, extend_select=(), ignore=())
    return replace(
        settings,
        extend_select=settings.extend_select + options.extend_select,
        ignore=settings.ignore + options.ignore,
        exclude=settings.exclude + options.exclude,
        profile=options.profile or settings.profile,
    )
