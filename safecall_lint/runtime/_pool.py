"""Gives back the connection slots that cancelled requests leave behind in the pools of httpx 0.28 and httpx2.

httpcore 1.0.9 and older loses a slot for ever when a task is cancelled at one of three moments: before the connection
it was given is opened, between opening it and sending on it (both encode/httpcore#1093), and while its response is
being closed (encode/httpx#3782). A pool of 10 then raises nothing but `PoolTimeout` until the process restarts.
httpcore2, below httpx2, has none of the three.

A fourth moment is that of a proxy: it has opened the tunnel to an `https://` address, and the TLS handshake through it
is cancelled, is late or fails. There httpcore and httpcore2 both lose the slot.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from typing import Any

_LOSING = {
    "httpcore": (
        frozenset({"1.0.5", "1.0.6", "1.0.7", "1.0.8", "1.0.9"}),
        ("AsyncConnectionPool", "AsyncHTTPProxy", "AsyncSOCKSProxy"),
    ),
    "httpcore2": (
        frozenset({"2.12.0", "2.13.0", "2.13.1", "2.14.0", "2.15.0", "2.15.1", "2.16.0", "2.16.1", "2.16.2"}),
        ("AsyncHTTPProxy",),
    ),
}
"""The versions that were seen to lose slots, and whose private attributes are as used below; and which pools do so."""

_closing: set[asyncio.Task[None]] = set()
"""An event loop holds its tasks only weakly."""


async def heal(transport: object, stream: object = None) -> int:
    """Take lost connections out of the pool of `transport`, close them, and give waiting requests the slots.

    Call it after `transport.handle_async_request` raised anything, cancellation included, and after closing the
    `stream` of a response, even if that raised. It never suspends, so no cancellation can undo it; the sockets close in
    the background.

    Args:
        transport: any transport; only an `AsyncHTTPTransport` over httpcore 1.0.5 to 1.0.9, or one with a proxy over
            httpcore2 2.12.0 to 2.16.2, has something to heal.
        stream: the stream of a response of this transport, closed just now.

    Returns:
        The number of slots that had been lost.
    """
    pool = _losing_pool(transport)
    if pool is None:
        return 0
    forgotten = 0
    if stream is not None:
        request = _request_of(stream)
        if _ended_well(pool, request):
            return 0
        forgotten = _strike_off(pool, request)
    orphans = _take_orphans(pool)
    if not forgotten and not orphans:
        return 0
    _close_soon(pool, orphans + pool._assign_requests_to_connections())
    return max(forgotten, len(orphans))


def _losing_pool(transport: object) -> Any:
    pool = getattr(transport, "_pool", None)
    kind = type(pool)
    return pool if pool is not None and _loses_slots(kind.__module__, kind.__qualname__) else None


@functools.cache
def _loses_slots(module: str, kind: str) -> bool:
    """Whether pools of this type lose slots; a subclass of anybody else's may keep its books in another way."""
    library = module.partition(".")[0]
    versions, pools = _LOSING.get(library, ((), ()))
    return kind in pools and getattr(sys.modules[library], "__version__", "") in versions


def _request_of(stream: object) -> Any:
    return getattr(getattr(stream, "_httpcore_stream", None), "_pool_request", None)


def _ended_well(pool: Any, request: Any) -> bool:
    """Whether a closed response left nothing behind; the usual case, so it looks at its own connection only."""
    if request is None:
        return True
    connection = request.connection
    at_rest = connection is None or connection.is_idle() or connection.is_closed()
    return at_rest and request not in pool._requests


def _strike_off(pool: Any, request: Any) -> int:
    """Remove a closed response's request from the pool's list, where a cancelled close leaves it."""
    if request not in pool._requests:
        return 0
    pool._requests.remove(request)
    return 1


def _close_soon(pool: Any, connections: list[Any]) -> None:
    task = asyncio.get_running_loop().create_task(pool._close_connections(connections))
    _closing.add(task)
    task.add_done_callback(_closing.discard)


def _take_orphans(pool: Any) -> list[Any]:
    """Remove the connections that are neither free nor closed and that no request holds."""
    held = {id(request.connection) for request in pool._requests}
    orphans = [
        connection
        for connection in pool._connections
        if id(connection) not in held and not connection.is_idle() and not connection.is_closed()
    ]
    for connection in orphans:
        pool._connections.remove(connection)
    return orphans
