"""Numbers that no float holds: no rule reckons with them, and none fails on them."""

from __future__ import annotations

import pytest

from safecall_lint.engine import Linter
from safecall_lint.settings import Settings
from safecall_lint.source import Source

MODULE = """\
import asyncio
import httpx
import tenacity
from openai import AsyncOpenAI

slots = asyncio.Semaphore({number})
client = AsyncOpenAI(timeout={number}, max_retries={number})
web = httpx.AsyncClient(timeout={number}, limits=httpx.Limits(max_connections={number}))


async def ask(text: str) -> object:
    async with slots:
        for turn in range(5):
            try:
                return await asyncio.wait_for(client.responses.create(input=text), {number})
            except Exception:
                await asyncio.sleep({number} * 2**turn)


@tenacity.retry(stop=tenacity.stop_after_attempt({number}), wait=tenacity.wait_fixed({number}))
async def get(url: str) -> object:
    delay = {number}
    async with slots:
        for turn in range({number}):
            try:
                return await web.get(url, timeout={number})
            except httpx.HTTPError:
                await asyncio.sleep(min(delay, {number}) + turn)
                delay *= {number}


async def every(urls: list[str]) -> object:
    async with slots:
        for turn in range({number}, {number}, {number}):
            try:
                return await web.get(urls[turn])
            except httpx.HTTPError:
                await asyncio.sleep(turn)
"""
NUMBERS = {
    "an integer beyond every float": "1" + "0" * 310,
    "its negative": "-1" + "0" * 310,
    "hexadecimal": "0x" + "f" * 400,
    "a power": "10**400",
    "infinity": "1e999",
    "no number": "(1e999 - 1e999)",
    "a float whose double is infinity": "1e308",
    "nothing": "0",
}


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS.keys())
def test_no_number_is_too_large_to_read(number: str) -> None:
    report = Linter(Settings(profile="all")).source(Source("m.py", MODULE.format(number=number)))
    assert not report.crashes
    assert report.findings
