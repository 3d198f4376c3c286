"""Many images on their way through one network, in their order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from math import prod
from time import perf_counter
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_unetseg.callbacks import CancelFlag, Progress
from napari_unetseg.errors import Cancelled, NotCalibrated
from napari_unetseg.image import Image
from napari_unetseg.inference.prediction import Prediction, PredictOptions
from napari_unetseg.segment_options import SegmentOptions
from napari_unetseg.service.reports import Failure
from napari_unetseg.service.stack_prediction import join_planes, read_planes, share_progress

if TYPE_CHECKING:
    from napari_unetseg.inference.prediction import Prediction
    from napari_unetseg.service.protocols import RunningModel

Readable = Image | NDArray[Any] | Callable[[], Image]
"""An image, or a function that reads it when its turn comes."""


@dataclass(frozen=True)
class BatchItem:
    """One image of a batch.

    Attributes
    ----------
    name
        What the image is called.
    started
        When its turn came.
    entry
        Its plane or stack, or why there is none.
    outcome
        What the network said, or why it said nothing.
    milliseconds
        Mean time of the network for an image of the batch so far, since images share its time.
    """

    name: str
    started: datetime
    entry: Image | Exception
    outcome: Prediction | Exception | None = None
    milliseconds: float = 0.0

    def finished(self) -> tuple[Image, Prediction]:
        """Return plane and prediction, or raise what went wrong."""
        if isinstance(self.entry, Exception):
            raise self.entry
        if isinstance(self.outcome, Exception):
            raise self.outcome
        if self.outcome is None:
            raise RuntimeError(f"{self.name}: the batch ended without an answer for this image.")
        return self.entry, self.outcome


class BatchQueue:
    """The images of a batch, waiting in line.

    Parameters
    ----------
    images
        In their order; read as late as the network allows.
    options
        Says which channel to take, and how the network is to see it.
    loaded_model
        The loaded model.
    progress
        Called with counts of tiles, of the images that were taken in so far.
    cancel
        Polled before each image and while the network runs.
    before_batch
        Called before each batch of the device.
    together
        Whether tiles of several images share the device's batches.
    """

    def __init__(
        self,
        images: Iterable[Readable],
        options: SegmentOptions,
        loaded_model: "RunningModel",
        *,
        progress: Progress | None,
        cancel: CancelFlag | None,
        before_batch: Callable[[], None],
        together: bool,
    ) -> None:
        self._images = images
        self._options = options
        self._cancel = cancel
        self._waiting: deque[BatchItem] = deque()
        self._milliseconds = 0.0
        self._done = 0
        self._begun = self._expected = 0
        predict_options = PredictOptions(
            diameter=options.diameter,
            augment=options.augment,
            progress=progress and share_progress(progress, lambda: (self._begun, self._expected)),
            cancel=cancel,
            before_batch=before_batch,
        )
        entries = self._entries()
        if together:
            self._outcomes = loaded_model.predict_many(entries, predict_options)
        else:
            self._outcomes = _one_by_one(entries, loaded_model, predict_options)

    def next(self) -> BatchItem | None:
        """Compute until the first image in line has its outcome, and return that; None after the last."""
        clock = perf_counter()
        outcome = next(self._outcomes, None)
        if outcome is None:
            return None
        item = self._waiting.popleft()
        if isinstance(item.entry, Image) and item.entry.stack_axes:
            outcome = join_planes(item.entry, chain([outcome], self._outcomes))
        self._milliseconds += 1000 * (perf_counter() - clock)
        self._done += 1
        return replace(item, outcome=outcome, milliseconds=self._milliseconds / self._done)

    def _entries(self) -> Iterator[Image | Exception]:
        for index, given in enumerate(self._images):
            item = self._prepare(given, f"image {index}")
            self._waiting.append(item)
            stack = item.entry if isinstance(item.entry, Image) and item.entry.stack_axes else None
            self._expected += prod(stack.stack_shape) if stack else 1
            for entry in read_planes(stack) if stack else (item.entry,):
                self._begun += 1
                yield entry

    def _prepare(self, given: Readable, name: str) -> BatchItem:
        started = datetime.now(UTC).astimezone()
        name = given.name if isinstance(given, Image) else name
        if self._cancel is not None and self._cancel():
            return BatchItem(name, started, _cancelled(name))
        try:
            image = Image.of(given() if callable(given) else given, name=name)
            return BatchItem(image.name, started, self._options.plane_of(image))
        except Exception as error:
            return BatchItem(name, started, error)


class FirstImages:
    """The first images of a batch, up to one that a model can be calibrated on: it can be read, and it is not blank.

    Parameters
    ----------
    images, options
        As `BatchQueue` takes them.
    not_calibrated
        What is wrong with a blank image where no other comes after it.

    Attributes
    ----------
    count
        How many images were drawn, that one the last.
    """

    def __init__(self, images: Iterable[Readable], options: SegmentOptions, not_calibrated: NotCalibrated) -> None:
        self._rest = iter(images)
        self._drawn: list[Readable] = []
        self._failures: list[Failure] = []
        self._plane: Image | None = None
        for index, given in enumerate(self._rest):
            name = given.name if isinstance(given, Image) else f"image {index}"
            try:
                image = Image.of(given() if callable(given) else given, name=name)
                plane = options.plane_of(image)
                is_blank = not plane.varies
            except Exception as error:
                self._drawn.append(_raises(error) if callable(given) else given)
                self._failures.append(Failure(name, error))
            else:
                if not is_blank:
                    self._drawn.append(image)
                    self._plane = plane
                    break
                # There may be many before the first that is not; where they can be read again, none is kept.
                self._drawn.append(given)
                self._failures.append(Failure(image.name, not_calibrated))
        self.count = len(self._drawn)

    def take_plane(self) -> Image | None:
        """Give the plane or stack of the image to calibrate on, once; None if there is none."""
        plane, self._plane = self._plane, None
        return plane

    def all_images(self) -> Iterator[Readable]:
        """Give the images of the batch, also those that were drawn; each is let go with its turn."""
        while self._drawn:
            yield self._drawn.pop(0)
        yield from self._rest

    def failures(self) -> Iterator[Failure]:
        """Give what is wrong with each image, where there is none to calibrate on."""
        yield from self._failures


def _raises(error: Exception) -> Callable[[], Image]:
    def read() -> Image:
        raise error

    return read


def cancelled_batch(images: Iterable[Readable]) -> Iterator[Failure]:
    """Give the failures of a batch that was cancelled before its first image was computed."""
    for index, given in enumerate(images):
        name = given.name if isinstance(given, Image) else f"image {index}"
        yield Failure(name, _cancelled(name))


def _cancelled(name: str) -> Cancelled:
    return Cancelled(f"{name}: not segmented, the run was cancelled.")


def _one_by_one(
    entries: Iterator[Image | Exception],
    loaded_model: "RunningModel",
    options: PredictOptions,
) -> Iterator[Prediction | Exception]:
    for entry in entries:
        if isinstance(entry, Exception):
            yield entry
            continue
        try:
            prediction = loaded_model.predict(entry, options)
        except Exception as error:
            yield error
        else:
            yield prediction
            del prediction
