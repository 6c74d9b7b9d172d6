"""The metrics that Prometheus reads at /metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from movierec.server.encoding import AnswerCache
from movierec.server.served_version import ServedVersion

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The counters of one app, in a registry of their own."""

    def __init__(self, loaded: Callable[[], list[ServedVersion]], cache: AnswerCache) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_StateCollector(loaded, cache))
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "movierec_requests", "Requests by path and status.", ("path", "status"),
            registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "movierec_request_seconds", "Seconds from a request to its answer.", ("path",),
            registry=self._registry, buckets=BUCKETS,
        )  # fmt: skip
        self._answers = Counter(
            "movierec_answers", "Answers by version, path and what they rest on.",
            ("version", "path", "reason"), registry=self._registry,
        )  # fmt: skip
        self._swaps = Counter(
            "movierec_current_changes", "Times that another version became current.",
            registry=self._registry,
        )  # fmt: skip

    def requested(self, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def answered(self, version: str, path: str, reason: str) -> None:
        """Count an answer of a version."""
        self._answers.labels(version, path, reason).inc()

    def swapped(self) -> None:
        """Count that another version became current."""
        self._swaps.inc()

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self._registry)


class _StateCollector(Collector):
    """Figures that are read when /metrics is, not counted."""

    def __init__(self, loaded: Callable[[], list[ServedVersion]], cache: AnswerCache) -> None:
        self._loaded = loaded
        self._cache = cache

    def collect(self) -> Iterator[Metric]:
        """Yield the cache's counters, and how far each version's lists have drifted."""
        lookups = CounterMetricFamily(
            "movierec_cache_lookups", "Answers looked up in the cache.", labels=["result"]
        )
        lookups.add_metric(["hit"], self._cache.hits)
        lookups.add_metric(["miss"], self._cache.misses)
        yield lookups
        yield GaugeMetricFamily("movierec_cache_answers", "Answers kept.", len(self._cache))
        loaded = self._loaded()
        yield GaugeMetricFamily("movierec_versions_loaded", "Versions in memory.", len(loaded))
        yield from _drifts(loaded)


def _drifts(loaded: list[ServedVersion]) -> Iterator[Metric]:
    index = GaugeMetricFamily(
        "movierec_drift_psi",
        "Population stability index of served predicted ratings against the validation users'.",
        labels=["version"],
    )
    served = GaugeMetricFamily(
        "movierec_served_rating_mean", "Mean predicted rating served, in stars.", labels=["version"]
    )
    expected = GaugeMetricFamily(
        "movierec_reference_rating_mean",
        "Mean predicted rating in the validation users' lists, in stars.",
        labels=["version"],
    )
    for each in loaded:
        index.add_metric([each.name], each.drift.index)
        served.add_metric([each.name], each.drift.served_mean)
        expected.add_metric([each.name], each.drift.reference_mean)
    yield from (index, served, expected)
