"""Which files are worth parsing at all, decided on their bytes.

A file is, when it names a library that the knowledge tables know, or when it imports a first-party module that does:
a client or gate made there may be misused here. What is imported by a package's
`__init__`, or by a module with a star import, counts as imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from safecall_lint.knowledge import knowledge

if TYPE_CHECKING:
    from safecall_lint.semantics.project import Project
    from safecall_lint.source import Source

_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#;]*)|import[ \t]+([\w.,\t ]+))", re.MULTILINE
)
_NAME = re.compile(rb"[\w]+(?:[ \t]+as[ \t]+\w+)?")
_DEPTH = 2


class Triage:
    """Answers for the files of one project."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._hits: dict[str, bool] = {}

    @cached_property
    def trigger(self) -> re.Pattern[bytes]:
        """What a file must contain to matter by itself: a package of the tables, or a declared name."""
        declared = self.project.declared
        names = [*declared.clients, *declared.gates, *declared.limiters, *declared.retries, *declared.blocking]
        words = {*knowledge().packages, *(name.rpartition(".")[2] for name in names)}
        return re.compile(rb"\b(?:" + b"|".join(re.escape(word).encode() for word in sorted(words)) + rb")\b")

    def matters(self, source: Source) -> bool:
        """Whether a file can have findings."""
        if self.trigger.search(source.utf8):
            return True
        file = self.project.absolute(source.path)
        return any(self._leads(imported, _DEPTH) for imported in self._imported(source.utf8, file))

    def _leads(self, file: str, depth: int) -> bool:
        """Whether importing a module can bring in something that matters."""
        if file not in self._hits:
            text = self._bytes(file)
            self._hits[file] = bool(self.trigger.search(text))
            if not self._hits[file] and depth and (file.endswith("__init__.py") or b"import *" in text):
                self._hits[file] = any(self._leads(inner, depth - 1) for inner in self._imported(text, file))
        return self._hits[file]

    def _bytes(self, file: str) -> bytes:
        return self.project.raw(file) or b""

    def _imported(self, text: bytes, file: str) -> Iterator[str]:
        """The files of the first-party modules that a file's import statements may load."""
        seen: set[str] = set()
        for match in _IMPORT.finditer(text):
            base, names, plain = (part.decode("utf-8", "replace") if part else "" for part in match.groups())
            targets = [part.split(" as ")[0].strip() for part in plain.split(",")] if plain else [base]
            joint = "" if base.endswith(".") else "."
            if base:
                targets += [f"{base}{joint}{_first(name)}" for name in _NAME.findall(names.encode())]
            for target in targets:
                found = self.project.locate(target, file) if target.strip(".") or target else None
                if found and found not in seen:
                    self.project.trail.link(f"t{file}", f"t{found}")
                    seen.add(found)
                    yield found


def _first(name: bytes) -> str:
    return name.split()[0].decode("utf-8", "replace")
