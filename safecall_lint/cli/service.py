"""The commands that serve the runtime: numbers for a policy, and a copy of the code."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from safecall_lint.cli.conclude import CLEAN, USAGE, tell

_QUOTA = re.compile(r"(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)")


class Sizes(Struct, frozen=True):
    """What `size` is asked. `rate` is written calls/seconds; durations are seconds."""

    rate: str
    latency: float
    pods: int = 1
    call_timeout: float | None = None
    queue_timeout: float | None = None
    deadline: float | None = None
    max_concurrency: int | None = None
    max_connections: int | None = None


def print_sizes(asked: Sizes) -> int:
    """Print the settings that fit a quota, or why none do."""
    from safecall_lint.runtime import Rate, size

    quotient = _QUOTA.fullmatch(asked.rate)
    if quotient is None:
        tell(f"error: --rate takes calls/seconds, such as 60/60, not `{asked.rate}`")
        return USAGE
    try:
        quota = Rate(float(quotient[1]), per=float(quotient[2]))
        sizing = size(
            quota,
            latency=asked.latency,
            pods=asked.pods,
            call_timeout=asked.call_timeout,
            queue_timeout=asked.queue_timeout,
            deadline=asked.deadline,
            max_concurrency=asked.max_concurrency,
            max_connections=asked.max_connections,
        )
    except ValueError as error:
        tell(f"error: {error}")
        return USAGE
    print(sizing.text())
    return CLEAN


def copy(folder: Path) -> int:
    """Put a copy of the runtime into a project."""
    from safecall_lint.runtime import copy_runtime

    try:
        files = copy_runtime(folder)
    except (OSError, ValueError) as error:
        tell(f"error: {error}")
        return USAGE
    print(f"{len(files)} files copied to {folder}")
    return CLEAN
