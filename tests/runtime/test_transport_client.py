"""The client that a policy makes: whatever it is given, each request goes through the policy."""

from __future__ import annotations

import asyncio
import random
import ssl
import sys
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

from safecall_lint.runtime import CallPolicy, Event, QueueTimeout
from safecall_lint.runtime._events import Admitted, PoolHealed, Released
from safecall_lint.runtime.testing import Head, Silence, Step, Vendor, reply

from .both_clients import a_policy, on_both_clients

both = pytest.mark.parametrize("http", [httpx, httpx2], ids=["httpx", "httpx2"])


def made(policy: CallPolicy, http: ModuleType, **settings: Any) -> Any:
    return policy.client(http.__name__, **settings)  # type: ignore[call-overload]


def path_of(vendor: Vendor) -> list[str]:
    """What the vendor was asked for; a proxy is asked for whole addresses."""
    return [request.path for request in vendor.traffic.requests]


async def only_slot_is_taken_by(client: Any, policy: CallPolicy, url: str) -> None:
    """Show that a request holds the one slot that there is, and gives it back."""
    request = asyncio.create_task(client.get(url))
    await asyncio.sleep(0.5)
    assert policy.state().in_use == 1
    with pytest.raises(QueueTimeout):
        await client.get(url)
    assert (await request).status_code == 200
    assert policy.state().in_use == 0


def a_narrow_policy(**settings: Any) -> CallPolicy:
    return a_policy(max_concurrency=1, queue_timeout=1, **settings)


@on_both_clients
async def test_a_proxy_is_below_the_policy(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("*", reply(200, latency=2))
    policy = a_narrow_policy()
    for proxy in (vendor.url, http.URL(vendor.url), http.Proxy(vendor.url)):
        async with made(policy, http, proxy=proxy) as client:
            await only_slot_is_taken_by(client, policy, "http://api.test/v1")
    assert set(path_of(vendor)) == {"http://api.test/v1"}


@on_both_clients
async def test_a_transport_takes_a_proxy_too(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("*", reply(200, latency=2))
    policy = a_narrow_policy()
    transport = policy.transport(http.__name__, proxy=vendor.url)  # type: ignore[call-overload]
    async with http.AsyncClient(transport=transport, timeout=9) as client:
        await only_slot_is_taken_by(client, policy, "http://api.test/v1")
    assert path_of(vendor) == ["http://api.test/v1"]


@on_both_clients
async def test_mounts_are_below_the_policy(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("*", reply(200, latency=2))
    policy = a_narrow_policy()

    async def slow(request: Any) -> Any:
        await asyncio.sleep(2)
        return http.Response(200)

    mounts = {
        "all://mocked.test": http.MockTransport(slow),
        "all://proxied.test": http.AsyncHTTPTransport(proxy=vendor.url),
        "all://127.0.0.1": None,
    }
    async with made(policy, http, mounts=mounts, proxy="http://127.0.0.1:1") as client:
        for url in ("http://mocked.test/", "http://proxied.test/", f"{vendor.url}/direct"):
            await only_slot_is_taken_by(client, policy, url)
    assert path_of(vendor) == ["http://proxied.test/", "/direct"]


@on_both_clients
async def test_a_mount_of_a_policy_keeps_to_that_policy(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", reply(200, latency=2))
    policy, other = a_narrow_policy(), a_narrow_policy()
    mounts = {
        "all://127.0.0.1": other.transport(http.__name__),  # type: ignore[call-overload]
        "all://localhost": policy.transport(http.__name__),  # type: ignore[call-overload]
    }
    async with made(policy, http, mounts=mounts) as client:
        await only_slot_is_taken_by(client, other, vendor.url)
        await only_slot_is_taken_by(client, policy, vendor.url.replace("127.0.0.1", "localhost"))


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_below_the_policy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @on_both_clients
    async def scenario(http: ModuleType, vendor: Vendor) -> None:
        vendor.on("*", reply(200, latency=2))
        monkeypatch.setenv(name, vendor.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        policy = a_narrow_policy()
        async with made(policy, http) as client:
            await only_slot_is_taken_by(client, policy, "http://api.test/")
            await only_slot_is_taken_by(client, policy, f"{vendor.url}/direct")
        assert path_of(vendor) == ["http://api.test/", "/direct"]

    for http in (httpx, httpx2):
        scenario(http)


ENVIRONMENTS: list[dict[str, str]] = [
    {},
    {"HTTP_PROXY": "http://a.test:1"},
    {"https_proxy": "a.test:1", "NO_PROXY": "localhost, ::1,10.0.0.1,.inner.test,http://plain.test"},
    {"ALL_PROXY": "http://user:word@a.test:1", "HTTP_PROXY": "http://b.test:1"},
    {"HTTP_PROXY": "http://a.test:1", "NO_PROXY": "one.test,*"},
]
ADDRESSES = [
    f"{scheme}://{host}/"
    for scheme in ("http", "https")
    for host in ("api.test", "localhost", "[::1]", "10.0.0.1", "www.inner.test", "inner.test", "plain.test")
]


def proxy_below(client: Any, url: str) -> Any:
    """Where a client really sends to: the address of the proxy in the pool that it takes."""
    transport = client._transport_for_url(type(client.base_url)(url))
    core = getattr(transport, "_core", None)
    pool = transport._pool if core is None else core._inner._pool
    return getattr(pool, "_proxy_url", None) and (pool._proxy_url.host, pool._proxy_url.port)


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda names: " ".join(names) or "empty")
@both
def test_the_environment_means_what_it_means_to_a_client_without_a_policy(
    http: ModuleType, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for settings in ({}, {"trust_env": False}, {"proxy": "http://c.test:2"}):
        plain, ours = http.AsyncClient(**settings), made(a_policy(), http, **settings)
        assert [proxy_below(ours, url) for url in ADDRESSES] == [proxy_below(plain, url) for url in ADDRESSES]
        pools = {plain._transport, *plain._mounts.values()} - {None}
        assert len({ours._transport, *ours._mounts.values()} - {None}) == len(pools)


STORMS: dict[str, tuple[str, list[Step]]] = {
    "tunnels that carry nothing": ("https://api.test/", [Head(200), Silence()]),
    "tunnels that are closed at once": ("https://api.test/", [Head(200)]),
    "requests that are passed on": ("http://api.test/", reply(200, "ok")),
}


@pytest.mark.parametrize("storm", STORMS)
def test_no_connection_of_a_proxys_pool_is_lost(storm: str) -> None:
    """A TLS handshake through a tunnel that fails or is cancelled costs a slot of a bare pool, on httpx2 as well."""
    url, behaviour = STORMS[storm]

    @on_both_clients
    async def scenario(http: ModuleType, vendor: Vendor) -> None:
        events: list[Event] = []
        policy = a_policy(max_concurrency=10, max_queue=1000, breaker=None, events=events.append)
        chance = random.Random(1)

        async def cancelled() -> None:
            call = asyncio.create_task(client.get(url))
            for _ in range(chance.randrange(60)):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

        async with made(policy, http, proxy=vendor.url) as client:
            vendor.on("*", behaviour)
            for _ in range(10):
                await asyncio.gather(*(cancelled() for _ in range(50)))
            assert (policy.state().in_use, policy.state().queued) == (0, 0)
            vendor.on("*", reply(200, latency=1))
            answers = await asyncio.gather(*(client.get("http://api.test/") for _ in range(10)), return_exceptions=True)
            assert [getattr(answer, "status_code", answer) for answer in answers] == [200] * 10
            assert vendor.traffic.open_sockets <= 10
        healed = any(isinstance(event, PoolHealed) for event in events)
        assert healed == (http is httpx or url.startswith("https"))
        given, given_back = (sum(isinstance(event, kind) for event in events) for kind in (Admitted, Released))
        assert given == given_back

    for http in (httpx, httpx2):
        scenario(http)


@both
def test_what_a_pool_is_told_reaches_every_pool(http: ModuleType) -> None:
    trusted = ssl.create_default_context()
    settings = {"verify": trusted, "limits": http.Limits(max_connections=77, keepalive_expiry=3), "http1": False}
    client = made(a_policy(), http, proxy="http://127.0.0.1:1", http2=False, retries=2, **settings)
    pools = [transport._core._inner._pool for transport in (client._transport, *client._mounts.values())]
    assert len(pools) == 2
    for pool in pools:
        assert (pool._ssl_context, pool._max_connections, pool._keepalive_expiry) == (trusted, 77, 3)
        assert (pool._http1, pool._http2) == (False, False)
    assert pools[0]._retries == 2


@both
def test_a_pool_of_a_client_that_is_smaller_than_the_slots_is_refused(http: ModuleType) -> None:
    with pytest.raises(ValueError, match="set max_connections to 50 or more"):
        made(a_policy(), http, limits=http.Limits(max_connections=49))


@both
def test_the_environment_of_a_pool_is_trusted_only_where_that_is_wished(
    http: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    class Spied(http.AsyncHTTPTransport):  # type: ignore[misc, name-defined]
        def __init__(self, trust_env: bool = True, **settings: Any) -> None:
            seen.append(trust_env)
            super().__init__(trust_env=trust_env, **settings)

    monkeypatch.setattr(http, "AsyncHTTPTransport", Spied)
    for trust_env in (False, True):
        assert made(a_policy(), http, trust_env=trust_env).trust_env is trust_env
    assert seen == [False, True]


@on_both_clients
async def test_a_transport_that_is_given_does_the_work_below_the_policy(http: ModuleType, vendor: Vendor) -> None:
    async def slow(request: Any) -> Any:
        await asyncio.sleep(2)
        return http.Response(200)

    policy = a_narrow_policy()
    async with made(policy, http, transport=http.MockTransport(slow), trust_env=False) as client:
        await only_slot_is_taken_by(client, policy, "http://api.test/")


@both
def test_settings_that_would_have_no_effect_are_refused(http: ModuleType) -> None:
    mock = http.MockTransport(lambda _request: http.Response(200))
    with pytest.raises(TypeError, match="limits=, verify= would have no effect beside transport="):
        made(a_policy(), http, transport=mock, limits=http.Limits(), verify=False)
    with pytest.raises(TypeError, match="proxy= would have no effect beside transport="):
        made(a_policy(), http, transport=mock, proxy="http://127.0.0.1:1")
    with pytest.raises(TypeError, match="http2= would have no effect beside inner="):
        a_policy().transport(http.__name__, inner=mock, http2=True)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="proxies= goes past the policy: write proxy= or mounts="):
        made(a_policy(), http, proxies={})
    with pytest.raises(TypeError, match="unexpected keyword argument 'time_out'"):
        made(a_policy(), http, time_out=3)


@both
def test_what_cannot_carry_a_request_is_refused_when_the_client_is_made(http: ModuleType) -> None:
    other = {httpx: httpx2, httpx2: httpx}[http]
    teaches = rf"cannot carry the requests of an AsyncClient of {http.__name__}: give a {http.__name__}.AsyncBase"
    for transport in (http.HTTPTransport(), other.AsyncHTTPTransport(), "http://127.0.0.1:1", object()):
        with pytest.raises(TypeError, match=teaches):
            made(a_policy(), http, mounts={"all://": transport})
        with pytest.raises(TypeError, match=teaches):
            made(a_policy(), http, transport=transport)
    with pytest.raises(TypeError, match=teaches):
        a_policy().transport(http.__name__, inner=other.AsyncHTTPTransport())  # type: ignore[call-overload]


@pytest.mark.parametrize(("library", "extra"), [("httpx", "runtime"), ("httpx2", "httpx2")])
def test_a_library_that_is_not_installed_is_named_with_its_extra(
    library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    for make in (a_policy().client, a_policy().transport):
        with pytest.raises(ModuleNotFoundError, match=rf"pip install {library}, .*safecall-lint\[{extra}\]"):
            make(library)  # type: ignore[operator]


def test_a_library_that_is_broken_itself_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "httpx")
    monkeypatch.setitem(sys.modules, "httpcore", None)
    for name in [name for name in sys.modules if name.startswith("httpx.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ModuleNotFoundError, match="httpcore"):
        a_policy().client("httpx")


@pytest.mark.parametrize("library", ["aiohttp", "requests", "HTTPX", ""])
def test_another_library_is_refused_with_what_there_is_for_it(library: str) -> None:
    for make in (a_policy().client, a_policy().transport):
        with pytest.raises(
            ValueError, match="only httpx and httpx2 have: put a call of any other client through policy"
        ):
            make(library)  # type: ignore[operator]
