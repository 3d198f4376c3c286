"""Units in this process: the network in the calling thread, and everything else in a few threads, also beside it."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from enum import Enum, auto
from queue import Empty, SimpleQueue

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.blockwise.job import BlockJob
from napari_unetseg.blockwise.stages import MapReadingStage, Stage, TogetherStage, Unit
from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.cores import usable_cores
from napari_unetseg.errors import Cancelled
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.blocks import Block

MOST_THREADS = 4
"""Blocks that are worked on at once at most: each needs memory, and more of them hand Python's lock round."""

OnBlock = Callable[[tuple[int, ...], Block, NDArray[np.int32]], None]
"""Told of the labels of a block: the plane's place along the axes of the stack, rows and columns, int32 (Y, X)."""


class LocalExecutor:
    """Does the units of a job in this process.

    Parameters
    ----------
    beside
        A stage of blocks, of which those are done already, in a thread, whose tiles the network has seen; so that
        neither waits for the other.
    on_block
        Told of the labels of each block as far as they are known from the block alone, as soon as the network has seen
        that; their numbers are of no other block. In the calling thread.
    """

    def __init__(self, beside: MapReadingStage | None = None, on_block: OnBlock | None = None) -> None:
        self._beside = beside
        self._on_block = on_block

    def run(
        self,
        job: BlockJob,
        stage: Stage,
        units: Sequence[Unit],
        finished: Callable[[Unit], None],
        cancel: CancelFlag,
    ) -> None:
        """Do all these units; see `napari_unetseg.blockwise.run.Executor`."""
        if not isinstance(stage, TogetherStage):
            _run_in_threads(job, stage, units, finished, cancel)
            return
        with _Blocks(job, stage, self._beside, self._on_block) as blocks:

            def told(unit: Unit) -> None:
                finished(unit)
                blocks.seen(unit)

            stage.do_together(job, units, told)
            blocks.wait()


def _run_in_threads(
    job: BlockJob, stage: Stage, units: Sequence[Unit], finished: Callable[[Unit], None], cancel: CancelFlag
) -> None:
    running: dict[Future[None], Unit] = {}
    threads = min(usable_cores(), MOST_THREADS)
    with ThreadPoolExecutor(threads, "unetseg-blocks") as pool:
        waiting = iter(units)
        while True:
            while len(running) < threads and (unit := next(waiting, None)) is not None:
                if cancel() or job.is_cancelled():
                    raise Cancelled(Sentence("{image}: the segmentation was cancelled.", image=job.image.name))
                running[pool.submit(stage.do, job, unit)] = unit
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                unit = running.pop(future)
                future.result()
                finished(unit)


@dataclass
class _Plane:
    """Which tiles of a plane have been seen, and how many of them each thing that is to be done still waits for."""

    seen: set[int]
    missing: "Counter[_Wanted]" = field(default_factory=Counter)


class _Work(Enum):
    """What is done with a block beside the network: it is shown as soon as its own pixels are known."""

    SHOW = auto()
    STAGE = auto()


_Wanted = tuple[_Work, int]
"""What is to be done, and the number of the block."""


class _Blocks:
    """The blocks of which the network has seen all that they read, in a thread beside it."""

    def __init__(self, job: BlockJob, network: Stage, stage: MapReadingStage | None, on_block: OnBlock | None) -> None:
        self._job = job
        self._network = network
        self._stage = stage
        self._on_block = on_block
        self._pool = ThreadPoolExecutor(1, "unetseg-beside")
        self._futures: list[Future[None]] = []
        self._shown = SimpleQueue[tuple[Unit, NDArray[np.int32]]]()
        self._count = 0
        self._planes: dict[int, _Plane] = {}
        self._tiles = self._tiles_of_blocks()

    def __enter__(self) -> "_Blocks":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _tiles_of_blocks(self) -> dict[_Wanted, set[int]]:
        """Return the tiles that each thing waits for, the same in all planes; what waits for the end is left out."""
        answers, found = self._job.answers(0), dict[_Wanted, set[int]]()
        for number in range(len(self._job.grid)):
            if self._on_block is not None:
                found[_Work.SHOW, number] = set(answers.tiles_of(self._job.grid.block(number)))
            read = None if self._stage is None else self._stage.reads(self._job, Unit(0, number))
            if read is not None:
                found[_Work.STAGE, number] = set(answers.tiles_of(read))
        return found

    def seen(self, tile: Unit) -> None:
        """Take note that the network has seen a tile; in the calling thread, as all else."""
        plane = self._planes.get(tile.plane)
        if plane is None:
            plane = self._planes[tile.plane] = self._begin(tile.plane)
        if tile.number not in plane.seen:
            plane.seen.add(tile.number)
            for wanted, tiles in self._tiles.items():
                if tile.number in tiles:
                    plane.missing[wanted] -= 1
                    if not plane.missing[wanted]:
                        self._submit(tile.plane, wanted)
        self._tell()

    def _begin(self, number: int) -> _Plane:
        answers = self._job.answers(number)
        known = {tile for tile in range(len(answers.tiling.tiles.tiles)) if answers.has(tile)}
        plane = _Plane(known)
        for wanted, tiles in self._tiles.items():
            plane.missing[wanted] = len(tiles - known)
            if not plane.missing[wanted]:
                self._submit(number, wanted)
        return plane

    def _submit(self, plane: int, wanted: _Wanted) -> None:
        work, number = wanted
        do = self._show if work is _Work.SHOW else self._do
        self._futures.append(self._pool.submit(do, Unit(plane, number)))

    def _show(self, block: Unit) -> None:
        if not self._job.is_cancelled():
            self._shown.put((block, self._labels(block)))

    def _do(self, block: Unit) -> None:
        stage = self._stage
        if stage is not None and not self._job.is_cancelled() and not stage.is_done(self._job, block):
            stage.do(self._job, block)

    def _labels(self, unit: Unit) -> NDArray[np.int32]:
        """Read the objects off a block alone."""
        from napari_unetseg.postprocessing.decoding import decode

        heads = self._job.card.heads
        maps = self._job.answers(unit.plane).read(slice(len(heads)), self._job.grid.block(unit.number))
        labels = decode(maps, heads, self._job.parameters)
        count = int(labels.max(initial=0))
        shown = np.where(labels > 0, labels + np.int32(self._count), np.int32(0))
        self._count += count
        return shown

    def _tell(self) -> None:
        """Hand on what is known of blocks, and raise what went wrong with one."""
        while self._futures and self._futures[0].done():
            self._futures.pop(0).result()
        if self._on_block is None:
            return
        while True:
            try:
                unit, labels = self._shown.get_nowait()
            except Empty:
                return
            self._on_block(self._job.planes[unit.plane], self._job.grid.block(unit.number), labels)

    def wait(self) -> None:
        """Wait for all that was begun."""
        wait(self._futures)
        self._tell()
