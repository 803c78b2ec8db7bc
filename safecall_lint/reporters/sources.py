"""The texts that findings point into, read once when a report shows them."""

from __future__ import annotations

from msgspec import Struct, field

from safecall_lint.source import Source, SourceError, read


class Sources(Struct):
    """Texts by path. `given` has those that are not on disk, or not as they are there."""

    given: dict[str, Source] = field(default_factory=dict)
    _read: dict[str, Source | None] = field(default_factory=dict)

    def line(self, path: str, number: int) -> str | None:
        """A line's text without its end; None where there is no such line or nothing can be read."""
        source = self._of(path)
        if source is None or not 1 <= number <= len(source.lines):
            return None
        return source.lines[number - 1].decode("utf-8", "replace").rstrip("\r\n")

    def _of(self, path: str) -> Source | None:
        if path in self.given:
            return self.given[path]
        if path not in self._read:
            try:
                self._read[path] = read(path)
            except SourceError:
                self._read[path] = None
        return self._read[path]
