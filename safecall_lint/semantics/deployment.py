"""How many processes a project runs, read from its own files: manifests, Helm values, compose, Dockerfiles, Procfiles,
gunicorn settings.

Nothing is read before a rule asks, and then no more than a bounded part of the repository around the asking file.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING

from msgspec import Struct, field

from safecall_lint.semantics.manifests import NAMES, reader_of
from safecall_lint.semantics.model import Module
from safecall_lint.semantics.starts import JOBS, Row
from safecall_lint.semantics.values import Site
from safecall_lint.source import Source, SourceError
from safecall_lint.trail import NUL, walk

if TYPE_CHECKING:
    from safecall_lint.semantics.project import Project

_UNITS = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt")
_SKIPPED = "node_modules|site-packages|venv|__pycache__|tests|test|build|dist|examples|example|samples"
_WALKED = rf"(?!\.|(?:{_SKIPPED})/)[^/]+/|{NAMES}"
_MAX_FOLDERS = 1500
_MAX_FILES = 500
_MAX_BYTES = 200_000
_MAX_DEPTH = 8
_HINT = re.compile(
    rb"replicas|Replicas|replicaCount|workers|WEB_CONCURRENCY|gunicorn|uvicorn|\s-w[ =\"',]|scale:|ReplicaCount"
)


class Evidence(Struct, frozen=True):
    """A line that says how many processes run: at least 2."""

    file: str
    text: str
    row: Row
    site: Site

    @property
    def says(self) -> str:
        if JOBS.search(self.text):
            return "a worker beside the web server"
        number = f"{self.row.bound} {self.row.number}".lstrip()
        return f"{number} pods" if self.row.pods else f"{number} workers each"


class Processes(Struct, frozen=True):
    """How many processes run a file's code. `count` is None where the settings say "multi" and no file a number;
    `fixed` whether it is that many wherever the files are used."""

    count: int | None
    evidence: tuple[Evidence, ...]
    fixed: bool = False


def _size(found: Evidence) -> int:
    return found.row.number


class Deployment(Struct, eq=False):
    """Answers how many processes run the code of a file."""

    project: Project
    _known: dict[str, list[Evidence]] = field(default_factory=dict)

    def of(self, file: str) -> Processes | None:
        """The processes that run a file's code, None where nothing says that there are several."""
        if self.project.deployment == "single":
            return None
        root = self._repository(file)
        self.project.trail.link(f"m{file}", f"d{root}")
        if root not in self._known:
            self._known[root] = list(self._search(root))
        rows = [row for row in self._known[root] if self._applies(row.file, file, root)]
        pods = max((row for row in rows if row.row.pods), key=_size, default=None)
        workers = max((row for row in rows if not row.row.pods), key=_size, default=None)
        found = tuple(row for row in (pods, workers) if row)
        if not found:
            return Processes(None, ()) if self.project.deployment == "multi" else None
        return Processes(prod(map(_size, found)), found, not any(row.row.bound for row in rows))

    def _search(self, root: str) -> Iterator[Evidence]:
        for file in self._files(root):
            reader = reader_of(os.path.basename(file))
            self.project.trail.link(f"d{root}", f"c{file}")
            text = self._text(file)
            if text:
                for row in reader(text, self.project.shown(file)):
                    if row.number > 1:
                        yield self._evidence(file, text, row)

    def _evidence(self, file: str, text: str, row: Row) -> Evidence:
        source, line = Source.from_bytes(self.project.shown(file), text.encode()), row.line
        content = text.splitlines()[line - 1] if line <= len(text.splitlines()) else ""
        start = len(content) - len(content.lstrip())
        node = ast.Pass(lineno=line, col_offset=start, end_lineno=line, end_col_offset=len(content.rstrip().encode()))
        module = Module(source, ast.Module([], []), file)
        return Evidence(file, content.strip(), row, Site(module, node))

    # -- which files ---------------------------------------------------------------------------------------------

    def _repository(self, file: str) -> str:
        """The folder of the repository that a file stands in."""
        highest, current = os.path.dirname(file), os.path.dirname(file)
        for _ in range(2 * _MAX_DEPTH):
            if self.project.is_there(f"{current}/.git"):
                return current
            if self._is_unit(current):
                highest = current
            parent = os.path.dirname(current)
            if parent == current:
                break
            current = parent
        return highest

    def _is_unit(self, folder: str) -> bool:
        return any(self.project.is_there(f"{folder}/{name}") for name in _UNITS)

    def _applies(self, manifest: str, file: str, root: str) -> bool:
        """Whether a manifest is about a file: the nearest folder above the manifest that is a unit of its own holds
        it."""
        folder = os.path.dirname(manifest)
        while len(folder) > len(root) and not self._is_unit(folder):
            folder = os.path.dirname(folder)
        return file.startswith(folder + os.sep)

    def _files(self, root: str) -> Iterator[str]:
        """The files of a repository that may tell, in a fixed order and bounded number."""
        files = 0
        for folders, (folder, names) in enumerate(walk(root, _WALKED, self.project.trail.listing, _MAX_DEPTH)):
            self.project.trail.link(f"d{root}", f"l{folder}{NUL}{_WALKED}")
            here = [name for name in names if not name.endswith("/")]
            files += len(here)
            yield from (f"{folder}/{name}" for name in here)
            if folders >= _MAX_FOLDERS or files >= _MAX_FILES:
                return

    def _text(self, file: str) -> str:
        raw = self.project.trail.read(file, _MAX_BYTES) or b""
        try:
            return Source.from_bytes(file, raw).text if _HINT.search(raw) else ""
        except SourceError:
            return ""
