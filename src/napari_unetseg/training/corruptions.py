"""What other microscopes, cameras and programs do to an image: one thing at a time, to see what a model bears.

Each corruption is a pure function of image, labels and a random generator. Strengths are relative to
the range of the image's own values, so that they mean the same for 8 and 16 bits.
"""

import io
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import imageio.v3 as imageio
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from napari_unetseg.image import Image

LabelImage = NDArray[np.int32]
Values = NDArray[np.float64]

BRIGHTER = 0.25
"""Part of the image's range that is added to every value."""
BLUR = 1.5
"""Standard deviation of the blur in pixels."""
NOISE = 0.05
"""Standard deviation of the Gaussian noise, as a part of the image's range."""
PHOTONS = 100
"""Photons behind the brightest value, where those of the darkest are none."""
QUALITY = 30
"""Of the JPEG file."""
DARKEST = 0.5
"""Part of the light that is left at the worse lit end of the image."""


@dataclass(frozen=True)
class Corruption:
    """One way in which an image gets worse, or merely different.

    Attributes
    ----------
    name
        For tables.
    apply
        Takes an image, its labels and a random generator, and returns image and labels; neither input
        is changed.
    concerns
        Whether the corruption does anything to such an image.
    """

    name: str
    apply: Callable[[Image, LabelImage, Generator], tuple[Image, LabelImage]]
    concerns: Callable[[Image], bool] = lambda image: True

    def __call__(self, image: Image, labels: LabelImage, stem: str, seed: int) -> tuple[Image, LabelImage]:
        """Corrupt an image; the same stem and seed always give the same. A picture's alpha channel goes."""
        opaque = with_planes(image, image.channels_first[:3]) if image.rgb else image
        return self.apply(opaque, labels, np.random.default_rng((seed, zlib.crc32(f"{self.name}/{stem}".encode()))))


def invert(values: Values) -> Values:
    """Make the brightest value the darkest and the other way round."""
    inverted: Values = values.min() + values.max() - values
    return inverted


def raise_to(values: Values, gamma: float) -> Values:
    """Raise the values, as parts of their range, to a power."""
    low, extent = values.min(), np.ptp(values) or 1.0
    raised: Values = low + extent * ((values - low) / extent) ** gamma
    return raised


def halve_contrast(values: Values) -> Values:
    """Halve the distance of each value from their mean."""
    halved: Values = (values + values.mean()) / 2
    return halved


def brighten(values: Values) -> Values:
    """Add a quarter of the values' range."""
    brighter: Values = values + BRIGHTER * np.ptp(values)
    return brighter


def blur_image(values: Values) -> Values:
    """Blur (C, Y, X) in the plane."""
    blurred: Values = ndimage.gaussian_filter(values, (0, BLUR, BLUR), mode="nearest")
    return blurred


def add_noise(values: Values, rng: Generator) -> Values:
    """Add Gaussian noise, as a camera's electronics do."""
    return values + NOISE * np.ptp(values) * rng.standard_normal(values.shape)


def count_photons(values: Values, rng: Generator) -> Values:
    """Replace each value by a count of photons of that mean."""
    low, extent = values.min(), np.ptp(values) or 1.0
    counted: Values = low + extent / PHOTONS * rng.poisson(PHOTONS * (values - low) / extent)
    return counted


def shade(values: Values, rng: Generator) -> Values:
    """Let the light fall off along a random direction, from all of it to `DARKEST`."""
    angle = rng.uniform(0, 2 * math.pi)
    y, x = (np.linspace(-1, 1, side) for side in values.shape[1:])
    slope = math.sin(angle) * y[:, np.newaxis] + math.cos(angle) * x
    steepest = abs(math.sin(angle)) + abs(math.cos(angle))
    shaded: Values = values * (1 - (1 - DARKEST) * (1 + slope / steepest) / 2)
    return shaded


def compress_image(image: Image) -> Image:
    """Pass an image through a JPEG file, channel by channel unless it is a colour picture."""
    planes = to_bytes(image)
    pictures = [np.moveaxis(planes, 0, -1)] if image.rgb else list(planes)
    read = [_through_jpeg(picture) for picture in pictures]
    return with_planes(image, np.moveaxis(read[0], -1, 0) if read[0].ndim == 3 else np.stack(read))


def _through_jpeg(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    file = io.BytesIO()
    imageio.imwrite(file, np.ascontiguousarray(picture), extension=".jpg", quality=QUALITY)
    return np.asarray(imageio.imread(file.getvalue(), extension=".jpg"), np.uint8)


def to_bytes(image: Image) -> NDArray[np.uint8]:
    """Return (C, Y, X) as 8 bits: as it is, or with its range stretched to theirs."""
    planes = image.channels_first
    return planes if planes.dtype == np.uint8 else _stretched(planes, np.dtype(np.uint8))


def to_16_bit(image: Image) -> Image:
    """Give an image 16 bits: 8 bits times 257, so that white stays white; else its range stretched to theirs."""
    planes = image.channels_first
    if planes.dtype == np.uint8:
        return with_planes(image, planes.astype(np.uint16) * np.uint16(257))
    return with_planes(image, _stretched(planes, np.dtype(np.uint16)))


def _stretched(planes: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    values = planes.astype(np.float64)
    low, extent = values.min(), np.ptp(values) or 1.0
    stretched: NDArray[Any] = ((values - low) / extent * np.iinfo(dtype).max).round().astype(dtype)
    return stretched


def bin_pixels(image: Image, labels: LabelImage) -> tuple[Image, LabelImage]:
    """Halve the magnification: each two by two pixels become one, their mean and their commonest label.

    An odd last row or column goes.
    """
    height, width = (side // 2 * 2 for side in image.shape)
    values = image.channels_first[:, :height, :width].astype(np.float64)
    binned = values.reshape(-1, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
    blocks = labels[:height, :width].reshape(height // 2, 2, width // 2, 2).transpose(0, 2, 1, 3)
    four = blocks.reshape(height // 2, width // 2, 4)
    votes = (four[..., np.newaxis] == four[..., np.newaxis, :]).sum(axis=-1)
    commonest = np.take_along_axis(four, votes.argmax(axis=-1)[..., np.newaxis], axis=-1)[..., 0]
    return with_planes(image, as_type(binned, image.array.dtype)), commonest


def magnify(image: Image, labels: LabelImage) -> tuple[Image, LabelImage]:
    """Double the magnification, bilinearly; each label becomes two by two."""
    values = image.channels_first.astype(np.float64)
    doubled = ndimage.zoom(values, (1, 2, 2), order=1, mode="nearest", grid_mode=True)
    return with_planes(image, as_type(doubled, image.array.dtype)), labels.repeat(2, axis=0).repeat(2, axis=1)


def rotate_image(image: Image, labels: LabelImage) -> tuple[Image, LabelImage]:
    """Rotate by 90 degrees, anticlockwise."""
    turned = with_planes(image, np.rot90(image.channels_first, axes=(1, 2)))
    return turned, np.rot90(labels)


def show_in_blue(image: Image) -> Image:
    """Show the mean over the channels as the blue of a picture that has no red and no green."""
    planes = image.channels_first[:3]
    grey = as_type(planes.mean(axis=0), planes.dtype)
    nothing = np.zeros_like(grey)
    return replace(image, array=np.stack([nothing, nothing, grey], axis=-1), axes="YXC", rgb=True)


def swap_channels(image: Image) -> Image:
    """Put the colours in the order blue, green, red, as some programs write them."""
    order = [2, 1, 0, *range(3, len(image.channels_first))]
    return with_planes(image, image.channels_first[order])


def is_coloured(image: Image) -> bool:
    """Whether the first and the third channel differ."""
    planes = image.channels_first
    return len(planes) >= 3 and not np.array_equal(planes[0], planes[2])


def with_planes(image: Image, planes: NDArray[Any]) -> Image:
    """Return an image of other pixels (C, Y, X) with the channels where they were."""
    if image.axes == "YX":
        return replace(image, array=planes[0])
    return replace(image, array=planes if image.axes == "CYX" else np.moveaxis(planes, 0, -1))


def as_type(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Round and clip real values to what an integer type holds."""
    if dtype.kind not in "ui":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return values.round().clip(limits.min, limits.max).astype(dtype)


def _on_values(change: Callable[[Values, Generator], Values]) -> Callable[[Image, LabelImage, Generator], Any]:
    """Make a corruption of a change of intensities, which keeps the image's type."""

    def apply(image: Image, labels: LabelImage, rng: Generator) -> tuple[Image, LabelImage]:
        values = change(image.channels_first.astype(np.float64), rng)
        return with_planes(image, as_type(values, image.array.dtype)), labels

    return apply


CORRUPTIONS = (
    Corruption("inverted", _on_values(lambda values, rng: invert(values))),
    Corruption("gamma 0.5", _on_values(lambda values, rng: raise_to(values, 0.5))),
    Corruption("gamma 2", _on_values(lambda values, rng: raise_to(values, 2))),
    Corruption("half the contrast", _on_values(lambda values, rng: halve_contrast(values))),
    Corruption("brighter", _on_values(lambda values, rng: brighten(values))),
    Corruption("gaussian blur", _on_values(lambda values, rng: blur_image(values))),
    Corruption("gaussian noise", _on_values(add_noise)),
    Corruption("poisson noise", _on_values(count_photons)),
    Corruption("jpeg", lambda image, labels, rng: (compress_image(image), labels)),
    Corruption("uneven light", _on_values(shade)),
    Corruption("half the size", lambda image, labels, rng: bin_pixels(image, labels)),
    Corruption("double the size", lambda image, labels, rng: magnify(image, labels)),
    Corruption("16 bits", lambda image, labels, rng: (to_16_bit(image), labels)),
    Corruption("blue alone", lambda image, labels, rng: (show_in_blue(image), labels)),
    Corruption("channels swapped", lambda image, labels, rng: (swap_channels(image), labels), is_coloured),
    Corruption("rotated by 90 degrees", lambda image, labels, rng: rotate_image(image, labels)),
)
