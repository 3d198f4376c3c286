"""From images to probability maps: whole or tile by tile, as they are or at the size a network wants."""

import logging
from collections.abc import Iterable, Iterator
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import Cancelled
from napari_unetseg.image import Image
from napari_unetseg.inference.augmentation import ORIENTATIONS, average_orientations
from napari_unetseg.inference.backends import Backend
from napari_unetseg.inference.device import Kind, total_memory
from napari_unetseg.inference.image_task import ImageTask
from napari_unetseg.inference.object_size import size_for_network
from napari_unetseg.inference.out_of_memory import Limits, is_out_of_memory, no_memory_for, nothing_left, step_down
from napari_unetseg.inference.prediction import Options, Prediction
from napari_unetseg.inference.schedule import Batch, Schedule
from napari_unetseg.inference.tiling.plan import TileLimits, TilePlan, pixels_that_fit, plan_tiling
from napari_unetseg.zoo.card import ModelCard

BATCH_SIZES: dict[Kind, int] = {"cpu": 1, "cuda": 4, "mps": 4}
"""Default number of tiles that the network sees at once; a single one keeps all cores of a CPU busy."""

_log = logging.getLogger(__name__)


def predict(image: Image, card: ModelCard, backend: Backend, **options: Unpack[Options]) -> Prediction:
    """Compute the probability map of one image of any size; `predict_many` explains how.

    Parameters
    ----------
    image
        Any size from 1 x 1.
    card
        Card of the model that `backend` runs.
    backend
        The loaded network.
    options
        See `Options`.

    Raises
    ------
    Cancelled
        If `cancel` was seen to be True.
    DeviceError
        If memory ran out whatever was tried.
    ParameterError, ImageError
        If the image cannot be rescaled by this diameter.
    """
    (result,) = predict_many([image], card, backend, **options)
    if isinstance(result, Exception):
        raise result
    return result


def predict_many(
    images: Iterable[Image | Exception], card: ModelCard, backend: Backend, **options: Unpack[Options]
) -> Iterator[Prediction | Exception]:
    """Compute the probability maps of images of any sizes; tiles of several images share a batch.

    How an image is divided says `napari_unetseg.inference.tiling.plan.plan_tiling`, in which order tiles are
    computed `napari_unetseg.inference.schedule`, and what happens when memory runs out
    `napari_unetseg.inference.out_of_memory.step_down`. Only the images whose tiles share a batch are
    under way at the same time, with a probability map for each.

    Parameters
    ----------
    images
        Drawn from as they are needed. An exception in the place of an image is handed through.
    card
        Card of the model that `backend` runs.
    backend
        The loaded network.
    options
        See `Options`.

    Yields
    ------
    Prediction or Exception
        One for each image, in their order. What cannot be computed gives its exception, and the others
        go on; once `cancel` was seen to be True, what is not finished gives `Cancelled`.
    """
    return _Run(images, card, backend, options).results()


class _Run:
    """Images on their way through a network."""

    def __init__(
        self, images: Iterable[Image | Exception], card: ModelCard, backend: Backend, options: Options
    ) -> None:
        self._card = card
        self._backend = backend
        self._options = options
        self._limits = options.get("limits") or Limits()
        self._fallback = options.get("fallback")
        self._wanted_batch = options.get("batch_size")
        self._augments = options.get("augment", False)
        self._cancelled = False
        self._schedule = Schedule(images, self._prepare)

    def results(self) -> Iterator[Prediction | Exception]:
        while True:
            for settled in self._schedule.due():
                yield settled if isinstance(settled, Exception) else self._result(settled)
                del settled  # its probabilities, before the next image needs room
            batch = self._schedule.next_batch(self._batch_size)
            if batch:
                self._advance(batch)
            elif self._schedule.is_empty:
                return
            del batch

    @property
    def _batch_size(self) -> int:
        kind = self._backend.device.kind
        wanted = self._wanted_batch or BATCH_SIZES[kind]
        return min(wanted, self._limits.on(kind).batch_size or wanted)

    def _prepare(self, image: Image) -> ImageTask:
        if self._is_cancelled():
            raise _cancelled(image)
        try:
            return ImageTask(image, self._card, self._plan_tiling(image), self._augments)
        except MemoryError as error:
            raise no_memory_for(image) from error

    def _plan_tiling(self, image: Image) -> TilePlan:
        device = self._backend.device
        largest_whole = self._options.get("largest_whole") or pixels_that_fit(total_memory(device))
        tile_limits = TileLimits(self._options.get("window"), largest_whole, self._limits.on(device.kind).window)
        resized_to = size_for_network(image, self._card, self._options.get("diameter"))
        return plan_tiling(image, self._card, self._backend, tile_limits, resized_to)

    def _result(self, job: ImageTask) -> Prediction | Exception:
        if job.failure is not None:
            return job.failure
        try:
            answer = job.finish()
        except MemoryError:
            return no_memory_for(job.image)
        tile_plan = job.tile_plan
        return Prediction(
            answer.probability,
            answer.warnings,
            tile_plan.window,
            tile_plan.halo,
            len(tile_plan.tiles),
            tile_plan.resized_to,
            answer.agreement,
            tile_plan.largest_window,
            self._batch_size,
            answer.sampled,
        )

    def _is_cancelled(self) -> bool:
        cancel = self._options.get("cancel")
        self._cancelled = self._cancelled or (cancel is not None and cancel())
        return self._cancelled

    def _advance(self, batch: Batch) -> None:
        if self._is_cancelled():
            self._give_up()
            return
        failure = self._compute(batch)
        if failure is None:
            if not self._augments:
                self._report()
        elif isinstance(failure, Cancelled):
            self._cancelled = True
            self._give_up()
        elif isinstance(failure, MemoryError):
            _put_back(batch)
            self._step_down(batch)
        elif len({id(job) for job, _ in batch}) > 1:
            # One of the images may be to blame, so each goes alone.
            _put_back(batch)
            for job, _ in batch:
                job.alone = True
        else:
            batch[0][0].failure = failure

    def _compute(self, batch: Batch) -> Exception | None:
        """Run a batch; return why it failed, and for every lack of memory MemoryError."""
        try:
            with self._backend.buffers(self._shape(batch)) as (windows, probabilities):
                for (job, index), window in zip(batch, windows, strict=True):
                    job.read(index, window)
                place = self._place(batch)
                outputs = self._run(windows, probabilities if place is None else place[np.newaxis])
                for (job, index), output in zip(batch, outputs, strict=True):
                    job.write(index, output)
        except Exception as error:
            if not is_out_of_memory(error):
                return error
            told = str(error)
        else:
            return None
        # The error itself is let go, because its traceback holds the tensors.
        _log.info("Out of memory: %s", told)
        return MemoryError(told)

    def _place(self, batch: Batch) -> NDArray[np.float32] | None:
        """Return where a lone answer belongs, so that a large one is not in memory twice."""
        if len(batch) > 1 or self._augments:
            return None
        job, index = batch[0]
        return job.place(index)

    def _run(self, windows: NDArray[np.float32], probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        cancel = self._options.get("cancel")
        if not self._augments:
            return self._backend.run(windows, cancel, probabilities)
        return average_orientations(
            lambda turned: self._backend.run(turned, cancel),
            windows,
            self._card.heads,
            lambda passes: self._report(passes * len(windows)),
        )

    def _report(self, passes: int = 0) -> None:
        """Tell the progress: finished tiles, or passes over tiles where there are several."""
        progress = self._options.get("progress")
        if progress is not None:
            done, total = self._schedule.progress
            each = len(ORIENTATIONS) if self._augments else 1
            progress(done * each + passes, total * each)

    def _shape(self, batch: Batch) -> tuple[int, int, int, int]:
        height, width = batch[0][0].window_shape
        return len(batch), self._card.input_channels, height, width

    def _step_down(self, batch: Batch) -> None:
        first = batch[0][0]
        try:
            taken = step_down(self._backend, len(batch), first.tile_plan, self._limits, self._fallback)
        except Exception as error:  # of the fallback
            first.failure = error
            return
        if taken is None:
            first.failure = nothing_left(first.image, self._backend, first.tile_plan)
            return
        backend, step = taken
        if backend is not self._backend:
            # What was wanted was meant for the other device.
            self._backend, self._fallback, self._wanted_batch = backend, None, None
        _log.warning("%s: %s", first.image.name, step.text)
        for job in self._schedule.unsettled:
            job.warnings.append(step.text)
            job.replan(self._plan_tiling(job.image))
        on_step = self._options.get("on_step")
        if on_step is not None:
            on_step(step)

    def _give_up(self) -> None:
        for job in self._schedule.unsettled:
            job.failure = _cancelled(job.image)


def _put_back(batch: Batch) -> None:
    for job, index in reversed(batch):
        job.put_back(index)


def _cancelled(image: Image) -> Cancelled:
    return Cancelled(f"{image.name}: the segmentation was cancelled.")
