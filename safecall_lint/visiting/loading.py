"""Rules -> their visitors, imported when a file first asks for them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING

from safecall_lint import visitors
from safecall_lint.rulebook import rulebook

if TYPE_CHECKING:
    from safecall_lint.visiting.visitor import Visitor

_PARSER = "libcst"


class RuleCrash(Exception):
    """A rule failed on a file: a defect of ours. `rule` is its name."""

    def __init__(self, rule: str, line: int, cause: Exception) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}")
        self.rule = rule
        self.line = line
        self.cause = cause


class RuleBroken(RuleCrash):
    """A rule's visitor cannot be imported, so it fails on every file."""


@cache
def visitors_of(rules: frozenset[str]) -> tuple[type[Visitor], ...]:
    """The visitors of some rules, by name.

    Raises:
        RuleBroken: one cannot be imported.
    """
    _put_off_the_parser()
    wanted = sorted(name for name in rules if not rulebook()[name].engine)
    return tuple(cls for name in wanted for cls in _visitors(name))


@cache
def _visitors(rule: str) -> tuple[type[Visitor], ...]:
    from safecall_lint.visiting.visitor import Visitor

    name = f"{visitors.__name__}.{rule.replace('-', '_')}"
    try:
        module = import_module(name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            return ()
        raise RuleBroken(rule, 0, error) from error
    return tuple(_defined_in(vars(module).values(), Visitor, name))


def _defined_in(items: Iterable[object], base: type[Visitor], module: str) -> Iterable[type[Visitor]]:
    return (item for item in items if isinstance(item, type) and issubclass(item, base) and item.__module__ == module)


class _PutOff(ModuleType):
    """A module that is loaded when it is first asked for something.

    `importlib.util.LazyLoader` would load it at the second `import` of it: that asks any module for its `__spec__`.
    """

    def __getattr__(self, name: str) -> object:
        object.__setattr__(self, "__class__", ModuleType)
        assert self.__spec__
        assert self.__spec__.loader
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def _put_off_the_parser() -> None:
    """Let `import libcst` load it where it is first used. A visitor is asked for its `needs` in every file that gets
    this far, and for its methods in few; loading LibCST alone takes longer than linting a hook's files."""
    spec = None if _PARSER in sys.modules else find_spec(_PARSER)
    if spec:
        module = sys.modules[_PARSER] = module_from_spec(spec)
        module.__class__ = _PutOff


def load_parser() -> None:
    """Load LibCST now if a file has come far enough to make it likely: what a process has loaded before it forks, the
    forked ones need not load again."""
    getattr(sys.modules.get(_PARSER), "parse_module", None)
