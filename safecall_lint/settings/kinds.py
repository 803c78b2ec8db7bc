"""What a setting's value can be: how it is read from TOML, and how the JSON schema says it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import cast

from msgspec import Struct

from safecall_lint.rulebook import find, nearest

Json = dict[str, object]
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_VERSION = re.compile(r"3\.(\d+)")


class BadValue(Exception):
    """A value that a setting cannot have. `word` is the part of it that is wrong, to find its line."""

    def __init__(self, message: str, word: str = "", near: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.word = word
        self.near = near


class Kind(Struct, frozen=True):
    """`read` turns a TOML value into the setting's value or raises `BadValue`; `schema` says the same in JSON."""

    read: Callable[[object], object]
    schema: Json


def spelled_like(word: str, known: Iterable[str]) -> str | None:
    """The known word that is spelled most like `word`."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, list(known), n=1)), None)


def choice(*words: str) -> Kind:
    """One of a few words."""

    def read(value: object) -> object:
        if value in words:
            return value
        known = ", ".join(f'"{word}"' for word in words)
        raise BadValue(f"{value!r} is none of {known}", str(value), spelled_like(str(value), words))

    return Kind(read, {"enum": list(words)})


def _strings(value: object) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(item, str) for item in cast("list[object]", value)):
        return tuple(cast("list[str]", value))
    raise BadValue(f"{value!r} is not a list of strings")


def _rules(value: object) -> tuple[str, ...]:
    words = _strings(value)
    for word in words:
        if not find(word):
            raise BadValue(f'no rule has the name, code or prefix "{word}"', word, nearest(word))
    return words


def _dotted(value: object) -> str:
    if isinstance(value, str) and _DOTTED.fullmatch(value):
        return value
    raise BadValue(f"{value!r} is not a dotted name such as app.http.get_client", str(value))


def _dotted_names(value: object) -> tuple[str, ...]:
    return tuple(_dotted(word) for word in _strings(value))


def _rules_by_glob(value: object) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not isinstance(value, dict):
        raise BadValue(f"{value!r} is not a table of pattern to rules")
    table = cast("dict[str, object]", value)
    return tuple((pattern, _rules(rules)) for pattern, rules in table.items())


def _version(value: object) -> tuple[int, int]:
    match = _VERSION.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise BadValue(f'{value!r} is not a version such as "3.11"', str(value))
    return 3, int(match[1])


def _path(value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise BadValue(f"{value!r} is not a path", str(value))


_LIST: Json = {"type": "array", "items": {"type": "string"}}

PATH = Kind(_path, {"type": "string"})
GLOBS = Kind(_strings, _LIST)
RULES = Kind(_rules, _LIST)
DOTTED = Kind(_dotted, {"type": "string", "pattern": _DOTTED.pattern})
DOTTED_NAMES = Kind(_dotted_names, {"type": "array", "items": DOTTED.schema})
RULES_BY_GLOB = Kind(_rules_by_glob, {"type": "object", "additionalProperties": _LIST})
VERSION = Kind(_version, {"type": "string", "pattern": _VERSION.pattern})
