"""What a finding claims beyond its line: numbers, and the places that its labels name."""

from __future__ import annotations

from pathlib import Path

import pytest

from safecall_lint.finding import Finding
from safecall_lint.rulebook import rulebook
from tests.cases import reported, write


def only(name: str, text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Finding:
    """The one finding of a rule in a text."""
    write(folder, {"example.py": text})
    monkeypatch.chdir(folder)
    (finding,) = reported(rulebook()[name])
    return finding


def lines(finding: Finding) -> list[int]:
    return [label.span.line for label in finding.labels]


def test_a_backoff_in_a_callee_has_no_total(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """\
import asyncio

slots = asyncio.Semaphore(5)


async def settled(job) -> None:
    for attempt in range(40):
        if await job.state() == "done":
            return
        await asyncio.sleep(0.1)


async def run(job) -> None:
    async with slots:
        await settled(job)
"""
    finding = only("sleep-inside-semaphore", text, tmp_path, monkeypatch)
    assert finding.message == "a slot is held through a backoff"
    assert lines(finding) == [14, 10]


def test_a_body_belongs_to_the_last_request_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """\
import requests


def names() -> list[str]:
    reply = requests.post("https://models.example/refresh", timeout=10)
    reply = requests.get("https://models.example/names", timeout=10)
    return reply.json()
"""
    assert lines(only("unchecked-status", text, tmp_path, monkeypatch)) == [6]


def test_a_function_for_later_loses_no_permit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """\
import asyncio

lock = asyncio.Lock()


async def delete(job) -> None:
    await lock.acquire()

    async def later() -> None:
        await job.delete()

    task = asyncio.create_task(later())
    await asyncio.sleep(1)
    lock.release()
    await task
"""
    assert lines(only("acquire-without-release", text, tmp_path, monkeypatch)) == [12, 14]


@pytest.mark.parametrize("line", ["reply.raise_for_status()", "if reply.status_code != 200: raise ValueError(url)"])
def test_a_retry_is_told_by_default_where_a_bad_status_raises(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not only("retry-on-everything", _RETRY.replace("pass  # status", line), tmp_path, monkeypatch).strict


def test_a_retry_of_lost_requests_only_is_for_the_strict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert only("retry-on-everything", _RETRY, tmp_path, monkeypatch).strict


def test_a_retry_around_a_browser_is_for_the_strict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helped = _RETRY.replace("await client.get(url)", "await page(url)").replace("pass  # status", "{}") + _PAGE
    assert only("retry-on-everything", helped.format("await tab.click('#next')"), tmp_path, monkeypatch).strict
    assert not only("retry-on-everything", helped.format("pass"), tmp_path, monkeypatch).strict


def test_a_retry_with_another_one_of_several_is_for_the_strict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert only("retry-on-everything", _PICKED, tmp_path, monkeypatch).strict
    assert not only(
        "retry-on-everything", _PICKED.replace("random.choice(urls)", "urls[0]"), tmp_path, monkeypatch
    ).strict


def test_a_retry_at_another_server_is_for_the_strict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = (
        _RETRY.replace("await asyncio.sleep(2**attempt)", "url = another(url)") + "\n\nfrom servers import another\n"
    )
    assert only("retry-without-backoff", at_once, tmp_path, monkeypatch).strict
    assert not only("retry-without-backoff", at_once.replace("url = another", "another"), tmp_path, monkeypatch).strict


def test_a_helper_that_may_not_get_to_its_blocking_call_is_for_the_strict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert only("blocking-call-in-async", _HELPERS, tmp_path, monkeypatch).strict
    assert not only("blocking-call-in-async", _HELPERS.replace("if fresh:", "with lock:"), tmp_path, monkeypatch).strict


_PICKED = """\
import random

import httpx
from tenacity import retry, stop_after_attempt, wait_random

client = httpx.AsyncClient()


@retry(stop=stop_after_attempt(3), wait=wait_random())
async def fetch(urls: list[str]) -> bytes:
    return await load(random.choice(urls))


async def load(url: str) -> bytes:
    reply = await client.get(url)
    reply.raise_for_status()
    return reply.content
"""

_PAGE = """

async def page(url: str) -> httpx.Response:
    reply = await client.get(url)
    reply.raise_for_status()
    return reply
"""

_RETRY = """\
import asyncio

import httpx

client = httpx.AsyncClient()


async def fetch(url: str) -> str:
    for attempt in range(4):
        try:
            reply = await client.get(url)
            pass  # status
            return reply.text
        except Exception:
            await asyncio.sleep(2**attempt)
    raise RuntimeError(url)
"""

_HELPERS = """\
import requests


def token() -> str:
    return requests.post("https://models.example/token", timeout=10).text


def headers(fresh: bool) -> dict:
    if fresh:
        return {"authorization": token()}
    return {}


async def answer(fresh: bool) -> dict:
    return headers(fresh)
"""


_RELAYED = """\
import httpx
from starlette.responses import StreamingResponse


async def relayed(client: httpx.AsyncClient, url: str) -> StreamingResponse:
    reply = await client.send(client.build_request("GET", url), stream=True)
    return StreamingResponse(reply.aiter_raw())
"""


def test_a_body_that_somebody_else_reads_later_is_not_closed_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert only("unclosed-stream", _RELAYED, tmp_path, monkeypatch).fix is None


_HANDED = """\
import asyncio
from collections.abc import Awaitable, Callable

from openai import AsyncOpenAI

client = AsyncOpenAI(max_retries=0)


async def retrying(make: Callable[[], Awaitable[str]]) -> str:
    for attempt in range(3):
        try:
            return await make()
        except Exception:
            await asyncio.sleep(2**attempt)
    raise RuntimeError


async def ask(prompt: str) -> str:
    async def call() -> str:
        return (await client.responses.create(model="m", input=prompt)).output_text

    return await retrying(call)
"""


def test_a_function_that_is_handed_over_is_followed_whatever_form_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert only("retry-on-everything", _HANDED, tmp_path, monkeypatch).span.line == 13
