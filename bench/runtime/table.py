"""Rows of the tables: a peer that is not installed is said so, and the run goes on."""

from __future__ import annotations

from collections.abc import Callable


def row(name: str, measure: Callable[[], str]) -> None:
    """Print the row of one contender, whose import may fail."""
    try:
        cells = measure()
    except ModuleNotFoundError as error:
        cells = f"not measured: {error.name} is not installed"
    print(f"| {name} | {cells} |", flush=True)
