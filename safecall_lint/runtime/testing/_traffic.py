"""What the vendor saw: every request, and the sockets they came on."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._setting import seconds

_WINDOW = seconds("60", "no request is inside it")


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it arrived.

    Attributes:
        path: without the query.
        headers: names in lower case; of a repeated header, the last value.
        at: the loop's time at the last byte of the request, in seconds.
        socket: which connection brought it, counted from 1.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    socket: int

    def json(self) -> Any:
        """Return the body, parsed.

        Raises:
            ValueError: the body is not JSON.
        """
        return json.loads(self.body)


@dataclass(slots=True)
class Traffic:
    """Counts of one vendor.

    Attributes:
        requests: every request, in order of arrival.
        sockets: connections accepted so far.
        open_sockets: connections open now.
        in_flight: requests without a finished answer now.
        max_in_flight: the most there ever were at once.
        early_closes: requests whose client left before the answer was complete.
    """

    requests: list[Received] = field(default_factory=list[Received])
    sockets: int = 0
    open_sockets: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    early_closes: int = 0

    def begin(self, request: Received) -> None:
        """Count a request that arrived."""
        self.requests.append(request)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def end(self, _served: object) -> None:
        """Count a request that is over, whatever its end."""
        self.in_flight -= 1

    def busiest(self, window: float) -> int:
        """Return the most requests that arrived within any `window` seconds, wherever it is laid.

        Raises:
            TypeError: `window` is no number.
            ValueError: `window` is not above 0 and finite.
        """
        _WINDOW("busiest", "window", window)
        inside: deque[float] = deque()
        most = 0
        for request in self.requests:
            inside.append(request.at)
            while request.at - inside[0] >= window:
                inside.popleft()
            most = max(most, len(inside))
        return most
