"""Scenarios that run on httpx and on httpx2, in virtual time, against a vendor of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

from safecall_lint.runtime import CallPolicy
from safecall_lint.runtime.testing import Vendor, VirtualClock, virtual_time

Scenario = Callable[[ModuleType, Vendor], Awaitable[None]]


def on_both_clients(scenario: Scenario) -> Callable[[ModuleType], None]:
    """Run a scenario on httpx and on httpx2, in virtual time, against a vendor of its own."""

    @pytest.mark.parametrize("http", [httpx, httpx2], ids=["httpx", "httpx2"])
    def test(http: ModuleType) -> None:
        @virtual_time
        async def run() -> None:
            async with Vendor(wall=VirtualClock().wall) as vendor:
                await scenario(http, vendor)

        run()

    test.__name__ = scenario.__name__  # not `functools.wraps`: pytest would ask for the scenario's arguments
    return test


def client_of(policy: CallPolicy, http: ModuleType, vendor: Vendor) -> Any:
    return policy.client(http.__name__, base_url=vendor.url)  # type: ignore[call-overload]


def a_policy(**settings: Any) -> CallPolicy:
    return CallPolicy("v", clock=VirtualClock(), **settings)
