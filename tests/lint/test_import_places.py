"""A new import stands where an import sorter would put it, and nothing that was there moves."""

from __future__ import annotations

import ast

import pytest

from safecall_lint.finding import Edit
from safecall_lint.source import Source
from safecall_lint.visiting.import_places import Head


def with_imports(text: str, *names: str) -> str:
    source = Source("m.py", text)
    head = Head.of(source, ast.parse(text), lambda name: name.startswith("app"))
    edits = [Edit(source.span(offset, offset), new) for offset, new in head.insertions(names)]
    return source.apply(tuple(edits))


@pytest.mark.parametrize(
    ("before", "names", "after"),
    [
        ("import os\nimport sys\n", ["random"], "import os\nimport random\nimport sys\n"),
        ("import sys\n", ["asyncio", "random"], "import asyncio\nimport random\nimport sys\n"),
        ("import zlib\nimport sys\n", ["asyncio"], "import asyncio\nimport zlib\nimport sys\n"),
        ("import httpx\n\nx = 1\n", ["asyncio"], "import asyncio\n\nimport httpx\n\nx = 1\n"),
        ('"""Doc."""\n\nimport httpx\n', ["asyncio"], '"""Doc."""\n\nimport asyncio\n\nimport httpx\n'),
        ("from typing import Any\n", ["asyncio"], "import asyncio\nfrom typing import Any\n"),
        ("import os\n\n\ndef f(): ...\n", ["httpx"], "import os\n\nimport httpx\n\n\ndef f(): ...\n"),
        ("import os\nimport httpx\n", ["time"], "import os\nimport time\nimport httpx\n"),
        ("import os\nfrom app import x\n", ["httpx"], "import os\nimport httpx\nfrom app import x\n"),
        ("import os\n\nfrom app import x\n", ["httpx"], "import os\n\nimport httpx\n\nfrom app import x\n"),
        ("import os\n\nfrom .x import y\n", ["app.slots:z"],
         "import os\n\nfrom app.slots import z\n\nfrom .x import y\n"),
        ("from __future__ import annotations\n\nx = 1\n", ["time"],
         "from __future__ import annotations\n\nimport time\n\nx = 1\n"),
        ("#!/usr/bin/env python\n# coding: utf-8\nx = 1\n", ["time"],
         "#!/usr/bin/env python\n# coding: utf-8\n\nimport time\n\nx = 1\n"),
        ("x = 1\n", ["time"], "import time\n\nx = 1\n"),
        ('"""Doc."""\nx = 1\n', ["time"], '"""Doc."""\n\nimport time\n\nx = 1\n'),
        ("# ours\nimport os\n\n# theirs\nimport httpx\n", ["time"],
         "# ours\nimport os\nimport time\n\n# theirs\nimport httpx\n"),
        ("# licence\n\n# theirs\nimport httpx\n", ["time"], "# licence\n\nimport time\n\n# theirs\nimport httpx\n"),
        ("import httpx\n\n", ["asyncio", "httpx2"], "import asyncio\n\nimport httpx\nimport httpx2\n\n"),
        ("from x import a, c\n", ["x:b"], "from x import a, b, c\n"),
        ("from x import a, c\n", ["x:D", "x:d"], "from x import D, a, c, d\n"),
        ("from x import c, a\n", ["x:b"], "from x import c, a, b\n"),
        ("from x import (\n    a,\n    b,\n)\n", ["x:c"], "from x import (\n    a,\n    b,\n    c,\n)\n"),
        ("from x import (\n    a,\n    c,\n)\n", ["x:b"], "from x import (\n    a,\n    b,\n    c,\n)\n"),
        ("from x import (\n    b,\n)\n", ["x:c"], "from x import (\n    b,\n    c,\n)\n"),
        ("from x import *\n", ["x:b"], "from x import *\nfrom x import b\n"),
        ("from x import a  # used\n", ["x:b"], "from x import a, b  # used\n"),
    ],
)  # fmt: skip
def test_an_import_stands_with_its_kind(before: str, names: list[str], after: str) -> None:
    assert with_imports(before, *names) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import a\n\nX = 1\n", "import a\n\ndef f(): ...\n\n\nX = 1\n"),
        ("import a\n\n\nclass C: ...\n", "import a\n\ndef f(): ...\n\n\nclass C: ...\n"),
        ("import a\n", "import a\n\ndef f(): ...\n"),
        (
            "import a\n\ntry:\n    import b\nexcept ImportError:\n    b = None\n\nX = 1\n",
            "import a\n\ntry:\n    import b\nexcept ImportError:\n    b = None\n\ndef f(): ...\n\n\nX = 1\n",
        ),
        (
            "import a\n\nif a.x:\n    a.y()\n\nimport c\n",
            "import a\n\nif a.x:\n    a.y()\n\nimport c\n\ndef f(x: c.d): ...\n",
        ),
        (
            "import a\n\n\ndef g(): ...\n\n\nimport c\n\n\nclass C: ...\n",
            "import a\n\n\ndef g(): ...\n\n\nimport c\n\ndef f(x: c.d): ...\n\n\nclass C: ...\n",
        ),
        ("import a\n\ndef g(): ...\n\nimport b\n", "import a\n\ndef f(): ...\n\n\ndef g(): ...\n\nimport b\n"),
    ],
)
def test_new_code_stands_below_all_imports(before: str, after: str) -> None:
    source = Source("m.py", before)
    head = Head.of(source, ast.parse(before), lambda _: False)
    code = ["def f(): ..."] if "c.d" not in after else ["def f(x: c.d): ..."]
    end = source.line_starts[head.below(code)]
    assert source.apply((Edit(source.span(end, end), head.text(code)),)) == after
