"""Threads that work on jobs, one after the other in the order of their arrival, beside the requests."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

from napari_unetseg.api.encodings import segmentation_response, to_geojson, to_tiff
from napari_unetseg.api.images import ImageLimits, decode_image
from napari_unetseg.api.models import SegmentChoices
from napari_unetseg.errors import Cancelled
from napari_unetseg.image import Image
from napari_unetseg.server.errors import ApiError, api_error
from napari_unetseg.server.job_record import Job, JobProgress
from napari_unetseg.server.job_store import JobStore, ResultFormat
from napari_unetseg.server.metrics import Metrics
from napari_unetseg.service.requests import request

if TYPE_CHECKING:
    from napari_unetseg.service.protocols import Segmenter

_log = logging.getLogger(__name__)

LOOK_AGAIN_S = 30.0
"""Seconds after which the folder is looked at without being told: for expired jobs, and for those of other servers."""

_STEPS = 200  # as often progress is written at most
_LAST_TILE_S = 10.0  # that a job which was asked to stop has at least to see that


class JobRunner:
    """Works on the jobs of a store, in threads of its own.

    Parameters
    ----------
    store
        Where the jobs are.
    service
        What segments; requests share its device with the jobs.
    limits
        How large an image may be.
    metrics
        Counts the images.
    patience_s
        Seconds of a stop. For the first half of them running jobs may come to their end, and are stopped then.
    workers
        Number of threads.

    Attributes
    ----------
    store
        As given.
    """

    def __init__(
        self,
        store: JobStore,
        service: "Segmenter",
        limits: ImageLimits,
        metrics: Metrics,
        *,
        patience_s: float,
        workers: int = 1,
    ) -> None:
        self.store = store
        self._service = service
        self._limits = limits
        self._metrics = metrics
        self._patience_s = patience_s
        self._news = Event()
        self._stopping = Event()
        self._give_up = Event()
        self._threads = [Thread(target=self._work, name=f"job-{number}", daemon=True) for number in range(workers)]

    def start(self) -> None:
        """Say what has become of the jobs of an earlier start, and begin with what waits or comes."""
        with suppress(ApiError):  # the log says why, and the threads try it again
            self.store.tidy()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin nothing more, and wait until what runs is done; what is not in time is left to the next start."""
        self._stopping.set()
        self._news.set()
        started = [thread for thread in self._threads if thread.ident]
        half = self._patience_s / 2
        for patience, then in ((half, self._give_up.set), (max(half, _LAST_TILE_S), self._say_unfinished)):
            end = time.monotonic() + patience
            for thread in started:
                thread.join(max(0.0, end - time.monotonic()))
            if any(thread.is_alive() for thread in started):
                then()

    def decode(self, data: bytes, media_type: str | None, scene: str | int | None = None) -> Image:
        """Decode an image as it will be when its turn comes.

        Raises
        ------
        ImageError
            If it cannot be read, or is too large.
        """
        return decode_image(data, self._limits, media_type=media_type, name="image", scene=scene)

    def add(
        self, data: bytes, choices: SegmentChoices, *, owner: str | None, request_id: str, media_type: str | None = None
    ) -> Job:
        """Keep an image, which can be decoded, as a job that waits.

        Raises
        ------
        NoRoomForJobs, JobsUnavailable
            If it cannot be kept.
        """
        job = self.store.add(data, choices, owner=owner, request_id=request_id, media_type=media_type)
        self._news.set()
        return job

    def cancel_or_remove(self, job: Job) -> Job:
        """Cancel a job that waits or runs, or remove one that has ended; return how it stands then.

        One that runs stops within a tile, and stands as ``"running"`` until it has.

        Raises
        ------
        JobsUnavailable
            If the folder cannot be written.
        """
        if job.finished is not None:
            self.store.remove(job)
            return job
        with self.store.claimed(job.job_id) as ours:
            if ours and ours.state == "waiting":
                self.store.abandon(ours, "cancelled")
            elif ours is None or ours.finished is None:
                self.store.ask_to_stop(job)
        return self.store.find(job.job_id, job.owner) or job

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                self.store.tidy()
                if self._work_on_next():
                    continue
            except Exception:
                _log.exception("jobs are not worked on for %g s", LOOK_AGAIN_S)
            self._news.wait(LOOK_AGAIN_S)
            if not self._stopping.is_set():
                self._news.clear()

    def _work_on_next(self) -> bool:
        """Work on the first job that nobody else works on; return whether there was one."""
        for job in self.store.waiting():
            with self.store.claimed(job.job_id) as ours:
                if ours and ours.state == "waiting":
                    self._work_on(ours)
                    return True
        return False

    def _work_on(self, job: Job) -> None:
        self.store.start(job)
        try:
            with request(job.request_id):
                self.store.complete(job, self._results(job))
        except Cancelled:
            if self.store.is_asked_to_stop(job):
                self.store.abandon(job, "cancelled")
            else:
                self.store.put_back(job)
        except Exception as error:
            self.store.abandon(job, "failed", api_error(error).detail)

    def _results(self, job: Job) -> dict[ResultFormat, bytes]:
        def cancel() -> bool:
            return self._give_up.is_set() or self.store.is_asked_to_stop(job)

        image = self.decode(self.store.image(job), job.media_type, job.choices.scene)
        clock = time.perf_counter()
        segmentation = self._service.segment(
            image,
            model=job.choices.model,
            progress=self._report(job),
            cancel=cancel,
            **job.choices.segment_options(),
        )
        milliseconds = 1000 * (time.perf_counter() - clock)
        self._metrics.image_done(segmentation.provenance.model, segmentation.count)
        results: dict[ResultFormat, bytes] = {"tiff": to_tiff(segmentation)}
        if not image.stack_axes:  # the other forms are those of one plane
            variant = self._service.model_info(job.choices.model).model_variant
            answer = segmentation_response(segmentation, job.choices, job.request_id, milliseconds, variant=variant)
            results |= {"json": answer.model_dump_json().encode(), "geojson": to_geojson(segmentation)}
        if self.store.is_asked_to_stop(job):
            raise Cancelled("The job was cancelled.")
        return results

    def _report(self, job: Job) -> Callable[[int, int], None]:
        """Return what writes down how far a job is, but not for every tile of many."""
        written, part = (0, 0), 0.0

        def report(done: int, total: int) -> None:
            nonlocal written, part
            step = total, _STEPS * done // max(total, 1)
            if step == written:
                return
            # There may turn out to be more tiles than were known, but nobody wants to see a part shrink.
            written, part = step, max(part, done / max(total, 1))
            self.store.write_progress(job, JobProgress(done=done, total=total, part=part))

        return report

    def _say_unfinished(self) -> None:
        _log.warning("a job does not stop; after the next start it will be called interrupted")
