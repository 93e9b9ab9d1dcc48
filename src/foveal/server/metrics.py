"""What a server counts and times, in the form of Prometheus. Of several workers the sums, where
PROMETHEUS_MULTIPROC_DIR names the folder that they share."""

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

__all__ = ["CONTENT_TYPE_LATEST", "OTHER", "Metrics", "method_of"]

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
SHARED = "PROMETHEUS_MULTIPROC_DIR"
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT")
OTHER = "other"  # methods and paths that clients make up: each would be a series of its own


class Metrics:
    """Of one server."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        if SHARED not in os.environ:
            ProcessCollector(registry=registry)
            PlatformCollector(registry=registry)
        self.requests = Counter(
            "foveal_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "foveal_request_seconds",
            "From a request's headers to the end of its answer.",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self.under_way = Gauge("foveal_requests_under_way", "Now.", multiprocess_mode="livesum", registry=registry)
        self.images = Counter(
            "foveal_images", "Images: answered, unreadable, refused or late.", ["model", "outcome"], registry=registry
        )
        self.queued = Gauge(
            "foveal_images_queued",
            "Images that wait or are being answered, now.",
            ["model"],
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.batch = Histogram("foveal_batch_images", "Images in one run.", ["model"], buckets=SIZES, registry=registry)
        self.decode_seconds = Histogram(
            "foveal_decode_seconds", "To decode and fit one image.", ["model"], buckets=SECONDS, registry=registry
        )
        self.run_seconds = Histogram(
            "foveal_run_seconds", "Of one run of the network.", ["model"], buckets=SECONDS, registry=registry
        )
        self.reloads = Counter("foveal_reloads", "Of models: done or refused.", ["outcome"], registry=registry)

    def text(self) -> bytes:
        """What /metrics answers."""
        if SHARED not in os.environ:
            return generate_latest(self._registry)
        every = CollectorRegistry()
        MultiProcessCollector(every)
        return generate_latest(every)


def method_of(name: str) -> str:
    """The label of a request's method."""
    return name if name in METHODS else OTHER
