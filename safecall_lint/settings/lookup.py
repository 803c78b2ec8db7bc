"""Which settings a file has: those of the nearest settings file above it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct, field

from safecall_lint.settings.load import OWN_FILE, PYPROJECT, read
from safecall_lint.settings.model import Settings

_ROOT_MARKS = (PYPROJECT, "setup.cfg", "setup.py", ".git")


class Lookup(Struct, eq=False):
    """Finds settings by folder, each folder once. `fixed` holds for every file where it is given; `adjust` adds what
    the command line says."""

    fixed: Settings | None = None
    isolated: bool = False
    adjust: Callable[[Settings], Settings] = lambda settings: settings
    _seen: dict[Path, Settings | None] = field(default_factory=dict)
    _roots: dict[Path, Path | None] = field(default_factory=dict)
    _adjusted: dict[Path, Settings] = field(default_factory=dict)

    def of(self, folder: Path) -> Settings:
        """The settings of the files in `folder`.

        Raises:
            SettingsError: the nearest settings file cannot be used.
        """
        found = self.fixed or (None if self.isolated else self._nearest(folder))
        place = (found.origin or found.root) if found else self._root(folder)
        if place not in self._adjusted:
            self._adjusted[place] = self.adjust(found or Settings(root=place))
        return self._adjusted[place]

    def _nearest(self, folder: Path) -> Settings | None:
        if folder not in self._seen:
            self._seen[folder] = _in(folder) or (self._nearest(folder.parent) if folder.parent != folder else None)
        return self._seen[folder]

    def _root(self, folder: Path) -> Path:
        """The folder that a project without settings starts from: the nearest one that a build file or git marks, or
        the working directory."""
        here = Path.cwd()
        return self._marked(folder) or (here if here in folder.parents else folder)

    def _marked(self, folder: Path) -> Path | None:
        if folder not in self._roots:
            marked = any(os.path.exists(f"{folder}/{mark}") for mark in _ROOT_MARKS)
            above = folder.parent
            self._roots[folder] = folder if marked else self._marked(above) if above != folder else None
        return self._roots[folder]


def _in(folder: Path) -> Settings | None:
    own = folder / OWN_FILE
    if own.is_file():
        return read(own)
    pyproject = folder / PYPROJECT
    return read(pyproject) if pyproject.is_file() else None
