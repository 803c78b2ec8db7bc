"""What a run learned, put together from the processes that took part, and taken into a section."""

from __future__ import annotations

import os

from msgspec import Struct, field

from safecall_lint.cache.codec import Row
from safecall_lint.cache.present import is_found_again
from safecall_lint.cache.section import OWN, Section
from safecall_lint.trail import NUL, UNSTEADY, Searched, Stamp, Trail, token


class Unsteady(Exception):
    """The project changed while it was read, so that what was learned belongs to no one state of it."""


class Learned(Struct):
    """The trails of the files that were linted, as one, and what was found in them."""

    trail: Trail = field(default_factory=Trail)
    reports: dict[str, dict[str, list[Row]]] = field(default_factory=dict)

    def add(self, news: Trail) -> None:
        """Take in one more trail.

        Raises:
            Unsteady: it contradicts what was known.
        """
        for path, stamp in news.contents.items():
            known = self.trail.contents.setdefault(path, stamp)
            if known[1] != stamp[1]:
                self.trail.contents[path] = ("", UNSTEADY)
        for key, listing in news.listings.items():
            if self.trail.listings.setdefault(key, listing)[1] != listing[1]:
                raise Unsteady
        for path, found in news.lookups.items():
            if self.trail.lookups.setdefault(path, found) != found:
                raise Unsteady
        for top, texts in news.searched.items():
            self._search(self.trail.searched.setdefault(top, Searched()), texts)
        for top, offers in news.offered.items():
            offered = self.trail.offered.setdefault(top, {})
            if any(offered.setdefault(first, one) != one for first, one in offers.items()):
                raise Unsteady
        for node, others in news.links.items():
            self.trail.links.setdefault(node, set()).update(others)

    def _search(self, known: Searched, texts: Searched) -> None:
        if known.stamps and texts.stamps and _digests(known.stamps) != _digests(texts.stamps):
            raise Unsteady
        known.stamps = known.stamps or texts.stamps
        for search, counts in texts.answers.items():
            if known.answers.setdefault(search, counts) != counts:
                raise Unsteady


def absorb(section: Section, learned: Learned, changed: set[str]) -> Section:
    """A section with what was learned. Whatever rests on a node that changed, or that was seen in another state than
    the section has it in, is forgotten first.

    Raises:
        Unsteady: what was looked for does not fit what is there.
    """
    trail = learned.trail
    if _contradicted(section, trail):
        section = Section()
    stale = changed | _contents(section, trail) | _listings(section, trail) | _offers(section, trail)
    for top, texts in trail.searched.items():
        stale |= _texts(section, top, texts)
    section.drop(stale)
    for node, others in trail.links.items():
        section.links[node] = list(others.union(section.links.get(node, ())))
    for settings, reports in learned.reports.items():
        section.reports[settings] = {**section.reports.pop(settings, {}), **reports}
    for path, found in trail.lookups.items():
        folder, _, name = path.rpartition("/")
        _, names = section.lookups.get(folder, ("", {}))
        if names.get(name) != found:
            section.lookups[folder] = ("", {**names, name: found})
    for folder, (known, names) in section.lookups.items():
        section.lookups[folder] = (known or _settled(folder, names), names)
    section.prune()
    return section


def _contradicted(section: Section, trail: Trail) -> bool:
    """Whether something was looked for again and the answer is another one."""
    for path, found in trail.lookups.items():
        folder, _, name = path.rpartition("/")
        known = section.lookups.get(folder, ("", {}))[1].get(name, found)
        if known != found and not is_found_again(name, known):
            return True
    return False


def _contents(section: Section, trail: Trail) -> set[str]:
    stale: set[str] = set()
    for path, stamp in trail.contents.items():
        known = section.contents.get(path)
        if known and known[1] != stamp[1]:
            stale |= {kind + path for kind in OWN}
        section.contents[path] = stamp
    return stale


def _listings(section: Section, trail: Trail) -> set[str]:
    stale: set[str] = set()
    for key, listing in trail.listings.items():
        known = section.listings.get(key)
        if known and tuple(known[1]) != listing[1]:
            stale.add("l" + key)
        section.listings[key] = listing
    return stale


def _offers(section: Section, trail: Trail) -> set[str]:
    stale: set[str] = set()
    for top, offers in trail.offered.items():
        known = section.offered.setdefault(top, {})
        stale |= {f"o{top}{NUL}{first}" for first, one in offers.items() if tuple(known.get(first, one)) != one}
        known.update(offers)
    return stale


def _texts(section: Section, top: str, texts: Searched) -> set[str]:
    known = section.searched.get(top, Searched())
    stale = {search for search, one in texts.answers.items() if known.answers.get(search, one) != one}
    if _digests(known.stamps) == _digests(texts.stamps):
        texts.answers = {**known.answers, **texts.answers}
    else:
        stale |= known.answers.keys() - texts.answers.keys()
    section.searched[top] = texts
    return {f"x{top}{NUL}{search}" for search in stale}


def _settled(folder: str, names: dict[str, str]) -> str:
    """A folder's token, empty where one of the names is a link: what it leads to changes without the folder.

    Raises:
        Unsteady: a name is there that was missed, or the reverse.
    """
    try:
        before = token(os.stat(folder))
        with os.scandir(folder) as entries:
            there = {entry.name: entry.is_symlink() for entry in entries if entry.name in names}
    except OSError:
        return ""
    for name, found in names.items():
        linked = there.get(name, False)
        if not linked and (name in there) == (found == "-") and not is_found_again(name, found):
            raise Unsteady
        before = "" if linked else before
    return before


def _digests(stamps: dict[str, Stamp]) -> dict[str, str]:
    return {path: stamp[1] for path, stamp in stamps.items()}
