"""From images to segmentations: models are lent, the device is shared out, and every call is counted."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from math import prod
from threading import Lock
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_unetseg.config import Settings
from napari_unetseg.errors import Cancelled, NotCalibrated
from napari_unetseg.image import Image
from napari_unetseg.inference.backends import CancelFlag
from napari_unetseg.inference.first_look import better_diameter, tell_rescaled
from napari_unetseg.service.advice import slow_remarks
from napari_unetseg.service.batch_queue import Line, Place, Readable
from napari_unetseg.service.counters import RunCounter
from napari_unetseg.service.debug_outputs import save_debug_outputs
from napari_unetseg.service.forecast import Paces, Workload, network_pixels, passes
from napari_unetseg.service.journal import Journal, Stopwatch
from napari_unetseg.service.model_cache import HeldModels
from napari_unetseg.service.reports import Failure
from napari_unetseg.service.requests import request
from napari_unetseg.service.segmentation import Segmentation, Wishes, read_objects
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari_unetseg.inference.prediction import Prediction, Progress
    from napari_unetseg.service.loaded_model import Runtime


class Runner:
    """Runs images through models; any thread may call any method.

    Parameters
    ----------
    models
        Lends them.
    settings
        Those of the service.

    Attributes
    ----------
    counter
        Knows how the runs went.
    paces
        Knows how fast they were.
    """

    def __init__(self, models: HeldModels, settings: Settings) -> None:
        self.counter = RunCounter()
        self.paces = Paces()
        self._models = models
        self._settings = settings
        self._journal = Journal(settings)
        self._working = Lock()

    def run(
        self,
        package: ModelPackage,
        image: Image | NDArray[Any],
        wishes: Wishes,
        progress: "Progress | None",
        cancel: CancelFlag | None,
    ) -> Segmentation:
        """Segment one image; `SegmentationService.segment` explains the rest."""
        watch = Stopwatch()
        with self._call(image.name if isinstance(image, Image) else "image"):
            plane = wishes.plane_of(Image.of(image))
            with self._models.lend(package) as runtime:
                wishes.check(runtime.card)
                started = datetime.now(UTC).astimezone()
                with self.turn(cancel, watch), watch.stage("network"):
                    prediction = _predict(runtime, plane, wishes, progress, cancel)
                prediction, seen = self._look_again(runtime, plane, prediction, wishes, progress, watch, cancel)
                return self._finish(runtime, plane, prediction, wishes, seen, started, watch, cancel)

    def run_many(
        self,
        package: ModelPackage,
        images: Iterable[Readable],
        wishes: Wishes,
        progress: "Progress | None",
        cancel: CancelFlag | None,
    ) -> Iterator[Segmentation | Failure]:
        """Segment images as results are asked for; `SegmentationService.iter_batch` explains the rest."""
        together = self._settings.unet.inference.enable_batch_processing
        with request() as identity:
            pass
        with self._models.lend(package) as runtime:
            wishes.check(runtime.card)
            line = Line(images, wishes, runtime, progress=progress, cancel=cancel, together=together)
            while True:
                # The id is the batch's, and not that of what its reader does between two results.
                with request(identity):
                    watch = Stopwatch()
                    place = self._next_place(line, cancel, watch)
                    if place is None:
                        return
                    result = self._settle(place, runtime, wishes, watch, cancel)
                del place
                yield result
                del result  # its probabilities, before the next image needs room

    @contextmanager
    def turn(self, cancel: CancelFlag | None = None, watch: Stopwatch | None = None) -> Iterator[None]:
        """Wait for the device, still listening to `cancel`; others wait until the block ends."""
        with (watch or Stopwatch()).stage("wait"):
            while not self._working.acquire(timeout=0.1):
                if cancel is not None and cancel():
                    raise Cancelled("Cancelled while another image was being segmented.")
        try:
            yield
        finally:
            self._working.release()

    def _next_place(self, line: Line, cancel: CancelFlag | None, watch: Stopwatch) -> Place | None:
        try:
            with self.turn(cancel, watch):
                return line.next()
        except Cancelled:  # while waiting: what is left computes nothing any more
            return line.next()

    def _settle(
        self, place: Place, runtime: "Runtime", wishes: Wishes, watch: Stopwatch, cancel: CancelFlag | None
    ) -> Segmentation | Failure:
        watch.stages["network"] = place.milliseconds
        try:
            with self._call(place.name):
                plane, prediction = place.finished()
                prediction, seen = self._look_again(runtime, plane, prediction, wishes, None, watch, cancel)
                return self._finish(runtime, plane, prediction, wishes, seen, place.started, watch, cancel)
        except Exception as error:
            return Failure(place.name, error)

    def _look_again(
        self,
        runtime: "Runtime",
        plane: Image,
        prediction: "Prediction",
        wishes: Wishes,
        progress: "Progress | None",
        watch: Stopwatch,
        cancel: CancelFlag | None,
    ) -> tuple["Prediction", Wishes]:
        """Show an image again, rescaled, where a first look found objects of a size that the model does not see well.

        Returns what is to be read then, and the wishes with the diameter that was found.
        """
        diameter = better_diameter(prediction.probability, runtime.card) if wishes.diameter is None else None
        if diameter is None:
            return prediction, wishes
        rescaled = replace(wishes, diameter=diameter)
        more = progress and _further(progress, prediction.tiles * passes(augment=wishes.augment))
        with self.turn(cancel, watch), watch.stage("network"):
            again = _predict(runtime, plane, rescaled, more, cancel)
        told = tell_rescaled(plane.name, diameter, runtime.card)
        return replace(again, warnings=(told, *again.warnings)), rescaled

    def _finish(
        self,
        runtime: "Runtime",
        plane: Image,
        prediction: "Prediction",
        wishes: Wishes,
        seen: Wishes,
        started: datetime,
        watch: Stopwatch,
        cancel: CancelFlag | None,
    ) -> Segmentation:
        """Read the objects off a prediction, count the run and write it down.

        `wishes` are those of the first look, `seen` those of the last, which the prediction is of.
        """
        seconds = watch.stages["network"] / 1000
        remarks = slow_remarks(seconds, self._settings)
        with watch.stage("decode"):
            result = read_objects(
                runtime,
                plane,
                prediction,
                seen,
                started=started,
                seconds=seconds,
                remarks=remarks,
                with_confidence=self._settings.unet.inference.enable_confidence,
                cancel=cancel,
            )
        if self._settings.development.save_debug_outputs:
            save_debug_outputs(result, self._settings, result.provenance.request_id or "")
        self.counter.succeeded(seconds)
        looks = {wishes.diameter, seen.diameter}
        work = [Workload(plane.shape, prod(plane.stack_shape), look, wishes.augment) for look in looks]
        self.paces.note(runtime, sum(network_pixels(runtime.card, look) for look in work), seconds)
        self._journal.segmented(result, watch)
        for remark in remarks:
            self._journal.remarked(plane.name, seconds, remark)
        return result

    @contextmanager
    def _call(self, image: str) -> Iterator[None]:
        """Give a call its id, and count and write down its failure."""
        with request() as identity:
            try:
                yield
            except Exception as error:
                if not isinstance(error, Cancelled | NotCalibrated):
                    self.counter.failed(error, identity)
                self._journal.failed(image, error)
                raise


def _predict(
    runtime: "Runtime", image: Image, wishes: Wishes, progress: "Progress | None", cancel: CancelFlag | None
) -> "Prediction":
    """Compute one plane, or all of a stack together."""
    if not image.stack_axes:
        return runtime.predict(
            image, diameter=wishes.diameter, augment=wishes.augment, progress=progress, cancel=cancel
        )
    line = Line([image], replace(wishes, channel=None), runtime, progress=progress, cancel=cancel, together=True)
    place = line.next()
    if place is None:
        raise RuntimeError(f"{image.name}: the batch ended without an answer for this stack.")
    return place.finished()[1]


def _further(progress: "Progress", done: int) -> "Progress":
    """Count tiles on from those that are done already."""
    return lambda now, total: progress(done + now, done + total)
