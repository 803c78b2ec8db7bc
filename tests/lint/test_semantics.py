"""What the semantic model makes of names: `reveal(expr)  # kinds` states what `expr` is."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

from safecall_lint.declared import Declared
from safecall_lint.semantics import Project, Semantics
from safecall_lint.semantics.model import Module
from safecall_lint.semantics.values import Constant, Instance, Object, Result, Value
from safecall_lint.source import Source

CASES = {
    "a constructor, aliased": """
        import httpx as hx
        from httpx import AsyncClient as Client
        reveal(hx.AsyncClient())  # client
        reveal(Client())  # client
        """,
    "the twin library": """
        import httpx2
        from httpx2 import AsyncClient
        reveal(httpx2.AsyncClient())  # client
        reveal(AsyncClient())  # client
        """,
    "an attribute set in the constructor": """
        import asyncio, httpx
        class Service:
            def __init__(self, client: httpx.AsyncClient | None = None):
                self.client = client or httpx.AsyncClient()
                self.slots = asyncio.Semaphore(5)
            async def use(self):
                reveal(self.client)  # client
                reveal(self.slots)  # gate
        """,
    "an attribute of a base class": """
        import httpx
        class Base:
            client: httpx.AsyncClient
        class Child(Base):
            def use(self):
                reveal(self.client)  # client
        """,
    "annotations": """
        from __future__ import annotations
        from typing import Annotated, Optional
        import asyncio, httpx
        from fastapi import Depends
        def get_client() -> httpx.AsyncClient: ...
        def route(
            a: Optional[httpx.AsyncClient], b: "asyncio.Semaphore", c: Annotated[object, Depends(get_client)],
            d=Depends(get_client), e: dict[str, asyncio.Semaphore] = {}, f: list[httpx.Client] = [],
        ):
            reveal(a)  # client
            reveal(b)  # gate
            reveal(c)  # client
            reveal(d)  # client
            reveal(e["x"])  # gate
            reveal(f[0])  # client
        """,
    "factories, cached and async": """
        from functools import lru_cache
        import httpx
        _client = None
        @lru_cache
        def cached():
            return httpx.AsyncClient()
        def lazy():
            global _client
            if _client is None:
                _client = httpx.AsyncClient()
            return _client
        async def made():
            async with httpx.AsyncClient() as client:
                yield client
        async def use():
            reveal(cached())  # client
            reveal(lazy())  # client
            reveal(_client)  # client
            reveal(await made())  # client
        """,
    "with, walrus, conditional, unpacking": """
        import asyncio, httpx
        async def use(flag):
            async with httpx.AsyncClient() as client, asyncio.timeout(5) as limit:
                reveal(client)  # client
                reveal(limit)  # timeout-scope
                reveal(await client.get("/"))  # response
            a, b = asyncio.Semaphore(1), httpx.Client()
            reveal(a)  # gate
            reveal(b)  # client
            if (c := asyncio.Lock()):
                reveal(c)  # lock
            reveal(a if flag else b)  # client gate
        """,
    "a parameter takes what the module's calls pass": """
        import asyncio, httpx
        async def fetch(client, slots, url):
            reveal(client)  # client
            reveal(slots)  # gate
            reveal(url)  # unknown
        async def main(urls):
            slots = asyncio.Semaphore(3)
            async with httpx.AsyncClient() as client:
                await asyncio.gather(*[fetch(client, slots, url) for url in urls])
        """,
    "containers": """
        import asyncio
        from collections import defaultdict
        class Gates:
            def __init__(self):
                self.by_vendor = {}
                self.counted = defaultdict(lambda: asyncio.Semaphore(2))
                self.deep = defaultdict(defaultdict)
            def use(self, key):
                self.by_vendor[key] = asyncio.Semaphore(2)
                reveal(self.by_vendor[key])  # gate
                reveal(self.counted[key])  # gate
                reveal(self.deep[key])  # unknown
                for gate in self.by_vendor.values():
                    reveal(gate)  # gate
        """,
    "application state": """
        import httpx
        async def start(app):
            app.state.client = httpx.AsyncClient()
        async def route(request):
            reveal(request.app.state.client)  # client
        """,
    "a subclass of a client": """
        import httpx
        class Vendor(httpx.AsyncClient):
            async def ask(self):
                reveal(self)  # client
                reveal(await self.post("/"))  # response
        reveal(Vendor())  # client
        """,
    "names that only look alike": """
        from mcp import ClientSession
        class AsyncClient: ...
        class Semaphore: ...
        reveal(ClientSession())  # unknown
        reveal(AsyncClient())  # unknown
        reveal(Semaphore())  # unknown
        reveal({}.get("x"))  # unknown
        """,
    "dataclass fields and properties": """
        import asyncio
        from dataclasses import dataclass, field
        import httpx
        @dataclass
        class Service:
            slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(3))
            @property
            def client(self):
                return httpx.AsyncClient()
            def use(self):
                reveal(self.slots)  # gate
                reveal(self.client)  # client
        """,
    "numbers": """
        LIMIT = 5
        def use(n=3):
            base = LIMIT * 2
            reveal(base + 1)  # 11
            reveal(2**3)  # 8
            either = 1
            either = 2
            reveal(either)  # 1 2
        """,
    "cycles end": """
        def a(x): return b(x)
        def b(x): return a(x)
        x = y
        y = x
        reveal(a(1))  # unknown
        reveal(x)  # unknown
        """,
}

PACKAGES = {
    "src layout, relative imports, re-export, star": {
        "pyproject.toml": "",
        "src/shop/__init__.py": "from .http import client as shared",
        "src/shop/http.py": "import httpx\nclient = httpx.AsyncClient()\ndef make(): return httpx.AsyncClient()",
        "src/shop/gates.py": "import asyncio\nslots = asyncio.Semaphore(2)",
        "src/shop/every.py": "from .gates import *",
        "src/shop/api/__init__.py": "",
        "src/shop/api/routes.py": """
            from shop import shared
            from ..http import make
            from ..every import slots
            import shop.http as http
            reveal(shared)  # client
            reveal(make())  # client
            reveal(slots)  # gate
            reveal(http.client)  # client
            """,
    },
    "names that a star brings are the module's own": {
        "pyproject.toml": "",
        "lib.py": """
            import asyncio
            from httpx import *
            from use import *
            slots = asyncio.Semaphore(20)
            client = AsyncClient()
            own = asyncio.Semaphore(1)
            def open(): return client
            """,
        "hub.py": "from lib import *",
        "use.py": """
            from hub import *
            own = 3
            reveal(slots)  # gate
            reveal(asyncio.Semaphore(2))  # gate
            reveal(missing)  # unknown
            reveal(own)  # 3
            async def use():
                reveal(client)  # client
                reveal(open())  # client
                reveal(AsyncClient())  # client
            """,
        "through.py": """
            import use
            reveal(use.slots)  # gate
            reveal(use.missing)  # unknown
            """,
    },
    "application state that another module sets": {
        "pyproject.toml": "",
        "app/http.py": """
            import aiohttp
            class Http:
                session = None
                def start(self): self.session = aiohttp.ClientSession()
                def __call__(self): return self.session
            """,
        "app/main.py": """
            import httpx
            from fastapi import FastAPI
            from app.http import Http
            app = FastAPI()
            app.state.client = httpx.AsyncClient()
            app.state.http = Http()
            app.state.client == None
            """,
        "app/routes.py": """
            from fastapi import APIRouter, Request
            router = APIRouter()
            @router.get("/")
            async def route(request: Request):
                reveal(request.app.state.client)  # client
                reveal(request.app.state.http())  # client
            """,
    },
    "a library in a package of the same name": {
        "shop/plugins/openai/__init__.py": """
            from .ask import Asker
            """,
        "shop/plugins/openai/models.py": """
            import httpx
            http = httpx.AsyncClient()
            """,
        "shop/plugins/openai/ask.py": """
            import openai
            from openai import AsyncOpenAI
            from openai.models import http
            class Asker:
                def __init__(self):
                    self.client = openai.AsyncClient()
                def use(self):
                    reveal(self.client)  # client
            reveal(AsyncOpenAI())  # client
            reveal(http)  # client
            """,
    },
    "a package before the module of its name, the module before a plain folder": {
        "pyproject.toml": "",
        "http.py": "client = 1",
        "http/__init__.py": "import httpx\nclient = httpx.AsyncClient()",
        "http/inner.py": "import asyncio\nslots = asyncio.Semaphore(1)",
        "plain.py": "client = 2",
        "plain/inner.py": "",
        "use.py": """
            from http import client
            from http.inner import slots
            import plain
            reveal(client)  # client
            reveal(slots)  # gate
            reveal(plain.client)  # 2
            """,
    },
    "what a package binds before the module of its name in it": {
        "pyproject.toml": "",
        "shop/__init__.py": """
            from .client import client
            from . import slots
            from .settings import *
            lazy: object
            """,
        "shop/client.py": "import httpx\nclient = httpx.AsyncClient()\nother = httpx.Client()",
        "shop/slots.py": "import asyncio\nslots = asyncio.Semaphore(1)",
        "shop/settings.py": "import asyncio\nlimit = asyncio.Semaphore(2)",
        "shop/limit.py": "limit = 3",
        "shop/lazy.py": "wait = 4",
        "shop/empty/__init__.py": "",
        "shop/empty/empty.py": "wait = 5",
        "shop/within.py": """
            from . import client
            reveal(client)  # client
            reveal(client.other)  # client
            """,
        "use.py": """
            from shop import client, empty, lazy, limit, slots
            from shop.client import other
            import shop.client as same
            import shop
            from shop.empty import empty as inner
            reveal(client)  # client
            reveal(same)  # client
            reveal(shop.client)  # client
            reveal(other)  # client
            reveal(slots)  # unknown
            reveal(slots.slots)  # gate
            reveal(limit)  # gate
            reveal(lazy.wait)  # 4
            reveal(inner.wait)  # 5
            """,
    },
    "folders without __init__, imported by their dotted names": {
        "pyproject.toml": "",
        "shop/http/client.py": "import httpx\nclient = httpx.AsyncClient()",
        "use.py": """
            import shop.http.client
            import shop.http.missing
            reveal(shop.http.client.client)  # client
            reveal(shop.http.missing.client)  # unknown
            reveal(shop.http.client)  # unknown
            def use():
                reveal(shop.http.client.client)  # client
            """,
    },
    "what `__all__` lets a star bring": {
        "pyproject.toml": "",
        "plain.py": """
            import asyncio, httpx
            __all__ = ["client", "_slots"]
            client, slots, _slots, extra, added, more = (
                httpx.AsyncClient(), asyncio.Semaphore(1), asyncio.Semaphore(2), 3, 4, 5
            )
            __all__ += ("extra",)
            __all__.extend(["added"])
            __all__.append("more")
            """,
        "unsure.py": "import plain\nunsure = 6\n_hidden = 7\n__all__ = ['_hidden'] + plain.__all__",
        "typed.py": "__all__: tuple[str, ...] = ('one',) + ('two',)\none = 1\ntwo = 2\nthree = 3",
        "shop/__init__.py": "__all__ = ['http', 'client']\nfrom .http import client as client, other",
        "shop/http.py": "import httpx\nclient = httpx.AsyncClient()\nother = httpx.Client()",
        "hub.py": "from plain import *\n__all__ = ['client']",
        "use.py": """
            from plain import *
            from shop import *
            from typed import *
            from unsure import *
            reveal(client)  # client
            reveal(slots)  # unknown
            reveal(_slots)  # gate
            reveal(extra)  # 3
            reveal(added)  # 4
            reveal(more)  # 5
            reveal(unsure)  # 6
            reveal(_hidden)  # unknown
            reveal(one)  # 1
            reveal(two)  # 2
            reveal(three)  # unknown
            reveal(other)  # unknown
            reveal(http.other)  # client
            """,
        "through.py": """
            from hub import *
            reveal(client)  # client
            reveal(extra)  # unknown
            """,
    },
    "namespace folders and a class of another module": {
        "pyproject.toml": "",
        "app/services/llm.py": """
            from openai import AsyncOpenAI
            class LLM:
                def __init__(self): self.client = AsyncOpenAI()
            llm = LLM()
            """,
        "app/routes.py": """
            from app.services.llm import LLM, llm
            class Better(LLM):
                def use(self): reveal(self.client)  # client
            reveal(llm.client)  # client
            reveal(LLM().client)  # client
            """,
    },
    "import cycles": {
        "pyproject.toml": "",
        "a.py": "from b import gate\nimport asyncio\nslots = asyncio.Semaphore(1)",
        "b.py": """
            from a import slots
            gate = slots
            reveal(gate)  # gate
            """,
    },
}


@pytest.mark.parametrize("title", CASES)
def test_one_module(title: str, tmp_path: Path) -> None:
    check(tmp_path, {"module.py": CASES[title]})


@pytest.mark.parametrize("title", PACKAGES)
def test_several_modules(title: str, tmp_path: Path) -> None:
    check(tmp_path, PACKAGES[title])


def test_declared_names(tmp_path: Path) -> None:
    declared = Declared(clients=("app.http.session",), gates=("app.gates.Slots",))
    files = {
        "pyproject.toml": "",
        "app/http.py": "def session(): return object()",
        "app/gates.py": "class Slots: ...",
        "app/use.py": """
            from app.http import session
            from app.gates import Slots
            reveal(session())  # client
            reveal(Slots())  # gate
            """,
    }
    check(tmp_path, files, declared)


def check(folder: Path, files: dict[str, str], declared: Declared | None = None) -> None:
    """Every `reveal(expr)  # kinds` of the files states what the model sees."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text))
    seen = 0
    for name in files:
        if name.endswith(".py"):
            semantics = Semantics(Project(declared=declared or Declared()))
            file = os.fspath(folder / name)
            module = semantics.project.open(Source.from_bytes(file, Path(file).read_bytes()))
            seen += revealed(module, semantics)
    assert seen


def revealed(module: Module, semantics: Semantics) -> int:
    sites = module.call_sites.get("reveal", [])
    for site, scope in sites:
        line = module.source.text.splitlines()[site.node.lineno - 1]
        wanted = line.rpartition("# ")[2].split()
        values = semantics.evaluator.values(site.node.args[0], scope)
        got = sorted({word for value in values for word in [word_for(value, semantics)] if word})
        assert (got or ["unknown"]) == wanted, line
    return len(sites)


def word_for(value: Value, semantics: Semantics) -> str:
    if isinstance(value, Constant):
        return f"{value.value:g}" if isinstance(value.value, int | float) else ""
    if isinstance(value, Instance | Object):
        return semantics.evaluator.kind(value)
    return "response" if isinstance(value, Result) else ""


def test_answers_do_not_depend_on_the_order_of_questions(tmp_path: Path) -> None:
    """Asked first or last, in a cycle or not, a name means the same."""
    text = textwrap.dedent(
        """
        import httpx
        class A:
            def __init__(self): self.c = self.make()
            def make(self): return self.c or self.other().c or httpx.AsyncClient()
            def other(self): return B(self)
        class B:
            def __init__(self, a): self.a = a; self.c = self.a.make()
        first = A()
        second = B(first)
        reveal(first.c)
        reveal(second.c)
        reveal(first.other().a.c)
        """
    )
    source = Source("module.py", text)
    answers = []
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        semantics = Semantics(Project())
        module = semantics.project.open(source)
        sites = module.call_sites["reveal"]
        found = {i: semantics.evaluator.values(sites[i][0].node.args[0], sites[i][1]) for i in order}
        answers.append([{type(v).__name__ for v in found[i]} for i in range(3)])
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == {"Instance"}


def test_helpers_are_seen_through(tmp_path: Path) -> None:
    text = textwrap.dedent(
        """
        import asyncio, httpx
        client = httpx.AsyncClient()
        async def outer():
            return await middle()
        async def middle():
            for attempt in range(4):
                try:
                    return await inner()
                except httpx.HTTPError:
                    await asyncio.sleep(2**attempt)
        async def inner():
            return await client.get("/")
        async def spawning():
            asyncio.create_task(middle())
        """
    )
    semantics = Semantics(Project())
    module = semantics.project.open(Source("module.py", text))
    functions = {function.name: function for function in module.all_functions}
    pause, vendor = semantics.reach.pause(functions["outer"]), semantics.reach.vendor(functions["outer"])
    assert pause is not None and pause.function.name == "middle" and len(pause.steps) == 1
    assert vendor is not None and vendor.end.name == "get" and len(vendor.steps) == 2
    assert semantics.reach.pause(functions["spawning"]) is None
    assert semantics.reach.pause(functions["inner"]) is None
    (loop,) = semantics.retries.loops(functions["middle"])
    assert loop.attempts == 4 and not loop.endless and len(loop.pauses) == 1
