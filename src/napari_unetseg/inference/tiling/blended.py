"""How an image is divided for a network whose tiles cannot agree with the whole image.

Networks that take statistics from what they see answer a little differently in every window. Windows
that overlap by a quarter are therefore averaged, with gaussian weights that trust the middle of a
window more than its border, so that no seam shows. Overlap, weights and the places of the windows are
those of MONAI's `sliding_window_inference` in its gaussian mode with its default settings.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.inference.tiling.exact import Tile, Weights

OVERLAP = 0.25
"""Share of a window that its neighbour sees too."""

_SIGMA = 0.125
"""Standard deviation of the weights, as a share of the window."""

_MIN_WEIGHT = 1e-3
"""No pixel's weight falls below this share of the largest, so that borders of the image are kept."""


def plan_blended(shape: tuple[int, int], padded: tuple[int, int], window: int) -> list[Tile]:
    """Divide an image into overlapping windows, row by row.

    Parameters
    ----------
    shape
        Height and width of the image.
    padded
        Height and width up to which it will be padded.
    window
        Side of a window; an image narrower than that is not divided along that axis.

    Returns
    -------
    list of Tile
        With weights, which at each pixel add up to 1 over all windows.
    """
    rows, columns = (_plan_axis(*lengths, window) for lengths in zip(shape, padded, strict=True))
    return [
        Tile((row[0], column[0]), (row[1], column[1]), (row[2], column[2]), row[3], column[3])
        for row, column in product(rows, columns)
    ]


def _plan_axis(length: int, padded: int, window: int) -> list[tuple[slice, slice, slice, Weights]]:
    """Return what each window reads, keeps and writes along one axis, and the weights of what it writes."""
    window = min(window, padded)
    step = max(int(window * (1 - OVERLAP)), 1)
    count = -(-(padded - window) // step) + 1
    starts = [min(index * step, padded - window) for index in range(count)]
    profile = _profile(window)
    total = np.zeros(padded)
    for start in starts:
        total[start : start + window] += profile
    spans = []
    for start in starts:
        end = min(start + window, length)
        share = (profile / total[start : start + window])[: end - start].astype(np.float32)
        spans.append((slice(start, start + window), slice(0, end - start), slice(start, end), share))
    return spans


def _profile(window: int) -> NDArray[np.float64]:
    distance = (np.arange(window) - (window - 1) / 2) / (_SIGMA * window)
    profile: NDArray[np.float64] = np.maximum(np.exp(-(distance**2) / 2), _MIN_WEIGHT)
    return profile
