"""What is entered with `with` or `async with` belongs to one task: a second entry is refused, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from safecall_lint.runtime import CallPolicy
from safecall_lint.runtime.testing import virtual_time

Use = Callable[[], Awaitable[None]]


def a_shared_slot(policy: CallPolicy) -> Use:
    slot = policy.slot()

    async def use() -> None:
        async with slot:
            await asyncio.sleep(1)

    return use


def a_shared_stream(policy: CallPolicy) -> Use:
    async def slow() -> AsyncIterator[int]:
        await asyncio.sleep(1)
        yield 1
        await asyncio.sleep(1)
        yield 2

    stream = policy.stream(slow)

    async def use() -> None:
        async with stream as chunks:
            assert [chunk async for chunk in chunks] == [1, 2]

    return use


def shared_options(policy: CallPolicy) -> Use:
    options = policy.options(weight=1)

    async def use() -> None:
        with options:
            await policy.call(asyncio.sleep, 1)

    return use


@pytest.mark.parametrize(
    ("share", "instead"),
    [
        (a_shared_slot, "async with policy.slot()"),
        (a_shared_stream, "async with policy.stream(...)"),
        (shared_options, "with policy.options(...)"),
    ],
)
@virtual_time
async def test_a_second_entry_is_refused_and_loses_nothing(share: Callable[[CallPolicy], Use], instead: str) -> None:
    policy = CallPolicy("v", max_concurrency=3)
    use = share(policy)
    first, *others = await asyncio.gather(use(), use(), use(), return_exceptions=True)
    assert first is None
    for refused in others:
        assert isinstance(refused, RuntimeError)
        assert f"make a new one each time: {instead}" in str(refused)
    assert policy.state().in_use == 0
    await policy.call(asyncio.sleep, 0)


@pytest.mark.parametrize("share", [a_shared_slot, a_shared_stream, shared_options])
@virtual_time
async def test_an_entry_that_was_cancelled_leaves_nothing_behind(share: Callable[[CallPolicy], Use]) -> None:
    policy = CallPolicy("v", max_concurrency=1)
    use = share(policy)
    async with policy.slot():
        waits = asyncio.ensure_future(use())
        await asyncio.sleep(0.1)
        waits.cancel()
        await asyncio.wait([waits])
    await use()
    assert policy.state().in_use == 0
