"""POST /jobs for what takes longer than a request may, and what becomes of it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import BinaryIO

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from napari_unetseg.api.models import PREFIX, JobResponse, JobsResponse, SegmentationResponse, SegmentChoices
from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.errors import Cancelled
from napari_unetseg.segment_options import SegmentOptions
from napari_unetseg.server import openapi_examples as examples
from napari_unetseg.server.bodies import JSON, read_image_request
from napari_unetseg.server.context import ServerContext
from napari_unetseg.server.errors import ApiError
from napari_unetseg.server.job_record import Job
from napari_unetseg.server.job_runner import JobRunner
from napari_unetseg.server.job_store import JobStore, ResultFormat
from napari_unetseg.server.openapi import IMAGE_ANSWERS, IMAGE_BODY, answers, problems
from napari_unetseg.server.segment_routes import GEOJSON, TIFF, answer_kind, image_limits
from napari_unetseg.service.segmentation import check_options

_FORMATS: dict[str, ResultFormat] = {JSON: "json", TIFF: "tiff", GEOJSON: "geojson"}
_PIECE = 2**20  # bytes of a result that are in memory at once


def make_job_runner(context: ServerContext) -> JobRunner:
    """Return what works on the jobs of a server; `start` and `stop` it with the server."""
    server = context.settings.server
    store = JobStore(server.jobs_dir, keep_hours=server.jobs_keep_hours, max_gb=server.jobs_max_gb)
    return JobRunner(store, context.service, image_limits(context), context.metrics, patience_s=server.shutdown_s)


def job_router(context: ServerContext) -> APIRouter:
    """Return the routes of jobs, which `context.jobs` works on; none where there is nothing that does."""
    router = APIRouter(prefix=PREFIX, tags=["jobs"])
    if context.jobs is None:
        return router
    runner, store = context.jobs, context.jobs.store

    @router.post(
        "/jobs",
        status_code=202,
        response_model=JobResponse,
        openapi_extra=IMAGE_BODY,
        responses={
            202: {
                "headers": {"Location": {"description": "Where the job is.", "schema": {"type": "string"}}},
                "content": {JSON: {"example": examples.JOB}},
            },
            **problems(400, 404, 413, 415, 422, 503),
        },
    )
    async def send_job(request: Request) -> Response:
        """Send an image, or a stack, that takes longer than a request may.

        The answer comes as soon as the image is checked and kept. Its result is kept for a while, too.
        """
        context.workers.check_room()
        read = await read_image_request(request)

        def keep(cancel: CancelFlag) -> Job:
            sent = read()
            model = context.known_model(sent.choices.model)
            # Without the image, which the body of a request may hold beside them.
            choices = SegmentChoices(**sent.choices.model_dump(include=set(SegmentChoices.model_fields)))
            package = context.service.package if model is None else context.service.with_model(model).package
            check_options(SegmentOptions.of(**choices.segment_options()), package.card)
            with context.workers.decoded(partial(runner.decode, sent.data, sent.media_type, choices.scene)):
                pass  # what cannot be decoded is refused before it is kept
            if cancel():
                raise Cancelled("The client went away, and would not know the job.")
            return runner.add(
                sent.data,
                choices.model_copy(update={"model": model}),
                owner=_owner(request),
                request_id=request.state.request_id,
                media_type=sent.media_type,
            )

        job = await context.workers.run(request, keep)
        answer = _answer(request, store, job)
        return Response(answer.model_dump_json(), 202, {"Location": _url(request, job)}, JSON)

    @router.get("/jobs", responses=answers(examples.JOBS, 503))
    def list_jobs(request: Request) -> JobsResponse:
        """List the jobs that were sent with this key."""
        jobs = [_answer(request, store, job) for job in store.jobs(_owner(request))]
        return JobsResponse(jobs=jobs, request_id=request.state.request_id)

    @router.get("/jobs/{job_id}", responses=answers(examples.RUNNING_JOB, 404))
    def job_status(request: Request, job_id: str) -> JobResponse:
        """Say how a job stands."""
        return _answer(request, store, _find(request, store, job_id))

    @router.get(
        "/jobs/{job_id}/result",
        response_model=SegmentationResponse,
        responses={200: IMAGE_ANSWERS, **problems(404, 406, 409)},
    )
    def job_result(request: Request, job_id: str) -> Response:
        """Return the result of a job, in the same forms as POST /segment; that of a stack as `image/tiff` alone."""
        job = _find(request, store, job_id)
        if job.state in ("waiting", "running"):
            message = "The job is not done yet; GET /jobs/{job_id} says how far it is."
            raise ApiError(409, "job_not_finished", message)
        if job.state != "done":
            reason = job.error.message if job.error else "It was cancelled."
            raise ApiError(409, "job_without_result", f"The job has no result. {reason}")
        kind = answer_kind(request.headers.get("accept"))
        try:
            file = store.open_result(job, _FORMATS[kind])
        except FileNotFoundError:
            _find(request, store, job_id)  # it may just have been removed
            message = f"The labels of a stack come as {TIFF} alone; ask for it by the header Accept."
            raise ApiError(406, "not_acceptable", message) from None
        return StreamingResponse(_pieces(file), media_type=kind)

    @router.delete(
        "/jobs/{job_id}",
        response_model=JobResponse,
        responses={
            202: {
                "model": JobResponse,
                "description": "It will stop.",
                "content": {JSON: {"example": examples.RUNNING_JOB}},
            },
            **answers(examples.CANCELLED_JOB, 404, 503),
        },
    )
    def delete_job(request: Request, job_id: str) -> Response:
        """Cancel a job that waits or runs; remove one that has ended, with its result.

        One that runs stops within a tile: 202, and then its state is "cancelled".
        """
        job = runner.cancel_or_remove(_find(request, store, job_id))
        answer = _answer(request, store, job)
        return Response(answer.model_dump_json(), 202 if job.state == "running" else 200, media_type=JSON)

    return router


def _find(request: Request, store: JobStore, job_id: str) -> Job:
    job = store.find(job_id, _owner(request))
    if job is None:
        raise ApiError(404, "job_unknown", "There is no such job of this key, or its time is over and it was removed.")
    return job


def _owner(request: Request) -> str | None:
    """Return whose the jobs of a request are; None where the server asks for no keys."""
    name: str | None = request.state.facts.key_name
    return name


def _answer(request: Request, store: JobStore, job: Job) -> JobResponse:
    progress, expires = store.progress(job), store.expires(job)
    return JobResponse(
        job_id=job.job_id,
        state=job.state,
        progress=1.0 if job.state == "done" else progress.part,
        tiles_done=progress.done,
        tiles_total=progress.total,
        created=_time(job.created),
        expires=None if expires is None else _time(expires),
        error=job.error,
        result_url=f"{_url(request, job)}/result" if job.state == "done" else None,
        request_id=request.state.request_id,
    )


def _url(request: Request, job: Job) -> str:
    return f"{request.scope.get('root_path', '')}{PREFIX}/jobs/{job.job_id}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        yield from iter(partial(file.read, _PIECE), b"")
