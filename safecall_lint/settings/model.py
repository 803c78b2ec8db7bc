"""Every setting, declared once: name, kind, default and help."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field
from msgspec.structs import FieldInfo, fields

from safecall_lint.declared import Declared
from safecall_lint.settings import kinds
from safecall_lint.settings.kinds import Kind


class Profile(StrEnum):
    """Which rules a project starts from."""

    DEFAULT = "default"
    STRICT = "strict"
    ALL = "all"


PerFile = tuple[tuple[str, tuple[str, ...]], ...]


def _as(kind: Kind, help: str) -> Meta:
    return Meta(description=help, extra={"kind": kind})


class Settings(Struct, frozen=True):
    """What a project's settings file says. `root` is the folder that patterns and dotted names start from."""

    root: Path = field(default_factory=Path.cwd)
    origin: Path | None = None
    declared: Declared = field(default_factory=Declared)

    select: Annotated[
        tuple[str, ...], _as(kinds.RULES, "Only these rules: names, codes, prefixes of codes or ALL.")
    ] = ()
    extend_select: Annotated[tuple[str, ...], _as(kinds.RULES, "These rules too, besides the selected ones.")] = ()
    ignore: Annotated[tuple[str, ...], _as(kinds.RULES, "Not these rules; a more exact `select` outweighs it.")] = ()
    profile: Annotated[
        str, _as(kinds.choice(*Profile), "Rules to start from; `all` is strict, also in test files.")
    ] = Profile.DEFAULT.value
    per_file_ignores: Annotated[
        PerFile, _as(kinds.RULES_BY_GLOB, "Rules that are off in the files a pattern matches.")
    ] = ()
    exclude: Annotated[tuple[str, ...], _as(kinds.GLOBS, "Files and folders to leave out, as in a .gitignore.")] = ()
    tests: Annotated[str, _as(kinds.choice("errors", "all"), "Which findings test files get.")] = "errors"
    target_version: Annotated[
        tuple[int, int] | None, _as(kinds.VERSION, "Oldest Python the code runs on; `requires-python` where unset.")
    ] = None
    runtime_module: Annotated[
        str | None, _as(kinds.DOTTED, "Where a vendored copy of safecall_lint.runtime is imported from.")
    ] = None
    cache_dir: Annotated[
        str | None, _as(kinds.PATH, "Where findings are kept from run to run; .safecall_lint_cache where unset.")
    ] = None
    deployment: Annotated[
        str | None,
        _as(kinds.choice("single", "multi"), "How many processes run; read from the project's manifests where unset."),
    ] = None


class Option(Struct, frozen=True):
    """One key of `[tool.safecall-lint]`."""

    attribute: str
    kind: Kind
    default: object
    help: str

    @property
    def key(self) -> str:
        """The name in TOML."""
        return self.attribute.replace("_", "-")

    def of(self, settings: Settings) -> object:
        """The setting's value."""
        holder = settings.declared if hasattr(settings.declared, self.attribute) else settings
        return getattr(holder, self.attribute)


def _option(one: FieldInfo) -> Option | None:
    """A field that says what it is for is a setting; the others are not the user's to set."""
    for meta in getattr(one.type, "__metadata__", ()):
        return Option(one.name, (meta.extra or {}).get("kind", kinds.DOTTED_NAMES), one.default, meta.description)
    return None


@cache
def options() -> dict[str, Option]:
    """The keys of `[tool.safecall-lint]`."""
    found = [_option(one) for owner in (Settings, Declared) for one in fields(owner)]
    return {option.key: option for option in found if option}
