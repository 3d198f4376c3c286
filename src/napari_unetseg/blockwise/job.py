"""A job as those who work on it see it: the image, how it is divided, what was found so far, and where labels go."""

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from napari_unetseg.blockwise.grid import BLOCK_SIDE, BlockGrid
from napari_unetseg.blockwise.job_folder import JobFolder, damage_says, load_json
from napari_unetseg.blockwise.network_plan import NetworkPlan, Tiling
from napari_unetseg.blockwise.stages import Unit
from napari_unetseg.blockwise.tile_answers import AGREEMENT, TileAnswers, TiledMap
from napari_unetseg.image import Image
from napari_unetseg.inference.normalisation import IntensityRanges, normalise
from napari_unetseg.inference.prediction import Prediction, PredictOptions, PredictRequest
from napari_unetseg.inference.run_facts import RunFacts
from napari_unetseg.inference.tiling.plan import TilePlan
from napari_unetseg.postprocessing.blocks import Block
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.segment_options import SegmentOptions
from napari_unetseg.zoo.card import ModelCard

RANGES = "ranges"
PLAN = "plan"
NETWORK = "network"
"""Names of the first stages, whose results others read: intensities, windows, and the network's answers."""


class Network(Protocol):
    """A model that can be run, as a job needs it."""

    @property
    def card(self) -> ModelCard:
        """Card of the model."""
        ...

    @property
    def source(self) -> str:
        """What finds the model again: its name, or a path."""
        ...

    @property
    def facts(self) -> RunFacts:
        """How it is computed."""
        ...

    def plan_image(
        self, image: Image, diameter: float | None = None, window: int | None = None, limit: int | None = None
    ) -> TilePlan:
        """Return how it would divide a plane now; `napari_unetseg.service.loaded_model.LoadedModel` explains how."""
        ...

    def predict_many(
        self, images: Iterable[Image | PredictRequest | Exception], options: PredictOptions | None = None
    ) -> Generator[Prediction | Exception]:
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
    window
        Largest side of what the network sees at once, in pixels; None: as the settings of the process say that plans.
    block_side
        Of the blocks, in pixels.
    with_confidence
        Whether the table tells how sure the network was of each object.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: BlockSource | None
    image: dict[str, Any]
    model: str
    sha256: str
    card_sha256: str
    options: dict[str, Any]
    window: int | None = None
    block_side: int = BLOCK_SIDE
    with_confidence: bool = True


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
    _tilings: dict[int, Tiling] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def grid(self) -> BlockGrid:
        """How each plane is divided."""
        return BlockGrid(self.image.shape, self.spec.block_side)

    @cached_property
    def planes(self) -> tuple[tuple[int, ...], ...]:
        """Where each plane is along the axes of the stack, in their order; of a single plane ``()``."""
        return tuple(np.ndindex(self.image.stack_shape))

    @cached_property
    def options(self) -> SegmentOptions:
        """What was asked for of the image."""
        return SegmentOptions.of(**self.spec.options)

    def plane_image(self, plane: int) -> Image:
        """Return a plane; what is not in memory is read where a pixel is needed."""
        return self.image.plane(self.planes[plane])

    def ranges(self, plane: int) -> IntensityRanges:
        """Return which intensities of a plane become 0 and 1, once that is known."""
        file = self.folder.unit_file(RANGES, Unit(plane, 0), ".json")
        with damage_says(file):
            return IntensityRanges.model_validate(load_json(file))

    @property
    def tiling(self) -> Tiling:
        """How the network sees each plane, once that is decided; where memory runs out it is decided anew."""
        file = self.folder.stage_file(PLAN, ".json")
        written = file.stat().st_mtime_ns
        tiling = self._tilings.get(written)
        if tiling is None:
            with damage_says(file):
                plan = NetworkPlan.model_validate(load_json(file))
            tiling = self._tilings[written] = Tiling(plan, self.card)
        return tiling

    def answers(self, plane: int, tiling: Tiling | None = None) -> TileAnswers:
        """Return what is there of the network's answers to a plane; `tiling` is None for what was decided on."""
        tiling = self.tiling if tiling is None else tiling
        folder = self.folder.path / f"{NETWORK}-{tiling.plan.key}" / f"{plane:05d}"
        heads = (*self.card.heads, AGREEMENT) if self.options.augment else self.card.heads

        def clear_invalid(maps: NDArray[np.float32], region: Block) -> None:
            if self.image.array.dtype.kind != "f" or not (found := self.ranges(plane)).invalid:
                return
            image = self.plane_image(plane)
            pixels = normalise(image, self.card.normalisation, self.card.input_channels, found)
            invalid = pixels.invalid(region)
            if invalid is not None:
                maps[:, invalid] = 0

        return TileAnswers(folder, tiling, heads, clear_invalid)

    def maps(self, plane: int) -> Mapping[str, TiledMap]:
        """Return what the network says of a plane, by head, once all its tiles are done.

        Each map has a shape (Y, X) and gives float32 for rows and columns as slices; what it needs is read from the
        files of the tiles. They are bit for bit those of the undivided plane. ``"agreement"`` is among them where the
        network sees the image eight times.
        """
        return self.answers(plane).maps
