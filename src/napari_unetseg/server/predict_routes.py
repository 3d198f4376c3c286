"""POST /predict, which the client of this package asks: the network's part of a run, and nothing else."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from napari_unetseg import __version__
from napari_unetseg.api.images import decode_image
from napari_unetseg.api.models import PREFIX
from napari_unetseg.api.prediction_stream import (
    ALIVE_EVERY_S,
    MEDIA_TYPE,
    NPY,
    PATH,
    PredictChoices,
    ServedPrediction,
    error_line,
    last_parts,
    line,
)
from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.server.bodies import read_body
from napari_unetseg.server.context import ServerContext
from napari_unetseg.server.errors import ApiError, api_error
from napari_unetseg.server.openapi import problems
from napari_unetseg.server.segment_routes import image_limits
from napari_unetseg.server.workers import Work
from napari_unetseg.service.provenance import card_fingerprint, library_versions

_NPY_MAGIC = b"\x93NUMPY"
_BINARY = {"schema": {"type": "string", "format": "binary"}}
# Proxies pass lines on as they come, and keep no answer.
_HEADERS = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}

Parts = Sequence[bytes | memoryview]


def predict_router(context: ServerContext) -> APIRouter:
    """Return the route that computes probabilities, and tells how far it is."""
    router = APIRouter(prefix=PREFIX, tags=["prediction"])

    @router.post(
        PATH,
        response_class=Response,
        openapi_extra={"requestBody": {"required": True, "content": {NPY: _BINARY}}},
        responses={
            200: {"description": "Progress, then the probabilities.", "content": {MEDIA_TYPE: _BINARY}},
            **problems(401, 404, 413, 422, 429, 503),
        },
    )
    async def predict(request: Request, choices: Annotated[PredictChoices, Query()]) -> Response:
        """Compute what the network says of one plane, for programs that read objects off it themselves.

        The body is a NumPy array in the form of an `.npy` file; the answer is explained in
        `napari_unetseg.api.prediction_stream`.
        """
        context.workers.check_room()
        body = await read_body(request)
        news = _News(asyncio.get_running_loop())
        work = _work(context, request, choices, body, news)
        running = asyncio.ensure_future(context.workers.run(request, work, has_deadline=False))
        try:
            await news.wait_beside(running)
            if running.done():
                running.result()  # what failed by now is answered with an ordinary error
        except BaseException:
            running.cancel()
            raise
        return _Unheard(_stream(running, news), media_type=MEDIA_TYPE, headers=_HEADERS)

    return router


def _work(context: ServerContext, request: Request, choices: PredictChoices, body: bytes, news: "_News") -> Work[Parts]:
    """Return the work of one plane, from the bytes of the request to the end of the answer."""

    def work(cancel: CancelFlag) -> Parts:
        if not body.startswith(_NPY_MAGIC):
            raise ApiError(422, "image_unreadable", f"The body of the request is no {NPY}.")
        model = context.known_model(choices.model)
        image = decode_image(body, image_limits(context), media_type=NPY, name=choices.name, axes=choices.axes)
        image = replace(image, rgb=choices.rgb and "C" in image.axes)
        with context.workers.reserve(image.array.size):
            prediction, running_model = context.service.predict(
                image,
                model=model,
                diameter=choices.diameter,
                augment=choices.augment,
                progress=lambda *counts: news.tell("progress", counts),
                cancel=cancel,
                on_stage=lambda stage: news.tell("stage", stage),
            )
        card = running_model.card
        request.state.facts.image_done(image.shape, card.name)
        served = ServedPrediction(
            prediction,
            model=card.name,
            sha256=card.weights.sha256,
            card_sha256=card_fingerprint(card),
            facts=running_model.facts,
            version=__version__,
            versions=library_versions("torch"),
        )
        return list(last_parts(served, compress=choices.compress))

    return work


class _News:
    """The latest of each kind that a thread has to tell, for a stream in the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lines: dict[str, bytes] = {}
        self._arrived = asyncio.Event()

    def tell(self, kind: str, value: object) -> None:
        """Leave news, from any thread."""
        self._loop.call_soon_threadsafe(self._put, kind, line(kind, value))

    def take(self) -> bytes:
        """Return the lines of what was not taken yet."""
        lines, self._lines = b"".join(self._lines.values()), {}
        self._arrived.clear()
        return lines

    async def wait_beside(self, running: "asyncio.Future[Parts]") -> None:
        """Wait until there is something new, it is time to say so again, or the work is done."""
        arrived = asyncio.ensure_future(self._arrived.wait())
        try:
            await asyncio.wait((running, arrived), timeout=ALIVE_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            arrived.cancel()

    def _put(self, kind: str, said: bytes) -> None:
        self._lines[kind] = said
        self._arrived.set()


async def _stream(running: "asyncio.Future[Parts]", news: _News) -> AsyncGenerator[bytes | memoryview, None]:
    try:
        while not running.done():
            yield news.take() or line("alive", True)
            await news.wait_beside(running)
        yield news.take()
        try:
            parts = running.result()
        except Exception as error:
            yield error_line(api_error(error).detail)
            return
        for part in parts:
            yield part
    finally:
        running.cancel()


class _Unheard(StreamingResponse):
    """A stream that does not itself listen to whether its client leaves: what it waits for does, and one must."""

    def __init__(self, stream: AsyncGenerator[bytes | memoryview, None], media_type: str, headers: dict[str, str]):
        super().__init__(stream, media_type=media_type, headers=headers)
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.stream_response(send)
        finally:
            await self._stream.aclose()
