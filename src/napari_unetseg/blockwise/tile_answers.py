"""What the network answered to the tiles of a plane, as files, and the maps that they make up."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Semaphore
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.blockwise.job_folder import damage_says
from napari_unetseg.blockwise.network_plan import Tiling
from napari_unetseg.inference.tiling.plan import TilePlan
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.postprocessing.blocks import Block, relative_to

_WRITERS = 2
"""Threads that write, since most of that is waiting for the disk."""

_ANSWERS_WAITING = 3
"""Answers that are written or wait for it: each takes the memory of a window."""

AGREEMENT = "agreement"
"""Name of the map of how far the answers to eight flips and turns agree, beside those of the heads."""


@dataclass(frozen=True)
class TileAnswers:
    """The answers to the tiles of one plane, a file for each.

    A file holds what the tile adds to the map of the plane, float32 (maps, height, width). It is added in the order of
    the tiles, as it is where the plane is not divided into blocks, so the sums are the same to the last bit.

    Attributes
    ----------
    folder
        Where the files are.
    tiling
        The windows, and where their answers belong.
    heads
        What the maps mean, `AGREEMENT` the last of them where it is wanted.
    clear_invalid
        Sets what it is given of maps (heads, height, width) to 0 where the plane has no value, within a region of it.
    """

    folder: Path
    tiling: Tiling
    heads: tuple[str, ...]
    clear_invalid: Callable[[NDArray[np.float32], Block], None]

    def file(self, tile: int) -> Path:
        """Return where the answer to a tile is, or will be."""
        return self.folder / f"{tile:07d}.npy"

    def has(self, tile: int) -> bool:
        """Whether a tile has been answered."""
        return self.file(tile).exists()

    def put(self, tile: int, values: NDArray[np.float32]) -> None:
        """Keep the answer to a tile."""
        with whole_file(self.file(tile)) as temporary:
            np.save(temporary, values)

    def tiles_of(self, region: Block) -> list[int]:
        """Return the tiles that add to a region of the plane, in their order."""
        rows, columns = region
        top, bottom, left, right = self.tiling.regions.T
        touching = (top < rows.stop) & (bottom > rows.start) & (left < columns.stop) & (right > columns.start)
        found: list[int] = np.flatnonzero(touching).tolist()
        return found

    def read(self, maps: slice, region: Block) -> NDArray[np.float32]:
        """Return a region of some of the maps, float32 (maps, height, width)."""
        rows, columns = region
        names = self.heads[maps]
        found = np.zeros((len(names), rows.stop - rows.start, columns.stop - columns.start), np.float32)
        for tile in self.tiles_of(region):
            first_row, last_row, first_column, last_column = self.tiling.regions[tile].tolist()
            whole = slice(first_row, last_row), slice(first_column, last_column)
            shared = tuple(
                slice(max(one.start, other.start), min(one.stop, other.stop))
                for one, other in zip(whole, region, strict=True)
            )
            with damage_says(self.file(tile)):
                answer = np.load(self.file(tile), mmap_mode="r")
            found[:, *relative_to(shared, region)] += answer[maps, *relative_to(shared, whole)]
        if self.tiling.plan.resized_to is not None:
            np.clip(found, 0, 1, out=found)  # sums of parts may miss the ends by a rounding
        heads = [at for at, name in enumerate(names) if name != AGREEMENT]
        self.clear_invalid(found[: len(heads)], region)
        return found

    @property
    def maps(self) -> "dict[str, TiledMap]":
        """The maps by name."""
        return {name: TiledMap(self, at) for at, name in enumerate(self.heads)}


@dataclass(frozen=True, eq=False)
class TiledMap:
    """One map of a plane, put together where it is read.

    Attributes
    ----------
    answers
        Of which it is made.
    number
        Which of their maps it is.
    """

    answers: TileAnswers
    number: int
    dtype = np.dtype(np.float32)
    ndim = 2

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.answers.tiling.plan.shape

    def __getitem__(self, region: tuple[slice, ...]) -> NDArray[np.float32]:
        """Return rows and columns, each a slice of step 1, as float32 (rows, columns)."""
        spans = [slice(*part.indices(length)) for part, length in zip(region, self.shape, strict=True)]
        found: NDArray[np.float32] = self.answers.read(slice(self.number, self.number + 1), tuple(spans))[0]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read all of it."""
        whole = self[:, :]
        return whole if dtype is None else whole.astype(dtype, copy=False)


@dataclass(frozen=True)
class TileSink:
    """Keeps the answers to some tiles of a plane as they come; see `napari_unetseg.inference.prediction.AnswerSink`.

    Attributes
    ----------
    answers
        Where they are kept.
    wanted
        The tiles, in the order in which they are best done.
    writer
        Writes them.
    kept
        Told of each that is written, from any thread.
    """

    answers: TileAnswers
    wanted: Sequence[int]
    writer: "TileWriter"
    kept: Callable[[int], None]

    @property
    def tile_plan(self) -> TilePlan:
        """How the plane is divided."""
        return self.answers.tiling.tiles

    def put(self, tile: int, values: NDArray[np.float32]) -> None:
        """Keep the answer to a tile; it is told once it is on the disk."""
        self.writer.put(self, tile, values)


class TileWriter:
    """Writes answers in threads, so that the network does not wait for the disk.

    As a context manager it waits at the end of the block until all is written, and raises what went wrong.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_WRITERS, "unetseg-answers")
        self._room = Semaphore(_ANSWERS_WAITING)
        self._failure: Exception | None = None

    def put(self, sink: TileSink, tile: int, values: NDArray[np.float32]) -> None:
        """Take an answer, from any thread; waits where too many are not written yet."""
        self._room.acquire()
        if self._failure is not None:
            self._room.release()
            raise self._failure
        self._pool.submit(self._write, sink, tile, values.copy())

    def _write(self, sink: TileSink, tile: int, values: NDArray[np.float32]) -> None:
        try:
            sink.answers.put(tile, values)
            sink.kept(tile)
        except Exception as error:
            self._failure = error
        finally:
            self._room.release()

    def __enter__(self) -> "TileWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown()
        if self._failure is not None and kind is None:
            raise self._failure
