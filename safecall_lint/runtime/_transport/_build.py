"""Makes the transport and the client of one library; only here is that library imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Literal, TypeAlias

from ._core import Binding, Core

Library: TypeAlias = Literal["httpx", "httpx2"]

_CONNECT_TIMEOUT = 5.0


def pool(library: Library, name: str, slots: int, settings: Mapping[str, Any]) -> Any:
    """Return a network transport with a connection for every slot.

    Raises:
        ValueError: `limits` in `settings` has fewer connections than there are slots.
    """
    module = import_module(library)
    chosen = dict(settings)
    limits = chosen.setdefault("limits", module.Limits(max_connections=slots))
    if limits.max_connections is not None and limits.max_connections < slots:
        raise ValueError(
            f"{name}: {slots} calls and streams would queue for {limits.max_connections} connections,"
            f" where no queue timeout of ours counts: set max_connections to {slots} or more"
        )
    return module.AsyncHTTPTransport(**chosen)


def transport(library: Library, make_core: Callable[[Any, Binding], Core], inner: Any) -> Any:
    """Return the transport that sends through `inner` what the core lets through."""
    binding = import_module(f"._{library}", __package__)
    return binding.PolicyTransport(make_core(inner, binding.BINDING))


def client(
    library: Library, transport: Any, call_timeout: float, queue_timeout: float, settings: Mapping[str, Any]
) -> Any:
    """Return a client whose own timeouts never fire before those of the policy, except for connecting."""
    module = import_module(library)
    timeout = module.Timeout(call_timeout, connect=min(_CONNECT_TIMEOUT, call_timeout), pool=queue_timeout)
    return module.AsyncClient(transport=transport, **{"timeout": timeout, **settings})
