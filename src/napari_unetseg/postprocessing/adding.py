"""The object that the map has at a point where none was found."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unetseg.errors import FixError
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.blocks import Block, grow_block
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.postprocessing.hulls import convex_areas
from napari_unetseg.postprocessing.labelled_map import LabelledMap, Piece, connected_to, diameter_of
from napari_unetseg.postprocessing.numbering import area_weighted_size, object_sizes
from napari_unetseg.postprocessing.parameters import MAX_SMOOTHING
from napari_unetseg.postprocessing.shape import Regions
from napari_unetseg.postprocessing.smoothing import smooth

LEAST_PROBABILITY = 0.01
"""Foreground probability below which the network sees nothing at all."""

NEAR = 256
"""Pixels to each side of a point within which objects tell what is a typical size."""

TYPICAL_SIZE = 400
"""Pixels of an object where there is no other to compare with: a nucleus of some 22 pixels across."""

BLUR = 0.12
"""Standard deviation, as a part of a typical diameter, by which a faint object is blurred, whose map is patchy."""

LEVELS = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Levels at which the outline of a faint object may lie, as parts of its highest probability, in the order in which
they are tried. These and `BLUR` fit best what people had drawn where the bundled models miss nuclei and cells."""

MOST_TYPICAL = 3.0
"""How many times as large as the typical object a faint one may be."""

LEAST_SOLIDITY = 0.8
"""Part of its convex hull that a faint object fills; one that leaks out fills less."""

SURELY_WHOLE = 0.5
"""Part of a typical size from which the pixels above the threshold are an object, and no patch of a faint one."""

PATCHY = 1.5
"""How many times as large as a patch the faint object must be that it is a part of."""

LEAST_FAINT = (0.05, 0.6)
"""Part of a typical size, and of its convex hull, that a faint object must have: what has less is a seam or a rim of
others, and no object."""

LEAST_PIXELS = 5
"""Pixels that any object must have."""


def add(labelled: LabelledMap, points: NDArray[np.float64]) -> tuple[Block, NDArray[np.int32]]:
    """Add the object at a point of the background.

    Where the map is above the threshold there, it is the object that the decoder would have had, had it not been too
    small, too unsure or removed by hand. Otherwise the map is blurred, and its highest level is taken that gives an
    outline of a plausible size and shape. What already belongs to an object stays with it.

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
        int32 (rows, columns), the labels there with the object.

    Raises
    ------
    FixError
        If there is an object already, or the map has none.
    """
    pixel = labelled.pixel_at(points[0])
    if labelled.labels[pixel]:
        raise FixError(Sentence("There is an object here already. Click beside it to add one."))
    typical = _typical_size(labelled, pixel)
    reach = max(64, int(1.5 * diameter_of(typical)))
    while True:
        box = grow_block(tuple(slice(at, at + 1) for at in pixel), reach, labelled.labels.shape)
        piece = labelled.piece(box)
        found = _found(piece, (pixel[0] - box[0].start, pixel[1] - box[1].start), typical)
        if np.count_nonzero(found) < LEAST_PIXELS:
            raise FixError(Sentence("The model sees no object here. Draw it with the brush of the Labels layer."))
        if not labelled.is_cut(found, box):
            return box, np.where(found, labelled.new_number, piece.labels)
        reach *= 2


def _typical_size(labelled: LabelledMap, pixel: tuple[int, int]) -> float:
    """Return the pixels of a typical object near a point, or of the image where none is near."""
    near = grow_block(tuple(slice(at, at + 1) for at in pixel), NEAR, labelled.labels.shape)
    for labels in (labelled.labels[near], labelled.labels):
        if labels.any():
            return area_weighted_size(object_sizes(labels)[1:])
    return TYPICAL_SIZE


def _found(piece: Piece, at: tuple[int, int], typical: float) -> NDArray[np.bool_]:
    """Mark the object at a point of a piece; nothing where there is none."""
    clear = _above_threshold(piece, at)
    size = np.count_nonzero(clear)
    if size >= SURELY_WHOLE * typical:
        return clear
    faint = _faint(piece, at, typical)
    return faint if np.count_nonzero(faint) > PATCHY * size else clear


def _above_threshold(piece: Piece, at: tuple[int, int]) -> NDArray[np.bool_]:
    """Mark what the decoder makes of the point, but for what belongs to an object already."""
    if not piece.foreground[at] >= piece.parameters.threshold:
        return np.zeros(piece.labels.shape, bool)
    parameters = piece.parameters.override({"min_size": 0, "min_confidence": 0.0})
    objects = decode(piece.probability, piece.heads, parameters)
    if not objects[at]:
        return np.zeros(piece.labels.shape, bool)
    return connected_to((objects == objects[at]) & (piece.labels == 0), at)


def _faint(piece: Piece, at: tuple[int, int], typical: float) -> NDArray[np.bool_]:
    """Mark the object of the blurred map at a point, by the highest level that makes it plausible."""
    free = piece.labels == 0
    blur = max(BLUR * diameter_of(typical), 0.7)
    # Of a large object every few pixels say enough of the blurred map.
    step = max(int(blur / 3), 1)
    weight = ndimage.gaussian_filter(_reduced(free.astype(np.float32), step), blur / step)
    level = ndimage.gaussian_filter(_reduced(piece.foreground * free, step), blur / step) / np.maximum(weight, 1e-3)
    heights = ndimage.gaussian_filter(_reduced(piece.heights, step), blur / step)
    labels = piece.labels[step // 2 :: step, step // 2 :: step]
    labels = np.pad(labels, [(0, whole - part) for whole, part in zip(level.shape, labels.shape, strict=True)])
    centre = (at[0] // step, at[1] // step)
    labels[centre] = 0
    if level[centre] < LEAST_PROBABILITY:
        return np.zeros(free.shape, bool)
    own = _own_ground(heights, level, labels, centre)
    best, best_score = own, -np.inf
    for part in LEVELS:
        mask = _at_level(level, own, centre, part)
        area = np.count_nonzero(mask) * step**2
        solidity = _solidity(mask)
        is_small = area <= MOST_TYPICAL * typical
        if is_small + solidity > best_score:
            best, best_score = mask, is_small + solidity
        if is_small and solidity >= LEAST_SOLIDITY:
            best = mask
            break
    found = _evened(best, step, blur, free, at)
    size, solidity = LEAST_FAINT
    is_object = np.count_nonzero(found) >= size * typical and _solidity(found) >= solidity
    return found if is_object else np.zeros(free.shape, bool)


def _solidity(mask: NDArray[np.bool_]) -> float:
    """Return how much of its convex hull a mask of some pixels fills."""
    return float(np.count_nonzero(mask) / convex_areas(Regions.of(mask.astype(np.int32)))[0])


def _own_ground(
    heights: NDArray[np.floating], level: NDArray[np.floating], labels: NDArray[np.int32], at: tuple[int, int]
) -> NDArray[np.bool_]:
    """Mark what a flood from the point reaches before those from the objects round it do."""
    from skimage.segmentation import watershed

    markers = labels.copy()
    number = int(labels.max()) + 1
    markers[connected_to((labels == 0) & (level >= level[at]), at)] = number
    own: NDArray[np.bool_] = watershed(-heights, markers, mask=(level >= LEAST_PROBABILITY) | (labels > 0)) == number
    return own


def _at_level(
    level: NDArray[np.floating], own: NDArray[np.bool_], at: tuple[int, int], part: float
) -> NDArray[np.bool_]:
    """Mark what is connected to the point and has that part of the highest value of it; its holes belong to it."""
    lowest = level[at]
    mask = connected_to(own & (level >= lowest), at)
    while (lower := part * level[mask].max()) < lowest:
        lowest = lower
        mask = connected_to(own & (level >= lowest), at)
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(mask) & own
    return filled


def _evened(
    mask: NDArray[np.bool_], step: int, blur: float, free: NDArray[np.bool_], at: tuple[int, int]
) -> NDArray[np.bool_]:
    """Bring a mask of every few pixels to all pixels, with an even outline."""
    whole = np.kron(mask, np.ones((step, step), bool))[: free.shape[0], : free.shape[1]]
    even = smooth(whole.astype(np.int32), int(np.clip(round(blur), 1, MAX_SMOOTHING))) > 0
    for candidate in (even & free, whole & free):
        if candidate[at]:
            return connected_to(candidate, at)
    return np.zeros(free.shape, bool)


def _reduced(array: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Return the means of squares of so many pixels; beyond the array it is 0."""
    if step == 1:
        return array
    padded = np.pad(array, [(0, -length % step) for length in array.shape])
    rows, columns = (length // step for length in padded.shape)
    means: NDArray[np.float32] = padded.reshape(rows, step, columns, step).mean(axis=(1, 3))
    return means
