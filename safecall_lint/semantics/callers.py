"""Who calls a function, anywhere in its project: the files that write its name are read, and only when asked."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from safecall_lint.semantics.evaluate import Evaluator
from safecall_lint.semantics.model import Function, Module, Scope
from safecall_lint.semantics.scan import CallSite
from safecall_lint.texts import Texts
from safecall_lint.trail import NUL, Counts

_MANY = 20


@dataclass
class Callers:
    """Finds calls across the modules of a project. Tests do not count: they call everything."""

    evaluator: Evaluator

    @cached_property
    def texts(self) -> Texts:
        """The texts that are searched."""
        project = self.evaluator.project
        return Texts(project.trail, project.raw, project.overlay, project.searched)

    def of(self, function: Function) -> Iterator[tuple[CallSite, Scope]]:
        """The calls of a function in its project's code, those of its own module first; a name that too many files
        call gives none."""
        name = function.cls.name if function.name == "__init__" and function.cls else function.name
        named = self._naming(name, function.module)
        files, unique = named or ([], False)
        for file in dict.fromkeys((function.module.file, *files)):
            module = function.module if file == function.module.file else self._load(file, f"m{function.module.file}")
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
        return bool(self._having(word.decode(), pattern.decode(), f"p{self.below(module)}", module))

    def below(self, module: Module) -> str:
        """The folder of a module's project. Answers about the project as a whole may be kept by it."""
        top = self.evaluator.project.top(module.file)
        self.evaluator.project.trail.link(f"m{module.file}", f"p{top}")
        return top

    def modules(self, first: re.Pattern[bytes], second: re.Pattern[bytes], module: Module) -> Iterator[Module]:
        """The modules of a project, tests aside, whose text two regular expressions find."""
        asker = f"p{self.below(module)}"
        one, other = (self._having("", pattern.pattern.decode(), asker, module) for pattern in (first, second))
        for file in sorted(one.keys() & other.keys()):
            if found := self._load(file, asker):
                yield found

    def _is_call_of(self, function: Function, site: CallSite, scope: Scope, unique: bool) -> bool:
        """Whether a call by the right name is of this function. A method of an unknown object is, where no other
        function of the project has its name."""
        if function in self.evaluator.callees(site.node, scope):
            return True
        return unique and isinstance(site.node.func, ast.Attribute) and not self.evaluator.values(site.node.func, scope)

    def _naming(self, name: str, module: Module) -> tuple[list[str], bool] | None:
        """The files of a module's project that seem to call a name, and whether only one function has that name."""
        escaped = re.escape(name)
        calling = self._having(name, rf"(?<!def )\b{escaped}\s*\(", f"m{module.file}", module)
        if len(calling) > _MANY:
            return None
        defining = self._having(name, rf"\bdef {escaped}\b", f"m{module.file}", module)
        return sorted(calling), sum(defining.values()) == 1

    def _having(self, word: str, pattern: str, asker: str, module: Module) -> Counts:
        """What a search through a module's project gives; `asker` is the node of the trail that rests on it."""
        top = self.evaluator.project.top(module.file)
        self.evaluator.project.trail.link(asker, NUL.join(("x" + top, word, pattern)))
        return self.texts.having(top, word, pattern)

    def _load(self, file: str, asker: str) -> Module | None:
        self.evaluator.project.trail.link(asker, f"m{file}")
        return self.evaluator.project.load(file)
