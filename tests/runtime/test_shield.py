"""Cleanup that must happen happens, and within its time."""

from __future__ import annotations

import asyncio
import contextlib

import anyio
import pytest

from safecall_lint.runtime import shielded
from safecall_lint.runtime.testing import virtual_time


class Cleanup:
    """Takes some seconds and notes when it is done."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.done_at: float | None = None

    async def run(self) -> str:
        await asyncio.sleep(self.seconds)
        self.done_at = asyncio.get_running_loop().time()
        return "clean"


@virtual_time
async def test_it_returns_what_the_cleanup_returns() -> None:
    assert await shielded(Cleanup(1).run(), timeout=2) == "clean"


@virtual_time
async def test_it_raises_what_the_cleanup_raises() -> None:
    async def fail() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await shielded(fail(), timeout=2)


@pytest.mark.parametrize("cancels", [(1,), (1, 2.1), (1, 2.1, 2.2, 2.3)])
def test_it_runs_to_its_end_however_often_the_request_is_cancelled(cancels: tuple[float, ...]) -> None:
    @virtual_time
    async def scenario() -> None:
        cleanup = Cleanup(3)

        async def request() -> None:
            try:
                await asyncio.sleep(100)
            finally:
                await shielded(cleanup.run(), timeout=5)

        task = asyncio.create_task(request())
        for when in cancels:
            asyncio.get_running_loop().call_later(when, task.cancel)
        await asyncio.wait([task])
        assert task.cancelled()
        assert cleanup.done_at == 4

    scenario()


@virtual_time
async def test_it_runs_to_its_end_under_a_cancelled_scope_of_anyio() -> None:
    cleanup = Cleanup(3)
    with anyio.move_on_after(1) as scope:
        try:
            await asyncio.sleep(100)
        finally:
            await shielded(cleanup.run(), timeout=5)
    assert scope.cancelled_caught
    assert cleanup.done_at == 4


@virtual_time
async def test_a_cleanup_that_hangs_is_cut_off() -> None:
    cleanup = Cleanup(100)
    with pytest.raises(TimeoutError, match="not done after 2 s"):
        await shielded(cleanup.run(), timeout=2)
    assert asyncio.get_running_loop().time() == 2
    assert cleanup.done_at is None


@virtual_time
async def test_a_cancelled_request_with_a_hanging_cleanup_still_ends_as_cancelled() -> None:
    task = asyncio.create_task(shielded(Cleanup(100).run(), timeout=2))
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert asyncio.get_running_loop().time() == 2


@virtual_time
async def test_a_cleanup_that_ignores_its_cancellation_is_left_behind() -> None:
    done = asyncio.Event()

    async def deaf() -> None:
        while not done.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await done.wait()

    with pytest.raises(TimeoutError, match="ignored its cancellation after 2 s"):
        await shielded(deaf(), timeout=2)
    assert asyncio.get_running_loop().time() == 4
    task = asyncio.create_task(shielded(deaf(), timeout=2))
    await asyncio.sleep(3)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert asyncio.get_running_loop().time() == 8
    done.set()
