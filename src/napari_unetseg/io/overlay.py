"""The picture to judge a segmentation by: the image with an outline around every object."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.image import Image
from napari_unetseg.io.atomic import whole_file

# Bright and far apart from each other, so that touching objects differ and outlines show on
# black fluorescence, grey transmitted light and pink tissue alike.
_COLOURS = np.array(
    [
        (0, 230, 118),
        (255, 214, 0),
        (0, 200, 255),
        (255, 112, 30),
        (170, 255, 40),
        (64, 128, 255),
        (255, 80, 170),
        (190, 120, 255),
    ],
    dtype=np.uint8,
)
_STRETCH = (0.5, 99.8)
_STRETCH_SAMPLES = 1_000_000


def draw_overlay(image: Image, labels: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    """Draw object outlines over the contrast-stretched image.

    Outlines are one pixel wide and lie inside their objects, so touching objects show two lines of
    different colours. Channels that are not a picture's colours are shown by their brightest.

    Parameters
    ----------
    image
        The plane that was segmented.
    labels
        (Y, X) integers, 0 is background; the shape of the image.

    Returns
    -------
    uint8 (Y, X, 3)
        Red, green and blue.
    """
    from skimage.segmentation import find_boundaries

    picture = _stretch(image)
    outline = find_boundaries(labels, mode="inner") | _at_border(labels)
    picture[outline] = _COLOURS[labels[outline] % len(_COLOURS)]
    return picture


def write_overlay(path: str | Path, image: Image, labels: NDArray[np.integer[Any]]) -> None:
    """Write `draw_overlay` as a PNG of the image's size.

    Parameters
    ----------
    path
        File to write, ending in ``.png``; one that exists is replaced.
    image, labels
        As `draw_overlay` takes them.

    Raises
    ------
    UnetsegError
        If the file cannot be written.
    """
    import imageio.v3 as imageio

    with whole_file(Path(path)) as temporary:
        imageio.imwrite(temporary, draw_overlay(image, labels), extension=".png")


def _stretch(image: Image) -> NDArray[np.uint8]:
    """Map the low and high percentile to black and white, uint8 (Y, X, 3).

    The colours of an RGB picture share one range so that they stay; other channels have one each.
    """
    planes = image.channels_first[:3] if image.rgb else image.channels_first
    if image.rgb:
        return np.moveaxis(_to_bytes(planes), 0, -1).copy()
    grey = np.max([_to_bytes(plane) for plane in planes], axis=0)
    return np.repeat(grey[..., np.newaxis], 3, axis=-1)


def _to_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    values = values.astype(np.float32)
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return np.zeros(values.shape, np.uint8)
    low, high = np.percentile(finite[:: max(1, finite.size // _STRETCH_SAMPLES)], _STRETCH)
    stretched = (values - low) / max(high - low, np.finfo(np.float32).tiny)
    return np.asarray(np.nan_to_num(stretched).clip(0, 1) * 255).round().astype(np.uint8)


def _at_border(labels: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Where objects are cut by the image's border, which is part of their outline."""
    border = np.zeros(labels.shape, bool)
    border[[0, -1]] = border[:, [0, -1]] = True
    return border & (labels > 0)
