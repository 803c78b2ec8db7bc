"""What both bindings share: one request of a client as a call of the policy."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import _deadline, _failure, _options
from .._errors import CallTimeout, DeadlineExceeded, StreamPhase, StreamTimeout
from .._events import PoolHealed
from .._failure import Failure
from .._layers import Layers
from .._pool import heal
from .._slot import Slot
from .._watchdog import StreamLimits
from ._asking import asks_for_stream
from ._body import Body

_ONE_WAY_STREAMS = frozenset({"IteratorByteStream", "AsyncIteratorByteStream"})
_STREAM_TYPES = ("text/event-stream", "application/x-ndjson", "application/stream+json")
_KEY = "Idempotency-Key"
_OUR_KEY = "safecall_key"


@dataclass(frozen=True, slots=True)
class Binding:
    """The classes of one client library that the core needs.

    The exceptions are of two families, ours and the library's `ReadTimeout`: code that catches the library's
    timeouts, an SDK first of all, keeps working.
    """

    body: type[Body]
    call_timeout: type[CallTimeout]
    deadline_exceeded: type[DeadlineExceeded]
    stream_timeout: type[StreamTimeout]
    body_timeout: type[StreamTimeout]
    body_deadline: type[StreamTimeout]


@dataclass(frozen=True, slots=True)
class RequestSettings:
    """How a policy treats requests: its name, its limits in seconds, and whether it adds idempotency keys."""

    name: str
    call_timeout: float
    stream: StreamLimits
    adds_keys: bool


class Core:
    """Sends requests through `inner` under a policy.

    Args:
        owner: the policy, to find the options that are meant for it.
        settings: the policy's limits.
        layers: what runs the calls, counts the streams among the responses and knows whom to tell.
        inner: the transport that does the network's work.
        binding: the client library's classes.
    """

    def __init__(
        self,
        owner: object,
        settings: RequestSettings,
        layers: Layers,
        inner: Any,
        binding: Binding,
    ) -> None:
        self._owner = owner
        self._settings = settings
        self._layers = layers
        self._inner = inner
        self._binding = binding
        self._streams = layers.streams.counter
        seconds = settings.call_timeout
        self._whole = StreamLimits(first=seconds, idle=seconds, total=seconds)

    async def handle(self, request: Any) -> Any:
        """Return the response to `request`; its body holds the slot."""
        if self._settings.adds_keys and request.method not in _failure.SAFE_METHODS:
            _add_key(request)
        exchange = _RequestExchange(self, request, _deadline.ends())
        layers = self._layers
        own_slots = layers.streamed_requests is not layers.calls
        execution = layers.streamed_requests if own_slots and asks_for_stream(request) else layers.calls
        try:
            return await execution.run(exchange, _options.applying_to(self._owner))
        except CallTimeout as error:
            raise self._binding.call_timeout(str(error), policy=error.policy) from error
        except DeadlineExceeded as error:
            raise self._binding.deadline_exceeded(str(error), policy=error.policy) from error

    async def send(self, request: Any, slot: Slot, at: float) -> tuple[Any, Failure | None]:
        """Send `request` once; give the response a body that holds `slot`."""
        try:
            response = await self._inner.handle_async_request(request)
        except BaseException:
            await self._heal()
            raise
        stream = response.stream
        try:
            slot.heed(response.headers)
            failure = _failure.of_answer(response, request)
            if response.is_closed:  # made from bytes, as mocks do: there is nothing to read and nobody will close it
                slot.leave(failure)
            else:
                response.stream = self._body(response, slot, failure, at)
        except BaseException:
            try:
                await stream.aclose()
            finally:
                await self._heal(stream)
            raise
        return response, failure

    def _body(self, response: Any, slot: Slot, failure: Failure | None, outer: float) -> Body:
        """A stream outlives its call and has limits of its own; any other body ends with the time of the call."""
        limits, at, late, counter = self._whole, _deadline.ends(), self._late_body, None
        if at - slot.time <= self._settings.call_timeout:
            late = self._past_deadline
        if response.headers.get("content-type", "").startswith(_STREAM_TYPES):
            limits, at, late, counter = self._settings.stream, outer, self._late, self._streams
        return self._binding.body(response.stream, slot, failure, limits, at, late, self._heal, counter)

    def _late(self, phase: StreamPhase | None) -> StreamTimeout:
        name = self._settings.name
        text = f"{name}: the body of the response broke its {phase} time limit, so the connection was closed"
        return self._binding.stream_timeout(text, policy=name, phase=phase or "total")

    def _late_body(self, phase: StreamPhase | None) -> StreamTimeout:
        name, limit = self._settings.name, self._settings.call_timeout
        text = f"{name}: the body of the response did not end within the {limit:g} s of the attempt, so it was closed"
        return self._binding.body_timeout(text, policy=name, phase="total")

    def _past_deadline(self, phase: StreamPhase | None) -> StreamTimeout:
        name = self._settings.name
        text = f"{name}: the deadline of the whole call ended during the body of the response, which was closed"
        return self._binding.body_deadline(text, policy=name, phase="total")

    async def _heal(self, stream: Any = None) -> None:
        healed = await heal(self._inner, stream)
        if healed and self._streams.emit is not None:
            self._streams.emit(PoolHealed(self._settings.name, healed))

    async def aclose(self) -> None:
        """Close the transport below."""
        await self._inner.aclose()


def _add_key(request: Any) -> None:
    """Give each call a key of its own, also one that sends a request of an earlier call again; a user's key stays."""
    if request.headers.get(_KEY) in (None, request.extensions.get(_OUR_KEY)):
        request.headers[_KEY] = request.extensions[_OUR_KEY] = str(uuid.uuid4())


class _RequestExchange:
    """The attempts at one request."""

    keeps_slot = True

    def __init__(self, core: Core, request: Any, at: float) -> None:
        self._core = core
        self._request = request
        self._at = at
        self._failure: Failure | None = None
        self.can_resend = type(request.stream).__name__ not in _ONE_WAY_STREAMS

    async def send(self, slot: Slot) -> Any:
        response, self._failure = await self._core.send(self._request, slot, self._at)
        return response

    def judge(self, result: Any) -> Failure | None:
        return self._failure

    def explain(self, error: Exception) -> Failure:
        return _failure.of_error(error, self._request)

    def follow(self, result: Any, ended: Callable[[BaseException | None], None]) -> bool:
        body = result.stream
        return isinstance(body, Body) and body.tell_end(ended)

    async def discard(self, result: Any) -> None:
        await result.stream.aclose()
