"""An image under way: which of its windows wait, and the probability map that they fill."""

from collections import deque
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.inference.augmentation import ORIENTATIONS
from napari_unetseg.inference.backends import RawPixels
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.inference.prediction import Prediction, PredictRequest
from napari_unetseg.inference.resampling import Resampler
from napari_unetseg.inference.tiling.exact import mirrored
from napari_unetseg.inference.tiling.plan import TilePlan
from napari_unetseg.probability_maps import allocate_map, drop_cached_pages
from napari_unetseg.zoo.card import ModelCard


class ImageTask:
    """One image on its way through the network.

    Pixels are converted when a tile is read, so that apart from the image and its probability map
    nothing of its size is in memory.

    Parameters
    ----------
    request
        The image, and what is wanted of it. With `augment` the network's answers hold, after the heads, how far
        its passes agree.
    card
        Card of the model.
    tile_plan
        How the image is divided.

    Attributes
    ----------
    warnings
        Sentences for the user on what happened meanwhile.
    failure
        Why there will be no result; None as long as there may be one.
    alone
        Whether its tiles must not share a batch with those of other images.
    passes_of_batch
        Passes that are done over its tiles in the batch under way.
    """

    def __init__(self, request: PredictRequest, card: ModelCard, tile_plan: TilePlan) -> None:
        image = request.image
        self.request = request
        self.image = image
        self.warnings: list[str] = []
        self.failure: Exception | None = None
        self.alone = False
        self.passes_of_batch = 0
        self._cancelled = False
        self._passes_per_tile = len(ORIENTATIONS) if request.augment else 1
        self._heads = len(card.outputs)
        self._pixels = normalise(image, card.normalisation, card.input_channels, request.found)
        self._resampler = Resampler(image.shape, tile_plan.resized_to) if tile_plan.resized_to else None
        size = image.shape if request.sink is None else (0, 0)
        self._map, remarks = allocate_map((self._heads + request.augment, *size), image.name)
        self.warnings += remarks
        self._start(tile_plan)

    def _start(self, tile_plan: TilePlan) -> None:
        self.tile_plan = tile_plan
        sink = self.request.sink
        self._waiting = deque(range(len(tile_plan.tiles)) if sink is None else sink.wanted)
        self._wanted = len(self._waiting)
        self._written: set[int] = set()
        self._rows, self._columns = (
            mirrored(*lengths) for lengths in zip(tile_plan.shape, tile_plan.padded, strict=True)
        )

    def replan(self, tile_plan: TilePlan) -> None:
        """Go on with other windows of the same image; where they are the same, what is finished stays."""
        if [tile.read for tile in tile_plan.tiles] != [tile.read for tile in self.tile_plan.tiles]:
            self._map.fill(0)
            self._start(tile_plan)

    @property
    def window_shape(self) -> tuple[int, int]:
        """Height and width of all its windows."""
        return self.tile_plan.tiles[0].read_shape

    @property
    def done(self) -> int:
        """Number of tiles that are finished."""
        return len(self._written)

    @property
    def total(self) -> int:
        """Number of tiles that are or will be finished."""
        return self.done if self.failure else self._wanted

    @property
    def is_settled(self) -> bool:
        """Whether it is finished or has failed."""
        return self.done == self.total

    @property
    def passes_done(self) -> int:
        """Passes of the network over its tiles that are done; without augmentation as many as tiles."""
        return self.done * self._passes_per_tile + self.passes_of_batch

    @property
    def passes(self) -> int:
        """Passes of the network over its tiles that are or will be done."""
        return self.total * self._passes_per_tile

    @property
    def is_cancelled(self) -> bool:
        """Whether its own `cancel` was ever seen to be True."""
        cancel = self.request.cancel
        self._cancelled = self._cancelled or (cancel is not None and cancel())
        return self._cancelled

    def report(self) -> None:
        """Tell its own progress."""
        if self.request.progress is not None:
            self.request.progress(self.passes_done, self.passes)

    def take(self, count: int) -> list[int]:
        """Take up to so many tiles that wait; return their places in `tile_plan.tiles`."""
        return [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]

    def put_back(self, index: int) -> None:
        """Let a taken tile wait again, before the others, unless it is finished."""
        if index not in self._written:
            self._waiting.appendleft(index)

    def window(self, index: int) -> "TileWindow":
        """Return what the network is to see of a tile."""
        rows, columns = self.tile_plan.tiles[index].read
        return TileWindow(self, self._rows[rows], self._columns[columns])

    @cached_property
    def raw(self) -> RawPixels | None:
        """The image as it was read, and how it is stretched; None where it is not in memory."""
        return self._pixels.raw if self._resampler is None else self._resampler.raw(self._pixels)

    def read(self, rows: NDArray[np.intp], columns: NDArray[np.intp], out: NDArray[np.float32]) -> None:
        """Write rows and columns of the image, or of what it is stretched to, into float32 (C, rows, columns).

        Of a grey image C may be 1, whatever the network's channels are.
        """
        if self._resampler is None:
            self._pixels.read(rows, columns, out=out)
        else:
            out[:] = self._resampler.read(self._pixels, rows, columns)[: len(out)]

    def output_view(self, index: int) -> NDArray[np.float32] | None:
        """Return where the network may write its answer to a tile itself, float32 (maps, height, width).

        None where something has to be done with it first. `write` is called in any case.
        """
        tile = self.tile_plan.tiles[index]
        kept = tuple(part.stop - part.start for part in tile.crop)
        has_own_place = self.request.sink is None and self._resampler is None and tile.row_weights is None
        if not has_own_place or kept != tile.read_shape:
            return None
        return self._map[:, *tile.write]

    @property
    def writes_apart(self) -> bool:
        """Whether tiles may be written in several threads, as no pixel is of two."""
        is_exact = self._resampler is None and self.tile_plan.tiles[0].row_weights is None
        return is_exact or self.request.sink is not None

    def write(self, index: int, output: NDArray[np.float32]) -> None:
        """Put what the network answered to a tile, float32 (maps, height, width), where it belongs."""
        tile = self.tile_plan.tiles[index]
        kept = output[:, *tile.crop]
        if tile.row_weights is not None and tile.column_weights is not None:
            kept = kept * tile.row_weights[:, np.newaxis] * tile.column_weights
        if self.request.sink is not None:
            brought_back = kept if self._resampler is None else self._resampler.bring_back(kept, tile.write)
            self.request.sink.put(index, brought_back)
        elif self._resampler is not None:
            self._resampler.add(kept, tile.write, self._map)
        elif tile.row_weights is not None:
            self._map[:, *tile.write] += kept
        elif not np.may_share_memory(output, self._map):
            self._map[:, *tile.write] = kept
        drop_cached_pages(self._map)
        self._written.add(index)

    def finish(self, batch_size: int) -> Prediction:
        """Return what the network says of the whole image; `batch_size` is how many tiles it saw at once at most."""
        if self._resampler is not None:
            np.clip(self._map, 0, 1, out=self._map)  # sums of parts may miss the ends by a rounding
        probability, rest = self._map[: self._heads], self._map[self._heads :]
        if self.request.sink is None:
            self._pixels.clear_invalid(probability)
        return Prediction(
            probability=probability,
            agreement=rest[0] if len(rest) else None,
            warnings=(*self._pixels.found.warnings, *self.tile_plan.warnings, *self.warnings),
            window=self.tile_plan.window,
            halo=self.tile_plan.halo,
            tiles=len(self.tile_plan.tiles),
            resized_to=self.tile_plan.resized_to,
            largest_window=self.tile_plan.largest_window,
            batch_size=batch_size,
            sampled=self._pixels.found.sampled,
        )


@dataclass(frozen=True, eq=False)
class TileWindow:
    """What a network is to see of a tile; see `WindowSource`.

    Attributes
    ----------
    task
        The image.
    rows, columns
        Rows and columns of the image, or of what it is stretched to.
    """

    task: ImageTask
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    @property
    def raw(self) -> RawPixels | None:
        """The image, the same object for all its windows."""
        return self.task.raw

    def read(self, out: NDArray[np.float32]) -> None:
        """Write the window into float32 (C, height, width)."""
        self.task.read(self.rows, self.columns, out)
