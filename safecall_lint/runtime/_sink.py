"""Telling a sink, come what may."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ._events import Event, Events

_log = logging.getLogger("safecall_lint.runtime")


def guarded(events: Events) -> Callable[[Event], None]:
    """A sink that breaks must not break the call that it was told about, nor end it as if it had been cancelled."""

    def emit(event: Event) -> None:
        try:
            events(event)
        except (Exception, asyncio.CancelledError):  # noqa: BLE001 (a sink awaits nothing: that was no task of ours)
            _log.exception("the sink for events failed on %r; the call goes on", event)

    return emit
