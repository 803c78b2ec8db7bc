"""The project around a file: which first-party module an import means, read from disk only when asked for."""

from __future__ import annotations

import ast
import gc
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from weakref import WeakSet, WeakValueDictionary

from msgspec import Struct, field

from safecall_lint.declared import Declared
from safecall_lint.semantics.model import Module
from safecall_lint.semantics.places import Places
from safecall_lint.source import Source, SourceError
from safecall_lint.texts import MAX_BYTES, Known, Texts
from safecall_lint.trail import NUL, Counts, Trail

RUNTIME = "safecall_lint.runtime"
_HEAVY = 3_000_000


_HELD: WeakSet[Project] = WeakSet()
_SHARED: WeakValueDictionary[str, Module] = WeakValueDictionary()


def heavy() -> bool:
    """Whether the modules in memory weigh too much: their trees take some fifty times as much as their texts."""
    return sum(project.weight for project in _HELD) > _HEAVY


def forget() -> None:
    """Let go of the modules of every project. Their trees are full of cycles, so they are collected here: a linter's
    process runs better with the collector off in between."""
    for project in _HELD:
        project.forget()
    gc.collect()


class SyntaxProblem(Exception):
    """A file that does not parse. `line` and `column` are 1-based."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


def parse(source: Source) -> ast.Module:
    """`ast.parse` with every failure that a hostile file can cause turned into `SyntaxProblem`."""
    try:
        return ast.parse(source.text)
    except SyntaxError as error:
        raise SyntaxProblem(error.msg or "invalid syntax", error.lineno or 1, error.offset or 1) from None
    except (RecursionError, MemoryError):
        raise SyntaxProblem("the code is nested too deeply to be read", 1, 1) from None
    except ValueError as error:
        raise SyntaxProblem(str(error), 1, 1) from None


class Project(Struct, eq=False, dict=True, weakref=True):
    """First-party modules by file, and what the settings say of the project. `overlay` maps absolute paths to texts
    that stand in for what is on disk; `deployment` is "single", "multi" or unknown; `target_version` is the oldest
    Python that the code runs on; `searched` are searches through the project's texts whose answers are known. `model`
    is what the semantic layer has made of the modules, `weight` the bytes of their texts."""

    declared: Declared = field(default_factory=Declared)
    overlay: Mapping[str, Source] = field(default_factory=dict)
    deployment: str | None = None
    runtime_module: str | None = None
    target_version: tuple[int, int] | None = None
    trail: Trail = field(default_factory=Trail)
    searched: Known = field(default_factory=dict)
    _modules: dict[str, Module | None] = field(default_factory=dict)
    model: object = None
    weight: int = 0

    @cached_property
    def here(self) -> str:
        return os.getcwd()

    @cached_property
    def places(self) -> Places:
        """Which files imports lead to."""
        return Places(self.trail, self.overlay)

    @cached_property
    def texts(self) -> Texts:
        """The project's code as text, for searches."""
        return Texts(self.trail, self.raw, self.overlay, self.searched)

    def having(self, word: str, pattern: str, asker: str, module: Module) -> Counts:
        """What a search through a module's project gives; `asker` is the node of the trail that rests on it."""
        top = self.top(module.file)
        self.trail.link(asker, NUL.join(("x" + top, word, pattern)))
        return self.texts.having(top, word, pattern)

    def found(self, file: str, asker: str) -> Module | None:
        """A module that a search has led to."""
        self.trail.link(asker, f"m{file}")
        return self.load(file)

    def __post_init__(self) -> None:
        _HELD.add(self)

    def forget(self) -> None:
        """Let go of every module and of what was made of them; what is asked for again is read again."""
        self._modules.clear()
        self.model = None
        self.weight = 0

    def open(self, source: Source) -> Module:
        """The module of a source that the caller has read itself. One that an import led to before is the same one.

        Raises:
            SyntaxProblem: it does not parse.
        """
        file = self.absolute(source.path)
        known = self._modules.get(file)
        if known and known.source.utf8 == source.utf8:
            known.source = source
            return known
        return self._made(source, file)

    def absolute(self, path: str) -> str:
        """A shown path as the key that modules are known by."""
        return path if os.path.isabs(path) else os.path.normpath(os.path.join(self.here, path))

    def load(self, file: str) -> Module | None:
        """The module in a file, or None where it cannot be read or parsed: then nothing is known of it."""
        if file not in self._modules:
            self._modules[file] = None
            source = self.overlay.get(file) or self._read(file)
            if source:
                with suppress(SyntaxProblem):
                    self._made(source, file)
        return self._modules[file]

    def _made(self, source: Source, file: str) -> Module:
        """The module of a text. Projects share it: what a name is bound to does not hang on settings."""
        module = _SHARED.get(file)
        if module is None or module.source.utf8 != source.utf8:
            module = _SHARED[file] = Module(source, parse(source), file, os.path.basename(file) == "__init__.py")
            self.weight += len(source.utf8)
        self._modules[file] = module
        return module

    def _read(self, file: str) -> Source | None:
        raw = self.raw(file)
        try:
            return None if raw is None else Source.from_bytes(self.shown(file), raw)
        except SourceError:
            return None

    def raw(self, file: str) -> bytes | None:
        """A file's bytes, as its overlay or the disk has them; None for what is no regular file, cannot be read, or is
        too large to be code."""
        overlaid = self.overlay.get(file)
        if overlaid:
            return overlaid.utf8
        return self.trail.read(file, MAX_BYTES)

    def shown(self, file: str) -> str:
        """The path as the user sees it: relative where it lies below the working directory."""
        return os.path.relpath(file, self.here) if file.startswith(self.here + os.sep) else file

    def resolve(self, target: str, importer: Module) -> tuple[Module, str] | None:
        """A first-party import target -> its module and the rest of the dotted name inside it.

        `target` is absolute ("app.http.client") or relative ("..http.client"), as `Binding.target` has it.
        """
        found = self.places.find(target, importer.file)
        if found is None:
            return None
        self.trail.link(f"m{importer.file}", f"m{found[0]}")
        module = self.load(found[0])
        return (module, found[1]) if module else None

    def naming(self, file: str, name: str, importer: Module) -> Module | None:
        """The module in a file, where its text has a name in it or brings names by a star."""
        text = self.raw(file) if file not in self._modules and self.places.is_file(file) else None
        if text is not None and name.encode() not in text and b"import *" not in text:
            self.trail.link(f"m{importer.file}", f"c{file}")
            return None
        return self.found(file, f"m{importer.file}") if self.places.is_file(file) else None

    def locate(self, target: str, importer: str) -> str | None:
        """The file that a first-party import target means, without reading it. `importer` is the importing file."""
        found = self.places.find(target, importer)
        return found[0] if found else None

    def top(self, file: str) -> str:
        """The highest folder of the project that a file belongs to."""
        return self.places.top(file)

    def is_there(self, path: str) -> bool:
        """Whether anything stands at a path."""
        return self.places.is_there(path)
