"""The picture of a model on the website of the zoo: an image, and beside it the same with the objects outlined."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.image import Image
from napari_unetseg.io.overlay import draw_overlay

COVER_SIDE = 512
"""Pixels of its height; it is twice as wide, as the zoo asks for."""


def draw_cover(image: Image, labels: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    """Draw the middle of an image twice, on the right with the outlines of its objects.

    Parameters
    ----------
    image
        One plane.
    labels
        (Y, X) integers of its shape, 0 is background.

    Returns
    -------
    uint8 array (`COVER_SIDE`, 2 x `COVER_SIDE`, 3), red, green and blue
    """
    plain = draw_overlay(image, np.zeros_like(labels))
    outlined = draw_overlay(image, labels)
    return np.concatenate([_square(plain), _square(outlined)], axis=1)


def _square(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image as Picture

    height, width, _ = picture.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = Picture.fromarray(picture[top : top + side, left : left + side])
    return np.asarray(middle.resize((COVER_SIDE, COVER_SIDE), Picture.Resampling.LANCZOS))


def write_cover(path: Path, cover: NDArray[np.uint8]) -> None:
    """Write it as a JPEG below the 500 KB that the zoo asks for, with the colours of outlines at full resolution."""
    from PIL import Image as Picture

    Picture.fromarray(cover).save(path, quality=88, subsampling=0, optimize=True)
