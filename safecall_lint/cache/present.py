"""What stands on disk now, held against what a section remembers. Each thing is looked at once, and nothing is read
where the file system tells that it did not change."""

from __future__ import annotations

import os
from collections.abc import Iterable

from safecall_lint.cache.section import OWN, Section
from safecall_lint.packages import Packages
from safecall_lint.source import MAX_BYTES as LARGEST
from safecall_lint.texts import MAX_BYTES, Known, code_files, count_in
from safecall_lint.trail import NUL, UNREADABLE, Listing, Stamp, Trail, kind, listed, state


class Present:
    """Compares one section with the disk. What turns out unchanged under a new date is noted in the section;
    `renewed` says whether there was any. `stale` has the nodes that are found to have changed."""

    def __init__(self, section: Section) -> None:
        self.section = section
        self.renewed = False
        self.stale: set[str] = set()
        self._now = Trail(kept=True)
        self._states: dict[str, str] = {}
        self._changed: dict[str, set[str]] = {}
        self._listings: dict[str, Listing] = {}
        self._packages: dict[str, Packages] = {}

    def standing(self, paths: Iterable[str]) -> set[str]:
        """Those of some files that were linted before whose findings would be the same today."""
        known = set(paths)
        if known and not self._lookups_hold():
            self.section = Section()
            return set()
        reached = self.section.reached(known)
        stale = {node for node in reached if not self._holds(node)}
        if not stale:
            return known
        self.stale |= stale
        dead = self.section.resting_on(stale, reached)
        return {path for path in known if dead.isdisjoint((f"t{path}", f"m{path}"))}

    def _holds(self, node: str) -> bool:
        letter, name = node[0], node[1:]
        if letter in OWN:
            return self._content_holds(name)
        if letter == "l":
            known = self.section.listings.get(name)
            folder, _, pattern = name.partition(NUL)
            return known is not None and tuple(known[1]) == self._listing(folder, pattern)
        if letter == "o":
            top, _, first = name.partition(NUL)
            offered = self.section.offered.get(top, {}).get(first)
            return offered is not None and tuple(offered) == self._offered(top).of(first)
        if letter == "x":
            top, _, search = name.partition(NUL)
            return top in self.section.searched and search not in self._searches_changed(top)
        return letter in "pd"

    def searches(self) -> Known:
        """The searches through texts that are up to date, by folder."""
        return {top: self.section.searched[top].answers for top in self._changed}

    def changed(self) -> set[str]:
        """Every node that is found to have changed, whether a file that was asked about rests on it or not."""
        return self.stale | {f"x{top}{NUL}{search}" for top, searches in self._changed.items() for search in searches}

    # -- files -------------------------------------------------------------------------------------------------------

    def _content_holds(self, path: str) -> bool:
        known = self.section.contents.get(path)
        if known is None:
            return False
        now = self._same(path, known)
        if now is None:
            return False
        if now[0] != known[0]:
            self.section.contents[path] = now
            self.renewed = True
        return True

    def _same(self, path: str, known: Stamp) -> Stamp | None:
        """The stamp that a file has now, None where it holds something else than it did."""
        found = self._state(path)
        if known[0] and known[0] == found:
            return known
        if known[1] == UNREADABLE:
            return None if found else known
        if path not in self._now.contents:
            self._now.read(path, LARGEST)
        now = self._now.contents[path]
        return now if now[1] == known[1] else None

    def _state(self, path: str) -> str:
        found = self._states.get(path)
        if found is None:
            try:
                found = state(os.stat(path))
            except (OSError, ValueError):
                found = ""
            self._states[path] = found
        return found

    # -- folders -----------------------------------------------------------------------------------------------------

    def _lookups_hold(self) -> bool:
        """Whether whatever was looked for is found, or missed, as it was."""
        for folder, (token, names) in self.section.lookups.items():
            if token and token == self._state(folder):
                continue
            if not all(is_found_again(name, one) or kind(f"{folder}/{name}") == one for name, one in names.items()):
                return False
            self.section.lookups[folder] = ("", names)
            self.renewed = self.renewed or bool(token)
        return True

    def _listing(self, folder: str, pattern: str) -> tuple[str, ...]:
        """The names in a folder, as remembered where the folder did not change."""
        key = folder + NUL + pattern
        if key not in self._listings:
            known = self.section.listings.get(key)
            if known and known[0] and known[0] == self._state(folder):
                self._listings[key] = (known[0], tuple(known[1]))
            else:
                now = self._listings[key] = listed(folder, pattern)
                if known and tuple(known[1]) == now[1]:
                    self.section.listings[key] = now
                    self.renewed = self.renewed or now[0] != known[0]
        return self._listings[key][1]

    def _offered(self, top: str) -> Packages:
        if top not in self._packages:
            self._packages[top] = Packages(top, self._kept_listing)
        return self._packages[top]

    # -- texts -------------------------------------------------------------------------------------------------------

    def _searches_changed(self, top: str) -> set[str]:
        """The searches below a folder that give something else than they did. Only files that changed are read."""
        if top not in self._changed:
            self._changed[top] = set()
            texts = self.section.searched[top]
            files = code_files(top, self._kept_listing)
            before, texts.stamps = texts.stamps, {}
            for path in files:
                known = before.pop(path, None)
                now = self._same(path, known) if known else None
                if now is None:
                    now = self._count(top, path)
                texts.stamps[path] = now
                self.renewed = self.renewed or known is None or now[0] != known[0]
            for path in before:
                self._recount(top, path, b"")
                self.renewed = True
        return self._changed[top]

    def _kept_listing(self, folder: str, pattern: str) -> tuple[str, ...]:
        """As `_listing`; what the folder has now is remembered: no finding rests on the listing itself, but on what is
        made of it."""
        names, key = self._listing(folder, pattern), folder + NUL + pattern
        known = self.section.listings.get(key)
        if known is None or tuple(known[1]) != names:
            self.section.listings[key] = self._listings[key]
            self.renewed = True
        return names

    def _count(self, top: str, path: str) -> Stamp:
        raw = self._now.read(path, MAX_BYTES)
        self._recount(top, path, raw or b"")
        return self._now.contents[path]

    def _recount(self, top: str, path: str, text: bytes) -> None:
        for search, counts in self.section.searched[top].answers.items():
            word, _, pattern = search.partition(NUL)
            count = count_in(text, word, pattern)
            if count != counts.get(path, 0):
                self._changed[top].add(search)
                counts[path] = count
                if not count:
                    del counts[path]


def is_found_again(name: str, found: str) -> bool:
    """Whether a lookup needs no check of its own: the answer to it was the file that was found, and whoever asked
    rests on what that file holds."""
    return found == "f" and name.endswith(".py") and name != "__init__.py"
