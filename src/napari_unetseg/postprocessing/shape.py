"""Shape of all objects of a label image at once, without a loop over objects."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.intp]
Floats = NDArray[np.float64]

ABSENT = -(2**31)
"""Lower than any column, doubled or not, and far from overflowing when multiplied by a height."""


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
        flat = labels.ravel()
        pixels = np.flatnonzero(flat != 0)  # three times as fast as of the labels themselves
        values = flat[pixels].astype(np.intp)
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
        rows = self.pixels // self.shape[1]
        return rows, self.pixels - rows * self.shape[1]

    @cached_property
    def first_and_last_rows(self) -> tuple[Ints, Ints]:
        """First row and last row + 1 of every object, each (N,)."""
        first, last = np.zeros((2, len(self.labels)), dtype=np.intp)
        rows, _ = self.coordinates
        # Pixels come in raster order and the last assignment to an object stays.
        first[self.owner[::-1]] = rows[::-1]
        last[self.owner] = rows + 1
        return first, last

    @cached_property
    def row_starts(self) -> Ints:
        """(N,), position of the first row of each object where the rows of all objects follow each other."""
        first, last = self.first_and_last_rows
        starts: Ints = np.cumsum(last - first) - (last - first)
        return starts

    @cached_property
    def outermost(self) -> tuple[Ints, Ints]:
        """Rightmost column of each row of each object, and its leftmost one times -1; ABSENT without a pixel."""
        first, last = self.first_and_last_rows
        rows, columns = self.coordinates
        row = (self.row_starts - first)[self.owner] + rows
        rightmost, leftmost = np.full((2, int((last - first).sum())), ABSENT)
        rightmost[row] = columns
        leftmost[row[::-1]] = -columns[::-1]
        return rightmost, leftmost

    @cached_property
    def bounding_boxes(self) -> Ints:
        """(N, 4): first row, first column, last row + 1, last column + 1."""
        if not len(self.labels):
            return np.empty((0, 4), dtype=np.intp)
        rightmost, leftmost = (np.maximum.reduceat(side, self.row_starts) for side in self.outermost)
        first, last = self.first_and_last_rows
        return np.stack([first, -leftmost, last, rightmost + 1], axis=1)


@dataclass(frozen=True)
class Moments:
    """Centroids and central second moments per pixel, each (N,), in the units of (y, x)."""

    y: Floats
    x: Floats
    yy: Floats
    xx: Floats
    xy: Floats

    @classmethod
    def of(cls, regions: Regions, origin: tuple[int, int] = (0, 0)) -> Self:
        """Measure them in pixels.

        Parameters
        ----------
        regions
            Objects of a part of an image.
        origin
            Row and column of its first pixel in the image. Sums are of whole numbers, so that centroids and moments do
            not depend on the part.
        """
        owner, area = regions.owner, regions.area

        def mean(values: NDArray[np.integer] | Floats) -> Floats:
            means: Floats = np.bincount(owner, weights=values, minlength=len(area)) / area
            return means

        rows, columns = regions.coordinates
        y, x = (
            (np.bincount(owner, weights=at, minlength=len(area)) + start * area) / area
            for at, start in zip((rows, columns), origin, strict=True)
        )
        dy, dx = rows - (y - origin[0])[owner], columns - (x - origin[1])[owner]
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
    flat = np.zeros((height + 2) * (width + 2), dtype=np.int32)
    rows, _ = regions.coordinates
    pixels = regions.pixels + 2 * rows + (width + 3)
    own = (regions.owner + 1).astype(np.int32)
    flat[pixels] = own
    inner = flat[pixels - (width + 2)] == own
    inner &= flat[pixels + (width + 2)] == own
    # Of two neighbours in a row one follows the other.
    joined = np.zeros(len(pixels) + 1, dtype=bool)
    np.equal(pixels[:-1] + 1, pixels[1:], out=joined[1:-1])
    joined[1:-1] &= own[:-1] == own[1:]
    inner &= joined[:-1] & joined[1:]
    at = np.flatnonzero(~inner)
    border, of = pixels[at], regions.owner[at]
    flat[:] = 0
    flat[border] = of + 1
    sides = (1, -1, width + 2, -width - 2)
    corners = (width + 1, width + 3, -width - 1, -width - 3)
    straight = sum((flat[border + step] == of + 1).astype(np.intp) for step in sides)
    diagonal = sum((flat[border + step] == of + 1).astype(np.intp) for step in corners)
    weights = STEP_LENGTHS[straight, diagonal]
    return np.bincount(of, weights=weights, minlength=len(regions.labels)).astype(np.float64)


def _step_lengths() -> Floats:
    """Length that a border pixel adds, by number of neighbours across sides and across corners."""
    lengths = np.zeros((5, 5))
    lengths[2, 0] = lengths[3, 0] = lengths[2, 1] = lengths[3, 1] = lengths[2, 2] = lengths[3, 2] = 1
    lengths[0, 2] = np.sqrt(2)
    lengths[1, 3] = np.sqrt(2)
    lengths[1, 1] = lengths[1, 2] = (1 + np.sqrt(2)) / 2
    return lengths


STEP_LENGTHS = _step_lengths()
"""float64 (5, 5): what a border pixel adds to a perimeter; see `perimeters`."""
