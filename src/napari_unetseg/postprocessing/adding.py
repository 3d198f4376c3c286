"""The object that the map has at a point where no object was found."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unetseg.errors import FixError
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.blocks import Block, grow_block
from napari_unetseg.postprocessing.labelled_map import LabelledMap, Piece

REACH = 64
"""Pixels to each side of a point within which its object is looked for at first."""


def add(labelled: LabelledMap, points: NDArray[np.float64]) -> tuple[Block, NDArray[np.int32]]:
    """Add the object at a point of the background.

    Returns
    -------
    box
        Rows and columns of the image.
    after
        int32 (rows, columns), the labels there with the object.

    Raises
    ------
    FixError
        If there is an object, or the map has none.
    """
    row, column = labelled.pixel_at(points[0])
    if labelled.labels[row, column]:
        raise FixError(Sentence("There is an object here already. Click beside it."))
    reach, shape = REACH, labelled.labels.shape
    while True:
        box = grow_block((slice(row, row + 1), slice(column, column + 1)), reach, shape)
        piece = labelled.piece(box)
        found = _found(piece, (row - box[0].start, column - box[1].start))
        if found is None:
            raise FixError(Sentence("The model sees nothing here. Draw the object with the brush of the Labels layer."))
        rows, columns = (np.flatnonzero(found.any(axis=axis)) for axis in (1, 0))
        is_cut = any(
            (at[0] == 0 and side.start > 0) or (at[-1] == side.stop - side.start - 1 and side.stop < length)
            for at, side, length in zip((rows, columns), box, shape, strict=True)
        )
        if not is_cut:
            return box, np.where(found, labelled.new_number, piece.labels)
        reach *= 2


def _found(piece: Piece, at: tuple[int, int]) -> NDArray[np.bool_] | None:
    free = piece.labels == 0
    level = piece.foreground[at]
    if level < 0.01:
        return None
    own = _connected(free & (piece.foreground >= level), at)
    level = min(level, piece.foreground[own].max() / 2)
    return _connected(free & (piece.foreground >= level), at)


def _connected(mask: NDArray[np.bool_], at: tuple[int, int]) -> NDArray[np.bool_]:
    pieces, _ = ndimage.label(mask)
    own: NDArray[np.bool_] = pieces == pieces[at]
    return own
