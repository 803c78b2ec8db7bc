"""How many slots, connections and places in the queue a quota needs, and which sets of settings cannot work.

Slots: Little's law, L = lambda x W (J. Little, "A Proof for the Queuing Formula: L = lambda W", Operations Research 9,
1961), with the call timeout as W. That is how many calls are in flight when each takes as long as it may: with fewer
slots a slow vendor costs quota, with more of them nothing is gained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ._rate import Rate
from ._setting import Check, count, instance, optional, seconds

_USUAL_QUEUE_TIMEOUT = 5.0
_ATTEMPTS_IN_A_DEADLINE = 2
_INTERVALS_IN_A_QUEUE = 1.5
_ROUNDING = 1e-9
_QUOTA = instance(Rate, "nothing says how many calls may pass in which time", "a Rate, such as Rate(60, per=60)")
_TIME = optional(seconds("30"))
_CHECKS: Mapping[str, Check] = {
    "latency": seconds("2", "no call takes so long"),
    "pods": count(1, "nobody makes the calls"),
    "call_timeout": _TIME,
    "queue_timeout": _TIME,
    "deadline": _TIME,
    "max_concurrency": optional(count(1, "no call is ever sent")),
    "max_connections": optional(count(1, "no call is ever sent")),
}
_SECONDS = frozenset({"latency", "call_timeout", "queue_timeout", "deadline"})
_DAY = 86_400
_CALLS_PER_SECOND = 1_000_000
_PORTS = 65_535
"""Of one address towards one address of a vendor; a connection takes one."""


class ImpossibleSizing(ValueError):
    """The given settings cannot work together; the text says which, why, and what to change."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """Settings for each pod. Durations are in seconds.

    Attributes:
        quota: what the vendor allows all pods together.
        pods: processes that share the quota without a shared store.
        latency: what a slow but good call takes.
        rate: one pod's share of the quota, whole calls.
        max_concurrency: rate x call timeout, rounded up.
        max_connections: one connection for each slot.
        max_queue: the calls that the rate serves before the queue timeout.
    """

    quota: Rate
    pods: int
    latency: float
    rate: Rate
    call_timeout: float
    queue_timeout: float
    deadline: float
    max_concurrency: int
    max_connections: int
    max_queue: int

    def text(self) -> str:
        """Return the settings as a table with their reasons, and as code to paste."""
        rows = [("setting", "each pod", "because"), *self._rows()]
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        table = [f"{name:<{widths[0]}}  {value:>{widths[1]}}  {why}" for name, value, why in rows]
        head = f"{self.quota}, {_s(self.latency)} a call, pods: {self.pods}"
        return "\n".join((head, "", *table, "", *self._remarks(), "", self._code()))

    def _rows(self) -> list[tuple[str, str, str]]:
        rate = f"{self.rate.limit:g}/{_s(self.rate.per)}"
        share = "the whole quota" if self.pods == 1 else f"{self.quota.limit:g} over {self.pods} pods, in whole calls"
        return [
            ("rate", rate, share),
            ("call_timeout", _s(self.call_timeout), f"a slow but good call takes {_s(self.latency)}"),
            ("max_concurrency", str(self.max_concurrency), f"{rate} x {_s(self.call_timeout)} call timeout"),
            ("max_connections", str(self.max_connections), "one for each slot"),
            ("queue_timeout", _s(self.queue_timeout), f"the rate lets a call in every {_s(_interval(self.rate))}"),
            ("max_queue", str(self.max_queue), f"what {rate} serves before {_s(self.queue_timeout)}"),
            ("deadline", _s(self.deadline), "queue and call, with their retries"),
        ]

    def _remarks(self) -> list[str]:
        most = self.pods * self.max_concurrency
        remarks = [f"At most {most} calls are at the vendor at once, from all pods together."]
        unused = self.quota.limit - self.pods * self.rate.limit
        if unused > 0:
            remarks.append(f"{unused:g} of {self.quota} stay unused: only a shared store divides the quota exactly.")
        return remarks

    def _code(self) -> str:
        return (
            f'CallPolicy("vendor", max_concurrency={self.max_concurrency}, max_queue={self.max_queue},'
            f" rate=Rate({self.rate.limit:g}, per={self.rate.per:g}), queue_timeout={self.queue_timeout:g},"
            f" call_timeout={self.call_timeout:g}, deadline={self.deadline:g})"
        )


def size(
    quota: Rate,
    *,
    latency: float,
    pods: int = 1,
    call_timeout: float | None = None,
    queue_timeout: float | None = None,
    deadline: float | None = None,
    max_concurrency: int | None = None,
    max_connections: int | None = None,
) -> Sizing:
    """Work out the settings of each pod, or check those that are given.

    Args:
        quota: calls that the vendor allows all pods together.
        latency: seconds that a slow but good call takes, such as the 99th percentile.
        pods: processes that call the vendor, each with its own limits.
        call_timeout: default: twice the latency, at most a given deadline.
        queue_timeout: default: 5 s, or 1.5 x the time between two calls of one pod where that is longer; shorter, where
            a given deadline leaves less.
        deadline: default: two attempts, each with its whole queue and call timeout.
        max_concurrency: default: rate x call timeout, at most a given number of connections.
        max_connections: default: `max_concurrency`.

    Raises:
        ImpossibleSizing: a number means nothing, or the given numbers contradict each other.
        TypeError: an argument of a wrong type.
    """
    _check(
        quota,
        latency=latency,
        pods=pods,
        call_timeout=call_timeout,
        queue_timeout=queue_timeout,
        deadline=deadline,
        max_concurrency=max_concurrency,
        max_connections=max_connections,
    )
    rate = _share(quota, pods)
    longest = math.inf if deadline is None else deadline
    call_timeout = min(2 * latency, max(latency, longest)) if call_timeout is None else call_timeout
    queue_timeout = _usual_queue(rate, longest - latency) if queue_timeout is None else queue_timeout
    if deadline is None:
        deadline = _ATTEMPTS_IN_A_DEADLINE * (queue_timeout + call_timeout)
    _check_times(rate, latency, call_timeout, queue_timeout, deadline)
    slots = _slots(rate, call_timeout, max_connections) if max_concurrency is None else max_concurrency
    connections = slots if max_connections is None else max_connections
    setting = "max_connections" if max_concurrency is None else "max_concurrency"
    _check_places(rate, latency, slots, connections, setting)
    return Sizing(
        quota=quota,
        pods=pods,
        latency=latency,
        rate=rate,
        call_timeout=call_timeout,
        queue_timeout=queue_timeout,
        deadline=deadline,
        max_concurrency=slots,
        max_connections=connections,
        max_queue=_up(queue_timeout / _interval(rate)) - 1,
    )


def _share(quota: Rate, pods: int) -> Rate:
    if quota.counts != "calls":
        raise ImpossibleSizing(f"{quota}: slots follow from calls, not from tokens. Give the calls per window")
    whole = math.floor(quota.limit / pods)
    if whole < 1:
        raise ImpossibleSizing(
            f"{quota} cannot be split over {pods} pods: each would get less than one call, and with one each they send"
            f" {pods}. Share the quota in Redis, or run at most {math.floor(quota.limit)} pods"
        )
    return Rate(whole, per=quota.per)


def _check(quota: Rate, **asked: float | None) -> None:
    """Refuse what means nothing alone; whoever asks for sizes catches one exception for all that cannot work."""
    _QUOTA("size", "quota", quota)
    for name, value in asked.items():
        try:
            _CHECKS[name]("size", name, value)
        except ValueError as error:
            raise ImpossibleSizing(str(error)) from None
        if name in _SECONDS and value is not None and value > _DAY:
            raise ImpossibleSizing(
                f"{name}={value:g} s is longer than a day, and no connection lives that long: give seconds, not"
                " milliseconds. What runs for days is a job, to be started by one call and asked about by others"
            )
    if quota.limit / quota.per > _CALLS_PER_SECOND:
        raise ImpossibleSizing(
            f"{quota} are more than 1,000,000 a second, and no vendor allows that: give the calls and the seconds of"
            " its window, such as 60/60"
        )


def _usual_queue(rate: Rate, left: float) -> float:
    """The default queue timeout, and at most what the deadline leaves where that lets a waiting call in."""
    usual = max(_USUAL_QUEUE_TIMEOUT, _INTERVALS_IN_A_QUEUE * _interval(rate))
    return left if _interval(rate) < left < usual else usual


def _slots(rate: Rate, call_timeout: float, connections: int | None) -> int:
    slots = max(1, _up(rate.limit / rate.per * call_timeout))
    return slots if connections is None else min(slots, connections)


def _check_times(rate: Rate, latency: float, call_timeout: float, queue_timeout: float, deadline: float) -> None:
    if call_timeout > deadline >= latency:
        raise ImpossibleSizing(
            f"a call timeout of {_s(call_timeout)} can never be reached: the deadline of {_s(deadline)} ends the call"
            " first. Lower the call timeout, or raise the deadline"
        )
    if call_timeout < latency:
        raise ImpossibleSizing(
            f"a call timeout of {_s(call_timeout)} cuts off good calls, which take {_s(latency)}."
            f" Raise it above {_s(latency)}"
        )
    if _up(queue_timeout / _interval(rate)) < 2:
        raise ImpossibleSizing(
            f"a queue timeout of {_s(queue_timeout)} refuses every call that has to wait: each pod lets one in every"
            f" {_s(_interval(rate))}. Raise the queue timeout above that, or share the quota in Redis"
        )
    if deadline - queue_timeout < latency - _ROUNDING:
        raise ImpossibleSizing(
            f"a deadline of {_s(deadline)} leaves a call that queued for {_s(queue_timeout)} less than the"
            f" {_s(latency)} that it takes. Raise the deadline above {_s(queue_timeout + latency)}, or queue shorter"
        )


def _check_places(rate: Rate, latency: float, slots: int, connections: int, setting: str) -> None:
    needed = _up(rate.limit / rate.per * latency)
    if slots < needed:
        raise ImpossibleSizing(
            f"{slots} slots carry {slots / latency:g} calls of {_s(latency)} a second, and the quota is"
            f" {rate.limit / rate.per:g} a second: the queue grows for ever. Raise {setting} to {needed} or more"
        )
    if slots > _PORTS:
        raise ImpossibleSizing(
            f"{slots} slots need as many connections of each pod, and an address has {_PORTS:,} ports towards a vendor:"
            " run more pods, or lower the call timeout"
        )
    if connections < slots:
        raise ImpossibleSizing(
            f"{slots} slots share {connections} connections: calls with a slot wait once more, in the client's pool,"
            f" and fail with PoolTimeout. Raise max_connections to {slots}"
        )


def _interval(rate: Rate) -> float:
    return rate.per / rate.limit


def _up(number: float) -> int:
    """Round up, but not because of the last bit of a float."""
    return math.ceil(number - _ROUNDING)


def _s(seconds: float) -> str:
    return f"{round(seconds, 3):g} s"
