"""What the folders of one repository offer to be imported from elsewhere in it: packages and modules by dotted name.

A project of its own (a folder with a `pyproject.toml` or the like) and a `src` folder are roots, and what lies below
them is offered by its whole name, so that a namespace can be spread over several. Outside of those a folder offers the
packages in it, because it may be on the path.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

from safecall_lint.trail import Lister

_SKIPPED = (
    "node_modules|site-packages|venv|env|build|dist|__pycache__|tests?|testing|docs?|examples?|samples?|cookbook|"
    "templates?|static|assets|vendor|third_party"
)
_NAMES = rf"(?!\.|(?:{_SKIPPED})/)[^/]+/|(?!conftest\.|test_)[^/]+\.py|pyproject\.toml|setup\.cfg|requirements\.txt"
_NAMES += r"|package\.json"
_PROJECT = frozenset(("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt"))
_SOURCES = "src"
_MOST_FOLDERS = 600
_DEEPEST = 6
Offer = str
"""A dotted name and the folder that an import of it starts from, with a space between: a name has none."""


class Packages(Struct, frozen=True, dict=True):
    """The offers below a folder, found when they are first asked for: from above, in a bounded number of folders."""

    top: str
    listing: Lister

    def of(self, first: str) -> tuple[Offer, ...]:
        """The offers whose names begin with a word."""
        return self._offers.get(first, ())

    @cached_property
    def _offers(self) -> dict[str, tuple[Offer, ...]]:
        found: dict[str, list[Offer]] = {}
        for path, root in self._found():
            first, *rest = path[len(root) + 1 :].split("/")
            found.setdefault(first, []).append(f"{'.'.join((first, *rest))} {root}")
        return {first: tuple(sorted(offers)) for first, offers in found.items()}

    def _found(self) -> Iterator[tuple[str, str]]:
        """Each offer's path and root."""
        pending = [(self.top, "", 0)]
        for folder, above, depth in pending:
            names = self.listing(folder, _NAMES)
            if depth and "__init__.py" in names:
                yield folder, above or os.path.dirname(folder)
                continue
            is_root = os.path.basename(folder) == _SOURCES or not _PROJECT.isdisjoint(names)
            if depth and not is_root and "package.json" in names:
                continue
            root = folder if depth and is_root else above
            for name in names if depth else ():
                if name.endswith(".py") and name != "setup.py":
                    yield f"{folder}/{name[:-3]}", root or os.path.dirname(folder)
            if depth < _DEEPEST:
                pending += [(f"{folder}/{name[:-1]}", root, depth + 1) for name in names if name.endswith("/")]
                del pending[_MOST_FOLDERS:]
