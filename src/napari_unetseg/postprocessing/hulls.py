"""Convex hulls of all objects of a label image at once, in whole numbers."""

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.postprocessing.shape import ABSENT, Ints, Regions


def convex_areas(regions: Regions) -> Ints:
    """Return (N,) numbers of pixels whose centre lies in the convex hull of the pixels' edge midpoints.

    This is what scikit-image's ``convex_hull_image`` counts. Coordinates are doubled, so midpoints
    are whole numbers and the result is exact. The hull of an object is what lies between the
    concave envelope of its rightmost points and the mirrored one of its leftmost points.
    """
    first, last = regions.first_and_last_rows
    return hull_areas(last - first, *regions.outermost)


def hull_areas(heights: Ints, rightmost: Ints, leftmost: Ints) -> Ints:
    """Do what `convex_areas` does, from the number of rows of each object and `Regions.outermost` of all of them."""
    owner = np.repeat(np.arange(len(heights)), heights)
    widths = _reach(rightmost, owner) + _reach(leftmost, owner) + 1
    return np.bincount(owner, weights=widths, minlength=len(heights)).astype(np.intp)


def _reach(outermost: Ints, owner: Ints) -> Ints:
    """Return for each row of each object the outermost pixel centre that its hull contains.

    `outermost` holds the outermost pixel of each row, ABSENT in rows without a pixel.
    """
    # Object i with h rows has 2h + 1 doubled rows: each pixel row and the edges above and below it.
    middle = 2 * np.arange(len(outermost)) + 1 + owner
    profile = np.full(2 * len(outermost) + int(owner.max(initial=-1)) + 1, ABSENT)
    present = outermost > ABSENT
    at, column = middle[present], 2 * outermost[present]
    profile[at] = column + 1
    for edge in (at - 1, at + 1):
        profile[edge] = np.maximum(profile[edge], column)
    position = np.flatnonzero(profile > ABSENT)
    group = np.empty(len(profile), dtype=np.intp)
    for edge in (middle - 1, middle, middle + 1):
        group[edge] = owner
    corner = _concave_envelope(position, profile[position], group[position])
    segment = np.searchsorted(corner, middle, side="right") - 1
    low, high = corner[segment], corner[segment + 1]
    run = high - low
    reach: Ints = (profile[low] * run + (profile[high] - profile[low]) * (middle - low)) // (2 * run)
    return reach


def _concave_envelope(position: Ints, value: Ints, group: Ints) -> Ints:
    """Return the positions of the corners of each group's smallest concave function above its values.

    A point on or below the line between its neighbours is no corner. All such points go at once,
    which is safe since a stretch of them hangs below the line between the points that stay; groups
    that have lost none are done.
    """
    corner = np.ones(len(position), dtype=bool)
    active = np.arange(len(position))
    while len(active):
        t, v, g = position[active], value[active], group[active]
        hanging = np.zeros(len(active), dtype=bool)
        rise = (v[1:-1] - v[:-2]) * (t[2:] - t[:-2]) - (v[2:] - v[:-2]) * (t[1:-1] - t[:-2])
        hanging[1:-1] = (rise <= 0) & (g[:-2] == g[2:])
        corner[active[hanging]] = False
        changed = np.zeros(int(group[-1]) + 1, dtype=bool)
        changed[g[hanging]] = True
        active = active[~hanging & changed[g]]
    kept: NDArray[np.intp] = position[corner]
    return kept
