"""The binding to httpx."""

from __future__ import annotations

from typing import Any

import httpx

from .._errors import CallTimeout, DeadlineExceeded, StreamPhase, StreamTimeout
from ._body import Body
from ._core import Binding, Core


class HttpxCallTimeout(CallTimeout, httpx.ReadTimeout):
    """`CallTimeout`, also caught as `httpx.TimeoutException`."""

    def __init__(self, message: str, *, policy: str = "", request: Any = None) -> None:
        CallTimeout.__init__(self, message, policy=policy)
        self.request = request


class HttpxDeadlineExceeded(DeadlineExceeded, httpx.ReadTimeout):
    """`DeadlineExceeded`, also caught as `httpx.TimeoutException`."""

    def __init__(self, message: str, *, policy: str = "", request: Any = None) -> None:
        DeadlineExceeded.__init__(self, message, policy=policy)
        self.request = request


class HttpxStreamTimeout(StreamTimeout, httpx.ReadTimeout):
    """`StreamTimeout`, also caught as `httpx.TimeoutException`."""

    def __init__(self, message: str, *, policy: str = "", phase: StreamPhase = "idle", request: Any = None) -> None:
        StreamTimeout.__init__(self, message, policy=policy, phase=phase)
        self.request = request


class HttpxBodyTimeout(CallTimeout, HttpxStreamTimeout):
    """The `CallTimeout` of an attempt whose body was late."""

    def __init__(self, message: str, *, policy: str = "", phase: StreamPhase = "total", request: Any = None) -> None:
        HttpxStreamTimeout.__init__(self, message, policy=policy, phase=phase, request=request)


class HttpxBodyDeadlineExceeded(DeadlineExceeded, HttpxStreamTimeout):
    """The `DeadlineExceeded` of a call whose body was late."""

    def __init__(self, message: str, *, policy: str = "", phase: StreamPhase = "total", request: Any = None) -> None:
        HttpxStreamTimeout.__init__(self, message, policy=policy, phase=phase, request=request)


class HttpxBody(Body, httpx.AsyncByteStream):
    """The body as a stream of httpx."""


BINDING = Binding(
    HttpxBody,
    HttpxCallTimeout,
    HttpxDeadlineExceeded,
    HttpxStreamTimeout,
    HttpxBodyTimeout,
    HttpxBodyDeadlineExceeded,
)


class PolicyTransport(httpx.AsyncBaseTransport):
    """A transport of httpx that sends each request as a call of a policy."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` under the policy."""
        response: httpx.Response = await self._core.handle(request)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._core.aclose()
