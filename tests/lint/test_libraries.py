"""What the knowledge tables know about each library, shown by the findings that they make possible.

`# SCL103` on a line: that rule, and no other of those the case is about, reports there.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from msgspec.structs import replace

from safecall_lint.discovery import discover
from safecall_lint.engine import Linter
from safecall_lint.rulebook import exactly
from safecall_lint.settings import Lookup
from tests.cases import write

MARK = re.compile(r"# (SCL\d{3}(?: SCL\d{3})*)$")

CASES = {
    "openai before 1: functions that block or are awaited, and exceptions of their own": (
        ("SCL402", "SCL404", "SCL502"),
        """
        import openai
        from openai.error import RateLimitError
        async def ask(text):
            return openai.ChatCompletion.create(model="m", messages=text)  # SCL502
        async def waits(text):
            return await openai.ChatCompletion.acreate(model="m", messages=text)
        def tried(text):
            for attempt in range(5):
                try:
                    return openai.Embedding.create(input=text)
                except openai.error.OpenAIError:  # SCL402 SCL404
                    continue
        def when_there_is_room(text):
            for attempt in range(5):
                try:
                    return openai.Completion.create(prompt=text)
                except RateLimitError:  # SCL404
                    continue
        """,
    ),
    "openai: what is computed from a webhook waits for nobody": (
        ("SCL502",),
        """
        from openai import OpenAI
        client = OpenAI(timeout=30)
        async def told(body, headers):
            return client.webhooks.unwrap(body, headers)
        async def answers(text):
            return client.responses.create(model="m", input=text)  # SCL502
        """,
    ),
    "google-generativeai: models share a client, and block unless asked not to": (
        ("SCL103", "SCL104", "SCL402", "SCL502"),
        """
        import google.generativeai as genai
        async def ask(text):
            model = genai.GenerativeModel("m")
            await model.generate_content_async(text)
            chat = model.start_chat()
            chat.send_message(text)  # SCL502
            return model.generate_content(text)  # SCL502
        def tried(text):
            model = genai.GenerativeModel("m")
            for attempt in range(3):
                try:
                    return model.generate_content(text).text
                except Exception:  # SCL402
                    continue
        """,
    ),
    "langchain: chat models by their old names": (
        ("SCL103",),
        """
        from langchain.chat_models import AzureChatOpenAI, ChatOpenAI
        model = ChatOpenAI(temperature=0)  # SCL103
        told = ChatOpenAI(request_timeout=30)
        other = AzureChatOpenAI(temperature=0)  # SCL103
        """,
    ),
    "retry: every exception, for ever, unless told otherwise": (
        ("SCL402", "SCL403", "SCL405"),
        """
        import openai
        from retry import retry
        from retry_async import retry as again
        client = openai.OpenAI()
        async_client = openai.AsyncOpenAI(max_retries=0)
        @retry(openai.RateLimitError, tries=3, delay=1)  # SCL405
        def ask(text):
            return client.responses.create(model="m", input=text)
        @again(is_async=True, delay=1)  # SCL402 SCL403
        async def ask_again(text):
            return await async_client.responses.create(model="m", input=text)
        """,
    ),
    "mistralai: 300 s, milliseconds, calls for both worlds": (
        ("SCL103", "SCL104", "SCL303", "SCL502"),
        """
        import asyncio
        from mistralai.client import Mistral
        client = Mistral(api_key="k")
        async def ask(text):
            return await client.chat.complete_async(model="m", messages=text)
        async def block(text):
            return client.chat.complete(model="m", messages=text)  # SCL502
        async def nested(text):
            async with asyncio.timeout(10):  # SCL303
                await client.chat.complete_async(model="m", messages=text, timeout_ms=20_000)
            async with asyncio.timeout(10):
                await client.chat.complete_async(model="m", messages=text, timeout_ms=5_000)
        async def fresh(text):
            one = Mistral(api_key="k")  # SCL104
            return await one.chat.complete_async(model="m", messages=text)
        """,
    ),
    "mistralai: raises what httpx2 raises": (
        ("SCL301",),
        """
        from mistralai import Mistral
        client = Mistral(api_key="k")
        async def ask(text):
            try:
                return await client.chat.complete_async(model="m", messages=text)
            except TimeoutError:  # SCL301
                return None
        """,
    ),
    "google-genai: no timeout unless `http_options` says so": (
        ("SCL103", "SCL502"),
        """
        from google import genai
        from google.genai import types
        client = genai.Client()  # SCL103
        told = genai.Client(http_options=types.HttpOptions(timeout=30_000))
        spelled = genai.Client(http_options={"timeout": 30_000})
        versioned = genai.Client(http_options=types.HttpOptions(api_version="v1"))  # SCL103
        per_call = genai.Client()
        async def ask(text):
            await client.aio.models.generate_content(model="m", contents=text)
            return client.models.generate_content(model="m", contents=text)  # SCL502
        async def limited(text):
            config = types.GenerateContentConfig(http_options=types.HttpOptions(timeout=5_000))
            return await per_call.aio.models.generate_content(model="m", contents=text, config=config)
        """,
    ),
    "cohere: two retries below one's own": (
        ("SCL103", "SCL301", "SCL405"),
        """
        import asyncio
        import cohere
        client = cohere.AsyncClientV2()
        once = cohere.AsyncClientV2(max_retries=0)
        async def ask(text):
            for attempt in range(4):  # SCL405
                try:
                    return await client.chat(model="m", messages=text)
                except cohere.TooManyRequestsError:
                    await asyncio.sleep(2**attempt)
        async def plain(text):
            for attempt in range(4):
                try:
                    return await once.chat(model="m", messages=text)
                except cohere.TooManyRequestsError:
                    await asyncio.sleep(2**attempt)
        async def hurried(text):
            try:
                return await once.embed(texts=[text], model="m")
            except TimeoutError:  # SCL301
                return None
        """,
    ),
    "groq: a minute, two retries, httpx below": (
        ("SCL103", "SCL108", "SCL301", "SCL405", "SCL502"),
        """
        import asyncio
        import httpx2
        from groq import APIError, AsyncGroq, Groq
        client = AsyncGroq()
        other = AsyncGroq(http_client=httpx2.AsyncClient())  # SCL108
        late = Groq(timeout=None)  # SCL103
        async def ask(text):
            for attempt in range(3):  # SCL405
                try:
                    return await client.chat.completions.create(model="m", messages=text)
                except APIError:
                    await asyncio.sleep(2**attempt)
        async def block(text):
            return late.chat.completions.create(model="m", messages=text)  # SCL502
        async def hurried(text):
            try:
                return await client.chat.completions.create(model="m", messages=text)
            except asyncio.TimeoutError:  # SCL301
                return None
        """,
    ),
    "litellm: functions of both worlds, and a router": (
        ("SCL206", "SCL301", "SCL303", "SCL405", "SCL502"),
        """
        import asyncio
        import litellm
        from litellm import Router, acompletion, completion
        router = Router(model_list=[{"model_name": "a", "litellm_params": {"model": "gpt-5"}}])
        async def block(text):
            return completion(model="m", messages=text)  # SCL502
        async def block_too(text):
            return router.completion(model="a", messages=text)  # SCL502
        async def many(texts):
            return await asyncio.gather(*(acompletion(model="m", messages=text) for text in texts))  # SCL206
        async def hurried(text):
            try:
                return await litellm.acompletion(model="m", messages=text, timeout=20)
            except asyncio.TimeoutError:  # SCL301
                return None
        async def caught(text):
            try:
                return await acompletion(model="m", messages=text)
            except litellm.Timeout:
                return None
        async def again(text):
            for attempt in range(3):  # SCL405
                try:
                    return await router.acompletion(model="a", messages=text)
                except litellm.RateLimitError:
                    await asyncio.sleep(2**attempt)
        """,
    ),
    "langchain: models that pass `timeout=None` on": (
        ("SCL103", "SCL104", "SCL405", "SCL502"),
        """
        from langchain.chat_models import init_chat_model
        from langchain_anthropic import ChatAnthropic
        from langchain_core.prompts import ChatPromptTemplate
        from langchain_google_genai import ChatGoogleGenerativeAI
        from langchain_mistralai import ChatMistralAI
        from langchain_openai import ChatOpenAI
        llm = ChatOpenAI(model="m")  # SCL103
        claude = ChatAnthropic(model="m", timeout=30)
        alias = ChatOpenAI(model="m", request_timeout=20)
        named = init_chat_model("openai:m")
        mistral = ChatMistralAI(model="m")
        gemini = ChatGoogleGenerativeAI(model="m", timeout=30, max_retries=1)
        chain = ChatPromptTemplate.from_template("{question}") | claude
        async def ask(text):
            await chain.ainvoke({"question": text})
            return chain.invoke({"question": text})  # SCL502
        async def tools(text):
            async for piece in llm.bind_tools([]).astream(text):
                print(piece)
            return named.invoke(text)  # SCL502
        async def fresh(text):
            return await ChatOpenAI(model="m", timeout=10).ainvoke(text)
        async def anew(text):
            model = ChatMistralAI(model="m")  # SCL104
            return await model.ainvoke(text)
        stubborn = claude.with_retry(stop_after_attempt=4)  # SCL405
        by_value = claude.with_retry(retry_if_exception_type=(ValueError,))
        single = gemini.with_retry()
        quiet = ChatAnthropic(model="m", timeout=30, max_retries=0).with_retry()
        """,
    ),
    "langchain: a retry of one's own around a chain": (
        ("SCL405",),
        """
        from langchain_google_genai import ChatGoogleGenerativeAI
        from tenacity import retry, stop_after_attempt, wait_random_exponential
        chain = str.upper | ChatGoogleGenerativeAI(model="m", timeout=30)
        @retry(stop=stop_after_attempt(3), wait=wait_random_exponential())  # SCL405
        async def ask(text):
            return await chain.ainvoke(text)
        """,
    ),
    "langchain: only the awaited stream of one vendor ends by itself": (
        ("SCL701",),
        """
        from langchain_anthropic import ChatAnthropic
        from langchain_openai import ChatOpenAI
        llm = ChatOpenAI(model="m")
        claude = ChatAnthropic(model="m")
        async def read(text):
            async for piece in llm.astream(text):
                print(piece)
            async for piece in claude.astream(text):  # SCL701
                print(piece)
        def read_here(text):
            for piece in llm.stream(text):  # SCL701
                print(piece)
        """,
    ),
    "google-api-core: bounded by 120 s, on what passes": (
        ("SCL402", "SCL403", "SCL405"),
        """
        from google.api_core import retry
        from google.auth.transport.requests import AuthorizedSession
        def client(credentials):
            return AuthorizedSession(credentials)
        @retry.Retry()
        def ask(credentials, url):
            return client(credentials).get(url)
        @retry.Retry(predicate=retry.if_exception_type(Exception), timeout=None)  # SCL402 SCL403
        def insist(credentials, url):
            return client(credentials).get(url)
        """,
    ),
    "httpx-retries: a transport that tries again": (
        ("SCL405",),
        """
        import asyncio
        import httpx
        from httpx_retries import Retry, RetryTransport
        client = httpx.AsyncClient(transport=RetryTransport(retry=Retry(total=3)))
        plain = httpx.AsyncClient(transport=httpx.AsyncHTTPTransport())
        async def fetch(url):
            for attempt in range(4):  # SCL405
                try:
                    return await client.get(url)
                except httpx.TransportError:
                    await asyncio.sleep(2**attempt)
        async def once(url):
            for attempt in range(4):
                try:
                    return await plain.get(url)
                except httpx.TransportError:
                    await asyncio.sleep(2**attempt)
        """,
    ),
    "pyrate-limiter, throttled, limits, langchain: limits per process": (
        ("SCL202", "SCL205", "SCL601"),
        """
        import asyncio
        import httpx
        from langchain_core.rate_limiters import InMemoryRateLimiter
        from langchain_openai import ChatOpenAI
        from limits.aio.storage import MemoryStorage, RedisStorage
        from limits.aio.strategies import MovingWindowRateLimiter
        from pyrate_limiter import Limiter, Rate, RedisBucket
        from throttled.asyncio import RedisStore, Throttled
        client = httpx.AsyncClient()
        slots = asyncio.Semaphore(5)
        pace = Limiter(Rate(10, 1000))  # SCL601
        shared = Limiter(RedisBucket.init([Rate(10, 1000)], client, "k"))
        window = MovingWindowRateLimiter(MemoryStorage())  # SCL601
        common = MovingWindowRateLimiter(RedisStorage("redis://"))
        polite = Throttled(key="vendor", quota="10/s", timeout=5)  # SCL601
        refusing = Throttled(key="vendor", quota="10/s", store=RedisStore())
        slow = InMemoryRateLimiter(requests_per_second=2)  # SCL601
        model = ChatOpenAI(model="m", timeout=20, rate_limiter=slow)
        async def by_rate(url):
            await pace.try_acquire_async("vendor")
            return await client.get(url)
        async def by_shared(url):
            await shared.try_acquire_async("vendor")
            return await client.get(url)
        async def by_window(url, item):
            if await window.hit(item, "vendor") and await common.hit(item, "vendor"):
                return await client.get(url)
        async def waits_inside(url):
            async with slots:
                async with polite:  # SCL205
                    return await client.get(url)
        async def asks_inside(url):
            async with slots:
                async with refusing:
                    return await client.get(url)
        async def by_key(url, user):
            async with Throttled(key=user, quota="1/s", timeout=5):
                return await client.get(url)
        """,
    ),
    "boto3: clients by session, by function, by context manager": (
        ("SCL301", "SCL502"),
        """
        import aioboto3
        import boto3
        from aiobotocore.session import get_session
        store = boto3.Session(region_name="eu").client("s3")
        async def block(name):
            return store.head_object(Bucket="b", Key=name)  # SCL502
        async def plain(name):
            async with aioboto3.Session().client("s3") as s3:
                return await s3.head_object(Bucket="b", Key=name)
        async def hurried(name):
            async with get_session().create_client("s3") as s3:
                try:
                    return await s3.head_object(Bucket="b", Key=name)
                except TimeoutError:  # SCL301
                    return None
        """,
    ),
    "urllib3: a pool has no timeout, the function has 3 s": (
        ("SCL103", "SCL502"),
        """
        import urllib3
        from urllib3 import PoolManager, Timeout
        pool = PoolManager()  # SCL103
        told = PoolManager(timeout=Timeout(connect=2, read=10))
        half = PoolManager(timeout=Timeout(connect=2))  # SCL103
        async def block(url):
            return urllib3.request("GET", url)  # SCL502
        async def block_too(url):
            return told.request("GET", url)  # SCL502
        """,
    ),
    "google-auth: a session of requests with 120 s": (
        ("SCL103", "SCL502"),
        """
        from google.auth.transport.requests import AuthorizedSession
        from google.oauth2 import id_token
        def session(credentials):
            return AuthorizedSession(credentials)
        async def block(credentials, url):
            return session(credentials).get(url)  # SCL502
        async def whose(token, request):
            return id_token.verify_oauth2_token(token, request)  # SCL502
        """,
    ),
    "sse-starlette: a response that reads a stream": (
        ("SCL704",),
        """
        import asyncio
        from openai import AsyncOpenAI
        from sse_starlette import EventSourceResponse
        client = AsyncOpenAI(timeout=20)
        slots = asyncio.Semaphore(5)
        async def pieces(text):
            async for piece in await client.responses.create(model="m", input=text, stream=True):
                yield piece
        async def answer(text):
            async with slots:
                return EventSourceResponse(pieces(text))  # SCL704
        """,
    ),
    "anyio: a stream without a size hands over, one of infinite size piles up": (
        ("SCL705",),
        """
        import math
        import anyio
        from openai import AsyncOpenAI
        client = AsyncOpenAI(timeout=20)
        async def read(text):
            send, receive = anyio.create_memory_object_stream()
            deep, end = anyio.create_memory_object_stream(math.inf)  # SCL705
            async for piece in await client.responses.create(model="m", input=text, stream=True):
                await send.send(piece)
        """,
    ),
}


@pytest.mark.parametrize("title", CASES)
def test_a_library_is_known(title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes, text = CASES[title]
    code = textwrap.dedent(text).lstrip("\n")
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"app.py": code, "pyproject.toml": "[project]\nname = 'app'\n", "Procfile": PROCFILE})
    wanted = [(line, code) for line, codes in _marks(code) for code in codes]
    assert _reported(codes) == wanted


PROCFILE = "web: uvicorn app:app --workers 4\n"


def _marks(code: str) -> list[tuple[int, list[str]]]:
    lines = enumerate(code.splitlines(), start=1)
    return [(number, found[1].split()) for number, line in lines if (found := MARK.search(line))]


def _reported(codes: tuple[str, ...]) -> list[tuple[int, str]]:
    lookup = Lookup(adjust=lambda settings: replace(settings, select=codes, profile="all"))
    found: list[tuple[int, str]] = []
    for target in discover(["."], lookup).targets:
        report = Linter(target.settings).file(target.path)
        assert not report.crashes, report.crashes[0].trace
        found += [(finding.span.line, _code(finding.name)) for finding in report.findings]
    return sorted(found)


def _code(name: str) -> str:
    rule = exactly(name)
    assert rule is not None
    return rule.code


@pytest.mark.parametrize(("pinned", "wanted"), [("mistralai<3", []), ("mistralai>=3", [(8, "SCL301")])])
def test_an_older_release_raises_what_it_stood_on(
    pinned: str, wanted: list[tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """\
    import httpx
    from mistralai import Mistral
    client = Mistral(api_key="k")

    async def ask(text):
        try:
            return await client.chat.complete_async(model="m", messages=text)
        except (TimeoutError, httpx.TimeoutException):
            return None
    """
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"app.py": textwrap.dedent(code), "requirements.txt": f"{pinned}\n"})
    assert _reported(("SCL301",)) == wanted
