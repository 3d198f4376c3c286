"""From the user's choices to labels on disk: what a run that is larger than the memory does in its worker thread."""

import shutil
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import Cancelled
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.plugin.blocks.destination import Destination
from napari_unetseg.plugin.blocks.label_store import hold_labels, open_store
from napari_unetseg.plugin.blocks.stored_layer import make_layer
from napari_unetseg.plugin.layers.outputs import result_record
from napari_unetseg.plugin.layers.plane import Plane
from napari_unetseg.plugin.workers.background import Task
from napari_unetseg.plugin.workers.segment_job import CONVERTING, LOADING, RUNNING
from napari_unetseg.plugin.workers.services import ServiceFactory, recipe_service
from napari_unetseg.postprocessing.blocks import Block
from napari_unetseg.postprocessing.layer_data import table_features

if TYPE_CHECKING:
    import pandas as pd

    from napari_unetseg.blockwise.run import BlockProgress
    from napari_unetseg.io.ome_zarr.labels import LabelPyramid
    from napari_unetseg.service import Health, ModelInfo, RunRecipe
    from napari_unetseg.service.block_segmentation import BlockResult

MOST_ROWS = 100_000
"""Objects up to which the table is read into the layer: a million would take the window seconds and half a gigabyte."""

STEPS = 1000
"""Parts in which progress is told."""

_MOST_WAITING = 2  # Blocks of 16 MB that wait to be written while the network goes on.


@dataclass(frozen=True)
class StoredRequest:
    """What is to be segmented, and how: as the rows stood when Run was pressed.

    Attributes
    ----------
    name
        Of the model.
    model, device, parameters, recipe
        As of a `SegmentJob`.
    """

    plane: Plane
    name: str
    model: str
    device: str
    parameters: Mapping[str, Any]
    recipe: "RunRecipe | None" = None


@dataclass(frozen=True)
class StoredJob:
    """A run into labels on disk.

    Attributes
    ----------
    destination
        Where the labels go.
    layer_name
        Of the layer that shows them.
    focus
        Rows and columns that are done first; None where nobody looks at any.
    """

    request: StoredRequest
    destination: Destination
    layer_name: str
    focus: Block | None = None


@dataclass(frozen=True)
class StoredOutcome:
    """A run that is done.

    Attributes
    ----------
    count
        Number of objects.
    record
        How the labels came about, for the metadata of their layer.
    features
        What was measured of each object, with its label in a column ``index``; None where they are too many.
    table
        File of the measurements.
    seconds
        How long the run took.
    warnings
        Sentences on what went otherwise than one would expect.
    info, health
        What the service says of itself after the run.
    """

    job: StoredJob
    count: int
    record: Mapping[str, Any]
    features: "pd.DataFrame | None"
    table: Path
    seconds: float
    warnings: Sequence[str]
    info: "ModelInfo"
    health: "Health"


def run_stored(job: StoredJob, services: ServiceFactory, task: Task[None]) -> None:
    """Segment an image into labels on disk, in a worker thread.

    `task.reports` gives the layer when it `began`, says with plane and block what `happened` each time that some of its
    pixels changed, and gives the `StoredOutcome` that was `made`.

    Raises
    ------
    Cancelled
        If the task was cancelled; what is done stays where it is.
    UnetsegError
        If image, model, device or disk cannot be used, or another run writes the same labels.
    """
    clock = time.perf_counter()
    request = job.request
    task.reports.stage.emit(LOADING)
    service = services(request.model, request.device) if request.recipe is None else recipe_service(request.recipe)
    image = request.plane.read()
    if task.cancelled():
        raise Cancelled("Cancelled before the network ran.")
    with hold_labels(job.destination):
        is_new = not job.destination.job_folder.is_dir()
        store = open_store(job.destination, image)
        axes = f"{image.stack_axes}YX"
        layer = make_layer(store.arrays, store.axes, axes, request.plane.placement, job.layer_name, empty=is_new)
        task.reports.began.emit(layer)
        task.reports.stage.emit(CONVERTING if service.needs_conversion() else RUNNING)
        made: list[tuple[dict[str, Any], pd.DataFrame | None]] = []
        with ProvisionalLabels(store, task) as provisional:
            result = service.segment_blocks(
                image,
                job.destination.job_folder,
                store,
                progress=provisional.progress,
                cancel=task.cancelled,
                focus=job.focus,
                on_block=provisional.write,
                conclude=lambda result: made.append(_conclude(job, store, result)),
                **request.parameters,
            )
    record, features = made[0]
    outcome = StoredOutcome(
        job=job,
        count=result.count,
        record=record,
        features=features,
        table=job.destination.table,
        seconds=time.perf_counter() - clock,
        warnings=result.warnings,
        info=service.model_info(),
        health=service.health(dummy_inference=False),
    )
    task.reports.made.emit(outcome)


def _conclude(
    job: StoredJob, store: "LabelPyramid", result: "BlockResult"
) -> "tuple[dict[str, Any], pd.DataFrame | None]":
    """Put the table where it stays, and let readers know of the labels; return their record, and features."""
    import pandas as pd

    record, table, columns = result_record(result.provenance, job.request.plane), job.destination.table, None
    if result.table is not None:
        if result.count <= MOST_ROWS:
            frame = pd.read_csv(result.table)
            columns = {str(name): frame[name].to_numpy() for name in frame}
        with whole_file(table) as temporary:
            shutil.copyfile(result.table, temporary)
    store.finish(table=columns, table_file=table, provenance=record)
    return record, None if columns is None else table_features(columns)


class ProvisionalLabels:
    """Writes what is known of blocks while the network goes on, in a thread beside it, and tells of what is written.

    As a context manager it waits for what it writes.

    Parameters
    ----------
    store
        The label image.
    task
        Is told.
    """

    def __init__(self, store: "LabelPyramid", task: Task[None]) -> None:
        self._store, self._task = store, task
        self._pool = ThreadPoolExecutor(1, "unetseg-provisional")
        self._writing: deque[Future[None]] = deque()
        self._network_goes_on = False

    def __enter__(self) -> "ProvisionalLabels":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def progress(self, progress: "BlockProgress") -> None:
        """Tell how far the run is; nothing provisional is written any more once the network is done."""
        from napari_unetseg.blockwise.job import NETWORK

        self._network_goes_on = progress.stage == NETWORK
        if not self._network_goes_on:
            self._wait(0)
        part = progress.done / progress.total if progress.total else 0
        self._task.reports.progressed.emit(round(STEPS * part), STEPS)

    def write(self, plane: tuple[int, ...], block: Block, labels: NDArray[np.int32]) -> None:
        """Write the labels of a block, unless they are final, and so there already."""
        if not self._network_goes_on:
            self._task.reports.happened.emit(plane, block)
            return
        self._wait(_MOST_WAITING)
        self._writing.append(self._pool.submit(self._write, plane, block, labels))

    def _write(self, plane: tuple[int, ...], block: Block, labels: NDArray[np.int32]) -> None:
        if not self._task.cancelled():
            self._store.write_block(plane, block, labels)
            self._task.reports.happened.emit(plane, block)

    def _wait(self, left: int) -> None:
        """Wait until no more than so many blocks are still to be written; what went wrong with one is raised."""
        while len(self._writing) > left:
            self._writing.popleft().result()
