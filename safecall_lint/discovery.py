"""Paths of the command line -> the files to lint, each with the settings that hold for it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from safecall_lint.globs import Globs, globs, ignore_file
from safecall_lint.settings import Lookup, Settings

NEVER_SEARCHED = {
    *(".git", ".hg", ".svn", ".tox", ".nox", ".venv", "venv", ".eggs", "node_modules", "site-packages"),
    *("__pycache__", "__pypackages__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".ipynb_checkpoints"),
    ".safecall_lint_cache",
}
_SUFFIXES = (".py", ".pyw")


class MissingPath(Exception):
    """A path of the command line that is not there."""


class Target(Struct, frozen=True):
    """A file to lint. `path` is how it is printed: relative to the working directory where it lies below it."""

    path: str
    settings: Settings


class Discovered(Struct, frozen=True):
    """`skipped` are files that were named and that `exclude` leaves out; `unreadable` are folders with the reason why
    they could not be searched."""

    targets: tuple[Target, ...]
    skipped: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]


def discover(paths: Iterable[str], lookup: Lookup) -> Discovered:
    """The files under `paths`, each once, in the order of their names.

    A folder is searched for Python files that neither .gitignore nor `exclude` leaves out. A file that is named itself
    is linted whatever its suffix and .gitignore say; `exclude` still holds, so that a hook that passes changed files
    gives the same verdict as a run on the whole tree.

    Raises:
        MissingPath: a path is not there.
        SettingsError: a settings file cannot be used.
    """
    search = _Search(lookup)
    for path in paths:
        if not os.path.lexists(path):
            raise MissingPath(path)
        absolute = os.path.abspath(path)
        if os.path.isdir(absolute):
            search.folder(absolute)
        else:
            search.file(absolute)
    targets = sorted(search.found.values(), key=lambda target: target.path)
    return Discovered(tuple(targets), tuple(search.skipped), tuple(search.unreadable))


def printed(absolute: str) -> str:
    """The path as messages show it."""
    here = os.path.join(os.getcwd(), "")
    return (absolute.removeprefix(here) if absolute.startswith(here) else absolute).replace(os.sep, "/")


def excluded(absolute: str, settings: Settings) -> bool:
    """Whether `exclude` leaves a path out; a folder's ends in a separator."""
    root = os.path.join(settings.root, "")
    if not absolute.startswith(root):
        return False
    return bool(globs(settings.exclude).verdict(absolute[len(root) :].replace(os.sep, "/")))


class _Ignored(Struct, frozen=True):
    """The .gitignore files that hold in a folder, the nearest first, each with the folder it stands in."""

    files: tuple[tuple[str, Globs], ...] = ()

    def below(self, folder: str, ignore: Globs | None) -> _Ignored:
        return replace(self, files=((os.path.join(folder, ""), ignore), *self.files)) if ignore else self

    def leaves_out(self, path: str) -> bool:
        verdicts = (ignore.verdict(path[len(base) :].replace(os.sep, "/")) for base, ignore in self.files)
        return next((verdict for verdict in verdicts if verdict is not None), False)


class _Search(Struct):
    lookup: Lookup
    found: dict[str, Target] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)

    def file(self, path: str) -> None:
        """A file that was named."""
        settings = self.lookup.of(Path(path).parent)
        if excluded(path, settings):
            self.skipped.append(printed(path))
        else:
            self.found[path] = Target(printed(path), settings)

    def folder(self, path: str) -> None:
        """A folder and the folders in it."""
        pending = [(path, _ignored_above(path))]
        while pending:
            current, ignored = pending.pop()
            try:
                folders, files = _entries(current)
            except OSError as error:
                self.unreadable.append((printed(current), error.strerror or str(error)))
                continue
            if ".gitignore" in files:
                ignored = ignored.below(current, ignore_file(Path(current, ".gitignore")))
            pending += [(one, ignored) for one in self._kept(current, folders, files, ignored)]

    def _kept(self, current: str, folders: list[str], files: list[str], ignored: _Ignored) -> list[str]:
        """Take in the files of one folder; give the folders to go on with."""
        settings = self.lookup.of(Path(current))
        for name in files:
            path = os.path.join(current, name)
            if name.endswith(_SUFFIXES) and not ignored.leaves_out(path) and not excluded(path, settings):
                self.found[path] = Target(printed(path), settings)
        below = [os.path.join(current, name) for name in folders if name not in NEVER_SEARCHED]
        return [
            path
            for path in below
            if not ignored.leaves_out(f"{path}/") and not excluded(f"{path}{os.sep}", settings) and not _is_venv(path)
        ]


def _entries(folder: str) -> tuple[list[str], list[str]]:
    """Names of the folders and files. A link to a folder is neither: following it could go round in a circle."""
    folders: list[str] = []
    files: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif not entry.is_symlink() or os.path.isfile(entry.path):
                files.append(entry.name)
    return folders, files


def _is_venv(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "pyvenv.cfg"))


def _ignored_above(folder: str) -> _Ignored:
    """The .gitignore files above a folder, up to the root of its repository."""
    above = Path(folder).parents
    root = next((one for one in (Path(folder), *above) if (one / ".git").exists()), None)
    if root is None:
        return _Ignored()
    inside = [one for one in reversed(above) if one == root or root in one.parents]
    ignored = _Ignored().below(str(root), ignore_file(root / ".git" / "info" / "exclude"))
    for one in inside:
        ignored = ignored.below(str(one), ignore_file(one / ".gitignore"))
    return ignored
