"""The projects of one repository that import each other: which one a name means that nothing above a file has."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator

from msgspec import Struct, field

from safecall_lint.knowledge import knowledge
from safecall_lint.packages import Packages
from safecall_lint.semantics.dependencies import MANIFESTS, Manifest
from safecall_lint.trail import NUL, Trail

_MAX_BYTES = 1_000_000
Place = tuple[str, str]


class Siblings(Struct, eq=False):
    """Answers from the packages that a repository offers. `descend` follows a dotted name down from a folder."""

    trail: Trail
    descend: Callable[[str, list[str]], Place | None]
    _packages: dict[str, Packages] = field(default_factory=dict)
    _manifests: dict[str, Manifest | None] = field(default_factory=dict)

    def find(self, parts: list[str], importer: str, top: str) -> Place | None:
        """The file that a dotted name means in another project below `top`, and the rest of the name inside it. A name
        of Python's or of a library that the tables know is no project's."""
        if parts[0] in sys.stdlib_module_names or parts[0] in knowledge().packages:
            return None
        offers = [offer.partition(" ") for offer in self._offers(parts[0], importer, top)]
        for length in range(len(parts), 0, -1) if offers else ():
            name = ".".join(parts[:length])
            roots = [root for offered, _, root in offers if offered == name]
            if roots:
                return self._chosen(parts, roots, importer, top)
        return None

    def _offers(self, first: str, importer: str, top: str) -> tuple[str, ...]:
        packages = self._packages.get(top)
        if packages is None:
            packages = self._packages[top] = Packages(top, self.trail.listing)
        found = packages.of(first)
        if self.trail.kept:
            self.trail.offered.setdefault(top, {})[first] = found
            for letter in "mt":
                self.trail.link(letter + importer, f"o{top}{NUL}{first}")
        return found

    def _chosen(self, parts: list[str], roots: list[str], importer: str, top: str) -> Place | None:
        """The one root of several in which the name goes on furthest: one that the importing project depends on, else
        the nearest. One that stands alone is not meant where an installer is asked for a library of its name."""
        places = {root: place for root in roots if (place := self.descend(root, parts))}
        least = min((len(rest) for _, rest in places.values()), default=0)
        found = [root for root, (_, rest) in places.items() if len(rest) == least]
        asked = list(self._above(os.path.dirname(importer), top, importer))
        if len(found) == 1 and not any(manifest.names(parts[0]) for manifest in asked):
            return places[found[0]]
        wanted = [root for root in found if any(self._is_asked_for(root, one, top, importer) for one in asked)]
        if wanted or len(found) > 1:
            found = _nearest(wanted or found, importer)
            return places[found[0]] if len(found) == 1 else None
        return None

    def _is_asked_for(self, root: str, manifest: Manifest, top: str, importer: str) -> bool:
        """Whether a project depends on the one that a root belongs to, by its place or by its name."""
        if not manifest.paths.isdisjoint((root, root.removesuffix("/src"))):
            return True
        own = next((one for one in self._above(root, top, importer) if one.name), None)
        return own is not None and own is not manifest and own.name in manifest.asked

    def _above(self, folder: str, top: str, importer: str) -> Iterator[Manifest]:
        """The manifests from a folder up to the top, nearest first; what is made of them is for an importing file."""
        while folder.startswith(top):
            for name in MANIFESTS:
                path = f"{folder}/{name}"
                for letter in "mt":
                    self.trail.link(letter + importer, f"c{path}")
                if path not in self._manifests:
                    raw = self.trail.read(path, _MAX_BYTES)
                    self._manifests[path] = Manifest(path, raw.decode("utf-8", "replace")) if raw else None
                if manifest := self._manifests[path]:
                    yield manifest
            if folder == top:
                return
            folder = os.path.dirname(folder)


def _nearest(roots: list[str], importer: str) -> list[str]:
    """The roots that have most folders above them in common with a file."""
    shared = [len(os.path.commonpath((root, importer))) for root in roots]
    return [root for root, length in zip(roots, shared, strict=True) if length == max(shared)]
