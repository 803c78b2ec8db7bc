"""Events as OpenTelemetry metrics and as events on the current span."""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry import metrics, trace
from opentelemetry.metrics import Meter

from .._events import Event
from .._setting import having, optional
from . import _records
from ._metrics import METRICS, SECONDS, Metric, readings

_MAKES = ("create_counter", "create_gauge", "create_histogram")
_METER = optional(having(_MAKES, "no metric can be made", "a Meter, or None for that of the global provider"))

_Write = Callable[[float, dict[str, str]], None]


class OpenTelemetryEvents:
    """A sink that records the `llm_*` metrics and adds each event to the span it happens in.

    A Prometheus exporter shows the metrics under the names that `PrometheusEvents` uses.

    Args:
        meter: where the instruments are made; the default comes from the global meter provider.

    Raises:
        TypeError: `meter` makes no instruments.
    """

    def __init__(self, meter: Meter | None = None) -> None:
        _METER("OpenTelemetryEvents", "meter", meter)
        own = meter or metrics.get_meter("safecall_lint.runtime")
        self._writes = {metric: _instrument(metric, own) for metric in METRICS}

    def __call__(self, event: Event) -> None:
        for metric, value, labels in readings(event):
            self._writes[metric](value, dict(zip(metric.labels, labels, strict=True)))
        span = trace.get_current_span()
        if span.is_recording():
            span.add_event(f"llm.{_records.name(event)}", _attributes(event))


def _instrument(metric: Metric, meter: Meter) -> _Write:
    match metric.kind:
        case "counter":
            return meter.create_counter(metric.name.removesuffix("_total"), description=metric.text).add
        case "gauge":
            return meter.create_gauge(metric.name, description=metric.text).set
        case "histogram":
            return meter.create_histogram(
                metric.name.removesuffix("_seconds"),
                unit="s",
                description=metric.text,
                explicit_bucket_boundaries_advisory=SECONDS,
            ).record


def _attributes(event: Event) -> dict[str, str | int | float]:
    return {key: value for key, value in _records.fields(event).items() if isinstance(value, (str, int, float))}
