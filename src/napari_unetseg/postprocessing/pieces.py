"""A large label image in pieces, so that what is worked out for all objects at once needs little memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 512
"""Side in pixels of the fields in which the objects of a piece begin. Results do not depend on it. What is worked out
then fits into the caches of a processor, so it is faster as well."""


@dataclass(frozen=True)
class Piece:
    """Some of the objects of a label image, whole.

    Attributes
    ----------
    rows, columns
        Where in the image it lies.
    labels
        (height, width), 0 is background and all other objects.
    """

    rows: slice
    columns: slice
    labels: NDArray[np.integer]

    @property
    def origin(self) -> tuple[int, int]:
        """Row and column of its first pixel."""
        return self.rows.start, self.columns.start

    def of(self, array: NDArray[Any]) -> NDArray[Any]:
        """Read the same pixels of another array (..., Y, X)."""
        return np.asarray(array[..., self.rows, self.columns])


def pieces(labels: NDArray[np.integer]) -> Iterator[Piece]:
    """Give every object of a label image (Y, X) in exactly one piece; there is one piece at least."""
    height, width = labels.shape
    if height <= 2 * SIDE and width <= SIDE:
        yield Piece(slice(0, height), slice(0, width), labels)
        return
    from scipy import ndimage

    found = {label: box for label, box in enumerate(ndimage.find_objects(labels), start=1) if box is not None}
    if not found:
        yield Piece(slice(0, 1), slice(0, 1), labels[:1, :1])
        return
    names = np.array(list(found))
    boxes = np.array([(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in found.values()])
    fields = boxes[:, 0] // SIDE * (width // SIDE + 1) + boxes[:, 1] // SIDE
    order = np.argsort(fields, kind="stable")
    wanted = np.zeros(int(names[-1]) + 1, bool)
    for members in np.split(order, np.flatnonzero(np.diff(fields[order])) + 1):
        top, left = boxes[members, :2].min(axis=0)
        bottom, right = boxes[members, 2:].max(axis=0)
        rows, columns = slice(int(top), int(bottom)), slice(int(left), int(right))
        wanted[names[members]] = True
        own = labels[rows, columns]
        yield Piece(rows, columns, np.where(wanted[own], own, 0))
        wanted[names[members]] = False
