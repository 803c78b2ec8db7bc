"""What a project's own files say about processes: Kubernetes manifests, Helm values, compose files, start commands and
gunicorn settings, each read into rows of line, number of processes, and whether they are pods or workers in one."""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

_LOG = logging.getLogger("safecall_lint")
_COMMAND = re.compile(r"(?:--workers[\s=\"',]+|(?<!\S)[\"']?-w[\s\"',]+)[\"']?(\$\{\w+:-)?(\d+)")
_CONCURRENCY = re.compile(r"\bWEB_CONCURRENCY\b[\s=:\"']+(\d+)")
_SERVERS = re.compile(r"\b(?:gunicorn|uvicorn|hypercorn|granian|fastapi)\b|--workers\b")
_FOREIGN = re.compile(
    r"\b(?:redis|valkey|postgres\w*|pgvector|mysql|mariadb|mongo\w*|nginx|traefik|rabbitmq|kafka|milvus|qdrant|minio|"
    r"frontend|ui|web-ui|elasticsearch|opensearch|neo4j|prometheus|grafana|vllm|ollama)\b",
    re.IGNORECASE,
)
JOBS = re.compile(r"\b(?:rq worker|celery\b.*\bworker|dramatiq|taskiq worker|huey_consumer|arq)\b")

Row = tuple[int, int, bool]


def reader_of(name: str) -> Any:
    """The function that reads files of this name."""
    return next((reader for pattern, reader in _READERS.items() if re.fullmatch(pattern, name)), None)


def _commands(text: str, shown: str) -> Iterator[Row]:
    """Start commands, line by line."""
    numbered = enumerate(text.splitlines(), start=1)
    code = [(number, line) for number, line in numbered if not line.lstrip().startswith("#")]
    for number, line in code:
        yield from _command(line, number)
    jobs = next((number for number, line in code if _starts(line, JOBS)), 0)
    if jobs and any(_starts(line, _SERVERS) for _, line in code):
        yield jobs, 2, True


def _starts(line: str, program: re.Pattern[str]) -> bool:
    """Whether a line of a script runs a program, not only speaks of it."""
    found = program.search(line)
    return found is not None and not re.search(r"\b(?:echo|log|info_log|debug_log|printf|install)\b", line)


def _command(line: str, number: int) -> Iterator[Row]:
    if concurrency := _CONCURRENCY.search(line):
        yield number, int(concurrency[1]), False
    elif _SERVERS.search(line) and (workers := _COMMAND.search(line)):
        yield number, int(workers[2]), False


def _gunicorn(text: str, shown: str) -> Iterator[Row]:
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError):
        return
    for statement in body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "workers":
            value = statement.value.value if isinstance(statement.value, ast.Constant) else None
            if isinstance(value, int):
                yield statement.lineno, value, False


def _yaml(text: str, shown: str) -> Iterator[Row]:
    """Kubernetes manifests, Helm values and compose files; a template is not YAML yet and is passed over."""
    if "{{" in text:
        return
    yaml = import_module("yaml")
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        _LOG.warning("%s: skipped, it is no YAML: %s", shown, str(error).splitlines()[0])
        return
    for document in documents:
        if document is not None:
            yield from _document(document)


def _document(node: Any) -> Iterator[Row]:
    kind = _scalar(_at(node, "kind"))
    if kind in ("Deployment", "StatefulSet", "ReplicaSet", "Rollout"):
        yield from _workload(node)
    elif kind == "HorizontalPodAutoscaler":
        target = _scalar(_at(node, "spec", "scaleTargetRef", "name"))
        if not _FOREIGN.search(target):
            yield from _scaled(_at(node, "spec"))
    elif _at(node, "services") is not None:
        yield from _compose(_at(node, "services"))
    elif not kind:
        yield from _number(_at(node, "replicaCount"), True)
        if _scalar(_at(node, "autoscaling", "enabled")) == "true":
            yield from _scaled(_at(node, "autoscaling"))


def _workload(node: Any) -> Iterator[Row]:
    containers = list(_items(_at(node, "spec", "template", "spec", "containers")))
    names = [_scalar(_at(item, "image")) for item in containers] + [_scalar(_at(node, "metadata", "name"))]
    if any(map(_FOREIGN.search, names)):
        return
    yield from _number(_at(node, "spec", "replicas"), True)
    for item in containers:
        yield from _words([*_items(_at(item, "command")), *_items(_at(item, "args"))])
        for variable in _items(_at(item, "env")):
            if _scalar(_at(variable, "name")) == "WEB_CONCURRENCY":
                yield from _number(_at(variable, "value"), False)


def _compose(services: Any) -> Iterator[Row]:
    for name, service in _pairs(services):
        if _FOREIGN.search(f"{name} {_scalar(_at(service, 'image'))}"):
            continue
        yield from _number(_at(service, "deploy", "replicas"), True)
        yield from _number(_at(service, "scale"), True)
        command = _at(service, "command")
        yield from _words(list(_items(command)) or ([command] if command is not None else []))
        environment = _at(service, "environment")
        yield from _number(_at(environment, "WEB_CONCURRENCY"), False)
        for item in _items(environment):
            yield from _command(_scalar(item), _line(item))


def _scaled(node: Any) -> Iterator[Row]:
    """An autoscaler: its floor where that is several, else its ceiling."""
    floor = list(_number(_at(node, "minReplicas"), True))
    yield from floor if floor and floor[0][1] > 1 else _number(_at(node, "maxReplicas"), True)


def _words(nodes: list[Any]) -> Iterator[Row]:
    """A start command, given as words or as one line."""
    line = " ".join(_scalar(node) for node in nodes)
    told = [node for node in nodes if "workers" in _scalar(node) or "WEB_CONCURRENCY" in _scalar(node)]
    for _, count, pods in _command(line, 0):
        yield _line((told or nodes)[0]), count, pods


# -- YAML nodes ----------------------------------------------------------------------------------------------------


def _pairs(node: Any) -> list[tuple[str, Any]]:
    rows = node.value if getattr(node, "id", "") == "mapping" else ()
    return [(_scalar(key), value) for key, value in rows]


def _items(node: Any) -> list[Any]:
    return list(node.value) if getattr(node, "id", "") == "sequence" else []


def _at(node: Any, *path: str) -> Any:
    for name in path:
        node = next((value for key, value in _pairs(node) if key == name), None)
    return node


def _scalar(node: Any) -> str:
    return str(node.value) if getattr(node, "id", "") == "scalar" else ""


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _number(node: Any, pods: bool) -> Iterator[Row]:
    text = _scalar(node)
    if text.isdecimal() and len(text) < 5:
        yield _line(node), int(text), pods


_READERS = {
    r".*\.ya?ml": _yaml,
    r".*Dockerfile|.*\.sh|Dockerfile.*|Procfile.*": _commands,
    r"(?:docker|entrypoint|init|start|run|serve|launch|boot)[\w-]*": _commands,
    r"gunicorn(?:\.conf|_conf|_config)\.py": _gunicorn,
}
NAMES = "|".join(_READERS)
"""The names of the files that have a reader, as a regular expression."""
