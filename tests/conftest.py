"""Options of the whole suite."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from safecall_lint.engine import Linter
    from safecall_lint.report import Report

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts its background jobs so; the processes that tests interrupt would inherit it and never end.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--bless` writes what is expected from what is, for a reader to look through before it is committed."""
    parser.addoption("--bless", action="store_true", help="write the expected findings of fixtures/projects anew")


@pytest.fixture
def bless(request: pytest.FixtureRequest) -> bool:
    """Whether expectations are to be written."""
    return bool(request.config.getoption("--bless"))


@pytest.fixture
def linted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are linted and not only remembered."""
    from safecall_lint.engine import Linter  # the runtime's copy is tested where there is no linter

    paths: list[str] = []
    original = Linter.file

    def noted(linter: Linter, path: str) -> Report:
        paths.append(path)
        return original(linter, path)

    monkeypatch.setattr(Linter, "file", noted)
    return paths
