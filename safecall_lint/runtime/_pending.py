"""An async generator that can be closed while a task waits for its next item."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Generic, TypeVar

from ._shield import shielded

T = TypeVar("T")

_CLOSING = 2.0


class Pending(Generic[T]):
    """The items of `generator`.

    A generator alone refuses to be closed while a task waits for its next item, as a server's task does that sends
    something else meanwhile: what it has open then stays open.

    Args:
        generator: where the items come from.
    """

    def __init__(self, generator: AsyncGenerator[T, None]) -> None:
        self._generator = generator
        self._reader: asyncio.Task[object] | None = None
        self._returned = asyncio.Event()

    def __aiter__(self) -> AsyncIterator[T]:
        """Yield the items, once."""
        return self

    async def __anext__(self) -> T:
        if self._reader is not None:
            raise RuntimeError("another task waits for the next chunk of this stream already")
        self._reader = asyncio.current_task()
        self._returned.clear()
        try:
            return await anext(self._generator)
        finally:
            self._reader = None
            self._returned.set()

    async def aclose(self) -> None:
        """Cancel the task that waits for an item, if one does, and close the generator."""
        if self._reader is not None:
            self._reader.cancel()
            await shielded(self._returned.wait(), timeout=_CLOSING)
        await self._generator.aclose()
