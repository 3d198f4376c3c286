"""Resample an image for the network, and its answer back, window by window.

Each axis is a sparse matrix of linear weights: a row for each new pixel, a column for each old one. Any
window of the stretched image is therefore exactly what the stretched whole would show there, and the
answers of disjoint windows add up to the answer of the whole; so nothing of the stretched image's size
is ever in memory, however much larger than the image it is.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix

from napari_unetseg.inference.backends import RawPixels, Taps
from napari_unetseg.inference.backends.runs import Indices
from napari_unetseg.inference.normalisation import Normalised

_STRIP = 32


def axis_weights(length: int, new_length: int, *, smooth: bool) -> csr_matrix:
    """Return the weights of linear interpolation along an axis.

    Both axes span the same distance; a pixel stands at its centre, as it does for `torch.nn.functional.interpolate`
    with ``align_corners=False`` (and ``antialias=smooth``) and for imaging libraries.

    Parameters
    ----------
    length, new_length
        Pixels before and after.
    smooth
        Whether what becomes smaller is smoothed first: the triangle of weights is then as wide as a new
        pixel and its neighbours, so that no old pixel is passed over.

    Returns
    -------
    csr_matrix
        float64 (new_length, length); each row adds up to 1.
    """
    ratio = length / new_length
    reach = max(ratio, 1.0) if smooth else 1.0
    centres = ratio * (np.arange(new_length) + 0.5) - 0.5
    first = np.ceil(centres - reach).astype(np.intp)
    taps = first[:, np.newaxis] + np.arange(int(2 * reach) + 1)
    weights = np.maximum(1 - np.abs(taps - centres[:, np.newaxis]) / reach, 0)
    weights[(taps < 0) | (taps >= length)] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    rows, columns = np.nonzero(weights)
    return csr_matrix((weights[rows, columns], (rows, taps[rows, columns])), shape=(new_length, length))


class Resampler:
    """An image seen at another size, and maps of that size brought back.

    What becomes smaller on its way to the network is smoothed first. Probabilities are interpolated
    between the nearest pixels in either direction.

    Parameters
    ----------
    shape
        Height and width of the image.
    new_shape
        Height and width at which the network sees it.
    """

    def __init__(self, shape: tuple[int, int], new_shape: tuple[int, int]) -> None:
        lengths = list(zip(shape, new_shape, strict=True))
        self._there = [axis_weights(length, new, smooth=True) for length, new in lengths]
        self._back = [axis_weights(new, length, smooth=False).tocsc() for length, new in lengths]

    def read(self, pixels: Normalised, rows: Indices, columns: Indices) -> NDArray[np.float32]:
        """Return the stretched image at `rows` x `columns`, float32 (C, rows, columns)."""
        down, across = self._there[0][rows], self._there[1][columns]
        used_rows, used_columns = (np.arange(used.min(), used.max() + 1) for used in (down.indices, across.indices))
        seen = np.empty((pixels.distinct, len(used_rows), len(used_columns)), np.float32)
        pixels.read(used_rows, used_columns, seen)
        stretched = _apply(seen, down[:, used_rows], across[:, used_columns])
        return np.broadcast_to(stretched, (pixels.channels, *stretched.shape[1:]))

    def raw(self, pixels: Normalised) -> RawPixels | None:
        """Return what a device needs to read as `read` does; None where the pixels are not in memory."""
        if pixels.raw is None:
            return None
        down, across = self._there
        return replace(pixels.raw, stretched=(_taps(down), _taps(across)))

    def add(self, part: NDArray[np.float32], window: tuple[slice, slice], whole: NDArray[np.float32]) -> None:
        """Add a part of a map of the stretched image to the map of the image.

        Parameters
        ----------
        part
            float32 (maps, height, width).
        window
            Rows and columns of the stretched image that it covers.
        whole
            float32 (maps, Y, X) of the image's own size.
        """
        whole[:, *self.reach(window)] += self.bring_back(part, window)

    def reach(self, window: tuple[slice, slice]) -> tuple[slice, slice]:
        """Return the rows and columns of the image that a window of the stretched image adds something to.

        They may be none: the image can be so much smaller that no pixel of it looks there.
        """
        rows, columns = (_span(weights[:, span]) for weights, span in zip(self._back, window, strict=True))
        return rows, columns

    def bring_back(self, part: NDArray[np.float32], window: tuple[slice, slice]) -> NDArray[np.float32]:
        """Return what a part of a map of the stretched image adds to the map of the image within its `reach`.

        Parameters
        ----------
        part
            float32 (maps, height, width).
        window
            Rows and columns of the stretched image that it covers.
        """
        down, across = (weights[:, span] for weights, span in zip(self._back, window, strict=True))
        return _apply(part, down[_span(down)].tocsr(), across[_span(across)].tocsr())


def _span(weights: csc_matrix) -> slice:
    """Return the rows that have weights, from the first to the last."""
    used = weights.indices
    return slice(used.min(), used.max() + 1) if weights.nnz else slice(0, 0)


def _taps(weights: csr_matrix) -> Taps:
    counts = np.diff(weights.indptr)
    taps = np.arange(counts.max())[:, np.newaxis]
    entries = np.minimum(weights.indptr[:-1] + taps, weights.nnz - 1)
    return Taps(weights.indices[entries].astype(np.intp), np.where(taps < counts, weights.data[entries], 0))


def _apply(maps: NDArray[np.float32], down: csr_matrix, across: csr_matrix) -> NDArray[np.float32]:
    stretched = np.empty((len(maps), down.shape[0], across.shape[0]), np.float32)
    for plane, result in zip(maps, stretched, strict=True):
        # In float64, so that a constant stays what it is.
        rows = down @ plane
        # By strips, which are turned around in the processor's cache.
        for top in range(0, len(rows), _STRIP):
            result[top : top + _STRIP] = (across @ rows[top : top + _STRIP].T).T
    return stretched
