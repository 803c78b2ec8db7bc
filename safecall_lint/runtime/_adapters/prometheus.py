"""Events as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from .._events import Event
from .._setting import instance
from ._metrics import METRICS, SECONDS, Metric, readings

_REGISTRY = instance(CollectorRegistry, "no metric can be registered", "a CollectorRegistry, or leave it out")


class PrometheusEvents:
    """A sink that keeps the `llm_*` metrics. Make one and give it to every policy: the policy's name is a label.

    Args:
        registry: where the metrics are registered; the default is prometheus_client's own.

    Raises:
        TypeError: `registry` is none.
        ValueError: the registry has these metrics already.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        _REGISTRY("PrometheusEvents", "registry", registry)
        try:
            self._metrics = {metric: _registered(metric, registry) for metric in METRICS}
        except ValueError as error:
            message = "this registry has the llm_* metrics already: make one PrometheusEvents and share it"
            raise ValueError(message) from error
        self._writers: dict[tuple[Metric, tuple[str, ...]], Callable[[float], object]] = {}

    def __call__(self, event: Event) -> None:
        for metric, value, labels in readings(event):
            write = self._writers.get((metric, labels)) or self._writer(metric, labels)
            write(value)

    def _writer(self, metric: Metric, labels: tuple[str, ...]) -> Callable[[float], object]:
        """Prometheus looks labels up under a lock; each time series is looked up once."""
        series = self._metrics[metric].labels(*labels)
        match series:
            case Counter():
                write: Callable[[float], object] = series.inc
            case Gauge():
                write = series.set
            case Histogram():
                write = series.observe
        return self._writers.setdefault((metric, labels), write)


def _registered(metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    match metric.kind:
        case "counter":
            return Counter(metric.name, metric.text, metric.labels, registry=registry)
        case "gauge":
            return Gauge(metric.name, metric.text, metric.labels, registry=registry, multiprocess_mode="livesum")
        case "histogram":
            return Histogram(metric.name, metric.text, metric.labels, registry=registry, buckets=SECONDS)
