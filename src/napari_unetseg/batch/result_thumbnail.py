"""Small pictures of results: the image with its outlines, drawn at the size that is shown."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.image import Image

_COARSE = 4  # pixels of a picture that are averaged along each axis at most; further ones are skipped


def read_thumbnail(image: Image, labels: Path, side: int) -> NDArray[np.uint8]:
    """Draw an image with the outlines of a label image; of a stack its middle plane.

    Parameters
    ----------
    image
        What was segmented.
    labels
        File of its label image.
    side
        Most pixels along each axis.

    Returns
    -------
    uint8 (Y, X, 3), red, green and blue.

    Raises
    ------
    ImageError
        If the label image cannot be read, or has another shape.
    """
    from napari_unetseg.io import read_label_image
    from napari_unetseg.postprocessing.stacks import middle_plane

    numbers = read_label_image(labels).array
    index = middle_plane(numbers.shape[:-2])
    return draw_thumbnail(image.plane(index), np.asarray(numbers[index]), side)


def draw_thumbnail(plane: Image, labels: NDArray[np.integer[Any]], side: int) -> NDArray[np.uint8]:
    """Draw one plane as `read_thumbnail` does.

    Outlines are drawn on the small picture, where they are one pixel wide; the image below is averaged.

    Parameters
    ----------
    plane
        What was segmented.
    labels
        (Y, X), 0 is background.
    side
        Most pixels along each axis.
    """
    from napari_unetseg.io import draw_overlay

    step = max(1, -(-max(labels.shape) // side))
    return draw_overlay(_shrunk(plane, step), labels[step // 2 :: step, step // 2 :: step])


def _shrunk(plane: Image, step: int) -> Image:
    """Average blocks of step x step pixels around the pixels that are taken of the labels."""
    pixels = plane.channels_first
    if step == 1:
        return Image(np.moveaxis(np.asarray(pixels), 0, -1), "YXC", rgb=plane.rgb)
    rows, columns = (len(range(step // 2, length, step)) for length in pixels.shape[1:])
    total = np.zeros((rows, columns, len(pixels)), np.float32)
    offsets = np.unique(np.linspace(0, step - 1, min(step, _COARSE)).astype(int))
    for y in offsets:
        for x in offsets:
            part = np.moveaxis(np.asarray(pixels[:, y::step, x::step], np.float32), 0, -1)[:rows, :columns]
            # At the lower and right border the last blocks may be cut.
            total += np.pad(part, ((0, rows - len(part)), (0, columns - part.shape[1]), (0, 0)), mode="edge")
    return Image(total / len(offsets) ** 2, "YXC", rgb=plane.rgb)
