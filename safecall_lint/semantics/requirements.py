"""Which versions of a library the project's own files ask for: lock files, requirement files, project tables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct, field

from safecall_lint.trail import NUL

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Module
    from safecall_lint.semantics.project import Project

_LOCKS = ("uv.lock", "poetry.lock", "pdm.lock")
_FILES = ("pyproject.toml", "setup.py", "setup.cfg", "Pipfile")
_NAMES = rf"{'|'.join(map(re.escape, _LOCKS + _FILES))}|(?:requirements|constraints)[^/]*\.(?:txt|in)"
_MAX_BYTES = 5_000_000


class Requirements(Struct, eq=False):
    """Answers from the files between a module and the top of its project."""

    project: Project
    _texts: dict[str, tuple[str, bool]] = field(default_factory=dict)
    _listed: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def below(self, package: str, version: str, module: Module) -> bool:
        """Whether the project pins a package below a version; a lock file decides before a range does."""
        limit = _parts(version)
        texts = list(self._around(module))
        locked = [found for text, lock in texts if lock for found in _locked(package, text)]
        if locked:
            return all(found < limit for found in locked)
        return any(_capped(spec, limit) for text, _ in texts for spec in _specs(package, text))

    def asks(self, packages: Iterable[str], module: Module) -> bool:
        """Whether the project asks for one of some packages, in whatever version."""
        texts = list(self._around(module))
        return any(_specs(package, text) for package in packages for text, _ in texts)

    def _around(self, module: Module) -> Iterator[tuple[str, bool]]:
        """The texts of the files, and whether each is a lock file."""
        top = self.project.top(module.file)
        folder = os.path.dirname(module.file)
        while folder.startswith(top):
            for name in self._names(folder, module):
                path = os.path.join(folder, name)
                self.project.trail.link(f"m{module.file}", f"c{path}")
                if path not in self._texts:
                    self._texts[path] = (self._read(path), name in _LOCKS)
                yield self._texts[path]
            if folder == top or os.path.dirname(folder) == folder:
                return
            folder = os.path.dirname(folder)

    def _names(self, folder: str, module: Module) -> tuple[str, ...]:
        self.project.trail.link(f"m{module.file}", f"l{folder}{NUL}{_NAMES}")
        if folder not in self._listed:
            self._listed[folder] = self.project.trail.listing(folder, _NAMES)
        return self._listed[folder]

    def _read(self, path: str) -> str:
        return (self.project.trail.read(path, _MAX_BYTES) or b"").decode("utf-8", "replace")


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _locked(package: str, text: str) -> list[tuple[int, ...]]:
    found = re.findall(rf'^name = "{re.escape(package)}"\nversion = "([^"]+)"', text, re.MULTILINE)
    return [_parts(version) for version in found]


def _specs(package: str, text: str) -> list[str]:
    """The version ranges that follow a package's name: `anthropic[x]>=0.3,<1`, `anthropic = "^0.40"`."""
    name = re.escape(package)
    plain = rf"(?<![\w./-]){name}(?:\[[^\]]*\])?\s*((?:[<>=!~]=?=?)\s*\d[^\"'#;\n]*)"
    table = rf"^{name}\s*=\s*(?:\{{[^\n]*version\s*=\s*)?[\"']([^\"'\n]+)[\"']"
    return [*re.findall(plain, text), *re.findall(table, text, re.MULTILINE)]


def _capped(spec: str, limit: tuple[int, ...]) -> bool:
    """Whether a range admits nothing from a version on."""
    for sign, version in re.findall(r"(===?|~=|<=|<|\^|~)?\s*(\d[\w.]*)", spec.replace(">=", "@").replace(">", "@")):
        parts = _parts(version)
        if (sign == "<" and parts <= limit) or (sign in ("==", "===", "~=", "<=", "^", "~") and parts < limit):
            return True
    return False
