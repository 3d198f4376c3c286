"""Figures for Prometheus, of one server: GET /metrics.

No label takes a value that a client makes up: a route is named by its template, a model by its card.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from starlette.responses import Response

from napari_unetseg import __version__
from napari_unetseg.server.openapi import problems

if TYPE_CHECKING:
    from napari_unetseg.server.context import ServerContext

NO_ROUTE = "other"
"""Label of requests for what is not there, and for pages such as /docs."""

_METHODS = {"GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH"}
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """Counts what a server does; any thread may call any method.

    Each app has a registry of its own, so that several in one process do not mix.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "unetseg_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "unetseg_request_seconds",
            "Time from the head of a request to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._failures = Counter(
            "unetseg_failures", "Requests that failed, by the code of the error.", ("code",), registry=self.registry
        )
        self._images = Counter("unetseg_images", "Images computed.", ("model",), registry=self.registry)
        self._objects = Counter("unetseg_objects", "Objects found.", ("model",), registry=self.registry)

    def request_done(self, method: str, template: str | None, status: int, seconds: float, code: str | None) -> None:
        """Count a request; `template` is the path of its route with the places in it, None for none."""
        route = template or NO_ROUTE
        self._requests.labels(method if method in _METHODS else "other", route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        if code is not None:
            self._failures.labels(code).inc()

    def image_done(self, model: str, objects: int | None = None) -> None:
        """Count an image and its objects, if they are known."""
        self._images.labels(model).inc()
        if objects is not None:
            self._objects.labels(model).inc(objects)

    def watch(self, context: "ServerContext") -> None:
        """Tell, whenever the figures are asked for, how the server stands then."""
        self.registry.register(_State(context))


class _State(Collector):
    def __init__(self, context: "ServerContext") -> None:
        self._context = context

    def describe(self) -> Iterator[Metric]:
        """Name nothing before it is asked for, as the service may not be up yet."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        context = self._context
        health = context.service.health(dummy_inference=False)
        usage, identity = health.memory_usage, health.model_info
        workers, limit = context.workers, context.settings.server.queue_size
        yield _gauge("unetseg_ready", "Whether the model is loaded and checked.", context.startup.ready)
        yield _gauge("unetseg_queue_running", "Images that are worked on.", workers.running)
        # Most have a thread at once, and stand in line for the device then.
        waiting = workers.waiting + context.service.waiting
        yield _gauge("unetseg_queue_waiting", "Images that wait for a thread or for the device.", waiting)
        yield _gauge("unetseg_queue_limit", "Most images that are worked on or wait.", limit)
        if context.jobs is not None:
            with suppress(OSError):  # the folder of the jobs cannot be read: what works on them says so in the log
                jobs = len(context.jobs.store.waiting())
                yield _gauge("unetseg_jobs_waiting", "Jobs that wait, of all servers that share their folder.", jobs)
        yield _gauge("unetseg_model_loaded", "Whether the server's own model is in memory.", health.model_loaded)
        yield _gauge("process_resident_memory_bytes", "Memory of the process.", _bytes(usage.process_mb))
        if usage.device_mb is not None:
            yield _gauge("unetseg_device_memory_bytes", "Memory of the device in use.", _bytes(usage.device_mb))
        words = {
            "version": __version__,
            "model": identity.model_name,
            "device": identity.device,
            "backend": health.backend,
            "precision": health.precision,
        }
        known = {name: word or "" for name, word in words.items()}
        yield InfoMetricFamily("unetseg_server", "What computes, and where.", value=known)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))


def _bytes(megabytes: float | None) -> float:
    return 2**20 * (megabytes or 0.0)


def metrics_router(context: "ServerContext") -> APIRouter:
    """Return GET /metrics, which needs a key wherever the rest does: Prometheus sends one as `authorization`."""
    router = APIRouter()
    context.metrics.watch(context)

    @router.get(
        "/metrics",
        tags=["monitoring"],
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}, **problems(401, 429)},
    )
    def metrics() -> Response:
        """Tell figures in the text format of Prometheus."""
        return Response(generate_latest(context.metrics.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return router
