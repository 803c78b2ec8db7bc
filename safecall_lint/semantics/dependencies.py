"""What a project says of itself in its own file: its name, the projects that it depends on and where those lie."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from msgspec import Struct

MANIFESTS = ("pyproject.toml", "requirements.txt")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_OWN = r"/?\$\{PROJECT_ROOT\}/|\{root:uri\}/"
_URL = re.compile(rf"(?:@\s*(?:file:(?://)?)?(?:{_OWN})?|^-e\s+(?:file:)?|^(?=\.))([^\s;#]+)")
_LISTS = ("dependencies", "dependency-groups", "optional-dependencies", "dev-dependencies")


class Manifest(Struct, eq=False, dict=True):
    """A `pyproject.toml` or a `requirements.txt`, read as far as it can be."""

    path: str
    text: str

    @property
    def folder(self) -> str:
        return os.path.dirname(self.path)

    def names(self, package: str) -> bool:
        """Whether it asks an installer for something of a package's name."""
        spelled = "[-_.]".join(map(re.escape, re.split(r"[-_.]", package)))
        written = re.search(rf"(?<![\w.-]){spelled}(?![\w.-])", self.text, re.IGNORECASE)
        return written is not None and _normal(package) in self.asked

    @cached_property
    def name(self) -> str:
        """What it calls the project, "" where it does not."""
        poetry = _table(_table(self._document, "tool"), "poetry")
        named = _table(self._document, "project").get("name") or poetry.get("name")
        return _normal(named) if isinstance(named, str) else ""

    @cached_property
    def asked(self) -> frozenset[str]:
        """The names of what it depends on, as installers compare them."""
        return frozenset(_normal(found[0]) for line in self._lines if (found := _NAME.match(line)))

    @cached_property
    def paths(self) -> frozenset[str]:
        """The folders of the projects that it depends on by their place."""
        found = [*_values(self._document, "path"), *(url[1] for line in self._lines for url in _URL.finditer(line))]
        return frozenset(os.path.normpath(os.path.join(self.folder, path)) for path in found)

    @cached_property
    def _lines(self) -> list[str]:
        """What it depends on, one by one, as it writes them."""
        if not self.path.endswith(".toml"):
            return [line.strip() for line in self.text.splitlines()]
        return [line for name in _LISTS for node in _values(self._document, name, dict, list) for line in _words(node)]

    @cached_property
    def _document(self) -> dict[str, Any]:
        if not self.path.endswith(".toml"):
            return {}
        import tomli

        try:
            return tomli.loads(self.text)
        except (tomli.TOMLDecodeError, RecursionError):
            return {}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _table(node: dict[str, Any], name: str) -> dict[str, Any]:
    found = node.get(name)
    return found if isinstance(found, dict) else {}


def _values(node: object, name: str, *kinds: type) -> Iterator[Any]:
    """Everything of some kinds that a document has under a name, however deep; a text by default."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == name and isinstance(value, kinds or (str,)):
                yield value
            yield from _values(value, name, *kinds)
    elif isinstance(node, list):
        for item in node:
            yield from _values(item, name, *kinds)


def _words(node: object) -> Iterator[str]:
    """Each requirement of a list, of a table by name, or of a table of groups."""
    if isinstance(node, list):
        yield from (item for item in node if isinstance(item, str))
    elif isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, list) and all(isinstance(item, str | dict) for item in value):
                yield from _words(value)
            elif isinstance(value, str | dict | list):
                yield key
