"""Divide an object along a drawn line, and join those that a line passes over."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.graph import MCP_Geometric
from skimage.segmentation import watershed

from napari_unetseg.errors import FixError
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.blocks import Block, grow_block
from napari_unetseg.postprocessing.labelled_map import LabelledMap, Piece, diameter_of
from napari_unetseg.postprocessing.numbering import count_objects

LEAST_PART = 0.02
"""Part of an object that a line must cut off; what is less is a crumb at a crooked line."""

CONE = 1.7
"""How far a line that ends within an object may turn aside on its way to the edge, for each pixel that it goes on."""

LEVEL_GROUND = 0.15
"""What a pixel of that way costs on the lowest ground; on the highest of the object, 1 more."""

BRIDGE_LEVELS = (1.0, 0.75, 0.5, 0.0)
"""Parts of the threshold from which the map says that a gap between two objects belongs to them, as they are tried; at
the last one all of the neck between them does."""

NECK = 0.3
"""Radius of the discs that do not fit into the neck between objects that are joined, as a part of the smaller one's
diameter; where they lie further apart, it is their distance."""

Fixed = tuple[Block, NDArray[np.int32]]


def split(labelled: LabelledMap, points: NDArray[np.float64]) -> Fixed:
    """Divide the object of which a line covers most, the first of several.

    It is cut along the line, whose pixels go to the sides. Where the line begins or ends within the object, it goes on
    from there to the edge where the map is low.

    Parameters
    ----------
    labelled
        Labels and their map.
    points
        float64 (N, 2), the line: (y, x) in pixels.

    Returns
    -------
    box
        Rows and columns of the image.
    after
        int32 (rows, columns), the labels there.

    Raises
    ------
    FixError
        If the line covers no object, or divides nothing.
    """
    line = _pixels_of(points, labelled.labels.shape)
    covered = labelled.labels[line]
    if not covered.any():
        raise FixError(Sentence("The line passes over no object. Draw it across the one to divide."))
    pixels_of = np.bincount(covered[covered > 0])
    number = max((int(label) for label in covered if label), key=lambda label: pixels_of[label])
    box = labelled.box_of([number])
    piece = labelled.piece(box)
    own = piece.labels == number
    cut = _mask_of(line, box)
    markers = _crossed(own, cut)
    if markers is None and len(points) > 1:
        markers = _crossed(own, _lengthened(piece, own, cut, points - [side.start for side in box]))
    if markers is None:
        raise FixError(Sentence("The line does not divide the object. Draw it from edge to edge."))
    parts = _flooded(piece, own, markers)
    after = piece.labels.copy()
    sizes, first = count_objects(parts)
    order = sorted(range(1, len(sizes)), key=lambda part: first[part])
    largest = max(order, key=lambda part: sizes[part])
    for new, part in enumerate((part for part in order if part != largest), start=labelled.new_number):
        after[parts == part] = new
    return box, after


def _pixels_of(points: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and columns of the pixels of an image under a line, of which each touches the next."""
    points = np.clip(points, -np.array(shape), 2 * np.array(shape))
    steps = [np.linspace(one, other, int(np.abs(other - one).max()) + 2) for one, other in pairwise(points)]
    pixels = np.floor(np.concatenate([points[:1], *steps]) + 0.5).astype(np.int64)
    pixels = pixels[((pixels >= 0) & (pixels < shape)).all(axis=1)]
    return pixels[:, 0], pixels[:, 1]


def _mask_of(line: tuple[NDArray[np.int64], NDArray[np.int64]], box: Block) -> NDArray[np.bool_]:
    mask = np.zeros([side.stop - side.start for side in box], bool)
    rows, columns = line[0] - box[0].start, line[1] - box[1].start
    inside = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
    mask[rows[inside], columns[inside]] = True
    return mask


def _crossed(own: NDArray[np.bool_], line: NDArray[np.bool_]) -> NDArray[np.int32] | None:
    """Give numbers to the parts into which a line cuts an object; None where it does not cut it."""
    pieces, _ = ndimage.label(own & ~line)
    sizes = np.bincount(pieces.ravel())
    is_part = sizes >= max(LEAST_PART * np.count_nonzero(own), 2)
    is_part[0] = False
    before = ndimage.label(own)[1]
    if np.count_nonzero(is_part) <= before:
        return None
    numbers = np.where(is_part, np.cumsum(is_part), 0)
    parts: NDArray[np.int32] = numbers[pieces].astype(np.int32)
    return parts


def _lengthened(
    piece: Piece, own: NDArray[np.bool_], line: NDArray[np.bool_], points: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Lengthen a line, where it ends within an object, to the object's edge, by the way that is lowest on the map."""
    heights = np.where(own, np.maximum(piece.heights, 0), 0)
    cost = np.pad(LEVEL_GROUND + heights / max(float(heights.max()), 1e-6), 1, constant_values=LEVEL_GROUND)
    outside = np.pad(~own, 1, constant_values=True)
    rows, columns = np.indices(cost.shape) - 1
    longer = line.copy()
    for end, before in ((points[0], points[1]), (points[-1], points[-2])):
        start = tuple(np.floor(end + 1.5).astype(int))
        inside = all(0 <= at < length for at, length in zip(start, cost.shape, strict=True))
        length = np.hypot(*(end - before))
        if not inside or outside[start] or not length:
            continue
        down, right = (end - before) / length
        ahead = (rows - end[0]) * down + (columns - end[1]) * right
        aside = np.abs((rows - end[0]) * right - (columns - end[1]) * down)
        allowed = (aside <= CONE * ahead + 1) & (ahead >= -1)
        allowed[start] = True
        goals = np.argwhere(outside & allowed)
        if not len(goals):
            continue
        paths = MCP_Geometric(np.where(allowed, cost, -1))
        costs, _ = paths.find_costs([start], goals, find_all_ends=False)
        goal = goals[np.argmin(costs[tuple(goals.T)])]
        if np.isfinite(costs[tuple(goal)]):
            path = np.array(paths.traceback(goal)) - 1
            path = path[((path >= 0) & (path < own.shape)).all(axis=1)]
            longer[tuple(path.T)] = True
    return longer


def _flooded(piece: Piece, own: NDArray[np.bool_], markers: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give each pixel of an object to the part that a flood from above reaches first."""
    left = own & (markers == 0)
    if not left.any():
        return markers
    rows, columns = (np.flatnonzero(left.any(axis=axis)) for axis in (1, 0))
    near = grow_block((slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)), 1, own.shape)
    parts = markers.copy()
    parts[near] = watershed(-piece.heights[near], markers[near], mask=own[near])
    # Of an object in several pieces, those that no flood reaches stay with the largest part.
    parts[own & (parts == 0)] = np.bincount(parts.ravel())[1:].argmax() + 1
    return parts


def merge(labelled: LabelledMap, points: NDArray[np.float64]) -> Fixed:
    """Make one object of those that a line passes over.

    Where they do not touch, the gap between them is filled as far as the map is high there, and where it is not high
    enough to connect them, by what a hand would draw.

    Parameters
    ----------
    labelled
        Labels and their map.
    points
        float64 (N, 2), the line: (y, x) in pixels.

    Returns
    -------
    box
        Rows and columns of the image.
    after
        int32 (rows, columns), the labels there.

    Raises
    ------
    FixError
        If the line passes over fewer than two objects, or another one lies between.
    """
    covered = np.unique(labelled.labels[_pixels_of(points, labelled.labels.shape)])
    numbers = [int(number) for number in covered if number]
    if len(numbers) < 2:
        raise FixError(Sentence("The line must begin on one object and end on another to join them."))
    box = grow_block(labelled.box_of(numbers), 1, labelled.labels.shape)
    piece = labelled.piece(box)
    whole = np.isin(piece.labels, numbers)
    return box, np.where(_bridged(piece, whole), numbers[0], piece.labels)


def _bridged(piece: Piece, whole: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill the gaps between the pieces of a mask, one after the other; one of a single piece stays as it is."""
    free = piece.labels == 0
    pieces, count = ndimage.label(whole)
    if count == 1:
        return whole
    while count > 1:
        one = pieces == 1
        gap = float(ndimage.distance_transform_edt(~one)[whole & ~one].min())
        width = diameter_of(min(np.bincount(pieces.ravel())[1:].tolist()))
        neck = _closed(whole, max(gap, NECK * width)) & free
        for part in BRIDGE_LEVELS:
            joined = whole | (neck & (piece.foreground >= part * piece.parameters.threshold))
            numbers, _ = ndimage.label(joined)
            if (whole & ~one & (numbers == numbers[one][0])).any():
                break
        else:
            raise FixError(
                Sentence("Another object lies between these. Draw the line over it as well, or remove it first.")
            )
        whole = np.isin(numbers, np.unique(numbers[whole]))
        pieces, count = ndimage.label(whole)
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(whole) & (free | whole)
    return filled


def _closed(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """Fill what no disc of a radius fits into."""
    margin = int(radius) + 2
    padded = np.pad(mask, margin)
    grown = ndimage.distance_transform_edt(~padded) <= radius
    closed: NDArray[np.bool_] = ndimage.distance_transform_edt(grown) > radius
    return (closed | padded)[margin:-margin, margin:-margin]
