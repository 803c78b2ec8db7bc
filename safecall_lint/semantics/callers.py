"""Who calls a function, anywhere in its project: the files that write its name are read, and only when asked."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from safecall_lint.semantics.values import Symbol

if TYPE_CHECKING:
    from safecall_lint.semantics.evaluate import Evaluator
    from safecall_lint.semantics.model import Function, Module, Scope
    from safecall_lint.semantics.scan import CallSite

_MANY = 20


class Callers(Struct, eq=False):
    """Finds calls across the modules of a project. Tests do not count: they call everything."""

    evaluator: Evaluator

    def of(self, function: Function) -> Iterator[tuple[CallSite, Scope]]:
        """The calls of a function in its project's code, those of its own module first; a name that too many files
        call gives none."""
        name = function.cls.name if function.name == "__init__" and function.cls else function.name
        named = self._naming(name, function.module)
        files, unique = named or ([], False)
        asker = f"m{function.module.file}"
        for file in dict.fromkeys((function.module.file, *files)):
            module = function.module if file == function.module.file else self.evaluator.project.found(file, asker)
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
        return bool(self.evaluator.project.having(word.decode(), pattern.decode(), f"p{self.below(module)}", module))

    def others(self, pattern: str, word: str, module: Module) -> Iterator[Module]:
        """The other modules of a module's project, tests aside, whose text a regular expression finds; what it finds
        has `word` in it."""
        asker, project = f"m{module.file}", self.evaluator.project
        for file in sorted(project.having(word, pattern, asker, module)):
            if file != module.file and (found := project.found(file, asker)):
                yield found

    def users(self, name: str, module: Module) -> list[Module] | None:
        """The other modules that seem to take a name from a module: imported by name, through the module or by a star.
        None where they are too many to be read."""
        project, asker, word = self.evaluator.project, f"m{module.file}", re.escape(name)
        stem = os.path.basename(module.file.removesuffix("/__init__.py").removesuffix(".py"))
        direct = rf"\bimport\b[^=:]*?(?<![.\w]){word}\b(?!\.| import\b)|\b{re.escape(stem)}\.{word}\b"
        stars = project.having("import *", r"\bimport \*", asker, module)
        renamed = project.having(f"{stem} as ", rf"\b{re.escape(stem)} as ", asker, module)
        written = project.having(name, rf"\b{word}\b", asker, module)
        files = {*project.having(name, direct, asker, module), *(written.keys() & {*stars, *renamed})} - {module.file}
        if len(files) > _MANY:
            return None
        return [user for file in sorted(files) if (user := project.found(file, asker))]

    def below(self, module: Module) -> str:
        """The folder of a module's project. Answers about the project as a whole may be kept by it."""
        top = self.evaluator.project.top(module.file)
        self.evaluator.project.trail.link(f"m{module.file}", f"p{top}")
        return top

    def texts(self, pattern: bytes, word: bytes, module: Module) -> Iterator[bytes]:
        """The files of a module's project, tests aside, in which `mentioned` finds something."""
        asker, project = f"p{self.below(module)}", self.evaluator.project
        for file in sorted(project.having(word.decode(), pattern.decode(), asker, module)):
            project.trail.link(asker, f"m{file}")
            yield project.raw(file) or b""

    def modules(self, first: re.Pattern[bytes], second: re.Pattern[bytes], module: Module) -> Iterator[Module]:
        """The modules of a project, tests aside, whose text two regular expressions find."""
        asker, project = f"p{self.below(module)}", self.evaluator.project
        one, other = (project.having("", pattern.pattern.decode(), asker, module) for pattern in (first, second))
        for file in sorted(one.keys() & other.keys()):
            if found := project.found(file, asker):
                yield found

    def _is_call_of(self, function: Function, site: CallSite, scope: Scope, unique: bool) -> bool:
        """Whether a call by the right name is of this function. A method of an unknown object is, where no other
        function of the project has its name."""
        if function in self.evaluator.callees(site.node, scope):
            return True
        values = self.evaluator.values(site.node.func, scope)
        if any(isinstance(value, Symbol) and _is_script_name(value.name, function) for value in values):
            return True
        return unique and isinstance(site.node.func, ast.Attribute) and not values

    def _naming(self, name: str, module: Module) -> tuple[list[str], bool] | None:
        """The files of a module's project that seem to call a name, and whether only one function has that name."""
        escaped, having = re.escape(name), self.evaluator.project.having
        calling = having(name, rf"(?<!def )\b{escaped}\s*\(", f"m{module.file}", module)
        if len(calling) > _MANY:
            return None
        defining = having(name, rf"\bdef {escaped}\b", f"m{module.file}", module)
        return sorted(calling), sum(defining.values()) == 1


def _is_script_name(name: str, function: Function) -> bool:
    """Whether a name that no import of the project explains is a function as a script beside its module calls it:
    `common.fetch` of `tools/common.py`, although `tools` is a package."""
    module, _, last = name.rpartition(".")
    path = function.module.file.removesuffix(".py").removesuffix("/__init__")
    own = function.parent is None and last == function.name
    return own and bool(module) and path.endswith("/" + module.replace(".", "/"))
