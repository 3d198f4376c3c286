"""What to tell the user about a segmentation in one line, and what to suggest when it is empty."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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
    foreground = segmentation.foreground.ravel()
    highest = float(foreground.max())
    pixels = min(max(segmentation.parameters.min_size, 1), foreground.size)
    reached = float(np.partition(foreground, foreground.size - pixels)[foreground.size - pixels])
    suggestion = math.floor(100 * reached) / 100
    helps = 0 < suggestion < segmentation.parameters.threshold
    return Summary(0, highest, suggestion if helps else None)
