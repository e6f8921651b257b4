"""Meters: counts and times of a server for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from cobrarec.retrieval.live_catalog import ChangeResult

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Meters:
    """One registry per server, so that two servers in one process do not count together."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route")
        self._requests = Counter("cobrarec_requests", "Requests by answer.", (*labels, "status"), registry=self.registry)
        self._seconds = Histogram("cobrarec_request_seconds", "Time to answer.", labels, registry=self.registry, buckets=SECONDS)
        self._batches = Histogram("cobrarec_batch_histories", "Histories per pass.", registry=self.registry, buckets=SIZES)
        self._reloads = Counter("cobrarec_reloads", "Reloads by outcome.", ("outcome",), registry=self.registry)
        self._changes = Counter("cobrarec_item_changes", "Items changed.", ("kind",), registry=self.registry)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def batch(self, num_histories: int) -> None:
        """Count one pass through the model."""
        self._batches.observe(num_histories)

    def reload(self, outcome: str) -> None:
        """Count one reload: new, same or refused."""
        self._reloads.labels(outcome).inc()

    def outcome(self, outcome: ChangeResult) -> None:
        """Count what a change came to."""
        for kind in ("added", "changed", "removed"):
            self.items(kind, getattr(outcome, kind))

    def items(self, kind: str, count: int) -> None:
        """Count items that were added, changed or removed."""
        if count:
            self._changes.labels(kind).inc(count)

    def watch(self, name: str, told: str, value: Callable[[], float]) -> None:
        """A gauge that is read when it is asked for."""
        Gauge(f"cobrarec_{name}", told, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """All of it in the form that Prometheus reads."""
        return generate_latest(self.registry)
