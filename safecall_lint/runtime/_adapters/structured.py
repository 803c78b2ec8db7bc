"""Events as structlog entries."""

from __future__ import annotations

from typing import Any

import structlog

from .._events import Event
from .._setting import having, optional
from . import _records

_LOGGER = optional(having(("log",), "nothing is logged", "a structlog logger, or None for our own"))


class StructlogEvents:
    """A sink that logs each event under its name, such as `retry_scheduled`, with its fields as keys.

    Levels are those of `LogEvents`.

    Args:
        logger: a structlog logger; the default is `structlog.get_logger("safecall_lint.runtime")`.

    Raises:
        TypeError: `logger` cannot log.
    """

    def __init__(self, logger: Any = None) -> None:
        _LOGGER("StructlogEvents", "logger", logger)
        self._logger = structlog.get_logger("safecall_lint.runtime") if logger is None else logger

    def __call__(self, event: Event) -> None:
        self._logger.log(_records.level(event), _records.name(event), **_records.fields(event))
