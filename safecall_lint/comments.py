"""The comments of a source and the statements they stand at, by `tokenize`, so that strings never count."""

from __future__ import annotations

import tokenize
from tokenize import COMMENT, DEDENT, ENCODING, ENDMARKER, INDENT, NEWLINE, NL, TokenInfo

from msgspec import Struct

from safecall_lint.source import Source

_LAYOUT = {COMMENT, NL, INDENT, DEDENT, ENCODING}
_BROKEN = (tokenize.TokenError, SyntaxError)


class Comment(Struct, frozen=True):
    """A comment: its text from the `#` on, its offset in the source's UTF-8 text, its line.

    `own_line` is set where nothing but white space precedes it; `covers` is the first and last line it speaks for: its
    own line after code or inside brackets, the next statement's header otherwise.
    """

    text: str
    start: int
    line: int
    own_line: bool
    covers: tuple[int, int]

    @property
    def end(self) -> int:
        """The offset after its last character."""
        return self.start + len(self.text.encode("utf-8", "surrogatepass"))


def comments(source: Source) -> list[Comment]:
    """Every comment; none where the source cannot be split into tokens."""
    lines = iter([line.decode("utf-8", "surrogatepass") for line in source.lines])
    try:
        tokens = list(tokenize.generate_tokens(lambda: next(lines, "")))
    except _BROKEN:
        return []
    reader = _Reader(source)
    for token in tokens:
        reader.feed(token)
    return sorted(reader.done, key=lambda comment: comment.start)


class _Reader:
    """Turns tokens into comments. Comments that wait for the statement below them are in `waiting`."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.done: list[Comment] = []
        self.waiting: list[TokenInfo] = []
        self.first_line = 0
        self.in_decorator = False
        self.inside = False

    def feed(self, token: TokenInfo) -> None:
        if token.type == COMMENT:
            self._comment(token)
        elif token.type == NEWLINE:
            self._end_statement(token.end[0])
        elif token.type == ENDMARKER:
            self._release((0, 0))
        elif token.type not in _LAYOUT and not self.inside:
            self._begin_statement(token)

    def _comment(self, token: TokenInfo) -> None:
        own_line = not self._before(token).strip()
        if own_line and not self.inside:
            self.waiting.append(token)
        else:
            self.done.append(self._placed(token, own_line, (token.start[0], token.start[0])))

    def _begin_statement(self, token: TokenInfo) -> None:
        self.inside = True
        if not self.in_decorator:
            self.first_line = token.start[0]
        self.in_decorator = token.string == "@"

    def _end_statement(self, line: int) -> None:
        self.inside = False
        if not self.in_decorator:
            self._release((self.first_line, line))

    def _release(self, covers: tuple[int, int]) -> None:
        self.done += [self._placed(token, True, covers) for token in self.waiting]
        self.waiting.clear()

    def _placed(self, token: TokenInfo, own_line: bool, covers: tuple[int, int]) -> Comment:
        line = token.start[0]
        start = self.source.line_starts[line - 1] + len(self._before(token))
        return Comment(token.string, start, line, own_line, covers)

    def _before(self, token: TokenInfo) -> bytes:
        line, column = token.start
        text = self.source.lines[line - 1].decode("utf-8", "surrogatepass")
        return text[:column].encode("utf-8", "surrogatepass")
