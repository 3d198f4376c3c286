"""The server as an ASGI app: `create_app`."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from napari_unetseg import __version__
from napari_unetseg.config import Settings
from napari_unetseg.server.access import OPEN_PATHS, add_access
from napari_unetseg.server.context import ServerContext
from napari_unetseg.server.errors import add_error_handlers
from napari_unetseg.server.job_routes import job_router, make_job_runner
from napari_unetseg.server.keys import keys_required
from napari_unetseg.server.metrics import metrics_router
from napari_unetseg.server.openapi import describe
from napari_unetseg.server.predict_routes import predict_router
from napari_unetseg.server.probe_routes import probe_router
from napari_unetseg.server.segment_routes import segment_router
from napari_unetseg.server.service_routes import published_router, service_router
from napari_unetseg.server.startup import Startup
from napari_unetseg.server.workers import Workers

if TYPE_CHECKING:
    from napari_unetseg.service import SegmentationService


def create_app(settings: Settings, service: "SegmentationService | None" = None) -> FastAPI:
    """Return the server; ``app.state.context`` is its `ServerContext`.

    Parameters
    ----------
    settings
        What it goes by.
    service
        What does the work; it is closed when the app ends. None: one is made by the settings.

    Raises
    ------
    UnetsegError
        If there is no such model.
    """
    from napari_unetseg.service import SegmentationService

    service = service or SegmentationService(settings=settings)
    context = ServerContext(settings, service, Workers(settings.server), Startup(service, settings))
    jobs = make_job_runner(context)
    context = replace(context, jobs=jobs)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        context.startup.begin()
        await asyncio.to_thread(jobs.start)
        yield
        # In this order: work that was cancelled at a stop still has the model until it has seen that.
        await asyncio.gather(asyncio.to_thread(context.workers.stop), asyncio.to_thread(jobs.stop))
        service.close()

    app = FastAPIOffline(
        title="napari-unetseg",
        version=__version__,
        lifespan=lifespan,
        description="Find nuclei, cells and other objects in microscopy images with a U-Net.",
    )
    app.state.context = context
    add_error_handlers(app)
    routers = (segment_router, predict_router, job_router, service_router, published_router)
    for router in (*routers, probe_router, metrics_router):
        app.include_router(router(context))
    describe(app, needs_keys=keys_required(settings.server), open_paths=OPEN_PATHS)
    add_access(app, context)  # last, so that it is around all others
    return app


def quieten_libraries() -> None:
    """Leave out of the log what libraries say of every odd file and request: anybody could fill it.

    For programs that are nothing but the server, as it holds for all of the process.
    """
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
