"""From an image to a probability map, whole or tile by tile."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import Cancelled
from napari_unetseg.image import Image
from napari_unetseg.inference.backends import Backend, CancelFlag
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.inference.tiling import Tile, mirrored, plan_tiles, round_up, smallest_window, whole_image
from napari_unetseg.zoo.card import ModelCard

Progress = Callable[[int, int], None]
"""Called with the tiles done and all tiles, from the computing thread."""

WINDOW = 1152
"""Default largest side of the network's window in pixels.

With a halo of 112 pixels two thirds of such a window are kept; a larger one keeps little more, but
needs more memory (about 0.7 GB here) and lets a cancel wait longer for a layer to end.
"""

BATCH_SIZE = 1
"""Default number of tiles the network sees at once; a window of this size fills a device by itself."""


@dataclass(frozen=True)
class Prediction:
    """What the network says about an image.

    Attributes
    ----------
    probability
        float32 (heads, Y, X), each value in 0..1.
    warnings
        Sentences for the user.
    window
        Longer side of the windows that the network saw, in pixels.
    halo
        Pixels around a tile that the network saw beside it; 0 if the image was not divided.
    tiles
        Number of windows.
    """

    probability: NDArray[np.float32]
    warnings: tuple[str, ...]
    window: int
    halo: int
    tiles: int


def predict(
    image: Image,
    card: ModelCard,
    backend: Backend,
    *,
    window: int | None = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
    cancel: CancelFlag | None = None,
) -> Prediction:
    """Compute the probability map of one image of any size.

    An image that fits into one window is not divided. A larger one is divided into tiles that give
    what the whole image would give; where the network makes that impossible (see
    `Backend.exact_tiles`), it is never divided. Pixels are converted tile by tile, so that beside the
    image and its probability map only a batch is in memory.

    Parameters
    ----------
    image
        Any size from 1 x 1.
    card
        Card of the model that `backend` runs.
    backend
        The loaded network.
    window
        Largest side of what the network sees at once, in pixels, halo included.
    batch_size
        Tiles the network sees at once.
    progress
        Called after each batch.
    cancel
        Polled before each batch, and by the backend between layers.

    Raises
    ------
    Cancelled
        If `cancel` was seen to be True.
    """
    pixels = normalise(image, card.normalisation, card.input_channels)
    tiles, warnings = _divide(image, backend, window or WINDOW)
    rows, columns = (mirrored(n, padded) for n, padded in zip(image.shape, _padded(image.shape, backend), strict=True))
    probability = np.empty((len(card.outputs), *image.shape), np.float32)
    size = batch_size or BATCH_SIZE
    for start in range(0, len(tiles), size):
        if cancel is not None and cancel():
            raise Cancelled(f"{image.name}: the segmentation was cancelled.")
        batch = tiles[start : start + size]
        windows = np.stack([pixels.read(rows[tile.read[0]], columns[tile.read[1]]) for tile in batch])
        for tile, output in zip(batch, backend.run(windows, cancel), strict=True):
            probability[:, *tile.write] = output[:, *tile.crop]
        if progress is not None:
            progress(start + len(batch), len(tiles))
    if pixels.invalid is not None:
        probability[:, pixels.invalid] = 0
    return Prediction(
        probability,
        pixels.warnings + warnings,
        window=max(tiles[0].read_shape),
        halo=_halo(backend) if len(tiles) > 1 else 0,
        tiles=len(tiles),
    )


def _divide(image: Image, backend: Backend, window: int) -> tuple[list[Tile], tuple[str, ...]]:
    if not backend.exact_tiles:
        return [whole_image(image.shape, _padded(image.shape, backend))], ()
    least = smallest_window(_halo(backend), backend.grid)
    warnings: tuple[str, ...] = ()
    if window < least:
        warnings = (f"A window of {window} pixels is too small for this model; {least} was used.",)
    return plan_tiles(image.shape, max(window, least), _halo(backend), backend.grid), warnings


def _halo(backend: Backend) -> int:
    return round_up(backend.receptive_radius, backend.grid)


def _padded(shape: tuple[int, int], backend: Backend) -> tuple[int, int]:
    """Return the shape up to which the network needs the image to be padded.

    For exact tiles, sides are multiples of the grid. Networks that take statistics from the image
    would see padding in them, so theirs is padded only as far as they cannot do without: each side
    to one pixel of the deepest map, and one pixel in all to two by two, of which there are statistics.
    """
    height, width = shape
    grid = backend.grid
    if backend.exact_tiles:
        return round_up(height, grid), round_up(width, grid)
    if max(shape) < 2 * grid:
        return 2 * grid, 2 * grid
    return max(height, grid), max(width, grid)
