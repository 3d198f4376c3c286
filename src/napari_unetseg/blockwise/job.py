"""A job as those who work on it see it: the image, how it is divided, what was found so far, and where labels go."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from napari_unetseg.blockwise.grid import BLOCK_SIDE, BlockGrid
from napari_unetseg.blockwise.job_folder import JobFolder
from napari_unetseg.image import Image
from napari_unetseg.inference.prediction import Prediction, PredictOptions, PredictRequest
from napari_unetseg.inference.tiling.plan import TileLimits
from napari_unetseg.postprocessing.blocks import Block
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.zoo.card import ModelCard


class Network(Protocol):
    """A model that can be run, as a job needs it."""

    @property
    def card(self) -> ModelCard:
        """Card of the model."""
        ...

    @property
    def tile_limits(self) -> TileLimits:
        """How much it may see at once."""
        ...

    def predict_many(
        self, images: Iterable[Image | PredictRequest | Exception], options: PredictOptions | None = None
    ) -> Iterator[Prediction | Exception]:
        """Compute many planes, with results in their order; what is wrong with one takes its place."""
        ...


class LabelTarget(Protocol):
    """Where the labels of a job go, such as a label image of OME-Zarr with all its levels."""

    def write_block(self, plane: tuple[int, ...], block: Block, labels: NDArray[np.int32]) -> None:
        """Write a block of a plane (Y, X), into all levels; no other process writes what this one writes."""
        ...

    def read(self, plane: tuple[int, ...], region: Block) -> NDArray[np.int32]:
        """Read any region of a plane at full resolution."""
        ...


class BlockSource(BaseModel):
    """Where a job's image is, for processes that open it themselves: the arguments of `read_image`.

    Attributes
    ----------
    path
        A file, a folder such as OME-Zarr, or a URL.
    axes
        What its axes are, where somebody said so.
    level
        Of a pyramid, as `read_image` takes it; 0 is full resolution.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    axes: str | None = None
    level: int | str = 0


class JobSpec(BaseModel):
    """What was asked for; all processes of a job read it, and a job goes on only with the same one.

    Attributes
    ----------
    source
        None: the image is in the memory of the process that leads, and of no other one.
    image
        What identifies the image: name, axes, shape, dtype.
    model
        What finds the model again: its name, or a path.
    sha256, card_sha256
        Of its weights and its card.
    options
        As `SegmentOptions` dumps them.
    window, batch_size
        As of `PredictOptions`.
    block_side
        Of the blocks, in pixels.
    keep_maps
        Whether probability maps are wanted, too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: BlockSource | None
    image: dict[str, Any]
    model: str
    sha256: str
    card_sha256: str
    options: dict[str, Any]
    window: int | None = None
    batch_size: int | None = None
    block_side: int = BLOCK_SIDE
    keep_maps: bool = False


@dataclass(frozen=True)
class BlockJob:
    """A job as a process sees it that works on it.

    Attributes
    ----------
    folder
        Ledger and intermediate results.
    spec
        What was asked for.
    image
        The plane or stack, lazy; its channel has been chosen already.
    card
        Of the model.
    parameters
        Of the decoder.
    target
        Where labels go.
    borrow_network
        Returns the loaded model; it is loaded when it is first asked for.
    is_cancelled
        Asked between tiles and before anything is written.
    """

    folder: JobFolder
    spec: JobSpec
    image: Image
    card: ModelCard
    parameters: DecodeParameters
    target: LabelTarget
    borrow_network: Callable[[], Network]
    is_cancelled: Callable[[], bool] = field(default=lambda: False)

    @cached_property
    def grid(self) -> BlockGrid:
        """How each plane is divided."""
        return BlockGrid(self.image.shape, self.spec.block_side)

    @cached_property
    def planes(self) -> tuple[tuple[int, ...], ...]:
        """Where each plane is along the axes of the stack, in their order; of a single plane ``()``."""
        return tuple(np.ndindex(self.image.stack_shape))

    def maps(self, plane: int) -> Mapping[str, Any]:
        """Return what the network says of a plane, by head, once all its tiles are done.

        Each map has a shape (Y, X) and gives float32 for rows and columns as slices; what it needs is read from the
        files of the tiles. They are bit for bit those of the undivided plane.
        """
        raise NotImplementedError
