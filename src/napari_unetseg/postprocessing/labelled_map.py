"""Labels beside the map off which they were read, of which a fix looks at a piece."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unetseg.errors import FixError
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.blocks import Block, strips
from napari_unetseg.postprocessing.landscape import SMOOTHING
from napari_unetseg.postprocessing.parameters import DecodeParameters


@dataclass(frozen=True, eq=False)
class Piece:
    """A rectangle of a labelled map.

    Attributes
    ----------
    labels
        int32 (rows, columns), 0 is background; a view.
    probability
        float32 (heads, rows, columns), 0..1; a view.
    heads
        What each plane means.
    parameters
        With which the labels were read off.
    """

    labels: NDArray[np.int32]
    probability: NDArray[np.float32]
    heads: tuple[str, ...]
    parameters: DecodeParameters

    @cached_property
    def foreground(self) -> NDArray[np.float32]:
        """Foreground probability, float32 (rows, columns); 0 where it is not known."""
        foreground: NDArray[np.float32] = np.nan_to_num(self.probability[self.heads.index("foreground")])
        return foreground

    @cached_property
    def heights(self) -> NDArray[np.float32]:
        """Landscape that is high inside objects and low between them, float32 (rows, columns)."""
        planes = dict(zip(self.heads, self.probability, strict=True))
        if "distance" in planes:
            landscape = np.nan_to_num(planes["distance"])
        elif "boundary" in planes:
            landscape = self.foreground * (1 - np.nan_to_num(planes["boundary"], nan=1))
        else:
            landscape = self.foreground
        heights: NDArray[np.float32] = ndimage.gaussian_filter(landscape, SMOOTHING, mode="nearest")
        return heights


@dataclass(frozen=True, eq=False)
class LabelledMap:
    """Labels beside the map off which they were read.

    Attributes
    ----------
    labels
        int32 (Y, X), 0 is background.
    probability
        float32 (heads, Y, X), 0..1.
    heads
        What each plane means, ``"foreground"`` among them.
    parameters
        With which the labels were read off.
    """

    labels: NDArray[np.int32]
    probability: NDArray[np.float32]
    heads: tuple[str, ...]
    parameters: DecodeParameters

    @property
    def new_number(self) -> int:
        """The number above the highest."""
        return int(self.labels.max(initial=0)) + 1

    def piece(self, box: Block) -> Piece:
        """Cut a rectangle out."""
        return Piece(self.labels[box], self.probability[(slice(None), *box)], self.heads, self.parameters)

    def pixel_at(self, point: NDArray[np.float64]) -> tuple[int, int]:
        """Return the pixel (y, x) in which a point lies.

        Raises
        ------
        FixError
            If it lies beyond the image.
        """
        row, column = (int(at) for at in np.floor(point + 0.5))
        if not (0 <= row < self.labels.shape[0] and 0 <= column < self.labels.shape[1]):
            raise FixError(Sentence("This is outside the image. Click on it."))
        return row, column

    def object_at(self, point: NDArray[np.float64]) -> int:
        """Return the number of the object at a point.

        Raises
        ------
        FixError
            If there is none.
        """
        number = int(self.labels[self.pixel_at(point)])
        if not number:
            raise FixError(Sentence("There is no object here. Click on one."))
        return number

    def is_cut(self, mask: NDArray[np.bool_], box: Block) -> bool:
        """Whether a mask of a rectangle touches a side of it beyond which the image goes on."""
        sides = ((mask[0], mask[-1]), (mask[:, 0], mask[:, -1]))
        return any(
            (first.any() and span.start > 0) or (last.any() and span.stop < length)
            for (first, last), span, length in zip(sides, box, self.labels.shape, strict=True)
        )

    def box_of(self, numbers: Sequence[int]) -> Block:
        """Return the smallest rectangle that has all pixels of some objects, of which there is at least one."""
        columns = np.zeros(self.labels.shape[1], bool)
        rows = np.zeros(self.labels.shape[0], bool)
        for strip in strips(self.labels.shape):
            mask = np.isin(self.labels[strip], numbers) if len(numbers) > 1 else self.labels[strip] == numbers[0]
            rows[strip] = mask.any(axis=1)
            columns |= mask.any(axis=0)
        return tuple(slice(int(at[0]), int(at[-1]) + 1) for at in (np.flatnonzero(rows), np.flatnonzero(columns)))


def connected_to(mask: NDArray[np.bool_], at: tuple[int, int]) -> NDArray[np.bool_]:
    """Keep the 4-connected part of a mask (Y, X) that has a pixel, which is one of it."""
    pieces, _ = ndimage.label(mask)
    own: NDArray[np.bool_] = pieces == pieces[at]
    return own


def diameter_of(area: float) -> float:
    """Return the diameter of a disc of that area."""
    return 2 * sqrt(area / pi)
