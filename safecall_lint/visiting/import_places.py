"""Where new imports stand: each with its own kind and in order, as an import sorter and a careful author have them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from safecall_lint.source import Source

_Import: TypeAlias = ast.Import | ast.ImportFrom
_OWN = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_FUTURE, _STDLIB, _OTHERS, _OURS, _RELATIVE = range(5)
_WIDEST: Final = 120


class _New(Struct, frozen=True):
    """A statement to put in below `line` lines; `above` and `below` tell whether a blank line parts it from them."""

    line: int
    rank: int
    straight: bool
    name: str
    text: str
    above: bool = False
    below: bool = False

    @property
    def order(self) -> tuple[int, int, bool, str]:
        return self.line, self.rank, not self.straight, self.name.lower()


class Head(Struct, frozen=True):
    """A file's first lines: comments, docstring and imports up to the first other code. `line` is their number; `ours`
    tells the project's own modules from others; `others` are the statements that follow."""

    source: Source
    imports: Sequence[_Import]
    line: int
    ours: Callable[[str], bool]
    others: Sequence[ast.stmt]

    @classmethod
    def of(cls, source: Source, tree: ast.Module, ours: Callable[[str], bool]) -> Head:
        imports: list[_Import] = []
        line = next((number for number, row in enumerate(source.lines) if not row.startswith(b"#")), 0)
        for index, statement in enumerate(tree.body):
            docstring = index == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if not docstring and not isinstance(statement, _Import):
                break
            line = statement.end_lineno or line
            if isinstance(statement, _Import):
                imports.append(statement)
        return cls(source, imports, line, ours, [statement for statement in tree.body if statement.lineno > line])

    def below(self, code: Sequence[str]) -> int:
        """The number of lines above the place of new code: those of the imports that open the file, also the ones that
        stand under a condition or in a `try`, and of those further down that the code needs."""
        named = {node.id for one in code for node in ast.walk(ast.parse(one)) if isinstance(node, ast.Name)}
        line, opening = self.line, True
        for statement in self.others:
            opening = opening and not isinstance(statement, _OWN)
            bound = _imported(statement)
            if bound and (opening or bound & named):
                line = statement.end_lineno or line
        return line

    def text(self, code: Sequence[str]) -> str:
        """New code below the imports, with the empty lines that its neighbours ask for."""
        rows = self.source.lines[self.below(code) :]
        below = next((number for number, row in enumerate(rows) if row.strip()), None)
        last = code[-1]
        wanted = 2 if "\ndef " in last or "\nasync def " in last or last.startswith(("def ", "async def ")) else 1
        missing = 0 if below is None else max(0, wanted - below)
        return "".join(f"\n{one.rstrip()}\n" + "\n" * ("def " in one) for one in code[:-1]) + (
            f"\n{last.rstrip()}\n" + "\n" * missing
        )

    def insertions(self, names: Iterable[str]) -> Iterator[tuple[int, str]]:
        """The texts to put in, by byte offset, that import modules (`x.y`) and names (`x.y:name`)."""
        found: dict[int, list[str]] = {}
        members: dict[str, list[str]] = {}
        new: list[_New] = []
        for name in sorted(set(names)):
            module, _, member = name.partition(":")
            place = self._within(module, member) if member else None
            if place:
                found.setdefault(place[0], []).append(place[1])
            elif member:
                members.setdefault(module, []).append(member)
            else:
                new.append(self._placed(name, f"import {name}", straight=True))
        new += [
            self._placed(module, f"from {module} import {', '.join(wanted)}", straight=False)
            for module, wanted in members.items()
        ]
        for line in sorted({one.line for one in new}):
            text = self._text([one for one in new if one.line == line])
            found.setdefault(self.source.line_starts[line], []).append(text)
        yield from ((offset, "".join(texts)) for offset, texts in sorted(found.items()))

    # -- into a statement ----------------------------------------------------------------------------------------

    def _within(self, module: str, member: str) -> tuple[int, str] | None:
        """Where a name goes into a statement that imports from its module already, and with what around it."""
        for node in self.imports:
            if isinstance(node, ast.ImportFrom) and node.module == module and not node.level:
                start, end = self._at(node)
                code = self.source.utf8[start:end]
                separator = self._separator(node)
                wide = node.lineno == node.end_lineno and node.col_offset + len(code) + len(member) + 2 > _WIDEST
                if node.names[0].name == "*" or b"#" in code or b";" in code or wide:
                    continue
                follower = next((item for item in node.names if _by_kind(item.name) > _by_kind(member)), None)
                if follower is not None and _sorted(node.names):
                    return self._at(follower)[0], member + separator
                return self._at(node.names[-1])[1], separator + member
        return None

    def _separator(self, node: ast.ImportFrom) -> str:
        for one, other in pairwise(node.names):
            return self.source.utf8[self._at(one)[1] : self._at(other)[0]].decode()
        only = node.names[0]
        return ", " if only.lineno == node.lineno else ",\n" + " " * only.col_offset

    def _at(self, node: _Import | ast.alias) -> tuple[int, int]:
        span = self.source.span_at(node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0)
        return span.start, span.end

    # -- on a line of its own ------------------------------------------------------------------------------------

    def _placed(self, name: str, text: str, straight: bool) -> _New:
        """After the last one of its kind that comes before it in the alphabet, in a group of its own where it has no
        kind here."""
        rank = self._rank_of(name)
        kind = [node for node in self.imports if self._rank(node) == rank]
        alike = [node for node in kind if isinstance(node, ast.Import) == straight]
        before = [node for node in alike if _name(node).lower() <= name.lower()]
        if before or (kind and not straight and not alike):
            return _New(_end((before or kind)[-1]), rank, straight, name, text)
        if kind:
            return _New((alike or kind)[0].lineno - 1, rank, straight, name, text)
        return self._grouped(rank, straight, name, text)

    def _grouped(self, rank: int, straight: bool, name: str, text: str) -> _New:
        earlier = [node for node in self.imports if self._rank(node) < rank]
        later = [node for node in self.imports if self._rank(node) > rank]
        if earlier:
            line = _end(earlier[-1])
            parted = line >= self.line or self._blank(line)
            return _New(line, rank, straight, name, text, above=parted)
        if later:
            return _New(self._above(later[0]), rank, straight, name, text, below=True)
        return _New(self.line, rank, straight, name, text, self.line > 0, not self._blank(self.line))

    def _above(self, node: _Import) -> int:
        """The number of lines above an import and the comment that belongs to it; the file's own comment does not."""
        line = node.lineno - 1
        while line > 0 and self.source.lines[line - 1].startswith(b"#"):
            line -= 1
        return line or node.lineno - 1

    def _blank(self, line: int) -> bool:
        return line >= len(self.source.lines) or not self.source.lines[line].strip()

    @staticmethod
    def _text(new: list[_New]) -> str:
        new = sorted(new, key=lambda one: one.order)
        text = "\n" if new[0].above else ""
        for one, other in pairwise([*new, new[-1]]):
            text += one.text + ("\n\n" if one.rank != other.rank else "\n")
        return text + ("\n" if new[-1].below else "")

    def _rank(self, node: _Import) -> int:
        if isinstance(node, ast.ImportFrom) and node.level:
            return _RELATIVE
        return self._rank_of(_name(node))

    def _rank_of(self, name: str) -> int:
        package = name.partition(".")[0]
        if package == "__future__":
            return _FUTURE
        if package in sys.stdlib_module_names:
            return _STDLIB
        return _OURS if self.ours(name) else _OTHERS


def _imported(statement: ast.stmt) -> set[str]:
    """The names that a statement at module level imports, where it does nothing else but tell one case from another."""
    blocks = [[statement]]
    if isinstance(statement, ast.Try | ast.If):
        blocks = [statement.body, statement.orelse]
    if isinstance(statement, ast.Try):
        blocks += [statement.finalbody, *(handler.body for handler in statement.handlers)]
    inner = [item for body in blocks for item in body]
    if not all(isinstance(item, _Import | ast.Assign | ast.Pass | ast.Expr | ast.Raise) for item in inner):
        return set()
    aliases = (alias for item in inner if isinstance(item, _Import) for alias in item.names)
    return {alias.asname or alias.name.partition(".")[0] for alias in aliases}


def _name(node: _Import) -> str:
    return node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name


def _end(node: _Import) -> int:
    return node.end_lineno or node.lineno


def _by_kind(name: str) -> tuple[int, str]:
    """Constants, classes, functions, as import sorters have them."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2), name


def _sorted(names: Sequence[ast.alias]) -> bool:
    return all(_by_kind(one.name) <= _by_kind(other.name) for one, other in pairwise(names))
