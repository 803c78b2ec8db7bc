"""What a vendor's response headers say about when to come back."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias

from ._allowance import Allowance, allowances

Headers: TypeAlias = Mapping[str, str]

LONGEST_WAIT = 3600.0
"""Seconds. Vendors have sent years; a wait above this is cut to it, and a deadline then refuses it."""

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_EPOCH_FROM = 1e9
_EPOCH_IN_MS_FROM = 1e11


def retry_after(headers: Headers, wall: float) -> float | None:
    """Return the seconds to wait that the vendor asks for, or None where it asks for none.

    Reads `retry-after-ms`, `retry-after` in seconds or as a date (RFC 9110, 10.2.3), and otherwise the reset
    time of any rate limit that the response shows as used up.

    Args:
        headers: the response's headers, with names in any case.
        wall: our own time in seconds since the epoch, for a date without a `Date` header beside it.
    """
    found = _lower(headers)
    for wait in (
        _scaled(found.get("retry-after-ms"), 0.001),
        _moment(found.get("retry-after"), found, wall),
        _used_up_for(found, wall),
    ):
        if wait is not None:
            return min(wait, LONGEST_WAIT)
    return None


def quota_left(headers: Headers, wall: float) -> list[Allowance]:
    """Return what the vendor says is left of its quotas.

    Args:
        headers: the response's headers, with names in any case.
        wall: our own time in seconds since the epoch, for a reset date without a `Date` header beside it.
    """
    found = _lower(headers)
    return allowances(found, lambda text: _moment(text, found, wall))


def _lower(headers: Headers) -> dict[str, str]:
    return {name.lower(): value.strip() for name, value in headers.items()}


def _scaled(text: str | None, unit: float) -> float | None:
    if not text or _NUMBER.fullmatch(text) is None:  # `float` alone also takes 1_000, and the digits of every script
        return None
    number = float(text)
    return number * unit if math.isfinite(number) else None


def _moment(text: str | None, found: Headers, wall: float) -> float | None:
    """Read seconds, an epoch time, a duration such as `6m0s`, an HTTP date or an RFC 3339 time."""
    if not text:
        return None
    number = _scaled(text, 1.0)
    if number is not None:
        if number < _EPOCH_FROM:
            return number
        epoch = number if number < _EPOCH_IN_MS_FROM else number / 1000
        return max(0.0, epoch - _their_time(found, wall))
    if "".join(map("".join, _DURATION.findall(text))) == text:
        return sum(float(amount) * _SECONDS[unit] for amount, unit in _DURATION.findall(text))
    when = _date(text)
    return None if when is None else max(0.0, when - _their_time(found, wall))


def _date(text: str) -> float | None:
    from email.utils import parsedate_to_datetime  # imports half of `email`: only where a date came

    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            when = parse(text)
            return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):  # of a year beyond the range of a machine's integers it is the second
            continue
    return None


def _their_time(found: Headers, wall: float) -> float:
    """The vendor's clock where it sent it: the difference of two of its own times has no skew."""
    sent = _date(found.get("date", ""))
    return wall if sent is None else sent


def _used_up_for(found: Headers, wall: float) -> float | None:
    """Return the longest reset time among the limits with nothing remaining."""
    told = allowances(found, lambda text: _moment(text, found, wall))
    return max((one.reset for one in told if one.remaining == 0 and one.reset is not None), default=None)
