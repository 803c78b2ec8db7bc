"""What a command costs: its wall and CPU time and the memory of all its processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds of wall and CPU time, megabytes of all its processes at their peak."""

    wall: float
    cpu: float
    peak: float


def cost(command: Sequence[str], folder: Path) -> Cost:
    """What one run of a command takes. Variables that steer Python are kept from it: one that forbids bytecode files,
    as images set it, makes every start compile everything."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env=_ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peaks = [0.0]
    watcher = threading.Thread(target=_watch, args=(process.pid, peaks), daemon=True)
    watcher.start()
    _, _, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = 0
    alone = usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024 * 1024)
    return Cost(wall, usage.ru_utime + usage.ru_stime, max(*peaks, alone))


def median(costs: Sequence[Cost]) -> Cost:
    """The median times and the highest peak of several runs."""
    middle = statistics.median
    return Cost(middle(one.wall for one in costs), middle(one.cpu for one in costs), max(one.peak for one in costs))


def _watch(root: int, peaks: list[float]) -> None:
    """The megabytes of a process and its children, each shared page counted once; on Linux only."""
    while sys.platform == "linux":
        total = sum(map(_proportional, [root, *_children(root)]))
        if not total:
            return
        peaks.append(total / 1024)
        time.sleep(0.02)


def _children(root: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{root}/task/{root}/children").read_text().split()]
    except OSError:
        return []


def _proportional(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
