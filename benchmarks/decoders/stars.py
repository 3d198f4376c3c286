"""Star-convex objects: from each pixel the distances to its object's edge, and the best of overlapping polygons.

StarDist's idea (Schmidt et al. 2018).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import polygon

RAYS = 32
ANGLES = 2 * np.pi * np.arange(RAYS) / RAYS


def measure_rays(labels: NDArray[np.int32], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float32]:
    """Measure the distance from pixels to the edge of their own object, float32 (RAYS, N); an image's border is one."""
    height, width = labels.shape
    found = np.zeros((RAYS, rows.size), np.float32)
    own = labels[rows, columns]
    for index, (down, across) in enumerate(zip(np.sin(ANGLES), np.cos(ANGLES), strict=True)):
        going, length = np.arange(rows.size), 0
        while going.size:
            length += 1
            y = np.rint(rows[going] + length * down).astype(np.intp)
            x = np.rint(columns[going] + length * across).astype(np.intp)
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            inside[inside] = labels[y[inside], x[inside]] == own[going[inside]]
            found[index, going[~inside]] = length - 0.5
            going = going[inside]
    return found


def decode_stars(
    centre: NDArray[np.float32], rays: NDArray[np.float32], threshold: float, overlap: float
) -> NDArray[np.int32]:
    """Draw polygons, surest first, int32 (Y, X), and leave out what lies on one that is there already.

    Parameters
    ----------
    centre
        (Y, X), how deep inside its object a pixel lies.
    rays
        (RAYS, Y, X).
    threshold
        Of `centre`, from which a pixel proposes a polygon.
    overlap
        Part of the smaller of two polygons that they may share.
    """
    labels = np.zeros(centre.shape, np.int32)
    areas = [0]
    for row, column in choose_centres(centre, threshold):
        drawn = draw_star(row, column, rays[:, row, column], centre.shape)
        area, shared = drawn[0].size, np.bincount(labels[drawn], minlength=len(areas))
        shared[0] = 0
        if area and (shared <= overlap * np.minimum(area, areas)).all():
            free = labels[drawn] == 0
            labels[drawn[0][free], drawn[1][free]] = len(areas)
            areas.append(area)
    return labels


def choose_centres(centre: NDArray[np.float32], threshold: float) -> Sequence[tuple[int, int]]:
    """List the peaks of `centre` that reach the threshold, highest first; specks, smoothed away, are none."""
    smooth = ndimage.gaussian_filter(centre, 1)
    rows, columns = np.nonzero((smooth >= threshold) & (smooth == ndimage.maximum_filter(smooth, 5)))
    order = np.argsort(-smooth[rows, columns], kind="stable")
    return list(zip(rows[order].tolist(), columns[order].tolist(), strict=True))


def draw_star(
    row: int, column: int, lengths: NDArray[np.float32], shape: tuple[int, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """List the pixels, rows and columns, of the polygon around one."""
    drawn: tuple[NDArray[np.intp], NDArray[np.intp]] = polygon(
        row + lengths * np.sin(ANGLES), column + lengths * np.cos(ANGLES), shape
    )
    return drawn
