"""A finding is kept for as long as all that it rests on is as it was, and not a run longer."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from safecall_lint import trail
from safecall_lint.cache import NAME, Cache
from safecall_lint.cli.workspace import Outcome, lint
from safecall_lint.discovery import Target, discover
from safecall_lint.settings import Lookup, Settings
from tests.cases import write
from tests.edits import change

FIXTURES = Path(__file__).parents[2] / "fixtures" / "projects"
PROJECTS = sorted(path for path in FIXTURES.iterdir() if path.is_dir())
API = "from work import load\n\n\nasync def answer() -> None:\n    load()\n"
BLOCKS = "import requests\n\n\ndef load() -> None:\n    print(requests.get('https://example.com', timeout=3).ok)\n"
LOADS = "def load() -> None:\n    print('loaded')\n"
OTHER = "import httpx\n\nresponse = httpx.get('https://example.com')\n"
MIXED = """\
import httpx
from anthropic import AsyncAnthropic

c = AsyncAnthropic(http_client=httpx.AsyncClient(timeout=9))
"""
PACED = """\
from aiolimiter import AsyncLimiter
from openai import AsyncOpenAI

c = AsyncOpenAI()
pace = AsyncLimiter(9, 1)


async def ask(text: str) -> object:
    async with pace:
        return await c.responses.create(input=text)
"""
PODS = "kind: Deployment\nmetadata:\n  name: app\nspec:\n  replicas: 3\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working directory, and a project of its own."""
    write(tmp_path, {"project/pyproject.toml": ""})
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files written a moment ago count as old."""
    monkeypatch.setattr(trail, "_SETTLED_NS", -(10**18))


def targets(*paths: str, **settings: object) -> tuple[Target, ...]:
    return discover(paths or ["."], Lookup(adjust=lambda found: replace(found, profile="all", **settings))).targets


def run(*paths: str, jobs: int = 1, **settings: object) -> Outcome:
    return lint(targets(*paths, **settings), jobs, Cache(Path(NAME).absolute()))


def found(outcome: Outcome) -> list[tuple[str, str]]:
    assert not outcome.crashes
    return sorted({(one.path, one.name) for one in outcome.findings})


BLOCKED = ("api.py", "blocking-call-in-async")


def test_what_did_not_change_is_not_linted_again(here: Path, linted: list[str]) -> None:
    write(here, {"api.py": API, "work.py": BLOCKS, "other.py": OTHER})
    first = run()
    assert BLOCKED in found(first)
    assert sorted(linted) == ["api.py", "other.py", "work.py"]
    linted.clear()
    assert run().findings == first.findings
    assert linted == []


def test_an_edit_in_a_file_that_is_depended_on_is_seen(here: Path, linted: list[str]) -> None:
    write(here, {"api.py": API, "work.py": BLOCKS, "other.py": OTHER})
    run()
    write(here, {"work.py": LOADS})
    linted.clear()
    assert BLOCKED not in found(run())
    assert sorted(linted) == ["api.py", "work.py"]
    write(here, {"work.py": BLOCKS})
    assert BLOCKED in found(run("api.py"))


def test_an_edit_that_another_run_met_is_seen(here: Path) -> None:
    """The run on one file brings what is known of that file up to date; what rests on it is not forgotten."""
    write(here, {"api.py": API, "work.py": BLOCKS})
    run()
    write(here, {"work.py": LOADS})
    run("work.py")
    assert found(run("api.py")) == []


def test_a_module_that_appears_or_goes_is_seen(here: Path) -> None:
    write(here, {"app/api.py": API, "work.py": BLOCKS})
    assert found(run()) == [("app/api.py", "blocking-call-in-async")]
    write(here, {"app/work.py": LOADS})
    assert found(run()) == []
    (here / "app/work.py").rename(here / "app/play.py")
    assert found(run()) == [("app/api.py", "blocking-call-in-async")]
    (here / "work.py").unlink()
    assert found(run()) == []


def test_a_package_that_appears_is_seen(here: Path) -> None:
    write(here, {"api.py": API})
    assert found(run()) == []
    write(here, {"work/__init__.py": "from .slow import load\n", "work/slow.py": BLOCKS})
    assert found(run()) == [BLOCKED]


def test_a_project_beside_that_offers_a_package_is_seen(here: Path, linted: list[str]) -> None:
    write(here, {"api/app.py": API, "api/other.py": OTHER})
    assert found(run("api/app.py")) == []
    blocked = [("api/app.py", BLOCKED[1])]
    write(here, {"lib/pyproject.toml": "", "lib/src/work/__init__.py": BLOCKS})
    assert found(run("api/app.py")) == blocked
    write(here, {"else/pyproject.toml": "[project]\nname = 'loader'\n", "else/src/work/__init__.py": LOADS})
    assert found(run("api/app.py")) == []
    write(here, {"api/pyproject.toml": "[project]\ndependencies = ['loader']\n", "lib/src/play/__init__.py": ""})
    assert found(run("api/app.py")) == []
    write(here, {"api/pyproject.toml": "[tool.uv.sources.work]\npath = '../lib'\n"})
    assert found(run("api/app.py")) == blocked
    shutil.rmtree(here / "else")
    shutil.rmtree(here / "lib" / "src" / "work")
    assert found(run("api/app.py")) == []


def test_a_project_beside_that_offers_another_package_changes_nothing(
    here: Path, linted: list[str], settled: None
) -> None:
    write(here, {"api/app.py": API, "lib/src/work/__init__.py": BLOCKS, "lib/pyproject.toml": ""})
    assert found(run("api/app.py")) == [("api/app.py", BLOCKED[1])]
    write(here, {"lib/src/play/__init__.py": "", "more/play.py": ""})
    linted.clear()
    assert found(run("api/app.py")) == [("api/app.py", BLOCKED[1])]
    assert linted == []


def test_what_a_link_leads_to_is_seen(here: Path) -> None:
    write(here, {"api.py": API, "one/work.py": BLOCKS, "other/work.py": LOADS})
    (here / "work.py").symlink_to("one/work.py")
    assert found(run("api.py")) == [BLOCKED]
    (here / "work.py").unlink()
    (here / "work.py").symlink_to("other/work.py")
    assert found(run("api.py")) == []


@pytest.mark.parametrize("name", ["boot.py", "deep/er/boot.py"])
def test_code_anywhere_that_is_asked_about_is_seen(name: str, here: Path) -> None:
    write(here, {"llm.py": MIXED, "deep/er/other.py": "x = 1\n"})
    assert ("llm.py", "mixed-http-stack") in found(run())
    write(here, {name: "import httpx2\n\nhttpx2.alias_httpx()\n"})
    assert found(run("llm.py")) == []
    (here / name).unlink()
    assert ("llm.py", "mixed-http-stack") in found(run())


def test_the_libraries_that_a_project_asks_for_are_seen(here: Path) -> None:
    write(here, {"llm.py": MIXED})
    assert ("llm.py", "mixed-http-stack") in found(run())
    write(here, {"requirements.txt": "anthropic==0.40.0\n"})
    assert ("llm.py", "mixed-http-stack") not in found(run())
    write(here, {"requirements.txt": "anthropic>=1.0.0\n"})
    assert ("llm.py", "mixed-http-stack") in found(run())


def test_a_manifest_is_seen(here: Path) -> None:
    write(here, {"llm.py": PACED})
    assert ("llm.py", "per-pod-rate-limiter") not in found(run())
    write(here, {"k8s/app.yaml": PODS})
    assert ("llm.py", "per-pod-rate-limiter") in found(run())
    write(here, {"k8s/app.yaml": PODS.replace("3", "1")})
    assert ("llm.py", "per-pod-rate-limiter") not in found(run())


def test_other_settings_have_findings_of_their_own(here: Path, linted: list[str]) -> None:
    write(here, {"api.py": API, "work.py": BLOCKS})
    run()
    assert found(run(ignore=("SCL502",))) == []
    linted.clear()
    assert found(run()) == [BLOCKED]
    assert linted == []


def test_an_edit_of_the_same_size_and_date_is_seen(here: Path, settled: None) -> None:
    write(here, {"api.py": API, "work.py": BLOCKS})
    assert found(run()) == [BLOCKED]
    status = os.stat("work.py")
    write(here, {"work.py": BLOCKS.replace("get", "pet")})
    os.utime("work.py", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert found(run()) == []


def test_a_file_that_was_just_written_is_read_again(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its date may not tell of another change a moment later, so its content decides."""
    write(here, {"api.py": API, "work.py": BLOCKS})
    run()
    same = trail.state(os.stat("work.py"))
    write(here, {"work.py": BLOCKS.replace("get", "pet")})
    monkeypatch.setattr("safecall_lint.cache.present.state", lambda _: same)
    assert found(run()) == []


def test_what_is_old_is_neither_read_nor_written(here: Path, settled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    write(here, {"api.py": API, "work.py": BLOCKS, "llm.py": MIXED + PACED})
    first = run()
    before = sorted((path.name, os.stat(path).st_mtime_ns) for path in Path(NAME).iterdir())
    monkeypatch.delattr(trail, "digest")
    assert run().findings == first.findings
    assert sorted((path.name, os.stat(path).st_mtime_ns) for path in Path(NAME).iterdir()) == before


def test_a_file_that_changed_its_date_alone_is_not_linted_again(here: Path, linted: list[str], settled: None) -> None:
    write(here, {"api.py": API, "work.py": BLOCKS})
    run()
    linted.clear()
    os.utime("work.py", (1, 1))
    assert found(run()) == [BLOCKED]
    assert linted == []


def test_a_changed_file_does_not_make_the_others_be_read(here: Path, linted: list[str], settled: None) -> None:
    """What is asked of the whole project is answered from what is known of it."""
    write(here, {"llm.py": MIXED, "one.py": "x = 1\n", "other.py": "y = 2\n"})
    run()
    os.chmod("other.py", 0)
    write(here, {"llm.py": f"{MIXED}\n\nx = 1\n"})
    linted.clear()
    run("llm.py")
    assert linted == ["llm.py"]
    os.chmod("other.py", 0o644)
    (section,) = Path(NAME).glob("*.json")
    assert "other.py" in section.read_text()


def test_several_processes_learn_as_one_does(here: Path, linted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("safecall_lint.parallel.ALONE_SECONDS", 0.0)
    write(here, {"work.py": BLOCKS, "llm.py": MIXED, **{f"api{number}.py": API for number in range(20)}})
    first = run(jobs=2)
    assert len(found(first)) == 21
    linted.clear()
    assert run().findings == first.findings
    assert linted == []
    write(here, {"work.py": LOADS})
    assert len(found(run(jobs=2))) == 1


def test_what_could_not_be_told_for_good_is_not_kept(here: Path, linted: list[str]) -> None:
    write(here, {"deep.py": "import httpx\nx = " + "(" * 5000 + "\n", "bad.py": "import httpx\nx = (\n"})
    os.mkfifo("pipe.py")
    first = run()
    linted.clear()
    assert run().findings == first.findings
    assert "pipe.py" in linted
    assert "bad.py" not in linted


def test_what_is_gone_is_forgotten(here: Path) -> None:
    write(here, {"api.py": API, "work.py": BLOCKS, "other.py": OTHER})
    run()
    (here / "other.py").unlink()
    write(here, {"work.py": LOADS})
    run()
    (section,) = Path(NAME).glob("*.json")
    assert "other.py" not in section.read_text()


def test_a_row_of_another_shape_is_no_finding(here: Path) -> None:
    write(here, {"api.py": API, "work.py": BLOCKS})
    first = run()
    (section,) = Path(NAME).glob("*.json")
    from safecall_lint.cache import folder

    rows = json.loads(folder.read(section) or b"")
    for table in (rows[-1], rows[2], rows[3], rows[1]):
        for name in table:
            table[name] = [[7]]
        folder.write(section, json.dumps(rows).encode())
        assert run().findings == first.findings


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
@pytest.mark.parametrize("seed", range(3))
def test_whatever_changes_a_cached_run_finds_what_an_uncached_one_finds(
    seed: int, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(project, tmp_path / project.name)
    monkeypatch.chdir(copy)
    chance = random.Random(seed)
    for number in range(25):
        made = [change(copy, chance) for _ in range(min(number, chance.choice([1, 1, 3])))]
        everything = discover(["."], Lookup(isolated=True, adjust=_all)).targets
        some = everything if chance.random() < 0.5 else chance.sample(everything, min(3, len(everything)))
        assert lint(some, 1, Cache(copy / NAME)).findings == lint(some, 1).findings, made


def _all(settings: Settings) -> Settings:
    return Settings(root=settings.root, profile="all")
