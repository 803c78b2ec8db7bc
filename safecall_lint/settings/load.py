"""TOML -> `Settings`, and the place of a mistake in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace

from safecall_lint.declared import Declared
from safecall_lint.settings.kinds import BadValue, spelled_like
from safecall_lint.settings.model import Settings, options

PYPROJECT = "pyproject.toml"
OWN_FILE = "safecall-lint.toml"
_TABLE = "tool.safecall-lint"
_FLOOR = re.compile(r">=?\s*3\.(\d+)")
_TOML_LINE = re.compile(r" ?\(at line (\d+), column \d+\)")


class SettingsError(Exception):
    """A settings file that cannot be used: where, what, and the nearest valid name."""

    def __init__(self, path: Path, line: int, message: str, near: str | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.line = line
        self.message = message
        self.near = near


def read(path: Path) -> Settings | None:
    """The settings in a file; None for a pyproject.toml that has no table of ours.

    Raises:
        SettingsError: an unknown key, a bad value, or broken TOML.
    """
    text = _text(path)
    if path.name == PYPROJECT and "safecall-lint" not in text:
        return None
    document = _parse(path, text)
    tools = document.get("tool", {})
    table = tools.get("safecall-lint") if isinstance(tools, dict) else None
    if path.name == PYPROJECT and table is not None and not isinstance(table, dict):
        raise SettingsError(path, _line_of("safecall-lint", text), f"[{_TABLE}] is a table, not a value")
    if path.name == PYPROJECT and table is None:
        return None
    values = document if path.name != PYPROJECT else table or {}
    return _settings(path, text, values, _floor(document))


def _line_of(word: str, text: str) -> int:
    return text.count("\n", 0, text.find(word)) + 1


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise SettingsError(path, 1, f"the file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(path, 1, "the file is not valid UTF-8") from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    import tomli

    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        line = _TOML_LINE.search(str(error))
        message = f"the file is not valid TOML: {_TOML_LINE.sub('', str(error))}"
        raise SettingsError(path, int(line[1]) if line else text.count("\n") + 1, message) from None


def _settings(path: Path, text: str, table: dict[str, Any], floor: tuple[int, int] | None) -> Settings:
    values = {key: _value(path, text, key, raw) for key, raw in table.items()}
    known = options()
    named = {known[key].attribute: value for key, value in values.items()}
    declared = {name: named.pop(name) for name in Declared.__struct_fields__ if name in named}
    named.setdefault("target_version", floor)
    return replace(
        Settings(root=path.resolve().parent, origin=path),
        **cast("Any", named),
        declared=Declared(**cast("Any", declared)),
    )


def _value(path: Path, text: str, key: str, raw: object) -> object:
    option = options().get(key)
    if option is None:
        near = spelled_like(key, options())
        raise SettingsError(path, line_of(path, text, key), f"there is no setting `{key}`", near)
    try:
        return option.kind.read(raw)
    except BadValue as error:
        line = line_of(path, text, key, error.word)
        raise SettingsError(path, line, f"`{key}`: {error.message}", error.near) from None


def line_of(path: Path, text: str, key: str, word: str = "") -> int:
    """The line of a key, or of `word` in its value."""
    table = text.find(f"[{_TABLE}") if path.name == PYPROJECT else 0
    found = re.compile(rf"^(\[{_TABLE}\.)?[\"']?{re.escape(key)}[\"']?\s*[\]=.]", re.MULTILINE).search(
        text, max(table, 0)
    )
    offset = found.start() if found else max(table, 0)
    quoted = re.compile(rf"[\"']{re.escape(word)}[\"']").search(text, offset) if word else None
    return text.count("\n", 0, quoted.start() if quoted else offset) + 1


def _floor(document: dict[str, Any]) -> tuple[int, int] | None:
    floor = _FLOOR.search(str(document.get("project", {}).get("requires-python", "")))
    return (3, int(floor[1])) if floor else None
