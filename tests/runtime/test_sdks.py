"""The vendors' own SDKs against the loopback vendor: answers, streams, cuts, and how often each asks by itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import google.genai
import httpx
import httpx2
import openai
import pytest
from google.genai import types
from mistralai.client import Mistral

from safecall_lint.runtime import (
    CallPolicy,
    CallRejected,
    CallTimeout,
    QueueFull,
    Retry,
    StreamLimits,
    StreamTimeout,
    policy_error,
    unwrapped,
)
from safecall_lint.runtime.testing import Behaviour, Vendor, answer, drop, rate_limited, reply, stall, virtual_time

PAGE = Path(__file__).parents[2] / "docs" / "runtime" / "sdks.md"

NEVER_USED = httpx2.Client(verify=False)
"""Two SDKs make a synchronous client too; given one, they need not read the system's certificates for each test."""

HELLO = [{"role": "user", "content": "Say hello"}]


class Clients:
    """The four SDKs on one httpx2 client, all pointed at the loopback vendor; untyped, for plain dicts as messages."""

    def __init__(self, url: str, http: httpx2.AsyncClient, **retries: Any) -> None:
        self.url = url
        self.http = http
        self.retries = retries

    @property
    def openai(self) -> Any:
        return openai.AsyncOpenAI(api_key="key", base_url=f"{self.url}/v1", http_client=self.http, **self.retries)

    @property
    def anthropic(self) -> Any:
        return anthropic.AsyncAnthropic(api_key="key", base_url=self.url, http_client=self.http, **self.retries)

    @property
    def mistral(self) -> Any:
        return Mistral(api_key="key", server_url=self.url, client=NEVER_USED, async_client=self.http)

    @property
    def google(self) -> Any:
        options = types.HttpOptions(base_url=self.url, httpx_async_client=self.http, httpx_client=NEVER_USED)
        return google.genai.Client(api_key="key", http_options=options)


async def openai_chat(clients: Clients) -> Any:
    done = await clients.openai.chat.completions.create(model="gpt", messages=HELLO)
    return done.choices[0].message.content


async def openai_responses(clients: Clients) -> Any:
    return (await clients.openai.responses.create(model="gpt", input="Say hello")).output_text


async def anthropic_messages(clients: Clients) -> Any:
    done = await clients.anthropic.messages.create(model="claude", max_tokens=9, messages=HELLO)
    return done.content[0].text


async def mistral_chat(clients: Clients) -> Any:
    done = await clients.mistral.chat.complete_async(model="mistral", messages=HELLO)
    return done.choices[0].message.content


async def google_content(clients: Clients) -> Any:
    return (await clients.google.aio.models.generate_content(model="gemini", contents="Say hello")).text


async def openai_chat_stream(clients: Clients) -> list[str]:
    stream = await clients.openai.chat.completions.create(model="gpt", messages=HELLO, stream=True)
    return [chunk.choices[0].delta.content or "" async for chunk in stream]


async def openai_responses_stream(clients: Clients) -> list[str]:
    stream = await clients.openai.responses.create(model="gpt", input="Say hello", stream=True)
    return [event.delta async for event in stream if event.type == "response.output_text.delta"]


async def anthropic_messages_stream(clients: Clients) -> list[str]:
    async with clients.anthropic.messages.stream(model="claude", max_tokens=9, messages=HELLO) as stream:
        return [text async for text in stream.text_stream]


async def mistral_chat_stream(clients: Clients) -> list[str]:
    stream = await clients.mistral.chat.stream_async(model="mistral", messages=HELLO)
    return [str(event.data.choices[0].delta.content or "") async for event in stream]


async def google_content_stream(clients: Clients) -> list[str]:
    stream = await clients.google.aio.models.generate_content_stream(model="gemini", contents="Say hello")
    return [chunk.text or "" async for chunk in stream]


WHOLE = [openai_chat, openai_responses, anthropic_messages, mistral_chat, google_content]
STREAMED = [
    openai_chat_stream,
    openai_responses_stream,
    anthropic_messages_stream,
    mistral_chat_stream,
    google_content_stream,
]


@pytest.mark.parametrize("ask", WHOLE)
@virtual_time
async def test_an_sdk_reads_a_whole_answer(ask: Callable[[Clients], Awaitable[Any]]) -> None:
    async with Vendor() as vendor, httpx2.AsyncClient(verify=False) as http:
        vendor.on("*", answer("Hello there, dear SDK", latency=2))
        assert await ask(Clients(vendor.url, http)) == "Hello there, dear SDK"
        assert asyncio.get_running_loop().time() == 2.0


@pytest.mark.parametrize("ask", STREAMED)
@virtual_time
async def test_an_sdk_reads_a_stream_word_by_word(ask: Callable[[Clients], Awaitable[list[str]]]) -> None:
    async with Vendor() as vendor, httpx2.AsyncClient(verify=False) as http:
        vendor.on("*", answer("Hello there, dear SDK", gap=1))
        words = [word for word in await ask(Clients(vendor.url, http)) if word]
        assert words == ["Hello", " there,", " dear", " SDK"]
        assert asyncio.get_running_loop().time() == 5.0


@pytest.mark.parametrize("ask", STREAMED)
@virtual_time
async def test_an_sdk_notices_a_stream_that_is_cut(ask: Callable[[Clients], Awaitable[list[str]]]) -> None:
    async with Vendor() as vendor, httpx2.AsyncClient(verify=False) as http:
        vendor.on("*", answer("Hello there, dear SDK", drop_after=2))
        with pytest.raises((httpx2.RemoteProtocolError, openai.APIError, anthropic.APIError)):
            await ask(Clients(vendor.url, http, max_retries=0))


@virtual_time
async def test_usage_is_counted_in_quarters_of_the_request_and_words() -> None:
    async with Vendor() as vendor, httpx2.AsyncClient(verify=False) as http:
        vendor.on("*", answer("one two three"))
        done = await Clients(vendor.url, http).openai.responses.create(model="gpt", input="x" * 4000)
    assert done.usage is not None
    assert done.usage.output_tokens == 3
    assert 1000 <= done.usage.input_tokens <= 1010


@virtual_time
async def test_other_paths_and_bodies_get_an_answer_that_explains() -> None:
    async with Vendor() as vendor, httpx2.AsyncClient(base_url=vendor.url, verify=False) as http:
        vendor.on("*", answer("hello"))
        lost = await http.post("/v1/embeddings", json={})
        assert (lost.status_code, "/chat/completions" in lost.text) == (404, True)
        assert (await http.post("/v1/messages", content=b"no json")).json()["content"][0]["text"] == "hello"
        assert (await http.post("/v1/messages", json=["a", "list"])).json()["model"] == "loopback"


async def requests_for_one_call(ask: Callable[[Clients], Awaitable[Any]], fault: Behaviour, **retries: Any) -> int:
    async with Vendor() as vendor, httpx2.AsyncClient(verify=False) as http:
        vendor.on("*", fault)
        with pytest.raises(Exception):  # noqa: B017 (each SDK has its own; the count is the point)
            await ask(Clients(vendor.url, http, **retries))
        return len(vendor.traffic.requests)


FAULTS = {"503": reply(503, {"error": {"message": "overloaded"}}), "429": rate_limited(1), "drop": drop()}


@pytest.mark.parametrize("fault", [*FAULTS.values()], ids=[*FAULTS])
@pytest.mark.parametrize(("ask", "by_default"), [*zip(WHOLE, [3, 3, 3, 1, 1], strict=True)])
@virtual_time
async def test_how_often_an_sdk_asks_by_itself(
    ask: Callable[[Clients], Awaitable[Any]], by_default: int, fault: Behaviour
) -> None:
    assert await requests_for_one_call(ask, fault) == by_default
    assert await requests_for_one_call(ask, fault, max_retries=0) == 1


@asynccontextmanager
async def recipes(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, Any]]:
    """Run the Python blocks of the page, in their order and in one namespace."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "MISTRAL_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, "key")
    namespace: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        exec(block, namespace)  # noqa: S102 (our own documentation)
    async with namespace["http"]:
        yield namespace


async def ask_openai(client: Any) -> Any:
    return (await client.responses.create(model="gpt", input="Say hello")).output_text


async def ask_anthropic(client: Any) -> Any:
    return (await client.messages.create(model="claude", max_tokens=9, messages=HELLO)).content[0].text


async def ask_mistral(client: Any) -> Any:
    return (await client.chat.complete_async(model="mistral", messages=HELLO)).choices[0].message.content


async def ask_google(client: Any) -> Any:
    return (await client.aio.models.generate_content(model="gemini", contents="Say hello")).text


@dataclass(frozen=True)
class Recipe:
    """One SDK of the page: how its client is made and asked, and what it turns the policy's exceptions into."""

    make: str
    path: str
    ask: Callable[[Any], Coroutine[Any, Any, Any]]
    refusal: type[Exception]
    timeout: type[Exception]


RECIPES = [
    Recipe("openai_client", "/v1", ask_openai, CallRejected, openai.APITimeoutError),
    Recipe("anthropic_client", "", ask_anthropic, anthropic.APIConnectionError, anthropic.APITimeoutError),
    Recipe("mistral_client", "", ask_mistral, CallRejected, CallTimeout),
    Recipe("google_client", "", ask_google, CallRejected, CallTimeout),
]
each_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=[recipe.make for recipe in RECIPES])


@each_recipe
@virtual_time
async def test_a_recipe_waits_out_a_429_with_two_requests(monkeypatch: pytest.MonkeyPatch, recipe: Recipe) -> None:
    async with Vendor() as vendor, recipes(monkeypatch) as page:
        vendor.on("*", rate_limited(7), answer("Hello again"))
        client = page[recipe.make](vendor.url + recipe.path)
        assert await recipe.ask(client) == "Hello again"
        assert len(vendor.traffic.requests) == 2
        assert 7 <= asyncio.get_running_loop().time() < 8


@each_recipe
@virtual_time
async def test_a_recipe_says_no_as_the_page_says(monkeypatch: pytest.MonkeyPatch, recipe: Recipe) -> None:
    async with Vendor() as vendor, recipes(monkeypatch) as page:
        vendor.on("*", stall())
        client = page[recipe.make](vendor.url + recipe.path)
        with pytest.raises(recipe.timeout):
            await recipe.ask(client)
        assert asyncio.get_running_loop().time() == 30.0
        assert len(vendor.traffic.requests) == 1

        crowd = [asyncio.create_task(recipe.ask(client)) for _ in range(101)]
        done, waiting = await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED)
        refusals = [call.exception() for call in done]
        assert all(isinstance(error, recipe.refusal) for error in refusals)
        assert all(isinstance(policy_error(error), CallRejected) for error in refusals)
        for call in waiting:
            call.cancel()
        await asyncio.wait(waiting)


async def said_by(ask: Coroutine[Any, Any, Any]) -> Exception | None:
    """What one request ended with, unwrapped."""
    try:
        with unwrapped():
            await ask
    except Exception as error:  # noqa: BLE001 (which one it is is the question)
        return error
    return None


@pytest.mark.parametrize("ask", WHOLE)
@virtual_time
async def test_every_sdk_lets_the_policys_own_words_out(ask: Callable[[Clients], Coroutine[Any, Any, Any]]) -> None:
    policy = CallPolicy("v", max_concurrency=1, max_queue=1, call_timeout=3, retry=Retry(attempts=1), queue_timeout=9)
    async with Vendor() as vendor, policy.client("httpx2") as http:
        vendor.on("*", stall())
        clients = Clients(vendor.url, http, max_retries=0)
        said = await asyncio.gather(*(asyncio.create_task(said_by(ask(clients))) for _ in range(3)))
        assert sorted(isinstance(error, QueueFull) for error in said) == [False, False, True]
        assert sum(isinstance(error, CallTimeout) for error in said) == 2


@pytest.mark.parametrize("http", [httpx, httpx2], ids=["httpx", "httpx2"])
@virtual_time
async def test_openai_lets_them_out_on_both_clients(http: Any) -> None:
    policy = CallPolicy("v", max_concurrency=1, max_queue=0, call_timeout=3, retry=Retry(attempts=1))
    async with Vendor() as vendor, policy.client(http.__name__) as client:
        vendor.on("*", stall())
        clients = Clients(vendor.url, client, max_retries=0)
        said = await asyncio.gather(*(asyncio.create_task(said_by(openai_chat(clients))) for _ in range(2)))
        assert {type(error) for error in said if isinstance(error, QueueFull)} == {QueueFull}
        assert sum(isinstance(error, CallTimeout) for error in said) == 1


@pytest.mark.parametrize("ask", STREAMED)
@virtual_time
async def test_a_stream_that_falls_silent_says_so_through_every_sdk(
    ask: Callable[[Clients], Coroutine[Any, Any, Any]],
) -> None:
    policy = CallPolicy("v", stream_limits=StreamLimits(first=5, idle=2, total=60))
    async with Vendor() as vendor, policy.client("httpx2") as http:
        vendor.on("*", answer("once upon a time", gap=1, stall_after=2))
        said = await said_by(ask(Clients(vendor.url, http, max_retries=0)))
    assert isinstance(said, StreamTimeout)
    assert said.phase == "idle"


@virtual_time
async def test_the_pages_handler_tells_a_refusal_from_a_slow_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Vendor() as vendor, recipes(monkeypatch) as page:
        client = page["anthropic_client"](vendor.url)
        vendor.on("*", answer("Hello"))
        assert await page["answer_or_excuse"](client) == "Hello"
        vendor.on("*", stall())
        crowd = [asyncio.create_task(page["answer_or_excuse"](client)) for _ in range(101)]
        done, waiting = await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED)
        assert all(call.result().startswith("busy, try again in") for call in done)
        for call in [*waiting][20:]:
            call.cancel()
        await asyncio.sleep(31)
        assert "the vendor is slow today" in {call.result() for call in waiting if not call.cancelled() and call.done()}
        for call in waiting:
            call.cancel()
        await asyncio.wait(waiting)


def test_the_policys_word_is_found_in_groups_and_behind_causes() -> None:
    word = QueueFull("v: no")
    wrapped = ValueError()
    wrapped.__cause__ = ExceptionGroup("two", [KeyError(), word])
    assert policy_error(wrapped) is word
    assert policy_error(KeyError()) is None
    assert policy_error(None) is None


def test_what_is_not_the_policys_passes_as_it_is() -> None:
    with pytest.raises(KeyError), unwrapped():
        raise KeyError


@virtual_time
async def test_a_stream_that_is_left_early_gives_its_slot_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Vendor() as vendor, recipes(monkeypatch) as page:
        vendor.on("*", answer("once upon a time there was a slot", gap=1))
        client = page["openai_client"](f"{vendor.url}/v1")
        reading = asyncio.create_task(page["first_words"](client, 3))
        await asyncio.sleep(1.5)
        assert page["vendor"].state().in_use == 1
        assert await reading == "once upon a"
        assert page["vendor"].state().in_use == 0
        await asyncio.sleep(1)
        assert vendor.traffic.early_closes == 1


@virtual_time
async def test_a_lost_prompt_is_repeated_only_on_your_word(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Vendor() as vendor, recipes(monkeypatch) as page:
        vendor.on("*", drop())
        for policy, sent in (("vendor", 1), ("patient", 4)):
            async with page[policy].client("httpx2") as http:
                with pytest.raises(openai.APIConnectionError):
                    await openai_chat(Clients(vendor.url, http, max_retries=0))
            assert len(vendor.traffic.requests) == sent


def test_anthropic_refuses_a_client_of_httpx() -> None:
    client: Any = httpx.AsyncClient(verify=False)
    with pytest.raises(TypeError):
        anthropic.AsyncAnthropic(api_key="key", http_client=client)
