"""`safecall-lint` and `python -m safecall_lint`."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn

_INTERNAL = 3
_INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its code. Garbage is not collected: a run makes little of it and ends soon."""
    gc.disable()
    try:
        from safecall_lint.cli import run

        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        code = 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 - a traceback is for those who ask for it
        code = _failed(error)
    except KeyboardInterrupt:
        code = _INTERRUPTED
        print("interrupted", file=sys.stderr)
    _leave(code)


def _leave(code: int) -> NoReturn:
    """End the process as it stands: freeing a project's trees one by one would take a tenth of the run."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _failed(error: Exception) -> int:
    """Say that we failed. A folder that is on the path before Python's own can have a file that takes the place of what
    is needed to say it."""
    try:
        from safecall_lint.cli.conclude import tell_crash
        from safecall_lint.report import Crash

        tell_crash(Crash.of(error, ""))
    except Exception:  # noqa: BLE001 - whatever the module in the way does
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"internal error: {cause}; does a file here have the name of a module of Python's?", file=sys.stderr)
    return _INTERNAL


if __name__ == "__main__":
    main()
