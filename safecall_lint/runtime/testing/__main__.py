"""A vendor in a process of its own: `python -m safecall_lint.runtime.testing [port]`."""

from __future__ import annotations

import asyncio
import sys

from ._paths import USAGE, serve_by_path
from ._vendor import LAST_PORT, Vendor


async def main(port: int) -> None:
    """Serve until interrupted; the first line of output is the address."""
    async with serve_by_path(Vendor(port=port)) as vendor:
        print(vendor.url, USAGE, sep="\n", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    chosen = sys.argv[1] if len(sys.argv) > 1 else "0"
    if not (chosen.isdecimal() and int(chosen) <= LAST_PORT):
        sys.exit(f"port={chosen} is no port, so nothing can listen there: give 0 to {LAST_PORT}, 0 for a free one")
    try:
        asyncio.run(main(int(chosen)))
    except KeyboardInterrupt:
        sys.exit(130)
