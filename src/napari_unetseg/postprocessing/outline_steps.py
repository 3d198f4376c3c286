"""Grow and shrink an object: its outline goes one step down or up the map."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unetseg.errors import FixError
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.blocks import Block, grow_block
from napari_unetseg.postprocessing.labelled_map import LabelledMap, diameter_of
from napari_unetseg.postprocessing.landscape import SMOOTHING

STEP = 0.04
"""How far an outline goes at most in a step, as a part of the object's diameter..."""

LEAST_STEP = 1.5
"""...and in pixels, so that a small one changes, too."""

LEAST_PIXELS = 5
"""An object that would have fewer does not shrink."""

Fixed = tuple[Block, NDArray[np.int32]]


def grow(labelled: LabelledMap, points: NDArray[np.float64]) -> Fixed:
    """Add to an object what lies round it and is at least as high on the map as half of what touches it.

    Parameters
    ----------
    labelled
        Labels and their map.
    points
        float64 (1, 2), (y, x) in pixels.

    Returns
    -------
    box
        Rows and columns of the image.
    after
        int32 (rows, columns), the labels there.

    Raises
    ------
    FixError
        If there is no object, or no room round it.
    """
    number, box, own, level = _surroundings(labelled, points)
    labels = labelled.labels[box]
    distance = ndimage.distance_transform_edt(~own)
    others = (labels > 0) & ~own
    near = (labels == 0) & (distance <= _step(own))
    if others.any():
        near &= distance <= ndimage.distance_transform_edt(~others)
    rim = near & (distance == 1)
    if not rim.any():
        raise FixError(Sentence("There is no room for the object to grow: others lie all round it."))
    joined, _ = ndimage.label(own | (near & (level >= np.median(level[rim]))))
    grown = np.isin(joined, np.unique(joined[own]))
    grown |= ndimage.binary_fill_holes(grown) & near
    return box, np.where(grown, number, labels)


def shrink(labelled: LabelledMap, points: NDArray[np.float64]) -> Fixed:
    """Take off an object what lies at its outline and is no higher on the map than half of that.

    Parameters
    ----------
    labelled
        Labels and their map.
    points
        float64 (1, 2), (y, x) in pixels.

    Returns
    -------
    box
        Rows and columns of the image.
    after
        int32 (rows, columns), the labels there.

    Raises
    ------
    FixError
        If there is no object, or it would vanish.
    """
    _, box, own, level = _surroundings(labelled, points)
    depth = ndimage.distance_transform_edt(own)
    edge = own & (depth <= _step(own))
    rim = own & (depth == 1)
    kept = own.copy()
    if rim.any():
        kept &= ~(edge & (level <= np.median(level[rim])))
        kept |= ndimage.binary_fill_holes(kept) & own
        pieces, count = ndimage.label(kept)
        if count > 1:
            kept = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
    if np.count_nonzero(kept) < LEAST_PIXELS or np.array_equal(kept, own):
        raise FixError(Sentence("The object cannot shrink any further. Remove it instead."))
    return box, np.where(own & ~kept, 0, labelled.labels[box])


def _surroundings(
    labelled: LabelledMap, points: NDArray[np.float64]
) -> tuple[int, Block, NDArray[np.bool_], NDArray[np.float32]]:
    """Return the number of the object at a point, a rectangle with room round it, its mask and the map there."""
    number = labelled.object_at(points[0])
    own_box = labelled.box_of([number])
    own = labelled.labels[own_box] == number
    box = grow_block(own_box, int(_step(own)) + 3, labelled.labels.shape)
    piece = labelled.piece(box)
    level = ndimage.gaussian_filter(piece.foreground, SMOOTHING, mode="nearest")
    return number, box, piece.labels == number, level


def _step(own: NDArray[np.bool_]) -> float:
    return max(STEP * diameter_of(int(np.count_nonzero(own))), LEAST_STEP)
