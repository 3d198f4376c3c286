"""A picture to test a package with: discs of the size of the model's objects, or a part of an image that was given."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.zoo.card import MeanStd, ModelCard

_DISC = 24.0
"""Diameter of a disc, in pixels, where a model states no size of objects."""


def draw_discs(card: ModelCard, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw discs of the size of the model's objects, the same on every call.

    Returns
    -------
    uint8 array (channels of the model, Y, X)
        The channels differ in brightness, so that none can be taken for another.
    """
    rng = np.random.default_rng(27)
    height, width = shape
    diameter = min(card.object_size or _DISC, min(shape) / 3)
    spacing = 1.7 * diameter
    y, x = np.mgrid[:height, :width].astype(np.float32)
    grey = 0.12 + 0.1 * (y / height + x / width)
    for centre_y in np.arange(spacing / 2, height, spacing):
        for centre_x in np.arange(spacing / 2, width, spacing):
            radius = diameter / 2 * rng.uniform(0.8, 1.1)
            middle_y, middle_x = (middle + rng.uniform(-0.2, 0.2) * diameter for middle in (centre_y, centre_x))
            box = tuple(
                slice(max(int(middle - radius - 3), 0), int(middle + radius + 4)) for middle in (middle_y, middle_x)
            )
            distance = np.hypot(y[box] - middle_y, x[box] - middle_x)
            disc = rng.uniform(0.6, 0.95) / (1 + np.exp(distance - radius))
            grey[box] = np.maximum(grey[box], disc)
    grey += rng.normal(0, 0.01, shape)
    shades = np.linspace(1, 0.8, card.input_channels)[:, np.newaxis, np.newaxis]
    picture: NDArray[np.uint8] = (255 * shades * grey).clip(0, 255).round().astype(np.uint8)
    return picture


def fit_picture(card: ModelCard, planes: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Make a test picture of the planes of an image: its middle, mirrored outwards where it is too small.

    Parameters
    ----------
    planes
        (C, Y, X): as many as the model takes, one that stands for all, or colours that stand for one.

    Returns
    -------
    array (channels of the model, Y, X)
        In its own type, but uint8 where the card needs the full range of one.
    """
    for axis, wanted in enumerate(shape, start=1):
        have = planes.shape[axis]
        places = np.arange(have) if have >= wanted else _mirrored(have, wanted)
        start = (len(places) - wanted) // 2
        planes = np.take(planes, places[start : start + wanted], axis=axis)
    if len(planes) not in (1, card.input_channels):
        planes = planes.mean(axis=0, keepdims=True)
    planes = np.repeat(planes, card.input_channels // len(planes), axis=0)
    if isinstance(card.normalisation, MeanStd) and planes.dtype != np.uint8:
        low, high = float(planes.min()), float(planes.max())
        planes = ((planes - low) * (255 / max(high - low, 1e-9))).round().astype(np.uint8)
    return planes


def as_tensor(card: ModelCard, picture: NDArray[Any]) -> NDArray[Any]:
    """Return a picture in the type that the package states: uint8 where the card needs a full range, else float32."""
    return np.ascontiguousarray(picture, np.uint8 if isinstance(card.normalisation, MeanStd) else np.float32)


def _mirrored(have: int, wanted: int) -> NDArray[np.intp]:
    """Return places that go up and down an axis until there are at least as many as wanted."""
    there_and_back = np.concatenate([np.arange(have), np.arange(have)[::-1]])
    return np.resize(there_and_back, wanted)
