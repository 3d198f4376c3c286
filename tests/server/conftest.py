"""Images as requests send them, requests without a network, and a small app behind the layers of the server."""

import base64
import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI, Response
from PIL import Image
from starlette.requests import Request
from starlette.testclient import TestClient

from napari_unetseg import SegmentationService
from napari_unetseg.callbacks import CancelFlag, Progress
from napari_unetseg.config import Settings
from napari_unetseg.errors import Cancelled
from napari_unetseg.image import Image as UnetImage
from napari_unetseg.server.access import add_access
from napari_unetseg.server.errors import add_error_handlers
from napari_unetseg.server.job_record import Job
from napari_unetseg.server.job_store import JobStore
from napari_unetseg.server.metrics import Metrics
from napari_unetseg.server.request_limits import RequestTooLarge
from napari_unetseg.service.requests import request_id
from napari_unetseg.service.segmentation import Segmentation


@pytest.fixture(scope="session")
def squares() -> np.ndarray:
    """An image of three bright squares, uint8 (40, 48): `bright_model` finds exactly these."""
    image = np.full((40, 48), 20, np.uint8)
    for y, x in [(4, 5), (6, 30), (25, 12)]:
        image[y : y + 9, x : x + 8] = 220
    return image


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Write an array as an image file: ``encode(array, "PNG")``."""

    def write(array: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
        file = io.BytesIO()
        Image.fromarray(array).save(file, kind, **options)
        return file.getvalue()

    return write


@pytest.fixture(scope="session")
def as_text(encode: Callable[..., bytes]) -> Callable[..., str]:
    """Write an array as an image file in base64, as `image_data` has it."""
    return lambda array, kind="PNG", **options: base64.b64encode(encode(array, kind, **options)).decode()


@pytest.fixture(scope="session")
def read_png() -> Callable[[str], np.ndarray]:
    """Read a picture that an answer holds in base64."""
    return lambda text: np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


@pytest.fixture
def make_request() -> Callable[..., Request]:
    """A request whose body was read, for `Workers`; its client leaves when `gone` is set."""

    def make(gone: Any = None, identity: str = "id-1") -> Request:
        async def receive() -> dict[str, str]:
            import asyncio

            await (gone or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        return Request({"type": "http", "headers": [], "state": {"request_id": identity}}, receive)

    return make


def small_app(**server: Any) -> FastAPI:
    """An app of few routes behind all layers, by these settings of section `server`."""
    context: Any = SimpleNamespace(settings=Settings(server=server), metrics=Metrics())
    app = FastAPI()
    app.state.context = context
    add_error_handlers(app)

    @app.get("/livez")
    @app.get("/readyz")
    @app.get("/metrics")
    @app.get("/api/unet/health")
    async def health() -> dict[str, bool]:
        return {"healthy": True}

    @app.post("/api/unet/json")
    async def json(body: dict[str, Any]) -> dict[str, int]:
        return {"fields": len(body)}

    @app.post("/api/unet/raw")
    async def raw(request: Request) -> Response:
        return Response(str(len(await request.body())))

    @app.post("/api/unet/form")
    async def form(request: Request) -> dict[str, int]:
        async with request.form(max_files=1, max_fields=5) as fields:
            return {"fields": len(fields)}

    @app.get("/api/unet/jobs/{job_id}")
    async def job(job_id: str, request: Request) -> dict[str, str]:
        request.state.facts.image_done((512, 640), "nuclei", 17)
        return {"job_id": job_id}

    @app.get("/api/unet/defect")
    async def defect() -> None:
        raise RuntimeError("/secret/path")

    @app.get("/api/unet/leaving")
    async def leaving(request: Request) -> None:
        raise RequestTooLarge(3)

    add_access(app, context)
    return app


@pytest.fixture
def make_app() -> Callable[..., FastAPI]:
    """Make a small app by settings of section `server`."""
    return small_app


@pytest.fixture
def client_of() -> Callable[..., TestClient]:
    """Make a client of a small app by settings of section `server`; it calls it by the address of this machine."""

    def client(app: FastAPI | None = None, **server: Any) -> TestClient:
        return TestClient(app or small_app(**server), base_url="http://127.0.0.1:8001")

    return client


@pytest.fixture
def listen() -> Iterator[Callable[[FastAPI], str]]:
    """Let an app be answered for by uvicorn in this process; returns its address."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(app: FastAPI) -> str:
        began = threading.Event()

        class Told(uvicorn.Server):
            async def startup(self, sockets: Any = None) -> None:
                await super().startup(sockets)
                began.set()

        config = uvicorn.Config(app, port=0, log_config=None, lifespan="off")
        server = Told(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        assert began.wait(60)
        (listener,) = server.servers[0].sockets
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join()


class WatchedStore(JobStore):
    """A store of which one can wait for what is written."""

    def __init__(self, folder: Path, *, keep_hours: float = 24, max_gb: float = 1) -> None:
        super().__init__(folder, keep_hours=keep_hours, max_gb=max_gb)
        self.changed = threading.Condition()

    def _save(self, job: Job) -> None:
        super()._save(job)
        with self.changed:
            self.changed.notify_all()

    def wait_for(self, job: Job, *states: str) -> Job:
        """Wait until a job has one of these states, or has ended; return how it stands then."""
        found = job

        def is_there() -> bool:
            nonlocal found
            found = self.find(job.job_id, job.owner) or job
            return found.state in states or found.finished is not None

        with self.changed:
            self.changed.wait_for(is_there, timeout=20)
        assert found.state in states, found
        return found


class Gate:
    """A service that stands still after the first tile of a run until `release` is set or the run is cancelled."""

    def __init__(self, service: SegmentationService) -> None:
        self.service = service
        self.entered = threading.Semaphore(0)
        self.release = threading.Event()
        self.seen: list[tuple[str | None, tuple[int, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.service, name)

    def close(self) -> None:
        """Leave the service open, which other tests use."""

    def segment(
        self, image: UnetImage, *, cancel: CancelFlag, progress: Progress = lambda done, total: None, **options: Any
    ) -> Segmentation:
        self.seen.append((request_id(), image.array.shape, options))
        progress(1, 4)
        self.entered.release()
        while not self.release.wait(0.01):
            if cancel():
                raise Cancelled("stopped")
        return self.service.segment(image, progress=progress, cancel=cancel, **options)


@pytest.fixture(scope="session")
def watched_store() -> type[WatchedStore]:
    """The class of a store of which one can wait for what is written."""
    return WatchedStore


@pytest.fixture(scope="session")
def bright_service(bright_model: Path) -> Iterator[SegmentationService]:
    """A service of `bright_model`, which tests leave open."""
    with SegmentationService(bright_model, "cpu") as service:
        yield service


@pytest.fixture
def make_gate(bright_service: SegmentationService) -> Iterator[Callable[[], Gate]]:
    """Make a service that stands still inside a run; at the end it goes on."""
    made: list[Gate] = []

    def make() -> Gate:
        made.append(Gate(bright_service))
        return made[-1]

    yield make
    for gate in made:
        gate.release.set()
