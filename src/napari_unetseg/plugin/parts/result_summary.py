"""How many objects a segmentation has and, when it is empty, what stands in their way."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.errors import Cancelled
from napari_unetseg.postprocessing.confidence import measure_confidence
from napari_unetseg.postprocessing.stacks import decode_stack, planes_of

if TYPE_CHECKING:
    from napari_unetseg.service import Segmentation


@dataclass(frozen=True)
class Summary:
    """How many objects there are and, where there are none, why.

    Attributes
    ----------
    count
        Number of objects.
    highest
        Highest foreground probability of the image; None if there are objects.
    suggestion
        Threshold in steps of 0.01 at which enough pixels for one object remain; None if there are
        objects, or if the threshold is not what stands in their way.
    surest
        Highest mean confidence of the objects that were all dropped for being below the least; None if that is not
        what stands in their way.
    """

    count: int
    highest: float | None = None
    suggestion: float | None = None
    surest: float | None = None


def summarise(segmentation: "Segmentation", cancel: CancelFlag | None = None) -> Summary:
    """Count the objects; look for what stands in their way where there are none. Call it in a worker.

    Raises
    ------
    Cancelled
        If `cancel` returned True.
    """
    count = segmentation.count
    if count:
        return Summary(count)
    parameters = segmentation.parameters
    pixels = max(parameters.min_size, 1)
    highest = reached = surest = 0.0
    # An object lies in one plane, and the maps of a stack may be more than the memory holds twice.
    for index, plane in planes_of(segmentation.foreground):
        highest = max(highest, float(plane.max()))
        enough = _reached_by(plane, pixels)
        reached = max(reached, enough)
        if parameters.min_confidence and enough >= np.float32(parameters.threshold):
            surest = max(surest, _surest(segmentation, index, cancel))
    suggestion = math.floor(100 * reached) / 100
    helps = 0 < suggestion < parameters.threshold
    dropped = 0 < surest < np.float32(parameters.min_confidence)
    return Summary(0, highest, suggestion if helps else None, surest if dropped else None)


def _surest(segmentation: "Segmentation", index: tuple[Any, ...], cancel: CancelFlag | None) -> float:
    """Return the highest mean confidence of the objects of a plane, however low; 0 if there are none."""
    if cancel is not None and cancel():
        raise Cancelled("Cancelled while it was looked for why there are no objects.")
    every = segmentation.parameters.model_copy(update={"min_confidence": 0.0})
    labels = decode_stack(segmentation.probability[:, *index], segmentation.heads, every, cancel=cancel)
    return float(measure_confidence(labels, segmentation.foreground[index]).objects.max(initial=0))


def _reached_by(plane: NDArray[np.float32], pixels: int) -> float:
    """Return the value that so many pixels of a plane have or exceed; of a smaller plane its lowest value."""
    place = max(plane.size - pixels, 0)
    return float(np.partition(plane, place, axis=None)[place])
