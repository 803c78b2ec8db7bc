"""What is remembered of the files that were linted from one working directory: their findings, and all that those rest
on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, field

from safecall_lint.cache.codec import Row
from safecall_lint.trail import NUL, Listing, Searched, Stamp

Folder = tuple[str, dict[str, str]]
_MOST_SETTINGS = 200
OWN = ("t", "m", "c")
"""The kinds of node that rest on the content of the file they are named after."""


class Section(Struct, eq=False):
    """One cache file. All but `reports` and `lookups` is as a `Trail` has it; `lookups` has, by folder, its token and
    what was found under which name. What is on disk and what led where is common to all `Settings`; `reports` has, by
    settings, the findings of a file by its absolute path. The settings that were used last stand last."""

    contents: dict[str, Stamp] = field(default_factory=dict)
    lookups: dict[str, Folder] = field(default_factory=dict)
    listings: dict[str, Listing] = field(default_factory=dict)
    searched: dict[str, Searched] = field(default_factory=dict)
    links: dict[str, list[str]] = field(default_factory=dict)
    offered: dict[str, dict[str, Sequence[str]]] = field(default_factory=dict)
    reports: dict[str, dict[str, list[Row]]] = field(default_factory=dict)

    @classmethod
    def parse(cls, body: bytes, key: str) -> Section | None:
        """What `dumped` wrote for this key; None for anything else."""
        try:
            rows = json.loads(body)
            if rows[0] != key:
                return None
            _, contents, lookups, listings, searched, links, offered, reports = rows
            texts = {top: Searched(stamps, answers) for top, (stamps, answers) in searched.items()}
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return None
        tables = (contents, lookups, listings, texts, links, offered, reports)
        return cls(*tables) if all(map(_is_table, tables)) else None

    def dumped(self, key: str) -> bytes:
        """The section as bytes."""
        searched = {top: (one.stamps, one.answers) for top, one in self.searched.items()}
        rows = (key, self.contents, self.lookups, self.listings, searched, self.links, self.offered, self.reports)
        return json.dumps(rows, separators=(",", ":")).encode()

    def reached(self, paths: Iterable[str]) -> set[str]:
        """Every node that the findings of some files rest on."""
        pending = [kind + path for path in paths for kind in OWN[:2]]
        found = set(pending)
        links = self.links
        while pending:
            for node in links.get(pending.pop(), ()):
                if node not in found:
                    found.add(node)
                    pending.append(node)
        return found

    def resting_on(self, nodes: Iterable[str], among: Iterable[str]) -> set[str]:
        """Some nodes, and those `among` others that rest on them."""
        above: dict[str, list[str]] = {}
        for node in among:
            for other in self.links.get(node, ()):
                above.setdefault(other, []).append(node)
        pending = list(nodes)
        found = set(pending)
        while pending:
            for node in above.get(pending.pop(), ()):
                if node not in found:
                    found.add(node)
                    pending.append(node)
        return found

    def drop(self, stale: Iterable[str]) -> None:
        """Forget every finding that rests on one of these nodes, and what was known of the nodes in between."""
        for node in self.resting_on(stale, list(self.links)):
            self.links.pop(node, None)
            if node[0] in OWN[:2]:
                for reports in self.reports.values():
                    reports.pop(node[1:], None)

    def prune(self) -> None:
        """Forget files that are gone, settings that others came after, and what no finding rests on."""
        self.reports = {key: one for key, one in list(self.reports.items())[-_MOST_SETTINGS:] if one}
        paths = {path for reports in self.reports.values() for path in reports}
        for path in [path for path in paths if not os.path.lexists(path)]:
            for reports in self.reports.values():
                reports.pop(path, None)
        kept = self.reached(path for reports in self.reports.values() for path in reports)
        tops = {node[1:].partition(NUL)[0] for node in kept if node[0] in "xo"}
        self.links = {node: others for node, others in self.links.items() if node in kept}
        self.contents = {path: one for path, one in self.contents.items() if any(kind + path in kept for kind in OWN)}
        self.searched = {top: one for top, one in self.searched.items() if top in tops}
        for top, texts in self.searched.items():
            texts.answers = {search: one for search, one in texts.answers.items() if f"x{top}{NUL}{search}" in kept}
        for top, offered in self.offered.items():
            self.offered[top] = {first: one for first, one in offered.items() if f"o{top}{NUL}{first}" in kept}
        self.listings = {key: one for key, one in self.listings.items() if "l" + key in kept or _in(key, tops)}


def _in(key: str, tops: set[str]) -> bool:
    folder = key.partition(NUL)[0] + "/"
    return any(folder.startswith(top + "/") for top in tops)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)
