"""What a failed attempt means: may it be repeated, did the vendor do anything, is the vendor ill.

No client library is imported: an exception is recognised by the names of its classes and the package they come
from, so httpx and httpx2 are the same to us, and so are the SDKs that stand on them.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from ._errors import CallRejected, CallTimeout, DeadlineExceeded

_CLIENTS = frozenset({"httpx", "httpx2", "httpcore", "httpcore2", "aiohttp"})
_SDKS = frozenset({"openai", "anthropic", "mistralai", "google"})
_LOST = frozenset({
    "TimeoutException", "NetworkError", "RemoteProtocolError", "ProxyError",
    "ClientConnectionError", "ClientPayloadError", "APIConnectionError",
})  # fmt: skip
_NEVER_SENT = frozenset(
    {"ConnectError", "ConnectTimeout", "ProxyError", "ClientConnectorError", "ConnectionTimeoutError"}
)
_LOCAL = frozenset({"PoolTimeout"})
_REFUSED_STATUS = frozenset({408, 429})
_RETRYABLE_CLIENT_ERRORS = frozenset({408, 409, 429})
_PERMANENT_SERVER_ERRORS = frozenset({501, 505})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt.

    Attributes:
        error: what was raised, or None where the vendor answered with an error status.
        status: the HTTP status, where there was an answer.
        headers: the answer's headers.
        method: the HTTP method, where it is known.
        keyed: whether the request carried an idempotency key.
        untouched: the vendor did nothing with it: never sent, or refused outright.
        transient: the default rule for `on=`: a later attempt may succeed.
        refused: one of our own refusals, or the end of a deadline: never repeated.
        ill: counts against the vendor in the circuit breaker.
    """

    error: Exception | None
    status: int | None
    headers: Mapping[str, str]
    method: str | None
    keyed: bool
    untouched: bool
    transient: bool
    refused: bool
    ill: bool

    @property
    def repeatable(self) -> bool:
        """Whether a repetition cannot make the vendor do the same thing twice."""
        return self.untouched or self.keyed or self.method in SAFE_METHODS


def of_error(error: Exception, request: Any = None) -> Failure:
    """Describe an attempt that raised; `request` is what was sent, where the error does not carry it."""
    chain = list(_causes(error))
    names = {name for link in chain for name in _known_names(link)}
    response = next(filter(None, (getattr(link, "response", None) for link in chain)), None)
    status = next(filter(None, map(_status, chain)), None)
    refused = any(isinstance(link, CallRejected | DeadlineExceeded) for link in chain)
    untouched = bool(names & (_NEVER_SENT | _LOCAL)) or any(map(_is_unconnected, chain))
    lost = (bool(names & _LOST) and not names & _LOCAL) or any(map(_is_lost, chain))
    return _failure(
        error, status, response, request or _request_of(chain), untouched=untouched, lost=lost, refused=refused
    )


def of_response(response: Any) -> Failure | None:
    """Describe a response with an error status; return None for a good one."""
    return of_answer(response, _request_of([response])) if response.status_code >= 400 else None


def of_answer(response: Any, request: Any) -> Failure | None:
    """Describe a response that does not know its request yet; return None for a good one."""
    status = response.status_code
    if status < 400:
        return None
    return _failure(None, status, response, request, untouched=False, lost=False, refused=False)


def is_response(result: object) -> TypeGuard[Any]:
    """Whether `result` is a response of httpx or httpx2."""
    kind = type(result)
    return kind.__name__ == "Response" and kind.__module__ in ("httpx", "httpx2")


def _failure(
    error: Exception | None,
    status: int | None,
    response: Any,
    request: Any,
    *,
    untouched: bool,
    lost: bool,
    refused: bool,
) -> Failure:
    headers = getattr(response, "headers", None) or {}
    transient = is_transient_status(status) if status is not None else lost
    return Failure(
        error=error,
        status=status,
        headers=headers,
        method=getattr(request, "method", None),
        keyed="idempotency-key" in {name.lower() for name in getattr(request, "headers", ())},
        untouched=untouched or _was_refused(status, headers),
        transient=transient and not refused,
        refused=refused,
        ill=(transient and not refused) if status is None else status >= 500,
    )


def is_transient_status(status: int) -> bool:
    """Whether a later attempt may get another status: 408, 409, 429 and 5xx, except 501 and 505."""
    return status in _RETRYABLE_CLIENT_ERRORS or (status >= 500 and status not in _PERMANENT_SERVER_ERRORS)


def is_transient(error: Exception) -> bool:
    """Whether a later attempt may succeed: lost connections, timeouts, 408, 409, 429 and 5xx.

    A pool timeout is not one: it says that we are overloaded, not the vendor.
    """
    return of_error(error).transient


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and, where an SDK wrapped it, what it was made from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ if _package(type(error)) in _SDKS | _CLIENTS else None


def _package(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def _known_names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__ if _package(kind) in _CLIENTS | _SDKS}


def _status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    for owner, name in ((error, "status_code"), (response, "status_code"), (error, "status"), (error, "code")):
        value = getattr(owner, name, None)
        if isinstance(value, int) and 400 <= value <= 599:
            return value
    return None


def _request_of(chain: Sequence[object]) -> Any:
    for link in chain:
        for owner in (link, getattr(link, "response", None)):
            try:
                request = getattr(owner, "request", None)
            except RuntimeError:  # httpx raises it where no request was attached
                continue
            if request is not None:
                return request
    return None


def _was_refused(status: int | None, headers: Mapping[str, str]) -> bool:
    """Whether the status says that the request was turned away before it did anything."""
    return status in _REFUSED_STATUS or (status == 503 and "retry-after" in {name.lower() for name in headers})


def _is_unconnected(error: BaseException) -> bool:
    return isinstance(error, ConnectionRefusedError | socket.gaierror)


def _is_lost(error: BaseException) -> bool:
    if isinstance(error, DeadlineExceeded):
        return False
    return isinstance(error, CallTimeout | TimeoutError | ConnectionError | socket.gaierror)
