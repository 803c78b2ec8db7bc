"""The public module of the events."""

from __future__ import annotations

from typing import get_args

from safecall_lint.runtime import Event, events


def test_every_event_is_public() -> None:
    assert {kind.__name__ for kind in get_args(Event)} | {"Event", "Events"} == set(events.__all__)
    assert all(getattr(events, kind.__name__) is kind for kind in get_args(Event))
