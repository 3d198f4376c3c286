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

from napari_unetseg.errors import Cancelled
from napari_unetseg.image import Image
from napari_unetseg.inference.backends import CancelFlag
from napari_unetseg.segment_options import SegmentOptions
from napari_unetseg.service.stack_prediction import join_planes, read_planes, share_progress

if TYPE_CHECKING:
    from napari_unetseg.inference.prediction import Prediction, Progress
    from napari_unetseg.service.loaded_model import LoadedModel

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
    outcome: "Prediction | Exception | None" = None
    milliseconds: float = 0.0

    def finished(self) -> tuple[Image, "Prediction"]:
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
    together
        Whether tiles of several images share the device's batches.
    """

    def __init__(
        self,
        images: Iterable[Readable],
        options: SegmentOptions,
        loaded_model: "LoadedModel",
        *,
        progress: "Progress | None",
        cancel: CancelFlag | None,
        together: bool,
    ) -> None:
        self._images = images
        self._options = options
        self._cancel = cancel
        self._waiting: deque[BatchItem] = deque()
        self._milliseconds = 0.0
        self._done = 0
        self._begun = self._expected = 0
        told = None if progress is None else share_progress(progress, lambda: (self._begun, self._expected))
        entries = self._entries()
        if together:
            self._outcomes = loaded_model.predict_many(
                entries, diameter=options.diameter, augment=options.augment, progress=told, cancel=cancel
            )
        else:
            self._outcomes = _one_by_one(entries, loaded_model, options, told, cancel)

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
            return BatchItem(name, started, Cancelled(f"{name}: not segmented, the run was cancelled."))
        try:
            image = Image.of(given() if callable(given) else given, name=name)
            return BatchItem(image.name, started, self._options.plane_of(image))
        except Exception as error:
            return BatchItem(name, started, error)


def _one_by_one(
    entries: Iterator[Image | Exception],
    loaded_model: "LoadedModel",
    options: SegmentOptions,
    progress: "Progress | None",
    cancel: CancelFlag | None,
) -> Iterator["Prediction | Exception"]:
    for entry in entries:
        if isinstance(entry, Exception):
            yield entry
            continue
        try:
            prediction = loaded_model.predict(
                entry, diameter=options.diameter, augment=options.augment, progress=progress, cancel=cancel
            )
        except Exception as error:
            yield error
        else:
            yield prediction
            del prediction
