"""The images of a batch: what is known of each, and how a network takes them one after the other."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from math import prod
from time import perf_counter
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_unetseg.errors import Cancelled, NotCalibrated
from napari_unetseg.image import Image
from napari_unetseg.inference.prediction import Prediction, PredictOptions
from napari_unetseg.segment_options import SegmentOptions
from napari_unetseg.service.logs import Stopwatch
from napari_unetseg.service.reports import Failure
from napari_unetseg.service.stack_prediction import join_planes, read_planes, share_progress
from napari_unetseg.zoo.card import ModelCard

if TYPE_CHECKING:
    from napari_unetseg.service.protocols import RunningModel
    from napari_unetseg.service.segmentation import Segmentation

Readable = Image | NDArray[Any] | Callable[[], Image]
"""An image, or a function that reads it when its turn comes."""


@dataclass(eq=False)
class BatchItem:
    """One image of a batch, on its way; one thread at a time has it.

    Attributes
    ----------
    name
        What the image is called.
    given
        What is to be read; None once that is done.
    started
        When its turn came.
    entry
        Its plane or stack, or why there is none; None until it is read.
    pixels
        Number of pixels of all its planes; 0 until it is read.
    worker
        Which device computes it.
    outcome
        What the network said, or why it said nothing.
    is_computed
        Whether the network is done with it.
    watch
        How long its stages took. For the network that is the mean of the batch so far, since images share its time.
    result
        What becomes of it.
    """

    name: str
    given: Readable | None
    started: datetime = field(default_factory=lambda: datetime.now(UTC).astimezone())
    entry: Image | Exception | None = None
    pixels: int = 0
    worker: int = 0
    outcome: Prediction | Exception | None = None
    is_computed: bool = False
    watch: Stopwatch = field(default_factory=Stopwatch)
    result: "Segmentation | Failure | None" = None

    @classmethod
    def of(cls, given: Readable, index: int) -> "BatchItem":
        """Put an image, the so-and-so-manyth of its batch, in line."""
        return cls(given.name if isinstance(given, Image) else f"image {index}", given)

    def read(self, options: SegmentOptions, card: ModelCard) -> None:
        """Read it, and take the channels that the model is to see."""
        given, self.given = self.given, None
        try:
            if given is None:
                raise RuntimeError(f"{self.name} was read before.")
            image = Image.of(given() if callable(given) else given, name=self.name)
            self.name = image.name
            self.entry = plane = options.plane_of(image, card)
            self.pixels = prod((*plane.stack_shape, *plane.shape))
        except Exception as error:
            self.entry = error

    def cancel(self) -> None:
        """Do not read it any more."""
        self.given, self.entry = None, cancelled(self.name)

    def take(self) -> tuple[Image, Prediction]:
        """Return plane and prediction, which it does not keep, or raise what went wrong."""
        (entry, outcome), self.entry, self.outcome = (self.entry, self.outcome), None, None
        if isinstance(entry, Exception):
            raise entry
        if isinstance(outcome, Exception):
            raise outcome
        if entry is None or outcome is None:
            raise RuntimeError(f"{self.name}: the batch ended without an answer for this image.")
        return entry, outcome


@dataclass
class NetworkClock:
    """How long a network ran, for how many images of a batch."""

    seconds: float = 0.0
    images: int = 0

    @property
    def mean(self) -> float:
        """Seconds for an image."""
        return self.seconds / max(self.images, 1)


class NetworkRun:
    """One run of a network over images, in the order in which they are given.

    Parameters
    ----------
    take
        Gives the next image; None where there is none for now. What it waits is not the network's time.
    options
        How the network is to see them. Its progress counts the tiles of the images that were taken.
    model
        The loaded model.
    clock
        Goes on counting.
    together
        Whether tiles of several images share the device's batches.

    Attributes
    ----------
    under_way
        The images that were taken and have no outcome yet.
    """

    def __init__(
        self,
        take: Callable[[], BatchItem | None],
        options: PredictOptions,
        model: "RunningModel",
        clock: NetworkClock,
        *,
        together: bool,
    ) -> None:
        self.under_way: deque[BatchItem] = deque()
        self._take = take
        self._planes: Iterator[Image | Exception] = iter(())
        self._begun = self._expected = 0
        self._clock = clock
        self._waited = 0.0
        progress = options.progress and share_progress(options.progress, lambda: (self._begun, self._expected))
        options = replace(options, progress=progress)
        self._outcomes = model.predict_many(self, options) if together else _one_by_one(self, model, options)

    def next(self) -> BatchItem | None:
        """Compute until the first image in line has its outcome, and return that; None if no image came."""
        clock, self._waited = perf_counter(), 0.0
        outcome = next(self._outcomes, None)
        if not self.under_way:
            return None
        item = self.under_way[0]  # without an outcome it says so itself
        if outcome is not None and isinstance(item.entry, Image) and item.entry.stack_axes:
            outcome = join_planes(item.entry, chain([outcome], self._outcomes))
        item.outcome = outcome
        self._clock.seconds += perf_counter() - clock - self._waited
        self._clock.images += 1
        item.watch.add("network", self._clock.mean)
        return self.under_way.popleft()

    def end(self) -> None:
        """Let go of what the model keeps for this run, which is in a circle with it."""
        self._outcomes = iter(())

    def __iter__(self) -> "NetworkRun":
        return self

    def __next__(self) -> Image | Exception:
        """Give the network another plane. Where there is none for this batch there may be one for the next."""
        plane = next(self._planes, None)
        if plane is None:
            clock = perf_counter()
            item = self._take()
            self._waited += perf_counter() - clock
            if item is None or item.entry is None:
                raise StopIteration
            self.under_way.append(item)
            stack = item.entry if isinstance(item.entry, Image) and item.entry.stack_axes else None
            self._planes = iter((item.entry,)) if stack is None else read_planes(stack)
            self._expected += 1 if stack is None else prod(stack.stack_shape)
            plane = next(self._planes)
        self._begun += 1
        return plane


class FirstImages:
    """The first images of a batch, up to one that a model can be calibrated on: it can be read, and it is not blank.

    Parameters
    ----------
    images, options
        As `SegmentationService.iter_batch` takes them.
    card
        Of the model.
    not_calibrated
        What is wrong with a blank image where no other comes after it.

    Attributes
    ----------
    count
        How many images were drawn, that one the last.
    """

    def __init__(
        self,
        images: Iterable[Readable | None],
        options: SegmentOptions,
        card: ModelCard,
        not_calibrated: NotCalibrated,
    ) -> None:
        self._rest = iter(images)
        self._drawn: list[Readable] = []
        self._failures: list[Failure] = []
        self._plane: Image | None = None
        for index, given in enumerate(given for given in self._rest if given is not None):
            name = given.name if isinstance(given, Image) else f"image {index}"
            try:
                image = Image.of(given() if callable(given) else given, name=name)
                plane = options.plane_of(image, card)
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

    def all_images(self) -> Iterator[Readable | None]:
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


def cancelled_batch(images: Iterable[Readable | None]) -> Iterator[Failure]:
    """Give the failures of a batch that was cancelled before its first image was computed."""
    for index, given in enumerate(given for given in images if given is not None):
        name = given.name if isinstance(given, Image) else f"image {index}"
        yield Failure(name, cancelled(name))


def cancelled(name: str) -> Cancelled:
    """Return what becomes of an image that was not begun when its batch was cancelled."""
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
