"""Statements that come into a block: which lines above them go along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import libcst as cst

_Line = TypeVar("_Line", bound="cst.BaseStatement")


def flush(line: _Line) -> _Line:
    """A statement without the empty lines in front of it and of its comments."""
    return parted(line)[1]


def parted(line: _Line) -> tuple[Sequence[cst.EmptyLine], _Line]:
    """The empty lines above a statement, and the statement under its comments alone: where a block is put around it,
    the first stay above the block and the others speak of the statement still."""
    lines: list[cst.EmptyLine] = list(getattr(line, "leading_lines", ()))
    first = next((index for index, row in enumerate(lines) if row.comment), len(lines))
    return lines[:first], line.with_changes(leading_lines=lines[first:])
