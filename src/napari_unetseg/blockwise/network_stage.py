"""How the network is to see the planes of a job, and then what it says of each tile."""

import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing
from itertools import groupby
from queue import Empty, SimpleQueue

import numpy as np

from napari_unetseg.blockwise.job import NETWORK, PLAN, RANGES, BlockJob, Network
from napari_unetseg.blockwise.job_folder import load_json, save_json
from napari_unetseg.blockwise.network_plan import NetworkPlan, Tiling
from napari_unetseg.blockwise.stages import Unit
from napari_unetseg.blockwise.tile_answers import TileSink, TileWriter
from napari_unetseg.inference.prediction import Prediction, PredictOptions, PredictRequest, WindowTooLarge
from napari_unetseg.postprocessing.blocks import MIDDLE_SIDE, Block, middle_span
from napari_unetseg.postprocessing.stacks import middle_plane

_SIZE = "size.json"
_WINDOW = "window.json"
_BATCH = "batch.json"
_REMARKS = "remarks"


class PlanStage:
    """Decides at which size and in which windows the network sees all planes; its one unit is the middle plane.

    As where a plane is not divided into blocks, the network's answer to the middle of that plane decides whether it is
    rescaled. Where it is not, the tiles of the middle are done then.
    """

    name = PLAN

    def units(self, job: BlockJob) -> Iterable[Unit]:
        """Return the one unit."""
        return [Unit(_middle(job), 0)]

    def is_done(self, job: BlockJob, unit: Unit) -> bool:
        """Whether it is decided."""
        return job.folder.stage_file(self.name, ".json").exists()

    def do(self, job: BlockJob, unit: Unit) -> None:
        """Decide, and write the decision down last."""
        network, image = job.borrow_network(), job.plane_image(unit.plane)
        window, limit = job.spec.window, smaller_window(job)
        diameter, remarks = job.options.diameter, tuple[str, ...]()
        plan = NetworkPlan.of(network, image, diameter, window, limit)
        if diameter is None and job.card.object_sizes is not None and job.card.object_size is not None:
            diameter, remarks = self._size(job, network, unit.plane, plan)
            if diameter is not None:
                plan = NetworkPlan.of(network, image, diameter, window, limit, remarks)
        save_json(job.folder.stage_file(self.name, ".json"), plan.model_dump(mode="json"))

    def _size(
        self, job: BlockJob, network: Network, plane: int, plan: NetworkPlan
    ) -> tuple[float | None, tuple[str, ...]]:
        """Return the diameter by which the network should see the planes again, and what to say of it."""
        from napari_unetseg.inference.rescale_decision import diameter_to_rescale_by, rescaled_warning

        known = job.folder.path / _SIZE
        if not known.exists():
            tiling = Tiling(plan, job.card)
            answers = job.answers(plane, tiling)
            rows, columns = (middle_span(length, MIDDLE_SIDE) for length in job.image.shape)
            tiles = [tile for tile in answers.tiles_of((rows, columns)) if not answers.has(tile)]
            ask_network(job, network, [(plane, tiles)], lambda _: None, tiling)
            seen = answers.read(slice(len(job.card.heads)), (rows, columns))
            diameter = diameter_to_rescale_by(seen, job.card)
            if diameter is not None:
                shutil.rmtree(answers.folder.parent)
            save_json(known, {"diameter": diameter})
        found: float | None = load_json(known)["diameter"]
        return found, () if found is None else (rescaled_warning(job.image.name, found, job.card),)

    def conclude(self, job: BlockJob) -> None:
        """Do nothing: the decision is written down."""


class NetworkStage:
    """Shows the network every tile of every plane.

    Parameters
    ----------
    focus
        What is best done first: block by block, those nearest to its middle first. None: raster order.
    """

    name = NETWORK

    def __init__(self, focus: Block | None = None) -> None:
        self._focus = focus

    def units(self, job: BlockJob) -> Iterable[Unit]:
        """Return the tiles of all planes, plane by plane."""
        order = self._order(job)
        return (Unit(plane, tile) for plane in range(len(job.planes)) for tile in order)

    def _order(self, job: BlockJob) -> list[int]:
        answers, regions = job.answers(0), job.tiling.regions
        if self._focus is None:
            return list(range(len(regions)))
        middle = np.array([(part.start + part.stop) / 2 for part in self._focus])
        blocks = np.array(
            [[(part.start, part.stop) for part in block] for block in map(job.grid.block, range(len(job.grid)))]
        )
        away = np.hypot(*(np.clip(middle, blocks[:, :, 0], blocks[:, :, 1]) - middle).T)
        turn = np.full(len(regions), len(blocks))
        for at, block in enumerate(np.argsort(away, kind="stable").tolist()):
            tiles = answers.tiles_of(job.grid.block(block))
            turn[tiles] = np.minimum(turn[tiles], at)
        middles = np.stack([regions[:, :2].mean(axis=1), regions[:, 2:].mean(axis=1)], axis=1)
        nearest: list[int] = np.lexsort([np.hypot(*(middles - middle).T), turn]).tolist()
        return nearest

    def is_done(self, job: BlockJob, unit: Unit) -> bool:
        """Whether a tile has been answered."""
        return job.answers(unit.plane).has(unit.number)

    def do(self, job: BlockJob, unit: Unit) -> None:
        """Show the network one tile."""
        self.do_together(job, [unit], lambda _: None)

    def do_together(self, job: BlockJob, units: Sequence[Unit], finished: Callable[[Unit], None]) -> None:
        """Show the network some tiles, which share its batches.

        Raises
        ------
        Cancelled
            If the job was to stop.
        WindowTooLarge
            If memory does not suffice for the windows that were planned.
        UnetsegError
            If it cannot be computed.
        """
        by_plane = [(plane, [unit.number for unit in some]) for plane, some in groupby(units, lambda unit: unit.plane)]
        ask_network(job, job.borrow_network(), by_plane, finished, job.tiling)

    def conclude(self, job: BlockJob) -> None:
        """Do nothing: the tiles' files are put together where somebody reads them."""


def ask_network(
    job: BlockJob,
    network: Network,
    tiles: Sequence[tuple[int, Sequence[int]]],
    finished: Callable[[Unit], None],
    tiling: Tiling,
) -> None:
    """Show a network tiles of some planes, and keep its answers.

    Parameters
    ----------
    tiles
        Numbers of planes, each with the tiles that are wanted of it.
    finished
        Called for each tile that is done, in the calling thread.
    tiling
        The windows.
    """
    done = SimpleQueue[Unit]()

    def tell() -> None:
        while True:
            try:
                finished(done.get_nowait())
            except Empty:
                return

    asked = [(plane, wanted) for plane, wanted in tiles if wanted]
    options = PredictOptions(progress=lambda *_: tell(), cancel=job.is_cancelled)
    with TileWriter() as writer:

        def request(plane: int, wanted: Sequence[int]) -> PredictRequest:
            sink = TileSink(job.answers(plane, tiling), wanted, writer, lambda tile: done.put(Unit(plane, tile)))
            image, found = job.plane_image(plane), job.ranges(plane)
            return PredictRequest(image, augment=job.options.augment, found=found, sink=sink)

        # Closed where one of them is an error, too, as the device is lent until then.
        with closing(network.predict_many((request(plane, wanted) for plane, wanted in asked), options)) as outcomes:
            for (plane, _), outcome in zip(asked, outcomes, strict=True):
                if isinstance(outcome, Exception):
                    raise outcome
                _keep_remarks(job, outcome, {*tiling.tiles.warnings, *job.ranges(plane).warnings})
    tell()


def _keep_remarks(job: BlockJob, outcome: Prediction, known: Collection[str]) -> None:
    for remark in outcome.warnings:
        if remark not in known:
            _note(job, remark)
    save_json(job.folder.path / _BATCH, {"batch_size": outcome.batch_size})


def remarks_of(job: BlockJob) -> tuple[str, ...]:
    """Return what the processes of a job had to say while the network ran, such as that memory was short."""
    folder = job.folder.path / _REMARKS
    return tuple(str(load_json(file)["remark"]) for file in sorted(folder.glob("*.json")))


def smaller_window(job: BlockJob) -> int | None:
    """Return the largest side of a window that is left after memory ran out; None as long as it did not."""
    file = job.folder.path / _WINDOW
    return int(load_json(file)["window"]) if file.exists() else None


def batch_size(job: BlockJob) -> int:
    """Return the most tiles that the network saw at once where it was run last; 1 where that is not known."""
    file = job.folder.path / _BATCH
    return int(load_json(file)["batch_size"]) if file.exists() else 1


def begin_anew(job: BlockJob, error: WindowTooLarge) -> None:
    """Forget answers whose windows were too large for a process, what follows from them, and how they were planned."""
    save_json(job.folder.path / _WINDOW, {"window": error.window})
    _note(job, str(error))
    for folder in job.folder.path.iterdir():
        if folder.is_dir() and folder.name not in (RANGES, _REMARKS):
            shutil.rmtree(folder)
    # Last, so that nothing of the windows that were too large is left when a new plan is made.
    job.folder.stage_file(PLAN, ".json").unlink(missing_ok=True)


def _note(job: BlockJob, remark: str) -> None:
    from hashlib import sha256

    name = sha256(remark.encode()).hexdigest()[:16]
    save_json(job.folder.path / _REMARKS / f"{name}.json", {"remark": remark})


def _middle(job: BlockJob) -> int:
    return job.planes.index(middle_plane(job.image.stack_shape))
