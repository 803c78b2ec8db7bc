"""The slot of a block: `async with policy.slot()`."""

from __future__ import annotations

import asyncio
from types import TracebackType

from . import _deadline
from ._admission import Admission, Entry
from ._clock import Clock
from ._inside import Inside
from ._options import CallOptions
from ._single_use import entered_twice
from ._slot import Slot


class SlotContext:
    """`async with` around the holding of one slot."""

    __slots__ = ("_admission", "_clock", "_inside", "_options", "_slot", "_task")

    def __init__(self, admission: Admission, clock: Clock, options: CallOptions, inside: Inside) -> None:
        self._admission = admission
        self._clock = clock
        self._options = options
        self._inside = inside
        self._slot: Slot | None = None
        self._task: asyncio.Task[object] | None = None

    async def __aenter__(self) -> Slot:
        task = self._inside.enter()
        try:
            if self._task is not None:
                raise entered_twice("slot", "async with policy.slot()")
            self._task = task
            try:
                entry = Entry(self._clock.time(), _deadline.ends(), self._options)
                self._slot = await self._admission.wait(entry)
                self._slot.hold(task)
            except BaseException:
                self._task = None
                raise
        except BaseException:
            self._inside.leave(task)
            raise
        return self._slot

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        try:
            if self._slot is not None:
                self._slot.end(error)
        finally:
            if task is not None:
                self._inside.leave(task)
