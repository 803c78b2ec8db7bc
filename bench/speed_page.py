"""The tables and the plot of `bench/speed.py`."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Sequence
from typing import Protocol

_WIDTH, _HEIGHT, _EDGE = 640, 320, 50


class _Cost(Protocol):
    @property
    def wall(self) -> float: ...
    @property
    def cpu(self) -> float: ...
    @property
    def peak(self) -> float: ...


def page(
    rows: Sequence[tuple[str, ...]],
    starts: Sequence[tuple[str, float]],
    scaled: Sequence[tuple[int, float, float]],
    jobs: Sequence[tuple[int, _Cost]],
    exponent: float,
    stages: str,
) -> str:
    """All tables as Markdown."""
    lines = [f"Python {platform.python_version()}, {os.cpu_count()} cores.", ""]
    lines += ["| project | files | MB | run | wall s | CPU s | peak MB | times the cold run |", "|" + "---|" * 8]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    lines += ["", "| start | wall s |", "|---|---|", *(f"| `{name}` | {wall:.2f} |" for name, wall in starts)]
    lines += ["", "| processes | wall s | CPU s | peak MB |", "|---|---|---|---|"]
    lines += [f"| {number} | {one.wall:.2f} | {one.cpu:.2f} | {one.peak:.0f} |" for number, one in jobs]
    if scaled:
        lines += ["", "| copies of one tree | MB | CPU s in one process |", "|---|---|---|"]
        lines += [f"| {size} | {weight:.1f} | {seconds:.2f} |" for size, weight, seconds in scaled]
        lines += [
            "",
            f"Time grows with the size to the power of {exponent:.2f}.",
            "",
            "![CPU seconds over MB](speed.svg)",
        ]
    lines += ["", "Where the CPU time of a cold run goes (prefect, one process):", "", *stages.splitlines()]
    return "\n".join(lines) + "\n"


def plot(points: Sequence[tuple[int, float, float]]) -> str:
    """CPU seconds over megabytes, both axes logarithmic, as SVG."""
    spots = [(math.log2(weight), math.log2(seconds)) for _, weight, seconds in points]
    left, low = (min(axis) for axis in zip(*spots, strict=True))
    right, high = (max(axis) for axis in zip(*spots, strict=True))

    def place(x: float, y: float) -> tuple[float, float]:
        across = _EDGE + (x - left) / (right - left or 1) * (_WIDTH - 2 * _EDGE)
        return across, _HEIGHT - _EDGE - (y - low) / (high - low or 1) * (_HEIGHT - 2 * _EDGE)

    placed = [place(*spot) for spot in spots]
    path = " ".join(f"{x:.0f},{y:.0f}" for x, y in placed)
    marks = "".join(
        f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3"/>'
        f'<text x="{x:.0f}" y="{y - 8:.0f}" text-anchor="middle">{weight:.1f} MB, {seconds:.1f} s</text>'
        for (x, y), (_, weight, seconds) in zip(placed, points, strict=True)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif"'
        f' font-size="11"><rect width="100%" height="100%" fill="white"/>'
        f'<polyline fill="none" stroke="black" points="{path}"/>{marks}</svg>\n'
    )
