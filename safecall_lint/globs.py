"""Paths matched the way a .gitignore matches them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from pathlib import Path

from msgspec import Struct

_PART = r"(?:[\w.,$+@~%=*? -]|\[[\w.-]+\])+"
_PLAIN = re.compile(rf"!?(?:\*\*/{_PART}|/?{_PART}(?:/{_PART})*)/?")
"""A pattern without escapes, and with `**` at most at its beginning."""
_WILD = {"*": "[^/]*", "?": "[^/]"}


class Globs(Struct, frozen=True):
    """Patterns under `base`. Paths are given relative to it, with `/`, and a folder's ends in `/`. Each expression
    stands for some patterns in a row, with whether they leave out or keep."""

    rows: tuple[tuple[re.Pattern[str], bool], ...]

    def verdict(self, path: str) -> bool | None:
        """Whether the last pattern that matches says so: True to leave out, False to keep, None for no opinion."""
        return next((leave_out for pattern, leave_out in reversed(self.rows) if pattern.search(path)), None)


@cache
def globs(lines: tuple[str, ...]) -> Globs:
    """Compile patterns. Most are plain, and one expression is made here of all those in a row: pathspec compiles each
    by itself, which for a usual .gitignore takes half as long as a run with nothing to do."""
    kept = [line.rstrip() for line in lines if line.strip() and not line.startswith("#")]
    rows: list[tuple[re.Pattern[str], bool]] = []
    for (plain, keeps), some in groupby(kept, lambda line: (_is_plain(line), line.startswith("!"))):
        if plain:
            rows.append((re.compile("|".join(dict.fromkeys(map(_expression, some)))), not keeps))
        else:
            rows += _exact(list(some))
    return Globs(tuple(rows))


def ignore_file(path: Path) -> Globs | None:
    """The patterns of a .gitignore, or None where there is none to read."""
    try:
        return globs(tuple(path.read_text("utf-8", "replace").splitlines()))
    except OSError:
        return None


def _is_plain(pattern: str) -> bool:
    return _PLAIN.fullmatch(pattern) is not None and "**" not in pattern.removeprefix("!").removeprefix("**/")


def _expression(pattern: str) -> str:
    """A plain pattern as an expression: one with a slash before its end starts at the top."""
    spelled = pattern.removeprefix("!")
    name = spelled.removeprefix("**/")
    start = "^" if "/" in name[:-1] and name == spelled else "(?:^|/)"
    parts = "/".join(map(_part, name.strip("/").split("/")))
    return f"{start}{parts}{'/' if name.endswith('/') else '(?:/|$)'}"


def _part(part: str) -> str:
    if part == "*":
        return "[^/]+"
    return "".join(
        piece if piece[0] == "[" else _WILD.get(piece) or re.escape(piece) for piece in re.findall(r"\[.*?\]|.", part)
    )


def _exact(lines: list[str]) -> Iterator[tuple[re.Pattern[str], bool]]:
    from pathspec import GitIgnoreSpec

    for one in GitIgnoreSpec.from_lines(lines).patterns:
        if one.regex is not None and one.include is not None:
            yield one.regex, one.include
