"""From images to segmentations: models are lent, the device is shared out, and every call is counted."""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from math import prod
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from numpy.typing import NDArray

from napari_unetseg.callbacks import CancelFlag, Progress
from napari_unetseg.config import Settings
from napari_unetseg.errors import Cancelled, DeviceError, NotCalibrated, OutOfMemory, ParameterError, out_of_memory_says
from napari_unetseg.image import Image
from napari_unetseg.inference.prediction import Prediction, PredictOptions, PredictRequest
from napari_unetseg.inference.rescale_decision import rescaled_warning
from napari_unetseg.language import Sentence
from napari_unetseg.segment_options import SegmentKeywords, SegmentOptions
from napari_unetseg.service.batch_queue import BatchItem, FirstImages, Readable, cancelled_batch
from napari_unetseg.service.batch_results import BatchResults, Ending
from napari_unetseg.service.counters import RunCounter
from napari_unetseg.service.debug_outputs import save_debug_outputs
from napari_unetseg.service.device_lines import DeviceLines
from napari_unetseg.service.device_queue import DeviceQueue
from napari_unetseg.service.forecast import Throughput, Workload, network_pixels, passes
from napari_unetseg.service.health_check import slow_remarks
from napari_unetseg.service.logs import RequestLog, Stopwatch
from napari_unetseg.service.object_reading import ObjectReading
from napari_unetseg.service.pipeline import Pipeline, Worker, left_out_remark
from napari_unetseg.service.protocols import ModelLender, RunningModel
from napari_unetseg.service.provenance import Provenance
from napari_unetseg.service.queued_network import QueuedNetwork
from napari_unetseg.service.reports import Failure
from napari_unetseg.service.requests import request
from napari_unetseg.service.segmentation import Segmentation, check_options
from napari_unetseg.service.stack_prediction import predict_stack
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari_unetseg.inference.backends.openvino.int8_store import Calibration
    from napari_unetseg.service.loaded_model import LoadedModel


Stage = Literal["calibrating", "running"]
OnStage = Callable[[Stage], None]
"""Called where a run begins to do something else than its caller expects, from the computing thread."""

Part = Literal["contours", "measurements", "confidence"]
"""What can be derived from the labels of a result, by the name that `Segmentation` gives it."""

_Value = TypeVar("_Value", Segmentation, Segmentation | Failure)


class Runner:
    """Runs images through models; any thread may call any method.

    Parameters
    ----------
    models
        Lends them.
    settings
        Those of the service.
    make_line
        Makes what shares a device out. None: for devices of this machine, as the settings say.

    Attributes
    ----------
    counter
        Knows how the runs went.
    throughput
        Knows how fast they were.
    """

    def __init__(
        self, models: ModelLender, settings: Settings, make_line: Callable[[], DeviceQueue] | None = None
    ) -> None:
        self.counter = RunCounter()
        self.throughput = Throughput()
        self._models = models
        self._settings = settings
        self._request_log = RequestLog(settings)
        wait_s, together = settings.server.batch_wait_ms / 1000, settings.unet.inference.enable_batch_processing
        self._lines = DeviceLines(make_line or (lambda: DeviceQueue(wait_s, together=together)))

    @property
    def waiting(self) -> int:
        """Calls that wait for a device."""
        return self._lines.waiting

    def run(
        self,
        package: ModelPackage,
        image: Image | NDArray[Any],
        keywords: SegmentKeywords,
        progress: Progress | None,
        cancel: CancelFlag | None,
        on_stage: OnStage | None,
    ) -> Segmentation:
        """Segment one image; `SegmentationService.segment` explains the rest."""
        watch = Stopwatch()
        name = image.name if isinstance(image, Image) else "image"
        with self._call(name), self._shortest_line() as (worker, line), line.on_its_way():
            options = SegmentOptions.of(**keywords)
            plane = options.plane_of(Image.of(image), package.card)
            remarks: tuple[str, ...] = ()
            if (not_calibrated := self._missing_calibration(package, worker)) is not None:
                check_options(options, package.card)
                if not plane.varies:
                    raise not_calibrated
                remarks = self._calibrate_on(package, plane, cancel, on_stage)
            with self._models.borrow(package, worker) as loaded_model:
                check_options(options, loaded_model.card)
                started = datetime.now(UTC).astimezone()
                prediction = self._predict(loaded_model, line, plane, options, progress, cancel, watch)
                reading, seen = self._look_again(
                    loaded_model, line, plane, prediction, options, progress, watch, cancel
                )
                result = self._finish(loaded_model, plane, reading, options, seen, started, watch)
                return _with_warnings(remarks, result)

    def predict(
        self, package: ModelPackage, wanted: PredictRequest, on_stage: OnStage | None = None
    ) -> tuple[Prediction, RunningModel]:
        """Compute what the network says of one plane; return it with the model that said it.

        As with `run`, it is done for one call, counted, and written down where it fails; and a model that is to run in
        int8 and was never calibrated for that is calibrated on this image first.
        """
        watch = Stopwatch()
        image = wanted.image
        with self._call(image.name), self._shortest_line() as (worker, line), line.on_its_way():
            remarks: tuple[str, ...] = ()
            if (not_calibrated := self._missing_calibration(package, worker)) is not None:
                if not image.varies:
                    raise not_calibrated
                remarks = self._calibrate_on(package, image, wanted.cancel, on_stage)
            with self._models.borrow(package, worker) as loaded_model:
                prediction = line.predict(loaded_model, wanted, watch)
                seconds = watch.stages["network"] / 1000
                self.counter.succeeded(seconds)
                work = Workload(image.shape, 1, wanted.diameter, wanted.augment)
                self.throughput.note(loaded_model, network_pixels(loaded_model.card, work), seconds)
                return replace(prediction, warnings=(*remarks, *prediction.warnings)), loaded_model

    def run_many(
        self,
        package: ModelPackage,
        images: Iterable[Readable | None],
        options: SegmentOptions,
        progress: Progress | None,
        cancel: CancelFlag | None,
        on_stage: OnStage | None,
        also: Collection[Part] = (),
    ) -> Generator[Segmentation | Failure]:
        """Segment images as results are asked for; `SegmentationService.iter_batch` explains the rest."""
        return BatchResults(
            lambda ending: self._run_many(package, images, options, progress, cancel, on_stage, also, ending)
        )

    def _run_many(
        self,
        package: ModelPackage,
        images: Iterable[Readable | None],
        options: SegmentOptions,
        progress: Progress | None,
        cancel: CancelFlag | None,
        on_stage: OnStage | None,
        also: Collection[Part],
        ending: Ending,
    ) -> Generator[Segmentation | Failure]:
        with request() as identity:
            pass
        remarks: dict[int, tuple[str, ...]] = {}
        worker, left_out = self._first_worker(package)
        if (not_calibrated := self._missing_calibration(package, worker)) is not None:
            check_options(options, package.card)
            drawn = FirstImages(images, options, package.card, not_calibrated)
            images = drawn.all_images()
            plane = drawn.take_plane()
            if plane is None:
                for failure in drawn.failures():
                    self._record_failure(failure.image, failure.error, identity)
                    yield failure
                return
            try:
                with request(identity):
                    remarks[drawn.count - 1] = self._calibrate_on(package, plane, cancel, on_stage)
            except Cancelled:
                yield from cancelled_batch(images)
                return
            del drawn, plane  # the network runs without the first image, once that is done
        with ExitStack() as stack:
            workers = [Worker(number, self._lines.of(number)) for number in range(worker, self._models.workers)]
            workers[0].model = stack.enter_context(self._models.borrow(package, worker))
            check_options(options, workers[0].model.card)
            lent = stack.pop_all()
        # The id is the batch's, and not that of what its reader does between two results.
        with request(identity):
            pipeline = Pipeline(
                images,
                options,
                package.card,
                workers,
                lambda worker: self._models.borrow(package, worker),
                lambda item, worker, stops: self._settle(item, worker, options, also, stops),
                progress=progress,
                cancel=cancel,
                together=self._settings.unet.inference.enable_batch_processing,
                lent=lent,
                ending=ending,
            )
        del images
        with pipeline:
            done = count()  # enumerate would keep hold of the last result
            for result, more in pipeline.results():
                yield _with_warnings((*left_out, *remarks.pop(next(done), ()), *more), result)
                left_out = ()
                del result  # its probabilities, before the next image needs room

    def calibrate(
        self,
        package: ModelPackage,
        images: Sequence[Image | NDArray[Any]],
        progress: Progress | None,
        cancel: CancelFlag | None,
    ) -> "Calibration":
        """Bring a model into int8; `SegmentationService.calibrate` explains the rest."""
        with self.turn(cancel):
            return self._calibrate(package, images, progress, cancel)

    def _calibrate(
        self,
        package: ModelPackage,
        images: Sequence[Image | NDArray[Any]],
        progress: Progress | None,
        cancel: CancelFlag | None,
    ) -> "Calibration":
        from napari_unetseg.service.calibrating import calibrate_package

        calibration = calibrate_package(package, images, progress, cancel)
        self._models.unload(package)  # where it is loaded in int8, that was the one before
        return calibration

    @contextmanager
    def call_for_blocks(self, package: ModelPackage, image: str) -> Iterator[Callable[[], QueuedNetwork]]:
        """Let an image be segmented block by block until the block ends, as one call that is written down.

        Yields
        ------
        function
            Lends the model, on the device with the fewest calls; it is loaded when it is first asked for.
        """
        with self._call(image), ExitStack() as stack:
            lock = Lock()
            lent: list[QueuedNetwork] = []

            def borrow() -> QueuedNetwork:
                with lock:
                    if not lent:
                        worker, line = stack.enter_context(self._shortest_line())
                        model = stack.enter_context(self._models.borrow(package, worker))
                        lent.append(QueuedNetwork(cast("LoadedModel", model), line))
                    return lent[0]

            yield borrow

    def blocks_succeeded(self, provenance: Provenance, shape: tuple[int, ...], count: int, watch: Stopwatch) -> None:
        """Count an image that was segmented block by block, and write it down."""
        self.counter.succeeded(watch.stages.get("network", 0) / 1000)
        self._request_log.segmented(provenance, shape, count, watch)

    @contextmanager
    def _shortest_line(self) -> Iterator[tuple[int, DeviceQueue]]:
        """Choose the device with the fewest calls for one."""
        with self._lines.shortest(self._models.workers) as worker:
            yield worker, self._lines.of(worker)

    def _first_worker(self, package: ModelPackage) -> tuple[int, tuple[str, ...]]:
        """Return the first device that takes a model, and what to say of those before it."""
        number = self._models.workers
        remarks: tuple[str, ...] = ()
        for worker in range(number - 1):
            try:
                self._missing_calibration(package, worker)
            except (DeviceError, OutOfMemory) as error:
                remarks += (left_out_remark(number, error),)
            else:
                return worker, remarks
        return number - 1, remarks

    def _missing_calibration(self, package: ModelPackage, worker: int = 0) -> NotCalibrated | None:
        """Load a model; return what stops it where int8 was chosen for it and it was never calibrated for that."""
        try:
            with self._models.borrow(package, worker):
                return None
        except NotCalibrated as error:
            return error

    def _calibrate_on(
        self, package: ModelPackage, plane: Image, cancel: CancelFlag | None, on_stage: OnStage | None
    ) -> tuple[str, ...]:
        """Calibrate a model on an image that it is meant for; return what its result should say of that."""
        report = on_stage or (lambda _stage: None)
        with self.turn(cancel):
            if self._missing_calibration(package) is None:  # another thread was faster
                return ()
            report("calibrating")
            calibration = self._calibrate(package, [plane], None, cancel)
            report("running")
        return (calibration.outcome,) if calibration.accepted else ()  # else the plan's warning says so

    @contextmanager
    def turn(self, cancel: CancelFlag | None = None) -> Iterator[None]:
        """Wait for the first device, still listening to `cancel`; others wait until the block ends."""
        with self._lines.of(0).turn(cancel):
            yield

    def _settle(
        self, item: BatchItem, worker: Worker, options: SegmentOptions, also: Collection[Part], cancel: CancelFlag
    ) -> Segmentation | Failure:
        """Make a result of what a network said of an image of a batch."""
        model, line = worker.model, worker.line
        try:
            with self._call(item.name):
                if model is None:
                    raise RuntimeError("Nothing is computed before the model is lent.")
                plane, prediction = item.take()
                reading, seen = self._look_again(model, line, plane, prediction, options, None, item.watch, cancel)
                del prediction
                return self._finish(model, plane, reading, options, seen, item.started, item.watch, also)
        except Exception as error:
            return Failure(item.name, error)

    def _predict(
        self,
        loaded_model: RunningModel,
        line: DeviceQueue,
        image: Image,
        options: SegmentOptions,
        progress: Progress | None,
        cancel: CancelFlag | None,
        watch: Stopwatch,
    ) -> Prediction:
        """Compute one plane, together with those of other calls, or all of a stack."""
        if not image.stack_axes:
            wanted = PredictRequest(image, options.diameter, options.augment, progress, cancel)
            return line.predict(loaded_model, wanted, watch)
        how = PredictOptions(
            diameter=options.diameter,
            augment=options.augment,
            progress=progress,
            cancel=cancel,
            before_batch=line.let_others_go,
        )
        clock = perf_counter()
        with line.turn(cancel):
            watch.add("wait", perf_counter() - clock)
            with watch.stage("network"):
                return predict_stack(loaded_model, image, how)

    def _look_again(
        self,
        loaded_model: RunningModel,
        line: DeviceQueue,
        plane: Image,
        prediction: Prediction,
        options: SegmentOptions,
        progress: Progress | None,
        watch: Stopwatch,
        cancel: CancelFlag | None,
    ) -> tuple[ObjectReading, SegmentOptions]:
        """Show an image again, rescaled, where a first run found objects of a size that the model does not see well.

        Returns what is to be read then, and the options with the diameter that was found.
        """
        reading = ObjectReading(loaded_model, plane, prediction, options, cancel)
        with watch.stage("decode"):
            diameter = reading.diameter_to_look_again_by()
        if diameter is None:
            return reading, options
        rescaled = options.model_copy(update={"diameter": diameter})
        more = progress and _further(progress, prediction.tiles * passes(augment=options.augment))
        again = self._predict(loaded_model, line, plane, rescaled, more, cancel, watch)
        remark = rescaled_warning(plane.name, diameter, loaded_model.card)
        again = replace(again, warnings=(remark, *again.warnings))
        return ObjectReading(loaded_model, plane, again, rescaled, cancel), rescaled

    def _finish(
        self,
        loaded_model: RunningModel,
        plane: Image,
        reading: ObjectReading,
        options: SegmentOptions,
        seen: SegmentOptions,
        started: datetime,
        watch: Stopwatch,
        also: Collection[Part] = (),
    ) -> Segmentation:
        """Read the objects off a prediction and what else is wanted of them, count the run and write it down.

        `options` are those of the first run of the network, `seen` those of the last, which is read.
        """
        seconds = watch.stages["network"] / 1000
        remarks = slow_remarks(seconds, self._settings)
        with watch.stage("decode"):
            result = reading.segmentation(
                started=started,
                seconds=seconds,
                remarks=remarks,
                with_confidence=self._settings.unet.inference.enable_confidence,
            )
        if also:
            with watch.stage("parts"):
                for part in also:
                    getattr(result, part)  # which it keeps
        if self._settings.development.save_debug_outputs:
            save_debug_outputs(result, self._settings, result.provenance.request_id or "")
        self.counter.succeeded(seconds)
        diameters = {options.diameter, seen.diameter}
        work = [Workload(plane.shape, prod(plane.stack_shape), diameter, options.augment) for diameter in diameters]
        self.throughput.note(loaded_model, sum(network_pixels(loaded_model.card, one) for one in work), seconds)
        self._request_log.segmented(result.provenance, result.labels.shape, result.count, watch)
        for remark in remarks:
            self._request_log.remarked(plane.name, seconds, remark)
        return result

    @contextmanager
    def _call(self, image: str) -> Iterator[None]:
        """Give a call its id, and count and write down its failure; that memory ran out is said in a sentence."""
        with request() as identity:
            try:
                with out_of_memory_says(
                    Sentence(
                        "{image}: memory ran out. Close other programs or images, or segment a part of the image.",
                        image=image,
                    )
                ):
                    yield
            except Exception as error:
                self._record_failure(image, error, identity)
                raise

    def _record_failure(self, image: str, error: Exception, identity: str) -> None:
        """Write a failure down, and count it unless it is a cancel or a wrong argument."""
        with request(identity):
            if not isinstance(error, Cancelled | ParameterError):
                self.counter.failed(error, identity)
            self._request_log.failed(image, error)


def _with_warnings(warnings: tuple[str, ...], result: _Value) -> _Value:
    """Put warnings before those of a result."""
    if not warnings or isinstance(result, Failure):
        return result
    return replace(result, warnings=(*warnings, *result.warnings))


def _further(progress: Progress, done: int) -> Progress:
    """Count tiles on from those that are done already."""
    return lambda now, total: progress(done + now, done + total)
