"""Every setting, declared once: name, kind, default and help."""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from safecall_lint.declared import Declared
from safecall_lint.settings import kinds
from safecall_lint.settings.kinds import Kind


class Profile(StrEnum):
    """Which rules a project starts from."""

    DEFAULT = "default"
    STRICT = "strict"
    ALL = "all"


PerFile = tuple[tuple[str, tuple[str, ...]], ...]


def _as(kind: Kind, help: str) -> dict[str, object]:
    return {"kind": kind, "help": help}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a project's settings file says. `root` is the folder that patterns and dotted names start from."""

    root: Path = field(default_factory=Path.cwd)
    origin: Path | None = None
    declared: Declared = field(default_factory=Declared)

    select: tuple[str, ...] = field(
        default=(), metadata=_as(kinds.RULES, "Only these rules: names, codes, prefixes of codes or ALL.")
    )
    extend_select: tuple[str, ...] = field(
        default=(), metadata=_as(kinds.RULES, "These rules too, besides the selected ones.")
    )
    ignore: tuple[str, ...] = field(
        default=(), metadata=_as(kinds.RULES, "Not these rules; a more exact `select` outweighs it.")
    )
    profile: str = field(
        default=Profile.DEFAULT.value,
        metadata=_as(kinds.choice(*Profile), "Rules to start from; `all` is strict, also in test files."),
    )
    per_file_ignores: PerFile = field(
        default=(), metadata=_as(kinds.RULES_BY_GLOB, "Rules that are off in the files a pattern matches.")
    )
    exclude: tuple[str, ...] = field(
        default=(), metadata=_as(kinds.GLOBS, "Files and folders to leave out, as in a .gitignore.")
    )
    tests: str = field(default="errors", metadata=_as(kinds.choice("errors", "all"), "Which findings test files get."))
    target_version: tuple[int, int] | None = field(
        default=None, metadata=_as(kinds.VERSION, "Oldest Python the code runs on; `requires-python` where unset.")
    )
    runtime_module: str | None = field(
        default=None, metadata=_as(kinds.DOTTED, "Where a vendored copy of safecall_lint.runtime is imported from.")
    )
    cache_dir: str | None = field(
        default=None,
        metadata=_as(kinds.PATH, "Where findings are kept from run to run; .safecall_lint_cache where unset."),
    )
    deployment: str | None = field(
        default=None,
        metadata=_as(
            kinds.choice("single", "multi"), "How many processes run; read from the project's manifests where unset."
        ),
    )


@dataclass(frozen=True, slots=True)
class Option:
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


def _option(one: Field[Any]) -> Option:
    kind: Kind = one.metadata.get("kind", kinds.DOTTED_NAMES)
    default: object = None if one.default is MISSING else one.default
    return Option(one.name, kind, default, one.metadata["help"])


OPTIONS: dict[str, Option] = {
    option.key: option
    for owner in (Settings, Declared)
    for option in (_option(one) for one in fields(owner) if "help" in one.metadata)
}
