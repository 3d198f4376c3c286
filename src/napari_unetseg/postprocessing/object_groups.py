"""A label image in groups of whole objects, so that what is computed for all objects needs little memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

GROUP_SIDE = 512
"""Side in pixels of the squares by which objects are grouped: a group's bounding boxes begin in one of them. Results do
not depend on it. What a group needs fits into the caches of a processor, so small groups are faster as well."""


@dataclass(frozen=True)
class ObjectGroup:
    """Whole objects of a label image that lie near each other, and the box that holds them.

    Attributes
    ----------
    rows, columns
        Of the box in the image.
    image
        (Y, X), the label image, 0 is background.
    members
        Labels of the objects; None: all that there are.
    """

    rows: slice
    columns: slice
    image: NDArray[np.integer]
    members: NDArray[np.integer] | None = None

    @property
    def labels(self) -> NDArray[np.integer]:
        """(height, width) of the box: 0 is background, and pixels of objects of other groups."""
        own = self.image[self.rows, self.columns]
        if self.members is None:
            return own
        kept = np.zeros(int(own.max()) + 1, own.dtype)
        kept[self.members] = self.members
        labels: NDArray[np.integer] = kept[own]
        return labels

    @property
    def origin(self) -> tuple[int, int]:
        """Row and column of the box's first pixel."""
        return self.rows.start, self.columns.start

    def crop(self, array: NDArray[Any]) -> NDArray[Any]:
        """Read the same pixels of another array (..., Y, X)."""
        return np.asarray(array[..., self.rows, self.columns])


def object_groups(labels: NDArray[np.integer]) -> Iterator[ObjectGroup]:
    """Yield every object of a label image (Y, X) in exactly one group; there is one group at least."""
    height, width = labels.shape
    if height <= 2 * GROUP_SIDE and width <= GROUP_SIDE:
        yield ObjectGroup(slice(0, height), slice(0, width), labels)
        return
    from scipy import ndimage

    found = {label: box for label, box in enumerate(ndimage.find_objects(labels), start=1) if box is not None}
    if not found:
        yield ObjectGroup(slice(0, 1), slice(0, 1), labels)
        return
    names = np.array(list(found))
    boxes = np.array([(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in found.values()])
    fields = boxes[:, 0] // GROUP_SIDE * (width // GROUP_SIDE + 1) + boxes[:, 1] // GROUP_SIDE
    order = np.argsort(fields, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(fields[order])) + 1):
        top, left = boxes[members, :2].min(axis=0)
        bottom, right = boxes[members, 2:].max(axis=0)
        yield ObjectGroup(slice(int(top), int(bottom)), slice(int(left), int(right)), labels, names[members])
