"""One pass over the chunks of a stream, under limits, that remembers how it went."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from typing import Generic, TypeVar

from ._errors import StreamPhase
from ._watchdog import Watchdog

T = TypeVar("T")


class Reading(Generic[T]):
    """The chunks of `source`.

    Args:
        source: where they come from.
        watchdog: the limits.
        late: makes the exception for a limit that was broken.
        first: chunks that were read already, to begin with.
        on_first: called when `source` gives its first chunk, or None.

    Attributes:
        error: what ended the stream before its end, or None.
        finished: whether the source came to its end.
    """

    __slots__ = ("_first", "_late", "_on_first", "_source", "_watchdog", "error", "finished")

    def __init__(
        self,
        source: AsyncIterable[T],
        watchdog: Watchdog,
        late: Callable[[StreamPhase | None], Exception],
        first: Iterable[T] = (),
        on_first: Callable[[], None] | None = None,
    ) -> None:
        self._first = first
        self._on_first = on_first
        self._source = source
        self._watchdog = watchdog
        self._late = late
        self.error: Exception | None = None
        self.finished = False

    @property
    def chunks(self) -> int:
        """How many chunks were given to the reader."""
        return self._watchdog.chunks

    async def interrupt(self) -> None:
        """End the wait for a chunk in which another task may be, so that the chunks can be closed."""
        await self._watchdog.interrupt()

    async def all(self) -> AsyncGenerator[T, None]:
        """Yield every chunk.

        What the loop does for each chunk is written out, not called: it is most of what a stream costs.
        """
        watchdog = self._watchdog
        time, current_task, on_first = watchdog.time, watchdog.current_task, self._on_first
        try:
            for chunk in self._first:
                watchdog.chunks += 1
                yield chunk
            watchdog.begin()
            async for chunk in self._source:
                watchdog.task = None
                watchdog.chunks += 1
                if on_first is not None:
                    on_first()
                    on_first = None
                yield chunk
                watchdog.since = time()
                watchdog.task = current_task()
                if not watchdog.armed:
                    watchdog.begin()
            self.finished = True
        except Exception as error:
            self.error = error
            raise
        except BaseException as error:
            if watchdog.barked(error):
                self.error = self._late(watchdog.phase)
                raise self.error from error
            raise
        finally:
            watchdog.stop()
