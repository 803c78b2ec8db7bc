"""How many processes a project runs, by what its own files say: the message names the product, a label the line."""

from __future__ import annotations

import logging
import textwrap
from pathlib import Path

import pytest

from safecall_lint.finding import Finding
from safecall_lint.rulebook import rulebook
from tests.cases import reported, write

RULE = rulebook()["per-pod-rate-limiter"]
APP = {
    "pyproject.toml": '[project]\nname = "app"\nversion = "1"\n',
    "app.py": """\
import httpx
from aiolimiter import AsyncLimiter

http = httpx.AsyncClient()
pace = AsyncLimiter(10, 1)


async def get(url: str) -> str:
    async with pace:
        return (await http.get(url)).text
""",
}
SEVERAL = {
    "a Deployment among other documents": (
        "k8s/app.yaml",
        """
        kind: ConfigMap
        metadata: {name: app}
        data: {replicas: "9"}
        ---
        kind: Service
        spec: {ports: [{port: 80}]}
        ---
        kind: Deployment
        metadata: {name: app}
        spec:
          replicas: 3  # here
          template: {spec: {containers: [{name: app, image: "app:1"}]}}
        """,
        3,
    ),
    "a StatefulSet": ("app.yml", "kind: StatefulSet\nmetadata: {name: app}\nspec:\n  replicas: 4  # here\n", 4),
    "an autoscaler, by its floor": (
        "hpa.yaml",
        """
        kind: HorizontalPodAutoscaler
        spec:
          scaleTargetRef: {kind: Deployment, name: app}
          minReplicas: 2  # here
          maxReplicas: 8
        """,
        2,
    ),
    "an autoscaler that starts with one, by its ceiling": (
        "hpa.yaml",
        "kind: HorizontalPodAutoscaler\nspec:\n  minReplicas: 1\n  maxReplicas: 8  # here\n",
        8,
    ),
    "pods times workers": (
        "app.yaml",
        """
        kind: Deployment
        metadata: {name: app}
        spec:
          replicas: 3  # here
          template:
            spec:
              containers:
                - image: app:1
                  args: ["gunicorn", "-w", "2", "app:app"]  # here
        """,
        6,
    ),
    "an environment variable of a container": (
        "app.yaml",
        """
        kind: Deployment
        metadata: {name: app}
        spec:
          template:
            spec:
              containers:
                - image: app:1
                  env:
                    - name: WEB_CONCURRENCY
                      value: "4"  # here
        """,
        4,
    ),
    "Helm values": ("chart/values.yaml", "image: {tag: a}\nreplicaCount: 5  # here\n", 5),
    "Helm values with an autoscaler": (
        "chart/values.yaml",
        "replicaCount: 1\nautoscaling:\n  enabled: true\n  minReplicas: 1\n  maxReplicas: 6  # here\n",
        6,
    ),
    "compose replicas": (
        "compose.yaml",
        """
        services:
          api:
            build: .
            deploy:
              replicas: 2  # here
          redis:
            image: redis
            scale: 3
        """,
        2,
    ),
    "a compose command": (
        "docker-compose.yml",
        "services:\n  api:\n    command: uvicorn app:app --workers 3  # here\n",
        3,
    ),
    "a Dockerfile": ("Dockerfile", 'FROM python:3.12\nCMD ["uvicorn", "app:app", "--workers", "4"]\n', 4),
    "a Procfile": ("Procfile", "web: gunicorn app:app -w 3\n", 3),
    "a start script with a default": ("docker/start", '#!/bin/sh\nexec uvicorn app:app --workers "${WORKERS:-2}"\n', 2),
    "a start script of another name": ("bin/start-web", "#!/bin/sh\ngunicorn app:app --workers 2\n", 2),
    "a script in a container's folder": (
        "docker/init_scripts/init",
        "#!/bin/sh\ngunicorn \\\n    --bind=:80 \\\n    --workers=5 \\\n    app:app\n",
        5,
    ),
    "gunicorn settings": ("gunicorn.conf.py", "bind = ':80'\nworkers = 4\n", 4),
    "gunicorn settings by cores": (
        "gunicorn.conf.py",
        "import multiprocessing\nworkers = multiprocessing.cpu_count() * 2 + 1  # here\n",
        3,
    ),
    "gunicorn settings with a default": (
        "gunicorn_conf.py",
        "import os\nworkers = int(os.getenv('WORKERS', '4'))  # here\n",
        4,
    ),
    "Python that runs the server": (
        "main.py",
        "import uvicorn\n\nuvicorn.run(\n    'app:app',\n    workers=4,  # here\n)\n",
        4,
    ),
    "a command over several lines": ("start.sh", "gunicorn app:app \\\n  --bind :80 \\\n  -w 4  # here\n", 4),
    "a shell's form in a Dockerfile": ("Dockerfile", "CMD gunicorn -w ${WORKERS:-3} app:app\n", 3),
    "an environment in a Dockerfile": ("api.Dockerfile", "ENV WEB_CONCURRENCY=4\nCMD gunicorn app:app\n", 4),
    "a unit of systemd": ("deploy/app.service", "[Service]\nExecStart=/venv/bin/gunicorn -w 3 app:app\n", 3),
    "a program of supervisor": ("supervisord.conf", "[program:app]\ncommand=gunicorn app:app --workers 2\n", 2),
    "a list of environment variables in compose": (
        "compose.yml",
        "services:\n  api:\n    image: app\n    environment:\n      - WEB_CONCURRENCY=3\n",
        3,
    ),
    "a default in compose": ("compose.yml", "services:\n  api:\n    deploy:\n      replicas: ${PODS:-3}  # here\n", 3),
    "a worker's service beside the server's": (
        "compose.yml",
        """
        services:
          web:
            build: .
            command: uvicorn app:app
          jobs:
            build: .
            command: ["celery", "-A", "app", "worker"]  # here
        """,
        2,
    ),
    "parts of a chart": (
        "chart/values.yaml",
        """
        redis:
          replicaCount: 3
        api:
          replicaCount: 1
          autoscaling: {enabled: true, minReplicas: 2, maxReplicas: 5}  # here
        """,
        2,
    ),
    "an overlay": ("k8s/prod/kustomization.yaml", "replicas:\n  - name: app\n    count: 3  # here\n", 3),
    "another autoscaler": (
        "k8s/scaler.yaml",
        "kind: ScaledObject\nspec:\n  scaleTargetRef: {name: app}\n  minReplicaCount: 2  # here\n",
        2,
    ),
}
ONE = {
    "one pod": ("app.yaml", "kind: Deployment\nmetadata: {name: app}\nspec: {replicas: 1}\n"),
    "a template that is not YAML yet": ("app.yaml", "kind: Deployment\nspec:\n  replicas: {{ .Values.replicas }}\n"),
    "somebody else's image": (
        "app.yaml",
        "kind: StatefulSet\nspec:\n  replicas: 3\n  template: {spec: {containers: [{image: 'postgres:16'}]}}\n",
    ),
    "an autoscaler that is off": ("values.yaml", "autoscaling: {enabled: false, minReplicas: 2, maxReplicas: 9}\n"),
    "workers in a comment": ("start.sh", "# uvicorn app:app --workers 4\nuvicorn app:app\n"),
    "a program that only is installed": ("Dockerfile", "RUN pip install gunicorn\nCMD python app.py\n"),
    "a worker for each core": ("gunicorn.conf.py", "import os\nworkers = os.cpu_count()\n"),
    "a workflow": (".github/workflows/deploy.yml", "jobs:\n  up:\n    run: gunicorn app:app --workers 4\n"),
    "somebody else's part of a chart": ("values.yaml", "postgresql:\n  replicaCount: 2\n"),
    "an example for others": ("examples/app.yaml", "kind: Deployment\nspec: {replicas: 3}\n"),
    "a worker alone": ("compose.yml", "services:\n  jobs:\n    command: celery -A app worker\n"),
    "one worker": ("main.py", "import uvicorn\nuvicorn.run('app:app', workers=1)\n"),
}


def found(folder: Path, name: str, text: str) -> list[Finding]:
    """What the rule says about the application beside one more file."""
    write(folder, APP | {name: textwrap.dedent(text).lstrip()})
    return reported(RULE)


@pytest.mark.parametrize(("name", "text", "count"), SEVERAL.values(), ids=SEVERAL)
def test_several_processes_are_multiplied_and_shown(
    name: str, text: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (finding,) = found(tmp_path, name, text)
    seen = f"up to {10 * count} calls, not 10"
    assert finding.message == f"{count} processes limit apart: the vendor sees {seen}"
    lines = textwrap.dedent(text).lstrip().splitlines()
    marked = [number for number, line in enumerate(lines, start=1) if line.endswith("# here")]
    assert {label.path for label in finding.labels} == {name}
    assert not marked or sorted(label.span.line for label in finding.labels) == marked


MOVING = {name for name in SEVERAL if "autoscaler" in name or "default" in name or "cores" in name} | {
    "a shell's form in a Dockerfile",
    "a worker's service beside the server's",
    "parts of a chart",
}


@pytest.mark.parametrize("case", SEVERAL)
def test_a_limit_is_divided_where_the_number_of_processes_is_fixed(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name, text, count = SEVERAL[case]
    (finding,) = found(tmp_path, name, text)
    if case in MOVING:
        assert finding.fix is None
    else:
        assert finding.fix is not None
        assert [edit.text for edit in finding.fix.edits] == [f"10 / {count}"]


def test_a_limit_whose_share_would_refuse_a_call_is_not_divided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    heavy = APP["app.py"].replace("    async with pace:\n        return", "    await pace.acquire(2)\n    return")
    small = APP["app.py"].replace("AsyncLimiter(10, 1)", "AsyncLimiter(2, 1)")
    for text in (heavy, small):
        write(tmp_path, APP | {"app.py": text, "Procfile": "web: gunicorn app:app -w 3\n"})
        (finding,) = reported(RULE)
        assert finding.fix is None


@pytest.mark.parametrize(("name", "text"), ONE.values(), ids=ONE)
def test_one_process_is_fine(name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert found(tmp_path, name, text) == []


def test_broken_yaml_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"other.py": APP["app.py"]})
    with caplog.at_level(logging.WARNING, "safecall_lint"):
        assert found(tmp_path, "broken.yaml", "replicas: [3\n") == []
    assert len(caplog.records) == 1
    assert "broken.yaml" in caplog.text
