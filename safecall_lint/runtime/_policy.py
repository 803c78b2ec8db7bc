"""The policy: plain settings in, every layer in the right order out."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NoReturn, ParamSpec, TypeVar, overload

from . import _options
from ._adaptive import AdaptiveConcurrency
from ._admission import Limiter
from ._breaker import CircuitBreaker
from ._checks import (
    CALL_TIMEOUT,
    DEADLINE,
    QUEUE_TIMEOUT,
    check,
    check_options,
    check_together,
    defaults,
    most,
)
from ._clock import Clock, LoopClock
from ._events import Events
from ._function_call import FunctionCall
from ._gate import Priority
from ._layers import Layers
from ._options import CallOptions
from ._rate import Rate
from ._retry import Retry
from ._setting import called_later, coroutine_function
from ._slot_context import SlotContext
from ._state import PolicyState
from ._stream import StreamContext, open_stream
from ._transport._build import Builder
from ._watchdog import StreamLimits

if TYPE_CHECKING:
    import httpx
    import httpx2

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, eq=False, kw_only=True)
class CallPolicy:
    """How this service calls one vendor. Make one at start-up and share it: it holds the slots.

    The layers are always composed in the same order, whatever the order of the settings:
    deadline > retry > [ circuit, quota, slot, under the queue timeout ] > call timeout > the call.

    Args:
        name: the vendor, as it appears in messages, events and metrics.
        max_concurrency: calls that may be at the vendor at once, fixed or between bounds.
        max_streams: slots of their own for streams, those of `stream()` and those that a client asks for; None lets
            streams share the slots of the calls.
        max_queue: calls that may wait for a slot; one more is refused at once. Default: 4 x max_concurrency.
        queue_timeout: seconds a call may wait for its slot. It ends when the slot is taken. Default: 5.
        rate: one quota or several, all of which every attempt is charged to; or an `AsyncLimiter` as it is.
        call_timeout: seconds for one attempt. Default: 30.
        deadline: seconds for the whole call: queueing, every attempt, every backoff. Default: 60.
        retry: which failures are repeated; `Retry(attempts=1)` repeats none.
        breaker: when to stop calling; None never stops.
        stream_limits: seconds for the first chunk of a stream, for the pause between two, and for all of it.
        events: told about everything that happens, by a plain call.
        clock: time, sleep and jitter.

    A default gives way: the queue timeout is at most the `deadline` that you state, so is the call timeout, which is at
    least twice a `slow_call`, and the deadline has room for one attempt with its whole queue and call timeout. Only two
    settings that were both stated can contradict each other.

    Raises:
        TypeError: a setting of a wrong type.
        ValueError: settings that cannot work, alone or together.
    """

    name: str = field(kw_only=False)
    max_concurrency: int | AdaptiveConcurrency = 50
    max_streams: int | None = None
    max_queue: int | None = None
    queue_timeout: float = QUEUE_TIMEOUT
    rate: Rate | Sequence[Rate] | Limiter | None = None
    call_timeout: float = CALL_TIMEOUT
    deadline: float = DEADLINE
    retry: Retry = field(default_factory=Retry)
    breaker: CircuitBreaker | None = field(default_factory=CircuitBreaker)
    stream_limits: StreamLimits = field(default_factory=StreamLimits)
    events: Events | None = field(default=None, repr=False)
    clock: Clock = field(default_factory=LoopClock, repr=False)
    _layers: Layers = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check(self)
        for name, value in defaults(self).items():
            object.__setattr__(self, name, value)
        check_together(self)
        object.__setattr__(self, "_layers", Layers(self))

    def call(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        """Await `function(*args, **kwargs)` under the policy and return its result.

        Raises:
            CallRejected: the call was refused before it was sent.
            CallTimeout: the last attempt took longer than `call_timeout`.
            DeadlineExceeded: the whole call took longer than `deadline`.
            TypeError: `function` cannot be called, or returns nothing to await.
        """
        if not callable(function):
            called_later(self.name, "function", function)
        return self._layers.calls.run(FunctionCall(function, args, kwargs), _options.applying_to(self))

    def __call__(self, function: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        """Decorate a coroutine function, so that each of its calls goes through the policy.

        Raises:
            TypeError: `function` is none, as far as can be seen before it is called.
        """
        if inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{function.__name__} yields a stream: its slot ends with the stream, so use policy.stream()"
            )
        coroutine_function(self.name, "function", function)

        if sys.version_info < (3, 12):  # nothing but `async def` is a coroutine function there: 0.1 us a call

            @functools.wraps(function)
            async def awaited(*args: P.args, **kwargs: P.kwargs) -> T:
                return await self._layers.calls.run(FunctionCall(function, args, kwargs), _options.applying_to(self))

            return awaited

        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
            return self._layers.calls.run(FunctionCall(function, args, kwargs), _options.applying_to(self))

        return inspect.markcoroutinefunction(guarded)

    def slot(self) -> SlotContext:
        """Hold a slot for as long as an `async with` block runs: admission only, no timeout and no retry.

        Each block makes its own: `async with policy.slot()`.

        Raises:
            CallRejected: there was no slot to be had.
            RuntimeError: the task is inside a call or a slot of this policy already, or this slot is in use.
        """
        return SlotContext(self._layers.admission, self.clock, _options.applying_to(self), self._layers.inside)

    @overload
    def transport(
        self, library: Literal["httpx"] = "httpx", *, inner: httpx.AsyncBaseTransport | None = None, **settings: Any
    ) -> httpx.AsyncBaseTransport: ...
    @overload
    def transport(
        self, library: Literal["httpx2"], *, inner: httpx2.AsyncBaseTransport | None = None, **settings: Any
    ) -> httpx2.AsyncBaseTransport: ...
    def transport(self, library: Literal["httpx", "httpx2"] = "httpx", *, inner: Any = None, **settings: Any) -> Any:
        """Return a transport that sends every request of a client as a call of this policy.

        A client with it needs no other retry: pass `max_retries=0` to an SDK. A response holds its slot until its
        body has been read or closed. Give the client a read timeout not below `call_timeout`, or use `client()`.

        Args:
            library: "httpx" or "httpx2".
            inner: the transport that does the network's work; by default a pool made from `settings`.
            settings: for the pool, as `AsyncHTTPTransport` takes them: `limits`, `verify`, `http2`, `proxy` ...

        Raises:
            ModuleNotFoundError: the library is not installed.
            TypeError: `inner` is no asynchronous transport of the library, or has `settings` beside it, where they
                have no effect.
            ValueError: the pool of `limits` has fewer connections than there are slots for calls and streams.
        """
        return Builder(self, self._layers, library).transport(inner, settings)

    @overload
    def client(self, library: Literal["httpx"] = "httpx", **settings: Any) -> httpx.AsyncClient: ...
    @overload
    def client(self, library: Literal["httpx2"], **settings: Any) -> httpx2.AsyncClient: ...
    def client(self, library: Literal["httpx", "httpx2"] = "httpx", **settings: Any) -> Any:
        """Return a client on this policy's transport, with timeouts that let the policy's own limits decide.

        Proxies, those of the environment too, and mounts are below the policy. A mount that is a policy's transport
        keeps to that policy.

        Args:
            library: "httpx" or "httpx2".
            settings: as `AsyncClient` takes them: `base_url`, `headers`, `limits`, `verify`, `proxy`, `mounts` ...; and
                what only `AsyncHTTPTransport` takes, such as `uds`. `transport` is for the network, below the policy.

        Raises:
            ModuleNotFoundError: the library is not installed.
            TypeError: settings of a pool beside `transport`, where they have no effect.
            ValueError: the pool of `limits` has fewer connections than there are slots for calls and streams.
        """
        return Builder(self, self._layers, library).client(settings)

    def stream(
        self,
        opens: Callable[P, AsyncIterable[T] | Awaitable[AsyncIterable[T]]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> StreamContext[T]:
        """Open a stream with `async with`, and iterate what that gives.

        Opening is retried until the first chunk is there and never after it. The slot is held until the block ends,
        and the stream is closed at the vendor then, also when the reader leaves early or is cancelled.

        Args:
            opens: an async generator function, or a coroutine function that returns something to iterate, such as
                an SDK's `create`.
            args: passed to `opens`.
            kwargs: passed to `opens`.

        Raises:
            CallRejected: the stream was refused before it was opened.
            StreamTimeout: the first chunk did not come in time.
            RuntimeError: this stream is in use already: each block makes its own.
            TypeError: `opens` cannot be called, or gives nothing to iterate.
        """
        called_later(self.name, "opens", opens)
        return open_stream(self._layers.streams, _options.applying_to(self), functools.partial(opens, *args, **kwargs))

    def options(
        self,
        *,
        priority: Priority = Priority.NORMAL,
        tokens: float = 0.0,
        weight: int = 1,
        repeatable: bool = False,
    ) -> CallOptions:
        """Say more about the calls made inside `with policy.options(...)`, through any call form.

        Args:
            priority: who goes first in the queue. It also holds for other policies used inside.
            tokens: what each attempt is charged to the rates that count tokens.
            weight: how many slots each attempt takes.
            repeatable: your word that the call does no harm when it happens twice.

        Raises:
            RuntimeError: these options are in use already: each block makes its own.
            TypeError: an option of a wrong type.
            ValueError: `weight` is outside 1 to `max_concurrency`, or `tokens` is negative or not finite.
        """
        check_options(self.name, most(self.max_concurrency), priority, tokens, weight, repeatable)
        return CallOptions(self, priority, tokens, weight, repeatable)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self.name}: a policy holds the slots of one process, so it can be neither copied nor pickled:"
            " make it where the module is imported, or use dataclasses.replace() for one with other settings"
        )

    def state(self) -> PolicyState:
        """Return what goes on now, on the running event loop."""
        return self._layers.state()
