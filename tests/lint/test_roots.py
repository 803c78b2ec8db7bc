"""Imports between the projects of one repository: `reveal(expr)  # kinds` states what `expr` is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from safecall_lint.semantics import Project
from tests.lint.test_semantics import check

CLIENT = "import httpx\nclient = httpx.AsyncClient()\n"
GATE = "import asyncio\nclient = asyncio.Semaphore(1)\n"
USE = "from common.clients import client\nreveal(client)  # {}\n"
APP = "from app.http import client\nreveal(client)  # {}\n"

REPOSITORIES = {
    "the only project that offers a package, with a source folder": {
        "pyproject.toml": "",
        "libs/common/pyproject.toml": "",
        "libs/common/src/common/__init__.py": "",
        "libs/common/src/common/clients.py": CLIENT,
        "services/api/pyproject.toml": "",
        "services/api/app.py": USE.format("client"),
    },
    "no file says what is a project": {
        "safecall-lint.toml": "",
        "shared/common/__init__.py": "from .clients import client",
        "shared/common/clients.py": CLIENT,
        "services/api/app.py": USE.format("client"),
        "services/api/whole.py": "import common\nreveal(common.client)  # client",
    },
    "a folder without __init__": {
        "safecall-lint.toml": "",
        "libs/common/clients.py": CLIENT,
        "services/api/app.py": USE.format("client"),
    },
    "a module": {
        "pyproject.toml": "",
        "libs/clients/setup.py": "",
        "libs/clients/clients.py": CLIENT,
        "services/api/pyproject.toml": "",
        "services/api/app.py": "from clients import client\nreveal(client)  # client\n",
    },
    "a namespace over several projects": {
        "pyproject.toml": "",
        "http/pyproject.toml": "",
        "http/src/acme/http/__init__.py": CLIENT,
        "gates/pyproject.toml": "",
        "gates/acme/gates.py": "import asyncio\nslots = asyncio.Semaphore(1)\n",
        "api/pyproject.toml": "",
        "api/src/acme/api/routes.py": """
            from acme.http import client
            from acme.gates import slots
            from acme import gates
            reveal(client)  # client
            reveal(slots)  # gate
            reveal(gates.slots)  # gate
            """,
    },
    "a project's own package hides another's of its name": {
        "pyproject.toml": "",
        "one/pyproject.toml": "",
        "one/app/__init__.py": "",
        "one/app/http.py": CLIENT,
        "one/jobs/run.py": APP.format("client"),
        "two/pyproject.toml": "",
        "two/app/__init__.py": "",
        "two/app/http.py": GATE,
        "two/jobs/run.py": APP.format("gate"),
        "three/run.py": APP.format("unknown"),
    },
    "one of two that the project depends on, by its place": {
        "one/pyproject.toml": "[project]\nname = 'one'",
        "one/app/__init__.py": "",
        "one/app/http.py": CLIENT,
        "two/pyproject.toml": "[project]\nname = 'two'",
        "two/app/__init__.py": "",
        "two/app/http.py": GATE,
        "pyproject.toml": "",
        "uv/pyproject.toml": "[tool.uv.sources]\nx = { path = '../one', editable = true }",
        "uv/run.py": APP.format("client"),
        "poetry/pyproject.toml": "[tool.poetry.dependencies]\nx = { path = '../two', develop = true }",
        "poetry/run.py": APP.format("gate"),
        "url/pyproject.toml": "[project]\ndependencies = ['x @ file:///${PROJECT_ROOT}/../one']",
        "url/run.py": APP.format("client"),
        "hatch/pyproject.toml": "[project]\ndependencies = ['x @ {root:uri}/../two']",
        "hatch/run.py": APP.format("gate"),
        "pip/requirements.txt": "httpx>=0.27  # and\n-e ../two\n",
        "pip/run.py": APP.format("gate"),
        "both/pyproject.toml": "[tool.uv.sources]\nx = { path = '../one' }\ny = { path = '../two' }",
        "both/run.py": APP.format("unknown"),
        "broken/pyproject.toml": "[tool.uv.sources\npath = '../one'",
        "broken/run.py": APP.format("unknown"),
    },
    "one of two that the project depends on, by its name": {
        "pyproject.toml": "[tool.uv.workspace]\nmembers = ['*']",
        "one/pyproject.toml": "[project]\nname = 'Acme.One'",
        "one/src/app/__init__.py": "",
        "one/src/app/http.py": CLIENT,
        "two/pyproject.toml": "[tool.poetry]\nname = 'acme_two'",
        "two/src/app/__init__.py": "",
        "two/src/app/http.py": GATE,
        "plain/pyproject.toml": "[project]\ndependencies = ['acme-one[all]>=1']",
        "plain/run.py": APP.format("client"),
        "extra/pyproject.toml": "[project.optional-dependencies]\nmore = ['acme-two']",
        "extra/run.py": APP.format("gate"),
        "group/pyproject.toml": "[dependency-groups]\ndev = [{ include-group = 'x' }, 'acme-two']",
        "group/run.py": APP.format("gate"),
        "table/pyproject.toml": "[tool.poetry.group.dev.dependencies]\nacme-one = '^1'",
        "table/run.py": APP.format("client"),
    },
    "the nearer of two": {
        "pyproject.toml": "",
        "here/lib/common/__init__.py": "",
        "here/lib/common/clients.py": CLIENT,
        "here/api/app.py": USE.format("client"),
        "there/lib/common/__init__.py": "",
        "there/lib/common/clients.py": GATE,
        "there/api/app.py": USE.format("gate"),
        "else/api/app.py": USE.format("unknown"),
    },
    "the one of two that has what is imported": {
        "pyproject.toml": "",
        "one/lib/common/__init__.py": "",
        "one/lib/common/clients.py": CLIENT,
        "two/lib/common/__init__.py": "",
        "api/app.py": USE.format("client"),
    },
    "a library that happens to have the name of a folder": {
        "pyproject.toml": "[project]\ndependencies = ['kafka_tools>2', 'openai']",
        "connectors/kafka_tools/__init__.py": CLIENT,
        "connectors/openai/__init__.py": "def AsyncOpenAI(): ...",
        "connectors/json/__init__.py": CLIENT,
        "services/api/app.py": """
            from kafka_tools import client
            from json import client as other
            from openai import AsyncOpenAI
            reveal(client)  # unknown
            reveal(other)  # unknown
            reveal(AsyncOpenAI())  # client
            """,
    },
    "code that nobody imports": {
        "pyproject.toml": "",
        "tests/common/__init__.py": "",
        "tests/common/clients.py": CLIENT,
        "web/package.json": "{}",
        "web/lib/common/__init__.py": "",
        "web/lib/common/clients.py": CLIENT,
        "services/api/app.py": USE.format("unknown"),
        "services/api/test_app.py": "from conftest import client\nreveal(client)  # unknown",
        "tests/conftest.py": CLIENT,
        "tests/unit/test_it.py": "from conftest import client\nreveal(client)  # client",
    },
    "projects that import each other": {
        "pyproject.toml": "",
        "a/pyproject.toml": "",
        "a/src/a/__init__.py": "from b import gate\nimport asyncio\nslots = asyncio.Semaphore(1)",
        "b/pyproject.toml": "",
        "b/src/b/__init__.py": """
            from a import slots
            gate = slots
            reveal(gate)  # gate
            """,
        "c/run.py": "from a import gate\nreveal(gate)  # gate",
    },
    "a source folder with several packages": {
        "pyproject.toml": "",
        "core/setup.py": "",
        "core/src/http_core/__init__.py": CLIENT,
        "core/src/gate_core/__init__.py": GATE,
        "api/app.py": """
            import http_core
            from gate_core import client
            reveal(http_core.client)  # client
            reveal(client)  # gate
            """,
    },
}


@pytest.mark.parametrize("title", REPOSITORIES)
def test_a_repository(title: str, tmp_path: Path) -> None:
    check(tmp_path, REPOSITORIES[title])


def test_a_linked_package_is_found_where_the_link_is(tmp_path: Path) -> None:
    files = {"pyproject.toml": "", "common/clients.py": CLIENT, "api/app.py": USE.format("client")}
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "common").symlink_to("../common")
    check(tmp_path, files)


def test_nothing_is_listed_before_a_name_asks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "pyproject.toml": "",
        "app/clients.py": CLIENT,
        "api.py": "import os\nfrom app.clients import client\nreveal(client)  # client",
    }

    def listing(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("safecall_lint.trail.Trail.listing", listing)
    check(tmp_path, files)


def test_a_loose_file_makes_no_repository_of_what_is_around_it(tmp_path: Path) -> None:
    for name in ("lib/common/__init__.py", "lib/common/clients.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(CLIENT)
    importer = os.fspath(tmp_path / "api" / "app.py")
    assert Project().locate("common.clients", importer) is None
    (tmp_path / "requirements.txt").touch()
    assert Project().locate("common.clients", importer) == os.fspath(tmp_path / "lib" / "common" / "clients.py")
