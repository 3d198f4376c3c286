"""From an image to a probability map: whole, tile by tile, or stretched to the size a network wants."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import Cancelled
from napari_unetseg.image import Image
from napari_unetseg.inference.backends import Backend, CancelFlag
from napari_unetseg.inference.blending import plan_blended
from napari_unetseg.inference.normalisation import Normalised, normalise
from napari_unetseg.inference.resizing import resize_image, resize_probability
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


BLENDED_WINDOW = 1024
"""Side of the window where windows are blended: what the published InstanceNorm networks were trained on."""

BYTES_PER_PIXEL = 4096
"""Memory that a pixel of an undivided image may take; see `pixels_that_fit`."""

LARGEST_WHOLE = 2048 * 2048
"""Default of the most pixels that a network which takes statistics from the image sees at once."""


def pixels_that_fit(memory: int) -> int:
    """Return the most pixels that an undivided image may have on a device with that many bytes.

    The published networks need up to 2.4 KB a pixel while they run; the rest of the memory is
    left to everything else. Total memory counts, not what happens to be free, so that the same
    machine always gives the same result.
    """
    return memory // BYTES_PER_PIXEL


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
        Pixels around a tile that the network saw beside it; 0 if the image was not divided, or into
        windows that were blended.
    tiles
        Number of windows.
    resized_to
        Height and width to which the image was stretched for the network; None if it was not.
    """

    probability: NDArray[np.float32]
    warnings: tuple[str, ...]
    window: int
    halo: int
    tiles: int
    resized_to: tuple[int, int] | None = None


def predict(
    image: Image,
    card: ModelCard,
    backend: Backend,
    *,
    window: int | None = None,
    batch_size: int | None = None,
    largest_whole: int = LARGEST_WHOLE,
    progress: Progress | None = None,
    cancel: CancelFlag | None = None,
) -> Prediction:
    """Compute the probability map of one image of any size.

    An image that fits into one window is not divided. A larger one is divided into tiles that give
    what the whole image would give. Where the network makes that impossible (see
    `Backend.receptive_radius`), the image is not divided unless it is too large to be seen at once;
    then windows are blended, and a warning says so. Pixels are converted tile by tile, so that beside
    the image and its probability map only a batch is in memory.

    Where the card asks for one image size, the whole image is stretched to it and the probabilities
    are stretched back.

    Parameters
    ----------
    image
        Any size from 1 x 1.
    card
        Card of the model that `backend` runs.
    backend
        The loaded network.
    window
        Largest side of what the network sees at once, in pixels, halo included. It does not apply
        where the whole image is seen.
    batch_size
        Tiles the network sees at once.
    largest_whole
        Most pixels that are seen at once by a network whose tiles cannot agree with the whole image.
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
    if card.image_size is not None:
        prediction = _predict_resized(image, pixels, card.image_size, backend, cancel)
        if progress is not None:
            progress(1, 1)
    else:
        tiles, warnings = _divide(image, backend, window, largest_whole)
        probability = np.zeros((len(card.outputs), *image.shape), np.float32)
        _fill(probability, image, pixels, tiles, backend, batch_size or BATCH_SIZE, progress, cancel)
        halo = _halo(backend.receptive_radius or 0, backend) if len(tiles) > 1 else 0
        prediction = Prediction(probability, warnings, max(tiles[0].read_shape), halo, len(tiles))
    if pixels.invalid is not None:
        prediction.probability[:, pixels.invalid] = 0
    return replace(prediction, warnings=pixels.warnings + prediction.warnings)


def _predict_resized(
    image: Image, pixels: Normalised, size: tuple[int, int], backend: Backend, cancel: CancelFlag | None
) -> Prediction:
    _stop_if_cancelled(image, cancel)
    output = backend.run(resize_image(pixels.array, size)[np.newaxis], cancel)[0]
    # Some networks answer on a size of their own, a few pixels larger.
    probability = resize_probability(np.ascontiguousarray(output[:, : size[0], : size[1]]), image.shape)
    return Prediction(probability, (), window=max(size), halo=0, tiles=1, resized_to=size)


def _fill(
    probability: NDArray[np.float32],
    image: Image,
    pixels: Normalised,
    tiles: list[Tile],
    backend: Backend,
    batch_size: int,
    progress: Progress | None,
    cancel: CancelFlag | None,
) -> None:
    """Compute all tiles and write them into the probability map, which begins as zeros."""
    padded = backend.accepted_size(*image.shape)
    rows, columns = (mirrored(*lengths) for lengths in zip(image.shape, padded, strict=True))
    for start in range(0, len(tiles), batch_size):
        _stop_if_cancelled(image, cancel)
        batch = tiles[start : start + batch_size]
        windows = np.stack([pixels.read(rows[tile.read[0]], columns[tile.read[1]]) for tile in batch])
        for tile, output in zip(batch, backend.run(windows, cancel), strict=True):
            kept = output[:, *tile.crop]
            if tile.row_weights is None or tile.column_weights is None:
                probability[:, *tile.write] = kept
            else:
                probability[:, *tile.write] += kept * tile.row_weights[:, np.newaxis] * tile.column_weights
        if progress is not None:
            progress(start + len(batch), len(tiles))


def _stop_if_cancelled(image: Image, cancel: CancelFlag | None) -> None:
    if cancel is not None and cancel():
        raise Cancelled(f"{image.name}: the segmentation was cancelled.")


def _divide(
    image: Image, backend: Backend, window: int | None, largest_whole: int
) -> tuple[list[Tile], tuple[str, ...]]:
    padded = backend.accepted_size(*image.shape)
    if backend.receptive_radius is None:
        if image.shape[0] * image.shape[1] <= largest_whole:
            return [whole_image(image.shape, padded)], ()
        side = max(backend.accepted_size(window or BLENDED_WINDOW, window or BLENDED_WINDOW))
        tiles = plan_blended(image.shape, padded, side)
        return tiles, (_blended_warning(image, largest_whole, tiles),)
    halo = _halo(backend.receptive_radius, backend)
    wanted, least = window or WINDOW, smallest_window(halo, backend.grid)
    warnings: tuple[str, ...] = ()
    if wanted < least:
        warnings = (f"A window of {wanted} pixels is too small for this model; {least} was used.",)
    return plan_tiles(image.shape, max(wanted, least), halo, backend.grid), warnings


def _blended_warning(image: Image, largest_whole: int, tiles: list[Tile]) -> str:
    height, width = tiles[0].read_shape
    return (
        f"{image.name}: with {image.shape[0]} x {image.shape[1]} pixels it is too large for this model to see at once "
        f"on this device, which can take {largest_whole / 1e6:.3g} million pixels. It was divided into {len(tiles)} "
        f"windows of {height} x {width} pixels, blended where they overlap. This model looks at the whole of what it "
        "sees, so the result differs somewhat from that of the undivided image."
    )


def _halo(receptive_radius: int, backend: Backend) -> int:
    return round_up(receptive_radius, backend.grid)
