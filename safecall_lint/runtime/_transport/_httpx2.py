"""The binding to httpx2."""

from __future__ import annotations

from typing import Any

import httpx2

from .._errors import CallTimeout, DeadlineExceeded, StreamPhase, StreamTimeout
from ._body import Body
from ._core import Binding, Core


class Httpx2CallTimeout(CallTimeout, httpx2.ReadTimeout):
    """`CallTimeout`, also caught as `httpx2.TimeoutException`."""

    def __init__(self, message: str, *, policy: str = "", request: Any = None) -> None:
        CallTimeout.__init__(self, message, policy=policy)
        self.request = request


class Httpx2DeadlineExceeded(DeadlineExceeded, httpx2.ReadTimeout):
    """`DeadlineExceeded`, also caught as `httpx2.TimeoutException`."""

    def __init__(self, message: str, *, policy: str = "", request: Any = None) -> None:
        DeadlineExceeded.__init__(self, message, policy=policy)
        self.request = request


class Httpx2StreamTimeout(StreamTimeout, httpx2.ReadTimeout):
    """`StreamTimeout`, also caught as `httpx2.TimeoutException`."""

    def __init__(self, message: str, *, policy: str = "", phase: StreamPhase = "idle", request: Any = None) -> None:
        StreamTimeout.__init__(self, message, policy=policy, phase=phase)
        self.request = request


class Httpx2BodyTimeout(CallTimeout, Httpx2StreamTimeout):
    """The `CallTimeout` of an attempt whose body was late."""

    def __init__(self, message: str, *, policy: str = "", phase: StreamPhase = "total", request: Any = None) -> None:
        Httpx2StreamTimeout.__init__(self, message, policy=policy, phase=phase, request=request)


class Httpx2BodyDeadlineExceeded(DeadlineExceeded, Httpx2StreamTimeout):
    """The `DeadlineExceeded` of a call whose body was late."""

    def __init__(self, message: str, *, policy: str = "", phase: StreamPhase = "total", request: Any = None) -> None:
        Httpx2StreamTimeout.__init__(self, message, policy=policy, phase=phase, request=request)


class Httpx2Body(Body, httpx2.AsyncByteStream):
    """The body as a stream of httpx2."""


BINDING = Binding(
    Httpx2Body,
    Httpx2CallTimeout,
    Httpx2DeadlineExceeded,
    Httpx2StreamTimeout,
    Httpx2BodyTimeout,
    Httpx2BodyDeadlineExceeded,
)


class PolicyTransport(httpx2.AsyncBaseTransport):
    """A transport of httpx2 that sends each request as a call of a policy."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send `request` under the policy."""
        response: httpx2.Response = await self._core.handle(request)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._core.aclose()
