"""Bytes of a file -> `Source`: decoded text, and the way back, keeping encoding, BOM and newlines."""

from __future__ import annotations

import io
import os
import stat
from bisect import bisect_right
from functools import cached_property
from pathlib import Path

from msgspec import Struct

from safecall_lint.finding import Edit, Span

BOM = b"\xef\xbb\xbf"
MAX_BYTES = 10_000_000


class SourceError(Exception):
    """A file that cannot be read as Python text. `line` is 1-based."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class Source(Struct, frozen=True, dict=True):
    """One file's text. Offsets everywhere are bytes of `utf8`, which has no BOM and the file's own newlines."""

    path: str
    text: str
    encoding: str = "utf-8"
    bom: bool = False

    @classmethod
    def from_bytes(cls, path: str, raw: bytes) -> Source:
        """Decode by PEP 263.

        Raises:
            SourceError: the declared encoding is unknown or does not fit the bytes.
        """
        import tokenize

        bom = raw.startswith(BOM)
        body = raw[len(BOM) :] if bom else raw
        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
            text = body.decode("utf-8" if bom else encoding)
        except SyntaxError as error:
            raise SourceError(f"the file's encoding cannot be read: {error.msg}") from None
        except UnicodeDecodeError as error:
            line = body.count(b"\n", 0, error.start) + 1
            raise SourceError(f"the bytes are not valid {error.encoding}: {error.reason}", line) from None
        return cls(path, text, "utf-8" if bom else encoding, bom)

    def to_bytes(self, text: str) -> bytes:
        """The file's bytes for a new text.

        Raises:
            SourceError: the text has a character that the file's encoding cannot hold.
        """
        try:
            raw = text.encode(self.encoding)
        except UnicodeEncodeError as error:
            raise SourceError(f"the new text does not fit {self.encoding}: {error.reason}") from None
        return BOM + raw if self.bom else raw

    @cached_property
    def utf8(self) -> bytes:
        return self.text.encode("utf-8", "surrogatepass")

    @cached_property
    def lines(self) -> list[bytes]:
        r"""Lines with their ends; only `\n`, `\r` and `\r\n` end a line, as in Python's grammar."""
        return self.utf8.splitlines(keepends=True)

    @cached_property
    def line_starts(self) -> list[int]:
        """Offset of each line's first byte, and one past the end."""
        starts = [0]
        for line in self.lines:
            starts.append(starts[-1] + len(line))
        return starts

    def newline(self, offset: int) -> str:
        """The newline that ends the line of a byte offset; where it has none, the one above's; else a line feed."""
        line = min(bisect_right(self.line_starts, offset), len(self.lines))
        for text in reversed(self.lines[max(line - 2, 0) : line]):
            if text.endswith((b"\n", b"\r")):
                return "\r\n" if text.endswith(b"\r\n") else chr(text[-1])
        return "\n"

    def position(self, offset: int) -> tuple[int, int]:
        """1-based line and 1-based column in characters of a byte offset."""
        line = min(bisect_right(self.line_starts, offset), max(1, len(self.lines)))
        before = self.utf8[self.line_starts[line - 1] : offset]
        return line, len(before.decode("utf-8", "surrogatepass")) + 1

    def span(self, start: int, end: int) -> Span:
        """The span between two byte offsets."""
        return Span(start, end, *self.position(start), *self.position(end))

    def span_at(self, line: int, column: int, end_line: int, end_column: int) -> Span:
        """The span of an `ast` node: 1-based lines, 0-based columns in UTF-8 bytes."""
        starts = self.line_starts
        return self.span(starts[line - 1] + column, starts[end_line - 1] + end_column)

    def apply(self, edits: tuple[Edit, ...]) -> str:
        """The text with `edits`, which are sorted and disjoint, carried out."""
        out: list[bytes] = []
        done = 0
        for edit in edits:
            out += [self.utf8[done : edit.span.start], edit.text.encode("utf-8", "surrogatepass")]
            done = edit.span.end
        out.append(self.utf8[done:])
        return b"".join(out).decode("utf-8", "surrogatepass")


def read(path: str) -> Source:
    """A file's text.

    Raises:
        SourceError: it cannot be read, or is no text that Python could read.
    """
    return decode(path, raw_bytes(path)[0])


def raw_bytes(path: str) -> tuple[bytes, os.stat_result]:
    """A file's bytes, and the file's state from before they were read.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise SourceError("this is not a regular file, so it was not analysed")
        if status.st_size > MAX_BYTES:
            raise SourceError(f"the file is larger than {MAX_BYTES // 1_000_000} MB, so it was not analysed")
        return Path(path).read_bytes(), status
    except OSError as error:
        raise SourceError(f"the file cannot be read: {error.strerror}") from None


def decode(path: str, raw: bytes) -> Source:
    """The text of a file's bytes, whatever encoding they claim to have.

    Raises:
        SourceError: they are no text.
    """
    try:
        return Source.from_bytes(path, raw)
    except (LookupError, UnicodeError) as error:
        raise SourceError(f"the file's encoding cannot be read: {error}") from None
