"""Events as log records of the standard library."""

from __future__ import annotations

import logging

from .._events import Event
from .._setting import having, optional
from . import _records

_LOGGER = optional(having(("isEnabledFor", "log"), "nothing is logged", "a logging.Logger, or None for our own"))


class LogEvents:
    """A sink that logs each event as one line, with the event's fields as `extra`.

    Slots, attempts and good calls are DEBUG; retries and recoveries INFO; refusals, failed calls and dropped retries
    WARNING; a circuit that opens is ERROR. The text of errors is never logged: it can hold a URL with a key in it.

    Args:
        logger: where to; the default is the logger "safecall_lint.runtime".

    Raises:
        TypeError: `logger` cannot log.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        _LOGGER("LogEvents", "logger", logger)
        self._logger = logger or logging.getLogger("safecall_lint.runtime")

    def __call__(self, event: Event) -> None:
        level = _records.level(event)
        if self._logger.isEnabledFor(level):
            extra = {"event": _records.name(event), **_records.fields(event)}
            self._logger.log(level, "%s: %s", event.policy, _records.sentence(event), extra=extra)
