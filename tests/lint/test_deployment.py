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
    "workers that are computed": ("gunicorn.conf.py", "import os\nworkers = os.cpu_count()\n"),
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
