"""From images to probability maps: whole or tile by tile, as they are or at the size a network wants."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.cores import usable_cores
from napari_unetseg.errors import Cancelled, OutOfMemory, is_out_of_memory, out_of_memory_says
from napari_unetseg.image import Image
from napari_unetseg.inference.augmentation import ORIENTATIONS, average_orientations
from napari_unetseg.inference.backends import Backend, Pending
from napari_unetseg.inference.backends.device import Device, total_memory
from napari_unetseg.inference.image_task import ImageTask
from napari_unetseg.inference.object_size import size_for_network
from napari_unetseg.inference.out_of_memory import Limits, no_memory_for, nothing_left, step_down
from napari_unetseg.inference.prediction import Prediction, PredictOptions, PredictRequest, WindowTooLarge
from napari_unetseg.inference.schedule import Schedule, TileBatch
from napari_unetseg.inference.tiling.plan import (
    Tileable,
    TileLimits,
    TilePlan,
    pixels_that_fit,
    plan_tiling,
    tiles_at_once,
)
from napari_unetseg.zoo.card import ModelCard

AHEAD = 1
"""Batches that are begun before the oldest is finished, beside that, where the device computes in the background: more
would take more memory and gain nothing."""

MOST_THREADS = 8
"""Threads that prepare images and write maps for a graphics card, at most: they wait for memory, not for cores."""

T = TypeVar("T")
R = TypeVar("R")

_log = logging.getLogger(__name__)


def predict(image: Image, card: ModelCard, backend: Backend, options: PredictOptions | None = None) -> Prediction:
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
        None for the defaults.

    Raises
    ------
    Cancelled
        If `cancel` was seen to be True.
    DeviceError
        If memory ran out whatever was tried.
    ParameterError, ImageError
        If the image cannot be rescaled by this diameter.
    """
    (result,) = predict_many([image], card, backend, options)
    if isinstance(result, Exception):
        raise result
    return result


def predict_many(
    images: Iterable[Image | PredictRequest | Exception],
    card: ModelCard,
    backend: Backend,
    options: PredictOptions | None = None,
) -> Iterator[Prediction | Exception]:
    """Compute the probability maps of images of any sizes; tiles of several images share a batch.

    How an image is divided says `napari_unetseg.inference.tiling.plan.plan_tiling`, in which order tiles are
    computed `napari_unetseg.inference.schedule`, and what happens when memory runs out
    `napari_unetseg.inference.out_of_memory.step_down`. Only the images whose tiles share a batch are
    under way at the same time, with a probability map for each.

    Parameters
    ----------
    images
        Drawn from as they are needed. An `Image` is seen as `options` say, a `PredictRequest` as it says itself. An
        exception in the place of an image is handed through.
    card
        Card of the model that `backend` runs.
    backend
        The loaded network.
    options
        None for the defaults.

    Yields
    ------
    Prediction or Exception
        One for each image, in their order. What cannot be computed gives its exception, and the others
        go on, as they do where its own `cancel` was seen to be True; once that of `options` was, all that is not
        finished gives `Cancelled`.
    """
    return _Run(images, card, backend, options or PredictOptions()).results()


def tile_limits(options: PredictOptions, device: Device) -> TileLimits:
    """Return how much a network may see at once on a device."""
    learnt = options.limits.of(device.kind).window if options.limits else None
    return TileLimits(options.window, options.largest_whole or pixels_that_fit(total_memory(device)), learnt)


def plan_image(
    image: Image, card: ModelCard, network: Tileable, limits: TileLimits, diameter: float | None
) -> TilePlan:
    """Divide an image, stretched as its diameter asks for, for the network of a card.

    Raises
    ------
    ParameterError, ImageError
        If the image cannot be rescaled by this diameter.
    """
    resized_to = size_for_network(image.shape, card, diameter, image.name)
    return plan_tiling(resized_to or image.shape, card, network, limits, resized_to, image.name)


@dataclass
class _Begun:
    """A batch that is being computed."""

    batch: TileBatch
    pending: Pending


class _Threads:
    """Threads for what the host does to many images at once."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(min(usable_cores(), MOST_THREADS), "unetseg-images")

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Return what some work makes of each item; raise the first error that it raises."""
        return list(self._pool.map(work, items))

    def close(self) -> None:
        """Wait for the threads to end."""
        self._pool.shutdown()


class _Run:
    """Images on their way through a network."""

    def __init__(
        self,
        images: Iterable[Image | PredictRequest | Exception],
        card: ModelCard,
        backend: Backend,
        options: PredictOptions,
    ) -> None:
        self._card = card
        self._backend = backend
        self._limits = options.limits or Limits()
        self._options = replace(options, limits=self._limits)
        self._fallback = options.fallback
        self._requested_batch = options.batch_size
        self._cancelled = False
        self._begun: deque[_Begun] = deque()
        self._memory = total_memory(backend.device)
        # A card is fast enough to wait for the host.
        self._threads = _Threads() if backend.device.kind != "cpu" else None
        self._schedule = Schedule(map(self._request, images), self._prepare, together=self._threads is not None)

    def results(self) -> Iterator[Prediction | Exception]:
        try:
            yield from self._results()
        finally:
            self._let_go()
            if self._threads is not None:
                self._threads.close()

    def _results(self) -> Iterator[Prediction | Exception]:
        while True:
            for settled in self._schedule.due():
                yield settled if isinstance(settled, Exception) else self._result(settled)
                del settled  # its probabilities, before the next image needs room
            if self._options.before_batch is not None and self._schedule.unsettled:
                self._options.before_batch()
            if self._drop_cancelled():
                continue
            batch = self._schedule.next_batch(self._batch_size)
            if batch:
                self._advance(batch)
            elif self._begun:
                self._settle(self._begun.popleft())
            elif self._schedule.is_empty:
                return
            del batch

    def _drop_cancelled(self) -> bool:
        """Give up the images whose own cancel was seen to be True; return whether there were any."""
        cancelled = [task for task in self._schedule.unsettled if task.is_cancelled]
        for task in cancelled:
            task.failure = _cancelled(task.image)
        return bool(cancelled)

    def _batch_size(self, task: ImageTask) -> int:
        kind = self._backend.device.kind
        size = self._requested_batch or tiles_at_once(kind, task.window_shape, self._memory)
        return min(size, self._limits.of(kind).batch_size or size)

    def _request(self, given: Image | PredictRequest | Exception) -> PredictRequest | Exception:
        if isinstance(given, Image):
            return PredictRequest(given, self._options.diameter, self._options.augment)
        return given

    def _prepare(self, requests: Sequence[PredictRequest | Exception]) -> Sequence[ImageTask | Exception]:
        wanted = [self._unless_cancelled(request) for request in requests]
        if self._threads is None or len(wanted) == 1:
            return [self._prepare_one(request) for request in wanted]
        return self._threads.map(self._prepare_one, wanted)

    def _unless_cancelled(self, request: PredictRequest | Exception) -> PredictRequest | Exception:
        if isinstance(request, Exception):
            return request
        if self._is_cancelled() or (request.cancel is not None and request.cancel()):
            return _cancelled(request.image)
        return request

    def _prepare_one(self, request: PredictRequest | Exception) -> ImageTask | Exception:
        if isinstance(request, Exception):
            return request
        try:
            return self._task(request)
        except Exception as error:
            if not is_out_of_memory(error):
                return error
        self._backend.release_memory()
        try:
            with out_of_memory_says(no_memory_for(request.image)):
                return self._task(request)
        except Exception as error:
            return error

    def _task(self, request: PredictRequest) -> ImageTask:
        return ImageTask(request, self._card, self._plan_tiling(request))

    def _plan_tiling(self, request: PredictRequest) -> TilePlan:
        if request.sink is not None:
            return request.sink.tile_plan
        limits = tile_limits(self._options, self._backend.device)
        return plan_image(request.image, self._card, self._backend, limits, request.diameter)

    def _result(self, task: ImageTask) -> Prediction | Exception:
        if task.failure is not None:
            return task.failure
        try:
            with out_of_memory_says(no_memory_for(task.image)):
                return task.finish(self._batch_size(task))
        except OutOfMemory as error:
            return error

    def _is_cancelled(self) -> bool:
        cancel = self._options.cancel
        self._cancelled = self._cancelled or (cancel is not None and cancel())
        return self._cancelled

    def _advance(self, batch: TileBatch) -> None:
        """Begin with a batch, and finish the one before, or this one where it is computed already."""
        if self._is_cancelled():
            self._give_up()
            return
        if batch[0][0].request.augment:
            self._conclude(batch, self._compute_augmented(batch))
            return
        begun = self._begin(batch)
        if isinstance(begun, Exception):
            self._conclude(batch, begun)
        elif begun.pending.computed_at_once:
            self._settle(begun)
        else:
            self._begun.append(begun)
            if len(self._begun) > AHEAD:
                self._settle(self._begun.popleft())

    def _begin(self, batch: TileBatch) -> "_Begun | Exception":
        windows = [task.window(index) for task, index in batch]
        try:
            pending = self._backend.start(
                self._card.input_channels, windows, self._cancel_of(batch), self._place(batch)
            )
        except Exception as error:
            failure = _without_traceback(error)
        else:
            return _Begun(batch, pending)
        return failure

    def _settle(self, begun: "_Begun") -> None:
        self._conclude(begun.batch, self._finish(begun))

    def _finish(self, begun: "_Begun") -> Exception | None:
        """Wait for a batch and write what it answers; return why it failed."""
        try:
            try:
                self._write(begun.batch, begun.pending.result())
            finally:
                begun.pending.close()
        except Exception as error:
            failure = _without_traceback(error)
        else:
            return None
        return failure

    def _write(self, batch: TileBatch, outputs: NDArray[np.float32]) -> None:
        # Of what failed or was cancelled meanwhile nothing is wanted.
        answers = zip(batch, outputs, strict=True)
        wanted = [(task, index, output) for (task, index), output in answers if task.failure is None]
        if self._threads is not None and len(wanted) > 1 and all(task.writes_apart for task, _, _ in wanted):
            self._threads.map(lambda one: one[0].write(*one[1:]), wanted)
            return
        for task, index, output in wanted:
            task.write(index, output)

    def _let_go(self) -> None:
        """Let all go that is begun, as nobody wants it any more."""
        while self._begun:
            begun = self._begun.popleft()
            try:
                begun.pending.close()
            except Exception:
                _log.warning("A batch that nobody waits for failed.", exc_info=True)

    def _conclude(self, batch: TileBatch, failure: Exception | None) -> None:
        """Do what follows from a batch that was computed, or was not."""
        for task, _ in batch:
            task.passes_of_batch = 0
        if failure is None:
            if not batch[0][0].request.augment:
                self._report(batch)
        elif isinstance(failure, Cancelled):
            _put_back(batch)
            if not all(task.is_cancelled for task, _ in batch):
                self._cancelled = True
                self._give_up()
        elif isinstance(failure, MemoryError):
            self._finish_all_begun()
            _put_back(batch)
            self._step_down(batch)
        elif len({id(task) for task, _ in batch}) > 1:
            # One of the images may be to blame, so each goes alone.
            _put_back(batch)
            for task, _ in batch:
                task.alone = True
        else:
            batch[0][0].failure = failure

    def _finish_all_begun(self) -> None:
        """Bring the device to rest, so that images can be divided anew; what lacks memory, too, waits again."""
        lacking = []
        while self._begun:
            begun = self._begun.popleft()
            failure = self._finish(begun)
            if isinstance(failure, MemoryError):
                lacking.append(begun.batch)
            else:
                self._conclude(begun.batch, failure)
        for batch in reversed(lacking):
            _put_back(batch)

    def _compute_augmented(self, batch: TileBatch) -> Exception | None:
        """Run all passes over a batch; return why they failed."""
        cancel = self._cancel_of(batch)
        try:
            with self._backend.buffers(self._shape(batch)) as (windows, _):
                for (task, index), window in zip(batch, windows, strict=True):
                    task.window(index).read(window)
                outputs = average_orientations(
                    lambda turned: self._backend.run(turned, cancel),
                    windows,
                    self._card.heads,
                    lambda passes: self._pass_done(batch, is_last=passes == len(ORIENTATIONS)),
                )
                for (task, index), output in zip(batch, outputs, strict=True):
                    task.write(index, output)
        except Exception as error:
            failure = _without_traceback(error)
        else:
            return None
        return failure

    def _place(self, batch: TileBatch) -> NDArray[np.float32] | None:
        """Return where a lone answer belongs, so that a large one is not in memory twice."""
        if len(batch) > 1:
            return None
        task, index = batch[0]
        view = task.output_view(index)
        return None if view is None else view[np.newaxis]

    def _cancel_of(self, batch: TileBatch) -> CancelFlag | None:
        """Return what stops a batch: a cancel of all, or of each image that it is of."""
        if self._options.cancel is None and any(task.request.cancel is None for task, _ in batch):
            return None
        return lambda: self._is_cancelled() or all(task.is_cancelled for task, _ in batch)

    def _pass_done(self, batch: TileBatch, *, is_last: bool) -> None:
        for task, _ in batch:
            task.passes_of_batch += 1
        self._report(batch)
        # Each pass takes as long as a batch; after the last one the next batch says so.
        if self._options.before_batch is not None and not is_last:
            self._options.before_batch()

    def _report(self, batch: TileBatch) -> None:
        """Tell the progress of all, and of each image of a batch: passes of the network over tiles."""
        if self._options.progress is not None:
            self._options.progress(*self._schedule.progress)
        for task in dict.fromkeys(task for task, _ in batch):
            task.report()

    def _shape(self, batch: TileBatch) -> tuple[int, int, int, int]:
        height, width = batch[0][0].window_shape
        return len(batch), self._card.input_channels, height, width

    def _step_down(self, batch: TileBatch) -> None:
        wanted = [task for task, _ in batch if task.failure is None]
        if not wanted:
            return
        first = wanted[0]
        try:
            limits, fallback, let_go = self._limits, self._fallback, self._options.let_go
            taken = step_down(self._backend, len(batch), first.tile_plan, limits, fallback, let_go)
        except Exception as error:  # of the fallback
            first.failure = error
            return
        if taken is None:
            first.failure = nothing_left(first.image, self._backend, first.tile_plan)
            return
        backend, step = taken
        if backend is not self._backend:
            # What was requested was meant for the other device.
            self._backend, self._fallback, self._requested_batch = backend, None, None
            self._memory = total_memory(backend.device)
        _log.warning("%s: %s", first.image.name, step.text)
        for task in self._schedule.unsettled:
            task.warnings.append(step.text)
            window = self._limits.of(backend.device.kind).window
            if task.request.sink is None:
                task.replan(self._plan_tiling(task.request))
            elif window is not None and window < task.tile_plan.window:
                task.failure = WindowTooLarge(step.text, window)
        on_step = self._options.on_step
        if on_step is not None:
            on_step(step)

    def _give_up(self) -> None:
        self._let_go()
        for task in self._schedule.unsettled:
            task.failure = _cancelled(task.image)


def _without_traceback(error: Exception) -> Exception:
    """Return an error, and for every lack of memory MemoryError, because the traceback of that holds tensors."""
    if not is_out_of_memory(error):
        return error
    _log.info("Out of memory: %s", error)
    return MemoryError(str(error))


def _put_back(batch: TileBatch) -> None:
    for task, index in reversed(batch):
        task.put_back(index)


def _cancelled(image: Image) -> Cancelled:
    return Cancelled(f"{image.name}: the segmentation was cancelled.")
