"""A vendor on 127.0.0.1 that does what the test says, fault by fault, and counts what it saw."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Self
from weakref import WeakSet

from .._setting import function, number, share, text
from ._behaviour import Behaviour, Step, check_behaviours, reply
from ._clock import SEED
from ._connection import Connection
from ._traffic import Received, Traffic

LAST_PORT = 65535
_PORT = number(least=0, most=LAST_PORT, whole=True, so="nothing can listen there", give="a port, or 0 for a free one")
_WALL = function("no answer has a date", "a function without arguments, such as VirtualClock().wall")
_SHARE = share("no request or every request meets it", of_none=True)


class Vendor:
    """An HTTP/1.1 server for tests: `async with Vendor() as vendor:` listens on a free loopback port.

    Works on any asyncio loop; on `VirtualTimeLoop` its latencies and gaps cost no real time.

    Args:
        port: where to listen on 127.0.0.1; 0 takes a free port.
        wall: seconds since the epoch, for the `Date` header; pass `VirtualClock().wall` in virtual time.

    Raises:
        TypeError: an argument of a wrong type.
        ValueError: no such port.

    Attributes:
        traffic: what the vendor saw so far.
    """

    def __init__(self, *, port: int = 0, wall: Callable[[], float] = time.time) -> None:
        _PORT("Vendor", "port", port)
        _WALL("Vendor", "wall", wall)
        self.traffic = Traffic()
        self._wall = wall
        self._routes: dict[str, _Script] = {}
        self._faults: list[_Fault] = []
        self._connections: WeakSet[Connection] = WeakSet()
        self._server: asyncio.Server | None = None
        self._port = port

    @property
    def url(self) -> str:
        """The vendor's address, such as `http://127.0.0.1:54321`."""
        return f"http://127.0.0.1:{self._port}"

    def on(self, path: str, *behaviours: Behaviour) -> Self:
        """Answer requests to `path` with `behaviours`, one each in turn; the last one stays.

        `path` has no query; `*` in it matches anything. The last route given wins.

        Raises:
            TypeError: a behaviour is neither steps nor a function, or `path` no text.
            ValueError: no behaviour, or an empty `path`.
        """
        text("Vendor.on", "path", path)
        check_behaviours("Vendor.on", behaviours)
        script = _script(path, behaviours)
        self._routes.pop(path, None)
        self._routes[path] = script
        return self

    def fault(
        self, *behaviours: Behaviour, share: float = 1.0, seed: int = 0
    ) -> contextlib.AbstractContextManager[None]:
        """While inside, a `share` of all requests gets `behaviours` in turn, whatever its path.

        The choice is random and the same for the same `seed`.

        Raises:
            TypeError: an argument of a wrong type.
            ValueError: no behaviour, or a share outside 0 to 1.
        """
        check_behaviours("Vendor.fault", behaviours)
        _SHARE("Vendor.fault", "share", share)
        SEED("Vendor.fault", "seed", seed)
        return self._striking(_Fault(_script("the fault", behaviours), share, random.Random(seed)))

    @contextlib.contextmanager
    def _striking(self, fault: _Fault) -> Iterator[None]:
        self._faults.append(fault)
        try:
            yield
        finally:
            self._faults.remove(fault)

    @contextlib.asynccontextmanager
    async def down(self) -> AsyncIterator[None]:
        """While inside, connections are refused and the open ones are reset; afterwards the port is back."""
        await self._stop()
        try:
            yield
        finally:
            await self._start()

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, "127.0.0.1", self._port, backlog=1024)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()
        serving = [task for connection in self._connections if (task := connection.abort())]
        self._connections.clear()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0)  # in the next turn the loop tells each connection that it is closed
        await self._server.wait_closed()

    def _accept(self) -> Connection:
        connection = Connection(self._choose, self.traffic, self._wall)
        self._connections.add(connection)
        return connection

    def _choose(self, request: Received) -> Iterable[Step]:
        behaviour = self._behaviour_for(request)
        return behaviour(request) if callable(behaviour) else behaviour

    def _behaviour_for(self, request: Received) -> Behaviour:
        for fault in self._faults:
            if fault.strikes():
                return fault.script.next()
        for path, script in reversed(self._routes.items()):
            if fnmatchcase(request.path, path):
                return script.next()
        return reply(404, {"error": {"message": f"no behaviour for {request.path}; there is {[*self._routes]}"}})


def _script(what: str, behaviours: tuple[Behaviour, ...]) -> _Script:
    if not behaviours:
        raise ValueError(f"no behaviour for {what}: give at least one, such as reply(200)")
    return _Script(behaviours)


@dataclass(slots=True)
class _Script:
    behaviours: tuple[Behaviour, ...]
    played: int = 0

    def next(self) -> Behaviour:
        behaviour = self.behaviours[min(self.played, len(self.behaviours) - 1)]
        self.played += 1
        return behaviour


@dataclass(slots=True)
class _Fault:
    script: _Script
    share: float
    chance: random.Random = field(repr=False)

    def strikes(self) -> bool:
        return self.chance.random() < self.share
