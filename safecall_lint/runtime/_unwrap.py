"""What the policy itself said, out of whatever an SDK has made of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from ._errors import CallRejected, CallTimeout, DeadlineExceeded, StreamTimeout
from ._setting import instance, optional

PolicyError: TypeAlias = CallRejected | CallTimeout | DeadlineExceeded | StreamTimeout

_ERROR = optional(instance(BaseException, "nothing can stand behind it", "the exception that was caught"))


def policy_error(error: BaseException | None) -> PolicyError | None:
    """Return the policy's own exception behind `error`, or None where there is none.

    Some SDKs hide what a transport raises: anthropic turns a refusal into its `APIConnectionError`, and it and openai
    turn our timeouts into their `APITimeoutError`, with ours as the `__cause__`. The search follows causes, and looks
    into exception groups.

    Raises:
        TypeError: `error` is no exception.
    """
    _ERROR("policy_error", "error", error)
    seen: set[int] = set()
    found = [error]
    while found:
        link = found.pop()
        if link is None or id(link) in seen:
            continue
        if isinstance(link, PolicyError):
            return link
        seen.add(id(link))
        found.append(link.__cause__)
        if isinstance(link, BaseExceptionGroup):
            found += link.exceptions
    return None


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raise the policy's own exception in place of what an SDK has made of it; others pass as they are.

    with unwrapped():
        message = await client.messages.create(...)

    Raises:
        CallRejected: the call was refused before it was sent.
        CallTimeout: an attempt took too long.
        DeadlineExceeded: the whole call took too long.
        StreamTimeout: a body or a stream was late.
    """
    try:
        yield
    except Exception as error:
        said = policy_error(error)
        if said is None or said is error:
            raise
        raise said from said.__cause__
