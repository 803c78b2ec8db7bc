"""The code of a project as plain text: which of its files have what a regular expression finds. Tests are left out."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable

from msgspec import Struct, field

from safecall_lint.trail import NUL, Counts, Lister, Searched, Trail, walk

_SKIPPED = r"node_modules|site-packages|venv|env|build|dist|__pycache__"
CODE = rf"(?!\.|(?:{_SKIPPED})/)[^/]+/|[^/]+\.py"
MAX_BYTES = 2_000_000
_TESTS = re.compile(r"(?:^|/)(?:tests?|testing|conftest\.py|test_[^/]*\.py|[^/]*_test\.py)(?:/|$)")
_MAX_FILES = 6000
Known = dict[str, dict[str, Counts]]


class Texts(Struct, eq=False):
    """Searches below a folder. `read` gives a file's bytes, `beside` are files that are there besides those on disk;
    `known` are answers, by folder and by search, that still hold from an earlier run."""

    trail: Trail
    read: Callable[[str], bytes | None]
    beside: Iterable[str] = ()
    known: Known = field(default_factory=dict)
    _texts: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def having(self, top: str, word: str, pattern: str) -> Counts:
        """The files that have what a pattern finds, each with how often. All that it finds has `word` in it."""
        search = word + NUL + pattern
        known = self.known.setdefault(top, {})
        if search not in known:
            texts = self._below(top)
            counts = {file: count_in(text, word, pattern) for file, text in texts.items()}
            known[search] = {file: count for file, count in counts.items() if count}
            if self.trail.kept:
                self.trail.searched.setdefault(top, Searched()).answers[search] = known[search]
        return known[search]

    def _below(self, top: str) -> dict[str, bytes]:
        if top not in self._texts:
            files = code_files(top, self.trail.listing, self.beside)
            self._texts[top] = {file: self.read(file) or b"" for file in files}
            if self.trail.kept:
                stamps = {file: self.trail.contents[file] for file in files}
                self.trail.searched.setdefault(top, Searched()).stamps = stamps
        return self._texts[top]


def code_files(top: str, listing: Lister, beside: Iterable[str] = ()) -> list[str]:
    """The code below a folder, none where that is too much to be searched."""
    found = [file for file in beside if file.startswith(top + os.sep)]
    for folder, names in walk(top, CODE, listing):
        found += [f"{folder}/{name}" for name in names if not name.endswith("/")]
    found = [file for file in dict.fromkeys(found) if not _TESTS.search(file, len(top))]
    return found if len(found) <= _MAX_FILES else []


def count_in(text: bytes, word: str, pattern: str) -> int:
    """How often a pattern is found in a text; it is only searched for where its word is there."""
    if word.encode() not in text:
        return 0
    return len(re.findall(pattern.encode(), text))
