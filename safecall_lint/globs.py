"""Paths matched the way a .gitignore matches them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from msgspec import Struct


class Globs(Struct, frozen=True):
    """Patterns under `base`. Paths are given relative to it, with `/`, and a folder's ends in `/`.

    `rough` matches whatever any pattern matches: one search clears most paths, and only the rest asks each pattern.
    """

    rough: re.Pattern[str] | None
    exact: tuple[tuple[re.Pattern[str], bool], ...]

    def verdict(self, path: str) -> bool | None:
        """Whether the last pattern that matches says so: True to leave out, False to keep, None for no opinion."""
        if self.rough is None or not self.rough.search(path):
            return None
        return next((leave_out for pattern, leave_out in reversed(self.exact) if pattern.search(path)), None)


@cache
def globs(lines: tuple[str, ...]) -> Globs:
    """Compile patterns."""
    if not any(line.strip() and not line.startswith("#") for line in lines):
        return Globs(None, ())
    from pathspec import GitIgnoreSpec

    patterns = GitIgnoreSpec.from_lines(lines).patterns
    exact = tuple((one.regex, one.include) for one in patterns if one.regex is not None and one.include is not None)
    return Globs(_union(pattern.pattern for pattern, _ in exact), exact)


def ignore_file(path: Path) -> Globs | None:
    """The patterns of a .gitignore, or None where there is none to read."""
    try:
        return globs(tuple(path.read_text("utf-8", "replace").splitlines()))
    except OSError:
        return None


def _union(patterns: Iterable[str]) -> re.Pattern[str]:
    named_group = re.compile(r"\(\?P<\w+>")
    return re.compile("|".join(f"(?:{named_group.sub('(?:', pattern)})" for pattern in patterns))
