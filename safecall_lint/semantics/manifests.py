"""What a project's own files say about processes: Kubernetes manifests, Helm values and compose files, each read into
rows, and which of its files say anything at all."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

from safecall_lint.semantics.starts import JOBS, SERVERS, Row, command, commands, gunicorn, python

_LOG = logging.getLogger("safecall_lint")
_FOREIGN = re.compile(
    r"\b(?:redis|valkey|postgres\w*|pgvector|mysql|mariadb|mongo\w*|nginx|traefik|rabbitmq|kafka|milvus|qdrant|minio|"
    r"frontend|ui|web-ui|elasticsearch|opensearch|neo4j|prometheus|grafana|vllm|ollama)\b",
    re.IGNORECASE,
)
_DEFAULT: Final = re.compile(r"\$\{\w+:?-(\d{1,4})\}")
_DEPTH: Final = 3


def reader_of(name: str) -> Any:
    """The function that reads files of this name."""
    return next((reader for pattern, reader in _READERS.items() if re.fullmatch(pattern, name)), None)


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
    elif kind in ("HorizontalPodAutoscaler", "ScaledObject"):
        target = _scalar(_at(node, "spec", "scaleTargetRef", "name"))
        if not _FOREIGN.search(target):
            yield from _scaled(_at(node, "spec"))
    elif _at(node, "services") is not None:
        yield from _compose(_at(node, "services"))
    elif kind in ("", "Kustomization"):
        for item in _items(_at(node, "replicas")):
            if not _FOREIGN.search(_scalar(_at(item, "name"))):
                yield from _number(_at(item, "count"), True)
        if not kind:
            yield from _part(node, _DEPTH)


def _part(node: Any, depth: int) -> Iterator[Row]:
    """The values of a Helm chart: its own, and those of its parts."""
    yield from _number(_at(node, "replicaCount"), True)
    if _scalar(_at(node, "autoscaling", "enabled")) == "true":
        yield from _scaled(_at(node, "autoscaling"))
    for name, inner in _pairs(node) if depth else ():
        if not _FOREIGN.search(name):
            yield from _part(inner, depth - 1)


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
    own = [
        service for name, service in _pairs(services) if not _FOREIGN.search(f"{name} {_scalar(_at(service, 'image'))}")
    ]
    for service in own:
        yield from _number(_at(service, "deploy", "replicas"), True)
        yield from _number(_at(service, "scale"), True)
        yield from _words(_said(service))
        environment = _at(service, "environment")
        yield from _number(_at(environment, "WEB_CONCURRENCY"), False)
        for item in _items(environment):
            yield from command(_scalar(item), _line(item))
    jobs = next((said for said in map(_said, own) if JOBS.search(_text(said))), [])
    if jobs and any(SERVERS.search(_text(_said(service))) for service in own):
        yield Row(_line(jobs[0]), 2, True, "at least")


def _said(service: Any) -> list[Any]:
    """The words of a service's command, or its one line."""
    given = _at(service, "command")
    return list(_items(given)) or ([given] if given is not None else [])


def _scaled(node: Any) -> Iterator[Row]:
    """An autoscaler: its floor where that is several, else its ceiling."""
    floor = [row for name in ("minReplicas", "minReplicaCount") for row in _number(_at(node, name), True)]
    if floor and floor[0].number > 1:
        yield floor[0]._replace(bound="at least")
        return
    for row in (row for name in ("maxReplicas", "maxReplicaCount") for row in _number(_at(node, name), True)):
        yield row._replace(bound="up to")


def _words(nodes: list[Any]) -> Iterator[Row]:
    """A start command, given as words or as one line."""
    told = [node for node in nodes if "workers" in _scalar(node) or "WEB_CONCURRENCY" in _scalar(node)]
    for row in command(_text(nodes), 0):
        yield row._replace(line=_line((told or nodes)[0]))


def _text(nodes: list[Any]) -> str:
    return " ".join(_scalar(node) for node in nodes)


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
    if default := _DEFAULT.fullmatch(text):
        yield Row(_line(node), int(default[1]), pods, "by default")
    elif text.isdecimal() and len(text) < 5:
        yield Row(_line(node), int(text), pods)


_READERS = {
    r".*\.ya?ml": _yaml,
    r".*Dockerfile|.*\.sh|Dockerfile.*|Procfile.*|.*\.service|supervisor[\w-]*\.(?:conf|ini)": commands,
    r"(?:docker|entrypoint|init|start|run|serve|launch|boot)[\w-]*": commands,
    r"gunicorn(?:\.conf|_conf|_config)\.py": gunicorn,
    r"(?:__main__|main|run|serve|server|app|start)\.py": python,
}
NAMES = "|".join(_READERS)
"""The names of the files that have a reader, as a regular expression."""
