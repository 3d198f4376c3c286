"""Small pictures of results: the image with its outlines, drawn at the size that is shown."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError
from napari_unetseg.image import Image
from napari_unetseg.language import Sentence

_WIDE = 2  # pixels of an outline
_COARSE = 4  # pixels of a picture that are averaged along each axis at most; further ones are skipped


def read_thumbnail(image: Image, labels: Path, side: int) -> NDArray[np.uint8]:
    """Draw an image with the outlines of a label image; of a stack its middle plane.

    Outlines are drawn on the small picture, so that they show however large the image is; what is below is averaged.

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
        If a file cannot be read, or the two differ in shape.
    """
    from napari_unetseg.io import draw_overlay, read_label_image
    from napari_unetseg.postprocessing.stacks import middle_plane

    numbers = read_label_image(labels).array
    index = middle_plane(numbers.shape[:-2])
    if (*image.stack_shape, *image.shape) != numbers.shape:
        raise ImageError(
            Sentence("{path}: is of another size than {image}. Segment it again.", path=labels, image=image.name)
        )
    step = max(1, -(-max(image.shape) // side))
    plane = _shrunk(image.plane(index), step)
    picture = draw_overlay(plane, np.zeros(plane.shape, np.int32))
    rows, columns = (slice(_first(length, step), None, step * _WIDE) for length in image.shape)
    coarse = np.asarray(numbers[index][rows, columns])
    lines = draw_overlay(Image(np.zeros(coarse.shape, np.uint8)), coarse)
    lines = lines.repeat(_WIDE, axis=0).repeat(_WIDE, axis=1)[: len(picture), : picture.shape[1]]
    drawn = lines.any(axis=-1)
    picture[drawn] = lines[drawn]
    return picture


def _first(length: int, step: int) -> int:
    """Return the first pixel along an axis that is taken of the labels: the middle of the first step."""
    return min(step, length) // 2


def _shrunk(plane: Image, step: int) -> Image:
    """Average blocks of step x step pixels around the pixels that are taken of the labels."""
    pixels = plane.channels_first
    rows, columns = (len(range(_first(length, step), length, step)) for length in plane.shape)
    total = np.zeros((rows, columns, len(pixels)), np.float32)
    offsets = np.unique(np.linspace(0, step - 1, min(step, _COARSE)).astype(int))
    height, width = plane.shape
    for y in offsets:
        for x in offsets:
            block = pixels[:, min(y, height - 1) :: step, min(x, width - 1) :: step]
            part = np.moveaxis(np.asarray(block, np.float32), 0, -1)[:rows, :columns]
            # At the lower and right border the last blocks may be cut.
            total += np.pad(part, ((0, rows - len(part)), (0, columns - part.shape[1]), (0, 0)), mode="edge")
    return Image(total / len(offsets) ** 2, "YXC", rgb=plane.rgb)
