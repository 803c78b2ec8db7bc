"""Where an import leads: the file of the repository that a dotted name means for the file that imports it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct, field

from safecall_lint.semantics.siblings import Siblings

if TYPE_CHECKING:
    from safecall_lint.source import Source
    from safecall_lint.trail import Trail

_MARKERS = (".git", "pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "safecall-lint.toml")
_MAX_DEPTH = 12
Place = tuple[str, str]


class Places(Struct, eq=False, dict=True):
    """What stands where, each path looked at once. `overlay` are files that are there besides those on disk."""

    trail: Trail
    overlay: Mapping[str, Source]
    _roots: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _tops: dict[str, tuple[str, bool]] = field(default_factory=dict)
    _kinds: dict[str, str] = field(default_factory=dict)

    @cached_property
    def siblings(self) -> Siblings:
        """The other projects of the repository."""
        return Siblings(self.trail, self.descend)

    def find(self, target: str, importer: str) -> Place | None:
        """An import target -> the file it means and the rest of the dotted name inside it, where the repository has
        it. What lies above the importing file is looked at before other projects."""
        level = len(target) - len(target.lstrip("."))
        parts = [part for part in target[level:].split(".") if part]
        if level:
            folder = importer
            for _ in range(level):
                folder = os.path.dirname(folder)
            return self.descend(folder, parts)
        if not parts:
            return None
        for root in self.roots(importer):
            if self.is_file(f"{root}/{parts[0]}.py") or self._is_folder(f"{root}/{parts[0]}"):
                found = self.descend(root, parts)
                if found:
                    return found
        top, marked = self._boundary(os.path.dirname(importer))
        return self.siblings.find(parts, importer, top) if marked else None

    def descend(self, folder: str, parts: list[str]) -> Place | None:
        """Follow a dotted name down from a folder: the file it ends in and what is left of the name. As in Python, a
        package hides a module of its name, and the module a folder without `__init__.py`."""
        for index, part in enumerate(parts):
            inner = f"{folder}/{part}"
            file = f"{inner}.py"
            if self.is_file(file) and not self.is_file(f"{inner}/__init__.py"):
                return file, ".".join(parts[index + 1 :])
            if not self._is_folder(inner):
                return self._package(folder, ".".join(parts[index:]))
            folder = inner
        return self._package(folder, "")

    def _package(self, folder: str, rest: str) -> Place | None:
        file = f"{folder}/__init__.py"
        return (file, rest) if self.is_file(file) else None

    def top(self, file: str) -> str:
        """The highest folder of the project that a file belongs to."""
        return self._boundary(os.path.dirname(file))[0]

    def roots(self, file: str) -> tuple[str, ...]:
        """Folders at or above a file that its imports may start from, nearest first."""
        folder = os.path.dirname(file)
        if folder not in self._roots:
            self._roots[folder] = tuple(self._search(folder))
        return self._roots[folder]

    def _search(self, folder: str) -> Iterator[str]:
        top = self._boundary(folder)[0]
        current = folder
        for _ in range(_MAX_DEPTH):
            if not self.is_file(f"{current}/__init__.py"):
                yield current
                if self._is_folder(f"{current}/src"):
                    yield f"{current}/src"
            if current == top or os.path.dirname(current) == current:
                return
            current = os.path.dirname(current)

    def _boundary(self, folder: str) -> tuple[str, bool]:
        """The highest folder that still belongs to the project: a repository's top, else the highest with a marker,
        else the first that is no package; and whether there is a marker."""
        if folder not in self._tops:
            self._tops[folder] = self._climbed(folder)
        return self._tops[folder]

    def _climbed(self, folder: str) -> tuple[str, bool]:
        highest, plain, current = "", "", folder
        for _ in range(_MAX_DEPTH):
            if any(self.is_there(f"{current}/{marker}") for marker in _MARKERS):
                highest = current
            if self.is_there(f"{current}/.git"):
                return current, True
            if not plain and not self.is_file(f"{current}/__init__.py"):
                plain = current
            parent = os.path.dirname(current)
            if parent == current:
                break
            current = parent
        return highest or plain or folder, bool(highest)

    def is_there(self, path: str) -> bool:
        """Whether anything stands at a path."""
        return self._kind(path) != "-"

    def is_file(self, path: str) -> bool:
        """Whether a regular file, or one that stands in for it, is at a path."""
        return path in self.overlay or self._kind(path) == "f"

    def _is_folder(self, path: str) -> bool:
        return self._kind(path) == "d" or any(name.startswith(path + os.sep) for name in self.overlay)

    def _kind(self, path: str) -> str:
        known = self._kinds.get(path)
        if known is None:
            known = self._kinds[path] = self.trail.kind(path)
        return known
