"""From the user's choices to labels on disk: what a run that is larger than the memory does in its worker thread."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_unetseg.errors import Cancelled
from napari_unetseg.plugin.blocks.destination import Destination
from napari_unetseg.plugin.blocks.label_store import LabelStore, OpenStore
from napari_unetseg.plugin.blocks.stored_layer import make_layer
from napari_unetseg.plugin.layers.outputs import result_record
from napari_unetseg.plugin.layers.plane import Plane
from napari_unetseg.plugin.workers.background import Task
from napari_unetseg.plugin.workers.segment_job import CONVERTING, FINISHING, LOADING, RUNNING
from napari_unetseg.plugin.workers.services import ServiceFactory, recipe_service
from napari_unetseg.postprocessing.blocks import Block

if TYPE_CHECKING:
    import pandas as pd

    from napari_unetseg.service import Health, ModelInfo, RunRecipe
    from napari_unetseg.service.block_segmentation import BlockResult

MOST_ROWS = 100_000
"""Objects up to which the table is read into the layer: a million would take the window seconds and half a gigabyte."""

STEPS = 1000
"""Parts in which progress is told."""


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
    table: Path | None
    seconds: float
    warnings: Sequence[str]
    info: "ModelInfo"
    health: "Health"


def run_stored(job: StoredJob, services: ServiceFactory, open_store: OpenStore, task: Task[None]) -> None:
    """Segment an image into labels on disk, in a worker thread.

    `task.reports` gives the layer when it `began`, says each time that some pixels of it `happened` to change, with plane
    and block, and gives the `StoredOutcome` that was `made`.

    Raises
    ------
    Cancelled
        If the task was cancelled; what is done stays where it is.
    UnetsegError
        If image, model, device or disk cannot be used.
    """
    clock = time.perf_counter()
    request = job.request
    task.reports.stage.emit(LOADING)
    service = services(request.model, request.device) if request.recipe is None else recipe_service(request.recipe)
    image = request.plane.read()
    if task.cancelled():
        raise Cancelled("Cancelled before the network ran.")
    store = open_store(job.destination, image)
    image_axes = f"{image.stack_axes}YX"
    layer = make_layer(store.arrays, store.axes, image_axes, request.plane.placement, job.layer_name)
    task.reports.began.emit(layer)
    task.reports.stage.emit(CONVERTING if service.needs_conversion() else RUNNING)
    raise NotImplementedError
