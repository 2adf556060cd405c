"""Counts requests, and says so in Prometheus' text format.

https://prometheus.io/docs/instrumenting/exposition_formats/. Labels are the model's operations,
HTTP statuses and model statuses, so their number is bounded.
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lfvpipe import __version__

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the latency histogram, in seconds."""


@dataclass
class _Histogram:
    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0


class Metrics:
    """Counts since the start of this process; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._latencies: dict[str, _Histogram] = {}
        self.in_flight = 0

    def observe(self, operation: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        with self._lock:
            self._requests[operation, status] += 1
            histogram = self._latencies.setdefault(operation, _Histogram())
            histogram.counts[bisect_left(BOUNDS, seconds)] += 1
            histogram.total += seconds

    def render(self, models: Mapping[str, int]) -> str:
        """Return all of it as text; `models` holds the number of models by status."""
        with self._lock:
            lines = [*self._request_lines(), *self._latency_lines(), *self._gauges(models)]
        return "\n".join(lines) + "\n"

    def _request_lines(self) -> Iterator[str]:
        name = "lfvpipe_requests_total"
        yield from _about(name, "counter", "Requests answered, by operation and HTTP status.")
        for (operation, status), count in sorted(self._requests.items()):
            yield f'{name}{{operation="{operation}",status="{status}"}} {count}'

    def _latency_lines(self) -> Iterator[str]:
        name = "lfvpipe_request_duration_seconds"
        yield from _about(name, "histogram", "From a request's head to its answer.")
        for operation, histogram in sorted(self._latencies.items()):
            label, count = f'operation="{operation}"', 0
            for bound, found in zip((*BOUNDS, "+Inf"), histogram.counts, strict=True):
                count += found
                yield f'{name}_bucket{{{label},le="{bound}"}} {count}'
            yield f"{name}_sum{{{label}}} {histogram.total:.6f}"
            yield f"{name}_count{{{label}}} {count}"

    def _gauges(self, models: Mapping[str, int]) -> Iterator[str]:
        yield from _gauge("lfvpipe_requests_in_flight", "Requests under way.", self.in_flight)
        hosted, training = models.get("HOSTED", 0), models.get("TRAINING", 0)
        yield from _gauge("lfvpipe_models_hosted", "Models that answer DetectAnomalies.", hosted)
        yield from _gauge("lfvpipe_models_training", "Models in training or in line.", training)
        yield from _about("lfvpipe_models", "gauge", "Models, by status.")
        for status, count in sorted(models.items()):
            yield f'lfvpipe_models{{status="{status}"}} {count}'
        yield from _about("lfvpipe_build_info", "gauge", "The version that runs.")
        yield f'lfvpipe_build_info{{version="{__version__}"}} 1'


def _about(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _gauge(name: str, text: str, value: int) -> Iterator[str]:
    yield from _about(name, "gauge", text)
    yield f"{name} {value}"
