"""POST /segment and POST /segment-batch."""

import asyncio
from collections.abc import Callable
from functools import partial
from time import perf_counter

from fastapi import APIRouter, Request
from starlette.responses import Response

from napari_unetseg.api.encodings import segmentation_response, to_geojson, to_tiff
from napari_unetseg.api.images import ImageLimits, decode_base64, decode_image
from napari_unetseg.api.models import (
    PREFIX,
    BatchFailure,
    BatchRequest,
    BatchResponse,
    SegmentationResponse,
)
from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.image import Image
from napari_unetseg.server import openapi_examples as examples
from napari_unetseg.server.bodies import JSON, SentImage, read_image_request, read_json_request
from napari_unetseg.server.context import ServerContext
from napari_unetseg.server.errors import ApiError, api_error
from napari_unetseg.server.openapi import BATCH_BODY, IMAGE_ANSWERS, IMAGE_BODY, answers, problems
from napari_unetseg.server.workers import Work
from napari_unetseg.service.segmentation import Segmentation

TIFF = "image/tiff"
GEOJSON = "application/geo+json"


def segment_router(context: ServerContext) -> APIRouter:
    """Return the routes that find the objects of images while the client waits."""
    router = APIRouter(prefix=PREFIX, tags=["segmentation"])

    @router.post(
        "/segment",
        openapi_extra=IMAGE_BODY,
        responses={200: IMAGE_ANSWERS, **problems(400, 404, 406, 413, 415, 422, 503)},
    )
    async def segment(request: Request) -> Response:
        """Find the objects of one image.

        The answer is JSON; with `Accept: image/tiff` it is the label image, with `Accept: application/geo+json`
        the outlines.
        """
        kind = answer_kind(request.headers.get("accept"))
        context.workers.check_room()
        read = await read_image_request(request)
        return await context.workers.run(request, _answer(context, request, read, kind))

    @router.post(
        "/segment-batch",
        openapi_extra=BATCH_BODY,
        response_model=BatchResponse,
        responses=answers(examples.BATCH, 400, 404, 413, 415, 422, 503),
    )
    async def segment_batch(request: Request) -> Response:
        """Find the objects of several images; one that cannot be used has an error in its place."""
        clock = perf_counter()
        context.workers.check_room()
        read, identity = await read_json_request(request, BatchRequest), request.state.request_id
        batch, model = await asyncio.to_thread(_checked_batch, context, read)

        def one(data: str) -> Work[SegmentationResponse]:
            def work(cancel: CancelFlag) -> SegmentationResponse:
                began = perf_counter()
                sent = SentImage(decode_base64(data), None, batch)
                result = _segment(context, request, sent, model, cancel)
                variant = context.service.model_info(model).model_variant
                return segmentation_response(result, batch, identity, 1000 * (perf_counter() - began), variant=variant)

            return work

        results = await context.workers.run_all(request, [one(image.image_data) for image in batch.images])

        def encode() -> str:
            return BatchResponse(
                success=True,
                results=[_failure(item, identity) if isinstance(item, Exception) else item for item in results],
                total_processing_time_ms=round(1000 * (perf_counter() - clock)),
                batch_size=len(results),
                request_id=identity,
            ).model_dump_json()

        return Response(await asyncio.to_thread(encode), media_type=JSON)

    return router


def answer_kind(accept: str | None) -> str:
    """Return the media type of the answer that a client likes best, of those there are.

    Raises
    ------
    ApiError
        406 if it takes none.
    """
    wanted = [_preference(part) for part in (accept or "*/*").split(",") if part.strip()]
    refused = {kind for kind, quality in wanted if quality <= 0}
    for kind, _ in sorted((one for one in wanted if one[1] > 0), key=lambda one: -one[1]):
        group = kind.removesuffix("*") if kind.endswith("/*") else None
        for ours in (JSON, TIFF, GEOJSON):
            matches = kind in (ours, "*/*") or (group is not None and ours.startswith(group))
            if matches and ours not in refused:
                return ours
    raise ApiError(406, "not_acceptable", f"The answer can be {JSON}, {TIFF} (labels) or {GEOJSON} (outlines).")


def _preference(part: str) -> tuple[str, float]:
    """Return a media type of a header `Accept`, and how much it is liked, 0 to 1."""
    kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
    try:
        return kind, float(quality)
    except ValueError:
        return kind, 0.0


def _answer(context: ServerContext, request: Request, read: Callable[[], SentImage], kind: str) -> Work[Response]:
    """Return the work of one image, from the bytes of the request to those of the answer."""

    def work(cancel: CancelFlag) -> Response:
        clock = perf_counter()
        sent = read()
        model = context.known_model(sent.choices.model)
        result = _segment(context, request, sent, model, cancel, stacks=kind == TIFF)
        if kind == TIFF:
            return Response(to_tiff(result), media_type=TIFF)
        if kind == GEOJSON:
            return Response(to_geojson(result), media_type=GEOJSON)
        milliseconds = 1000 * (perf_counter() - clock)
        variant, identity = context.service.model_info(model).model_variant, request.state.request_id
        response = segmentation_response(result, sent.choices, identity, milliseconds, variant=variant)
        return Response(response.model_dump_json(), media_type=JSON)

    return work


def _segment(
    context: ServerContext,
    request: Request,
    sent: SentImage,
    model: str | None,
    cancel: CancelFlag,
    *,
    stacks: bool = False,
) -> Segmentation:
    read = partial(decode_image, sent.data, image_limits(context), name="image")
    decode = partial(read, media_type=sent.media_type, scene=sent.choices.scene)
    with context.workers.decoded(decode) as image:
        if image.stack_axes and not stacks:
            raise ApiError(422, "image_unreadable", _several(image), "image_data")
        result = context.service.segment(image, model=model, cancel=cancel, **sent.choices.segment_options())
    request.state.facts.image_done(result.labels.shape, result.provenance.model, result.count)
    return result


def image_limits(context: ServerContext) -> ImageLimits:
    """Return how large an image of a request may be."""
    server = context.settings.server
    return ImageLimits(max_values=round(1e6 * server.max_megapixels), max_compression=server.max_compression)


def _several(image: Image) -> str:
    return f"The image has several planes ({image.axes}): send one, or ask for {TIFF}, which holds labels of all."


def _checked_batch(context: ServerContext, read: Callable[[], BatchRequest]) -> tuple[BatchRequest, str | None]:
    """Return a batch, and its model as verbs of the service take it."""
    batch, most = read(), context.settings.server.max_batch
    if len(batch.images) > most:
        raise ApiError(422, "invalid_request", f"images: at most {most} at once.", "images")
    return batch, context.known_model(batch.model)


def _failure(error: Exception, identity: str) -> BatchFailure:
    return BatchFailure(error=api_error(error).detail, request_id=identity)
