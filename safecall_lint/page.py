"""A rule's Markdown page, read as sections and code blocks."""

from __future__ import annotations

from msgspec import Struct, field

FENCE = "```"


class Block(Struct, frozen=True):
    """One fenced block. Of the info string ` ```python fixed safe file=app.py`, `language` is the first word, `words`
    are the plain ones after it, `file` is the named one. `line` is the page's line of the block's first line."""

    language: str
    words: tuple[str, ...]
    file: str
    section: str
    line: int
    text: str

    @property
    def fixed(self) -> bool:
        """Whether the block shows what the fixer writes for the block above it."""
        return "fixed" in self.words


class Page(Struct, frozen=True):
    """Sections by heading, in order, and every code block."""

    sections: dict[str, str]
    blocks: tuple[Block, ...]

    @classmethod
    def parse(cls, text: str) -> Page:
        """Read a page."""
        reader = _Reader()
        for number, line in enumerate(text.splitlines(), start=1):
            reader.feed(number, line)
        sections = {heading: "\n".join(lines).strip() for heading, lines in reader.sections.items()}
        return cls(sections, tuple(reader.blocks))


class _Reader(Struct):
    section: str = ""
    sections: dict[str, list[str]] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    info: str | None = None
    start: int = 0
    body: list[str] = field(default_factory=list)

    def feed(self, number: int, line: str) -> None:
        if self.info is None and line.startswith("## "):
            self.section = line[3:].strip()
            self.sections[self.section] = []
            return
        if line.startswith(FENCE):
            self._fence(number, line)
        elif self.info is not None:
            self.body.append(line)
        if self.section:
            self.sections[self.section].append(line)

    def _fence(self, number: int, line: str) -> None:
        if self.info is None:
            self.info, self.start, self.body = line.removeprefix(FENCE), number + 1, []
            return
        self.blocks.append(_block(self.info, self.section, self.start, self.body))
        self.info = None


def _block(info: str, section: str, line: int, body: list[str]) -> Block:
    language, *rest = info.split() or [""]
    file = next((word.removeprefix("file=") for word in rest if word.startswith("file=")), "")
    words = tuple(word for word in rest if "=" not in word)
    return Block(language, words, file, section, line, "".join(f"{text}\n" for text in body))
