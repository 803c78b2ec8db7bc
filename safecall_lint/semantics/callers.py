"""Who calls a function, anywhere in its project: the files that write its name are read, and only when asked."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from safecall_lint.semantics.evaluate import Evaluator
from safecall_lint.semantics.model import Function, Module, Scope
from safecall_lint.semantics.scan import CallSite

_SKIPPED = frozenset({"node_modules", "site-packages", "venv", "env", "build", "dist", "__pycache__"})
_TESTS = re.compile(r"(?:^|/)(?:tests?|testing|conftest\.py|test_[^/]*\.py|[^/]*_test\.py)(?:/|$)")
_MANY = 20
_MAX_FILES = 6000


@dataclass
class Callers:
    """Finds calls across the modules of a project. Tests do not count: they call everything."""

    evaluator: Evaluator
    _texts: dict[str, dict[str, bytes]] = field(default_factory=dict, repr=False)
    _named: dict[tuple[str, str], tuple[list[str], bool] | None] = field(default_factory=dict, repr=False)
    _mentions: dict[tuple[str, bytes], bool] = field(default_factory=dict, repr=False)

    def of(self, function: Function) -> Iterator[tuple[CallSite, Scope]]:
        """The calls of a function in its project's code, those of its own module first; a name that too many files
        call gives none."""
        name = function.cls.name if function.name == "__init__" and function.cls else function.name
        named = self._naming(name, function.module)
        files, unique = named or ([], False)
        for file in dict.fromkeys((function.module.file, *files)):
            module = function.module if file == function.module.file else self.evaluator.project.load(file)
            for site, scope in module.call_sites.get(name, ()) if module else ():
                if self._is_call_of(function, site, scope, unique):
                    yield site, scope

    def written(self, name: str, module: Module) -> bool:
        """Whether any code of a module's project, tests aside, calls something of that name."""
        named = self._naming(name, module)
        return named is None or bool(named[0])

    def mentioned(self, pattern: bytes, word: bytes, module: Module) -> bool:
        """Whether any code of a module's project, tests aside, has text that a regular expression finds; what it finds
        has `word` in it."""
        top = self.evaluator.project.top(module.file)
        if (top, pattern) not in self._mentions:
            texts = self._project(top).values()
            self._mentions[top, pattern] = any(word in text and re.search(pattern, text) for text in texts)
        return self._mentions[top, pattern]

    def modules(self, first: re.Pattern[bytes], second: re.Pattern[bytes], module: Module) -> Iterator[Module]:
        """The modules of a project, tests aside, whose text two regular expressions find."""
        for file, text in self._project(self.evaluator.project.top(module.file)).items():
            if first.search(text) and second.search(text) and (found := self.evaluator.project.load(file)):
                yield found

    def _is_call_of(self, function: Function, site: CallSite, scope: Scope, unique: bool) -> bool:
        """Whether a call by the right name is of this function. A method of an unknown object is, where no other
        function of the project has its name."""
        if function in self.evaluator.callees(site.node, scope):
            return True
        return unique and isinstance(site.node.func, ast.Attribute) and not self.evaluator.values(site.node.func, scope)

    def _naming(self, name: str, module: Module) -> tuple[list[str], bool] | None:
        """The files of a module's project that seem to call a name, and whether only one function has that name."""
        top = self.evaluator.project.top(module.file)
        if (top, name) not in self._named:
            self._named[top, name] = self._look(name.encode(), self._project(top))
        return self._named[top, name]

    @staticmethod
    def _look(name: bytes, texts: dict[str, bytes]) -> tuple[list[str], bool] | None:
        called = re.compile(rb"(?<!def )\b" + re.escape(name) + rb"\s*\(")
        defined = re.compile(rb"\bdef " + re.escape(name) + rb"\b")
        naming = [(file, text) for file, text in texts.items() if name in text]
        calling = sorted(file for file, text in naming if called.search(text))
        if len(calling) > _MANY:
            return None
        return calling, sum(len(defined.findall(text)) for _, text in naming) == 1

    def _project(self, top: str) -> dict[str, bytes]:
        if top not in self._texts:
            files = self._files(top)
            self._texts[top] = {file: self._read(file) for file in files} if len(files) <= _MAX_FILES else {}
        return self._texts[top]

    def _files(self, top: str) -> list[str]:
        found = [file for file in self.evaluator.project.overlay if file.startswith(top + os.sep)]
        for folder, folders, names in os.walk(top):
            folders[:] = sorted(name for name in folders if name not in _SKIPPED and not name.startswith("."))
            found += [os.path.join(folder, name) for name in names if name.endswith(".py")]
        return [file for file in dict.fromkeys(found) if not _TESTS.search(os.path.relpath(file, top))]

    def _read(self, file: str) -> bytes:
        return self.evaluator.project.raw(file) or b""
