"""One sink made of several."""

from __future__ import annotations

from .._events import Event, Events
from .._setting import each, function

_SINKS = each(function("nobody is told what happens", "a function of one event, such as LogEvents()"))


class SeveralEvents:
    """A sink that tells several others, in their order: `events=SeveralEvents(LogEvents(), PrometheusEvents())`.

    Raises:
        TypeError: a sink cannot be called with an event.
        ExceptionGroup: on an event that some of them failed on; the others got it all the same.
    """

    def __init__(self, *sinks: Events) -> None:
        _SINKS("SeveralEvents", "sinks", sinks)
        self._sinks = sinks

    def __call__(self, event: Event) -> None:
        errors: list[Exception] = []
        for sink in self._sinks:
            try:
                sink(event)
            except Exception as error:  # noqa: BLE001 (a broken sink must not silence the others)
                errors.append(error)
        if errors:
            raise ExceptionGroup(f"{len(errors)} of {len(self._sinks)} sinks failed on {type(event).__name__}", errors)
