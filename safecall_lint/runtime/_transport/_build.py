"""Makes the transports and the clients of one library; only here is that library imported."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .._checks import most
from .._setting import instance, refusal
from ._core import Core, RequestSettings

if TYPE_CHECKING:
    from .._layers import Layers
    from .._policy import CallPolicy

_EXTRAS = {"httpx": "runtime", "httpx2": "httpx2"}
_CONNECT_TIMEOUT = 5.0
_OF_BOTH = frozenset({"trust_env"})
"""What a client itself heeds as well as its pool: the environment also has a netrc."""


def load(library: str) -> ModuleType:
    """Import one of the client libraries.

    Raises:
        TypeError: `library` is no name.
        ValueError: there are no transports for it.
        ModuleNotFoundError: it is not installed.
    """
    if not isinstance(library, str) or library not in _EXTRAS:
        raise refusal(
            ValueError if isinstance(library, str) else TypeError,
            "transport",
            "library",
            library,
            "has no transport of ours, only httpx and httpx2 have:"
            " put a call of any other client through policy.call(), or decorate its function with @policy",
        )
    try:
        return import_module(library)
    except ModuleNotFoundError as error:
        if error.name != library:
            raise
        message = f"{library} is not installed: pip install {library}, or the extra safecall-lint[{_EXTRAS[library]}]"
        raise ModuleNotFoundError(message, name=library) from None


class Builder:
    """Makes what sends the requests of one library through one policy.

    Args:
        policy: the policy.
        layers: its layers.
        library: "httpx" or "httpx2".

    Raises:
        ValueError: there are no transports for the library.
        ModuleNotFoundError: it is not installed.
    """

    def __init__(self, policy: CallPolicy, layers: Layers, library: str) -> None:
        self._policy = policy
        self._layers = layers
        self._library = library
        self._http = load(library)
        self._bound = import_module(f"._{library}", __package__)

    def transport(self, inner: Any, settings: Mapping[str, Any]) -> Any:
        """Return a transport over `inner`, or over a pool made from `settings`.

        Raises:
            TypeError: there are both, or `inner` is no transport.
            ValueError: the pool has fewer connections than there are slots.
        """
        if inner is None:
            return self._over(self._pool(settings))
        self._refuse_idle(settings, "inner")
        return self._over(inner)

    def client(self, settings: Mapping[str, Any]) -> Any:
        """Return a client all of whose transports, those of proxies and mounts included, are the policy's.

        Its own timeouts never fire before those of the policy, except for connecting.

        Raises:
            TypeError: settings that would have no effect, or a mount that is no transport.
            ValueError: the pool has fewer connections than there are slots.
        """
        if "proxies" in settings:  # httpx 0.27 still takes it, and sends past the transport that it was given
            raise TypeError(f"{self._policy.name}: proxies= goes past the policy: write proxy= or mounts=")
        kept = {name: value for name, value in settings.items() if name not in ("transport", "proxy", "mounts")}
        for_pool = {name: kept[name] for name in _arguments(self._http.AsyncHTTPTransport) & kept.keys()}
        inner, proxy = settings.get("transport"), settings.get("proxy")
        mounts: dict[str, Any] = {}
        if inner is None:
            transport = self._over(self._pool(for_pool))
            for pattern, through in self._proxies(proxy, trust_env=kept.get("trust_env", True)).items():
                mounts[pattern] = None if through is None else self._over(self._pool({**for_pool, "proxy": through}))
        else:
            idle = for_pool.keys() - _OF_BOTH | ({"proxy"} if proxy is not None else set())
            self._refuse_idle(idle, "transport")
            transport = self._over(inner, "transport")
        for pattern, mount in (settings.get("mounts") or {}).items():
            mounts[pattern] = mount if self._has_policy(mount) else self._over(mount, f"mounts[{pattern!r}]")
        for name in for_pool.keys() - _arguments(self._http.AsyncClient):
            del kept[name]
        return self._http.AsyncClient(transport=transport, mounts=mounts, **{"timeout": self._timeout(), **kept})

    def _over(self, inner: Any, name: str = "inner") -> Any:
        """Return the transport that sends through `inner` what the policy lets through."""
        policy = self._policy
        if not isinstance(inner, self._http.AsyncBaseTransport):
            text = f"cannot carry the requests of an AsyncClient of {self._library}"
            raise refusal(TypeError, policy.name, name, inner, f"{text}: give a {self._library}.AsyncBaseTransport")
        settings = RequestSettings(
            policy.name, policy.call_timeout, policy.stream_limits, adds_keys=policy.retry.repeat == "keyed"
        )
        return self._bound.PolicyTransport(Core(policy, settings, self._layers, inner, self._bound.BINDING))

    def _has_policy(self, mount: Any) -> bool:
        """Whether a mount needs no transport of ours: None is the client's own, and another policy's keeps to that."""
        return mount is None or isinstance(mount, self._bound.PolicyTransport)

    def _pool(self, settings: Mapping[str, Any]) -> Any:
        """Return a network transport with a connection for every slot."""
        policy = self._policy
        slots = most(policy.max_concurrency) + (policy.max_streams or 0)
        chosen = {"limits": self._http.Limits(max_connections=slots), **settings}
        instance(self._http.Limits, "nothing says how many connections there may be", f"{self._library}.Limits(...)")(
            policy.name, "limits", chosen["limits"]
        )
        connections = chosen["limits"].max_connections
        if connections is not None and connections < slots:
            raise ValueError(
                f"{policy.name}: {slots} calls and streams would queue for {connections} connections,"
                f" where no queue timeout of ours counts: set max_connections to {slots} or more"
            )
        return self._http.AsyncHTTPTransport(**chosen)

    def _proxies(self, proxy: Any, *, trust_env: bool) -> dict[str, Any]:
        """Return a proxy for each pattern of addresses, or None for none, as a client without a transport has them."""
        if proxy is not None:
            return {"all://": proxy}
        if not trust_env:
            return {}
        # NO_PROXY is read by rules of the library's own, and not by the same ones in httpx and in httpx2.
        found: dict[str, str | None] = import_module(f"{self._library}._utils").get_environment_proxies()
        return found

    def _timeout(self) -> Any:
        policy = self._policy
        connect = min(_CONNECT_TIMEOUT, policy.call_timeout)
        return self._http.Timeout(policy.call_timeout, connect=connect, pool=policy.queue_timeout)

    def _refuse_idle(self, names: Mapping[str, Any] | set[str], owner: str) -> None:
        """Refuse settings of a pool where `owner` brings one of its own."""
        if names:
            listed = ", ".join(f"{name}=" for name in sorted(names))
            raise TypeError(
                f"{self._policy.name}: {listed} would have no effect beside {owner}=, which does the network's work"
                f" itself: say it where that is made, or leave {owner}= out"
            )


def _arguments(kind: type) -> set[str]:
    return set(inspect.signature(kind).parameters)
