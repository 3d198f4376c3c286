"""What is asked of a network, and what it says of an image. Imports no torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.callbacks import CancelFlag, Progress
from napari_unetseg.errors import OutOfMemory

if TYPE_CHECKING:
    from napari_unetseg.image import Image
    from napari_unetseg.inference.normalisation import IntensityRanges
    from napari_unetseg.inference.out_of_memory import Fallback, Limits, MemoryStep
    from napari_unetseg.inference.tiling.plan import TilePlan


@dataclass(frozen=True)
class Prediction:
    """What the network says about an image.

    Attributes
    ----------
    probability
        float32 (heads, Y, X), each value in 0..1; of an image whose answers went to an `AnswerSink` (heads, 0, 0).
    warnings
        Sentences for the user.
    window
        Longer side of the windows that the network saw, in pixels.
    halo
        Pixels around a tile that the network saw in addition to it; 0 if the image was not divided, or into
        windows that were blended.
    tiles
        Number of windows.
    resized_to
        Height and width to which the image was stretched for the network; None if it was not.
    agreement
        float32 (Y, X): how far the passes of the test-time augmentation agree on the foreground, 0 to 1, as
        `napari_unetseg.inference.augmentation.average_orientations` defines it; None without augmentation.
    largest_window
        Side that a window could have had; None where the image is seen whole whatever is asked for.
    batch_size
        Most tiles that the network saw at once when the image was done.
    sampled
        Every how many rows and columns of the image were looked at for its percentiles; 1: all.
    """

    probability: NDArray[np.float32]
    warnings: tuple[str, ...]
    window: int
    halo: int
    tiles: int
    resized_to: tuple[int, int] | None = None
    agreement: NDArray[np.float32] | None = None
    largest_window: int | None = None
    batch_size: int = 1
    sampled: int = 1


class AnswerSink(Protocol):
    """Takes what a network answers to the windows of an image, where no map of the image's size is wanted."""

    @property
    def tile_plan(self) -> "TilePlan":
        """How the image is divided, whatever the device would suggest."""
        ...

    @property
    def wanted(self) -> Sequence[int]:
        """Places in `tile_plan.tiles` of the windows that the network is to see, in this order."""
        ...

    def put(self, tile: int, values: NDArray[np.float32]) -> None:
        """Take what a tile adds to the map of the image, from any thread.

        Parameters
        ----------
        tile
            Place in `tile_plan.tiles`.
        values
            float32 (maps, height, width) of the pixels that the tile writes, or where the image is stretched those of
            `napari_unetseg.inference.resampling.Resampler.reach`. Valid until this returns.
        """
        ...


class WindowTooLarge(OutOfMemory):
    """Memory does not suffice for the windows into which an image had to be divided.

    Parameters
    ----------
    said
        What happened.
    window
        Side in pixels of the windows that are to be tried.
    """

    def __init__(self, said: str, window: int) -> None:
        super().__init__(said)
        self.window = window

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to other processes."""
        return WindowTooLarge, (str(self), self.window)


@dataclass(frozen=True)
class PredictRequest:
    """An image, and what is wanted of it, whatever images it is computed with.

    Attributes
    ----------
    image
        Any size from 1 x 1.
    diameter, augment
        As for `PredictOptions`.
    progress
        Called with the tiles of this image that are done, and all it has, each counted eight times with `augment`.
    cancel
        Polled before each batch, and while one with tiles of this image alone runs. The other images go on.
    found
        What `napari_unetseg.inference.normalisation.find_ranges` found of the image; None: it is found now.
    sink
        Takes the answers, to the windows that it wants; None: they become a map. Where memory does not suffice for its
        windows the image fails with `WindowTooLarge`.
    """

    image: "Image"
    diameter: float | None = None
    augment: bool = False
    progress: Progress | None = None
    cancel: CancelFlag | None = None
    found: "IntensityRanges | None" = None
    sink: AnswerSink | None = None


@dataclass(frozen=True)
class PredictOptions:
    """How images are computed.

    Attributes
    ----------
    window
        Largest side of what the network sees at once, in pixels, halo included; None for the default. It
        does not apply where the whole image is seen.
    batch_size
        Tiles the network sees at once; None for the device's default, which also holds after the fallback.
    largest_whole
        Most pixels that are seen at once by a network whose tiles cannot agree with the whole image; None
        for what the memory of the device suggests.
    limits
        What is known not to fit; what is learnt meanwhile is added. None if nothing is known.
    fallback
        Puts the network onto the CPU where nothing else helps when memory runs out; None if it must not.
    let_go
        Lets models go that nobody uses, to make room, and returns whether there were any; None if there is nobody to
        ask.
    on_step
        Called with each step that is taken because memory ran out, from the computing thread.
    before_batch
        Called before a batch is put together, from the computing thread. On a GPU the batch before may still run
        meanwhile.
    diameter
        Typical diameter of the objects in the images, in pixels. The network then sees them at the size that it
        was trained on, and its answer is brought back; None: images keep their size. See
        `napari_unetseg.inference.object_size`. A `PredictRequest` has its own.
    augment
        Whether the network is run on eight flips and turns of each tile, and their answers averaged. A
        `PredictRequest` has its own.
    progress
        Called after each batch, or each pass over it, with the tiles of all images.
    cancel
        Polled before each batch, and by the backend while it runs; it ends all images.
    """

    window: int | None = None
    batch_size: int | None = None
    largest_whole: int | None = None
    limits: "Limits | None" = None
    fallback: "Fallback | None" = None
    let_go: Callable[[], bool] | None = None
    on_step: "Callable[[MemoryStep], None] | None" = None
    before_batch: Callable[[], None] | None = None
    diameter: float | None = None
    augment: bool = False
    progress: Progress | None = None
    cancel: CancelFlag | None = None
