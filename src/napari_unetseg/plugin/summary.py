"""What to tell the user about a segmentation in one line, and what to suggest when it is empty."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.postprocessing.stacks import planes_of

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
    """

    count: int
    highest: float | None = None
    suggestion: float | None = None


def summarise(segmentation: "Segmentation") -> Summary:
    """Count the objects; look for a better threshold where there are none. Call it in a worker."""
    count = segmentation.count
    if count:
        return Summary(count)
    pixels = max(segmentation.parameters.min_size, 1)
    highest = reached = 0.0
    # An object lies in one plane, and the maps of a stack may be more than the memory holds twice.
    for _, plane in planes_of(segmentation.foreground):
        highest = max(highest, float(plane.max()))
        reached = max(reached, _reached_by(plane, pixels))
    suggestion = math.floor(100 * reached) / 100
    helps = 0 < suggestion < segmentation.parameters.threshold
    return Summary(0, highest, suggestion if helps else None)


def _reached_by(plane: NDArray[np.float32], pixels: int) -> float:
    """Return the value that so many pixels of a plane have or exceed; of a smaller plane its lowest value."""
    place = max(plane.size - pixels, 0)
    return float(np.partition(plane, place, axis=None)[place])
