"""What holds for every test of the runtime."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients heed the environment, and a vendor on the loopback is not behind anybody's proxy."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
