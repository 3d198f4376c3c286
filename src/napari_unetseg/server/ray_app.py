"""The server as a Ray Serve deployment, for when one process or one machine is outgrown.

Each replica is the app of `create_app` with its own service, model and queue; Ray starts, places, restarts and scales
them, and spreads requests over those that have the least to do. Overload, deadlines and errors stay those of our app,
since Ray holds no request back before it.

Two ways lead here: `run_on_ray`, which `napari-unetseg serve --ray` calls, and Ray's own
``serve run napari_unetseg.server.ray_app:application replicas=2 cpus=1``.
"""

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_unetseg.config import Settings, load_settings

if TYPE_CHECKING:
    from fastapi import FastAPI
    from ray.serve import Application

OTHER_REQUESTS = 64
"""Requests to a replica, beyond those that its queue holds, that Ray hands on: they are told 503 by it, or ask for
status, health and metrics."""


class RayOptions(BaseModel):
    """How many replicas there are, and what Ray sets aside for each.

    Attributes
    ----------
    replicas
        How many there are, or the fewest if `max_replicas` is given.
    max_replicas
        Most that Ray starts by itself; None: as many as `replicas`.
    target_requests
        Requests in work or waiting, for each replica, that Ray aims at when it may start more.
    cpus
        Cores of a replica, which computes with as many threads; a fraction shares one.
    gpus
        GPUs of a replica; 0.5 lets two share one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    replicas: int = Field(1, ge=1)
    max_replicas: int | None = Field(None, ge=1)
    target_requests: float = Field(8.0, gt=0)
    cpus: float = Field(1.0, ge=0)
    gpus: float = Field(0.0, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> "RayOptions":
        if self.max_replicas is not None and self.max_replicas < self.replicas:
            raise ValueError(f"max_replicas ({self.max_replicas}) is below replicas ({self.replicas})")
        return self


def application(options: RayOptions) -> "Application":
    """Return what ``serve run`` takes, by the settings of this machine.

    Ray decides at which address it listens, so keys are asked for, unless `server.require_keys` is false.

    Raises
    ------
    ConfigError
        If the settings are wrong.
    """
    settings = load_settings().settings
    everywhere = settings.server.model_copy(update={"host": "0.0.0.0"})  # noqa: S104 (what Ray may listen at)
    return make_application(settings.model_copy(update={"server": everywhere}), options)


def make_application(settings: Settings, options: RayOptions) -> "Application":
    """Return the app as a Serve application, whose replicas load the model of the settings when they start."""
    from ray import serve

    server = settings.server
    scaling: dict[str, Any] = {"num_replicas": options.replicas}
    if options.max_replicas is not None:
        autoscaling = {
            "min_replicas": options.replicas,
            "max_replicas": options.max_replicas,
            "target_ongoing_requests": options.target_requests,
        }
        scaling = {"autoscaling_config": autoscaling}
    made = serve.deployment(
        serve.ingress(_builder(settings))(),
        name="napari-unetseg",
        ray_actor_options={"num_cpus": options.cpus, "num_gpus": options.gpus},
        max_ongoing_requests=server.queue_size + OTHER_REQUESTS,
        graceful_shutdown_timeout_s=2 * server.shutdown_s,  # for requests, and again for jobs
        **scaling,
    )
    bound: Application = made.bind()
    return bound


def _builder(settings: Settings) -> "Callable[[], FastAPI]":
    """Return what makes the app in a replica; a model that cannot be loaded fails the replica, with the reason."""

    def build() -> "FastAPI":
        from napari_unetseg.server.app import create_app, quieten_libraries
        from napari_unetseg.service import SegmentationService
        from napari_unetseg.service.logs import start_logging

        start_logging(settings.unet.logging.level)
        quieten_libraries()
        service = SegmentationService(settings=settings)
        service.initialize()
        return create_app(settings, service)

    return build


def run_on_ray(
    settings: Settings,
    options: RayOptions,
    announce: Callable[[str], None],
    *,
    ssl_certfile: Path | None = None,
    ssl_keyfile: Path | None = None,
) -> None:
    """Serve on this machine, or on the cluster that it belongs to, until SIGINT or SIGTERM.

    Parameters
    ----------
    settings
        `server.host` and `server.port` say where to listen, `unet.model` which model the replicas load.
    options
        How many replicas, and what each gets.
    announce
        Called with the address once all replicas are ready.
    ssl_certfile, ssl_keyfile
        Certificate and its private key, for https.
    """
    import ray
    from ray import serve

    stopped = threading.Event()
    ray.init(include_dashboard=False, configure_logging=False)
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        host, port = settings.server.host, settings.server.port
        files = {"ssl_certfile": ssl_certfile, "ssl_keyfile": ssl_keyfile}
        given = {name: str(path) for name, path in files.items() if path is not None}
        serve.start(http_options={"host": host, "port": port, **given})
        serve.run(make_application(settings, options), name="napari-unetseg", route_prefix="/")
        name = f"[{host}]" if ":" in host else host
        announce(f"{'https' if given else 'http'}://{name}:{port}")
        stopped.wait()
        # Replicas finish what they have while the proxy that carries their answers is still there.
        serve.delete("napari-unetseg")
    finally:
        serve.shutdown()
        ray.shutdown()
