"""Patterns are matched as pathspec matches them, also those that are compiled without it."""

from __future__ import annotations

from itertools import product

import pytest
from pathspec import GitIgnoreSpec

from safecall_lint.globs import globs

PATTERNS = (
    *("build/", "/site", "docs/_build/", "/build/", "gen/*", "**/gen", "**/gen/", "*", "/*", "a/*/b", "**/a/b", "a/**"),
    *("*.py[cod]", "*$py.class", ".env", "a?", "?.py", "x*y", "[._]a", "*.{a,b}", "a.b", ".idea/**/x", "\\#x"),
)
NAMES = ("build", "site", "docs", "_build", "a.pyc", "a$py.class", ".env", "ab", "a", "b", "gen", "xzy", "aXb", ".a")
PATHS = [
    *NAMES,
    *(f"{name}/" for name in NAMES),
    *(f"{one}/{two}{end}" for one, two in product(NAMES, NAMES) for end in ("", "/")),
    "a/gen/b",
    "a/x/b/c.py",
    ".idea/a/b/x",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_matches_what_pathspec_matches(pattern: str) -> None:
    known = GitIgnoreSpec.from_lines([pattern])
    mine = globs((pattern,))
    assert {path for path in PATHS if mine.verdict(path)} == set(known.match_files(PATHS))


def test_the_last_pattern_that_matches_decides() -> None:
    found = globs(("*.py", "!a.py", "", "# b.py", "gen/", "!gen/", "b.py"))
    verdicts = [found.verdict(path) for path in ("x.py", "a.py", "b.py", "gen/", "x.md")]
    assert verdicts == [True, False, True, False, None]
