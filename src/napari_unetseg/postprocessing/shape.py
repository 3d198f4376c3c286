"""Shape of all objects of a label image at once, without a loop over objects."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.intp]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Regions:
    """The object pixels of a label image, in raster order.

    Attributes
    ----------
    labels
        (N,), the labels that occur, rising.
    pixels
        (P,), flat indices of all object pixels.
    owner
        (P,), position in `labels` of the object that each pixel belongs to.
    shape
        (Y, X) of the image.
    """

    labels: Ints
    pixels: Ints
    owner: Ints
    shape: tuple[int, int]

    @classmethod
    def of(cls, labels: NDArray[np.integer]) -> Self:
        """Collect the pixels of a label image (Y, X) in which 0 is background."""
        pixels = np.flatnonzero(labels)
        values = labels.ravel()[pixels]
        sizes = np.bincount(values, minlength=1)
        present = np.flatnonzero(sizes)
        position = np.zeros(len(sizes), dtype=np.intp)
        position[present] = np.arange(len(present))
        return cls(present, pixels, position[values], (labels.shape[0], labels.shape[1]))

    @cached_property
    def area(self) -> Ints:
        """(N,), number of pixels."""
        return np.bincount(self.owner, minlength=len(self.labels))

    @cached_property
    def coordinates(self) -> tuple[Ints, Ints]:
        """Row and column of every pixel, each (P,)."""
        rows, columns = np.divmod(self.pixels, self.shape[1])
        return rows, columns

    @cached_property
    def bounding_boxes(self) -> Ints:
        """(N, 4): first row, first column, last row + 1, last column + 1."""
        boxes = np.empty((len(self.labels), 4), dtype=np.intp)
        for axis, values in enumerate(self.coordinates):
            low, high = np.full(len(boxes), max(self.shape)), np.zeros(len(boxes), dtype=np.intp)
            np.minimum.at(low, self.owner, values)
            np.maximum.at(high, self.owner, values + 1)
            boxes[:, axis], boxes[:, axis + 2] = low, high
        return boxes


@dataclass(frozen=True)
class Moments:
    """Centroids and central second moments per pixel, each (N,), in the units of (y, x)."""

    y: Floats
    x: Floats
    yy: Floats
    xx: Floats
    xy: Floats

    @classmethod
    def of(cls, regions: Regions) -> Self:
        """Measure them in pixels."""
        owner, area = regions.owner, regions.area

        def mean(values: NDArray[np.integer] | Floats) -> Floats:
            means: Floats = np.bincount(owner, weights=values, minlength=len(area)) / area
            return means

        rows, columns = regions.coordinates
        y, x = mean(rows), mean(columns)
        dy, dx = rows - y[owner], columns - x[owner]
        return cls(y, x, mean(dy * dy), mean(dx * dx), mean(dy * dx))

    def scaled(self, scale: tuple[float, float]) -> Self:
        """Return the moments on pixels of size `scale` along (y, x)."""
        sy, sx = scale
        return replace(self, y=self.y * sy, x=self.x * sx, yy=self.yy * sy**2, xx=self.xx * sx**2, xy=self.xy * sy * sx)

    @property
    def principal(self) -> tuple[Floats, Floats]:
        """Larger and smaller variance along the principal axes."""
        middle, spread = (self.yy + self.xx) / 2, np.hypot((self.yy - self.xx) / 2, self.xy)
        return middle + spread, np.maximum(middle - spread, 0)

    @property
    def eccentricity(self) -> Floats:
        """Of the ellipse with these moments, 0 (circle) to 1 (line); 0 for a single pixel."""
        large, small = self.principal
        ratio = np.divide(small, large, out=np.ones_like(large), where=large > 0)
        eccentricity: Floats = np.sqrt(1 - ratio)
        return eccentricity


def ellipse_perimeters(moments: Moments) -> Floats:
    """Return (N,) perimeters of the ellipses with these moments (Ramanujan's first approximation).

    A pixel's own extent is left out, so a region one pixel wide is a line, and a single pixel a
    point: its perimeter is taken as 1, which leaves ratios defined.
    """
    large, small = (2 * np.sqrt(variance) for variance in moments.principal)
    lengths = np.pi * (3 * (large + small) - np.sqrt((3 * large + small) * (large + 3 * small)))
    return np.where(large > 0, lengths, 1.0)


def perimeters(regions: Regions) -> Floats:
    """Return (N,) perimeters after Benkrid and Crookes, "Design and FPGA implementation of a perimeter estimator".

    Border pixels are those with a 4-neighbour outside their object. Each adds a length that
    depends on how many of its neighbours are border pixels of the same object: 1 where the border
    runs straight on, sqrt(2) where it runs diagonally, their mean where it turns from one to the other.
    """
    height, width = regions.shape
    owner = np.zeros((height + 2, width + 2), dtype=np.intp)
    rows, columns = regions.coordinates
    pixels = (rows + 1) * (width + 2) + columns + 1
    owner.ravel()[pixels] = regions.owner + 1
    flat = owner.ravel()
    sides = (1, -1, width + 2, -width - 2)
    corners = (width + 1, width + 3, -width - 1, -width - 3)
    inner = np.ones(len(pixels), dtype=bool)
    for step in sides:
        inner &= flat[pixels + step] == flat[pixels]
    border, of = pixels[~inner], regions.owner[~inner]
    flat[pixels[inner]] = 0
    straight = sum((flat[border + step] == of + 1).astype(np.intp) for step in sides)
    diagonal = sum((flat[border + step] == of + 1).astype(np.intp) for step in corners)
    weights = _STEP_LENGTHS[straight, diagonal]
    return np.bincount(of, weights=weights, minlength=len(regions.labels)).astype(np.float64)


def _step_lengths() -> Floats:
    """Length that a border pixel adds, by number of neighbours across sides and across corners."""
    lengths = np.zeros((5, 5))
    lengths[2, 0] = lengths[3, 0] = lengths[2, 1] = lengths[3, 1] = lengths[2, 2] = lengths[3, 2] = 1
    lengths[0, 2] = np.sqrt(2)
    lengths[1, 3] = np.sqrt(2)
    lengths[1, 1] = lengths[1, 2] = (1 + np.sqrt(2)) / 2
    return lengths


_STEP_LENGTHS = _step_lengths()
