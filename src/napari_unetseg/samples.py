"""Two sample images, made or installed locally: nothing is downloaded."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unetseg.image import Image

_SIDE = 512
_PIXEL_SIZE_UM = 0.32
_NUCLEI = 95
_MEAN_RADIUS = 14.0  # pixels: nuclei of about 9 micrometres


def nuclei() -> Image:
    """Return fluorescent nuclei as a camera sees them, uint16 (512, 512), 0.32 micrometres a pixel."""
    return nuclei_with_truth()[0]


def nuclei_with_truth() -> tuple[Image, NDArray[np.int32]]:
    """Make the nuclei and the label image they were drawn from, the same on every call.

    Nuclei are textured ellipses with a wavy outline, of different brightness, some of them touching.
    A point spread function, an uneven background and photon noise follow.

    Returns
    -------
    The image, and int32 labels (512, 512) that count from 1; 0 is background.
    """
    rng = np.random.default_rng(20)
    labels = _draw_labels(rng)
    brightness = np.concatenate([[0.0], rng.lognormal(0, 0.3, labels.max()).clip(0.45, 2.2)])
    signal = brightness[labels] * _texture(rng) * _thickness(labels)
    y, x = np.mgrid[:_SIDE, :_SIDE] / _SIDE
    background = 0.08 + 0.16 * np.exp(-((y - 0.35) ** 2 + (x - 0.6) ** 2) / 0.25)
    haze = 0.10 * ndimage.gaussian_filter(signal, 18)
    photons = rng.poisson(450 * (ndimage.gaussian_filter(signal, 1.3) + background + haze))
    camera = 7 * photons + rng.normal(220, 12, photons.shape)
    array = camera.round().clip(0, np.iinfo(np.uint16).max).astype(np.uint16)
    scale = (_PIXEL_SIZE_UM, _PIXEL_SIZE_UM)
    return Image(array, "YX", scale=scale, unit="micrometer", name="nuclei"), labels


def tissue() -> Image:
    """Return stained colon tissue in transmitted light, uint8 RGB (512, 512, 3).

    The immunohistochemistry image that scikit-image carries: nuclei in blue, an antibody in brown.
    """
    from skimage.data import immunohistochemistry

    return Image(immunohistochemistry(), "YXC", rgb=True, name="tissue")


SAMPLES: dict[str, Callable[[], Image]] = {"nuclei": nuclei, "tissue": tissue}


def _draw_labels(rng: np.random.Generator) -> NDArray[np.int32]:
    """Place nuclei that may touch but not overlap; every fourth is set against an earlier one."""
    labels = np.zeros((_SIDE, _SIDE), np.int32)
    placed: list[tuple[NDArray[np.float64], float]] = []
    for _ in range(40 * _NUCLEI):
        if len(placed) == _NUCLEI:
            break
        radius = float(np.clip(rng.normal(_MEAN_RADIUS, 2.5), 8, 21))
        centre = rng.uniform(0, _SIDE, 2)
        partner = None
        if len(placed) % 4 == 3:
            partner = int(rng.integers(len(placed)))
            angle = rng.uniform(0, 2 * np.pi)
            away = placed[partner][1] + radius
            centre = placed[partner][0] + 0.97 * away * np.array([np.sin(angle), np.cos(angle)])
        if _is_free(centre, radius, placed, partner):
            placed.append((centre, radius))
            _draw_wavy_ellipse(labels, rng, centre, radius, len(placed))
    return labels


def _is_free(
    centre: NDArray[np.float64],
    radius: float,
    placed: list[tuple[NDArray[np.float64], float]],
    partner: int | None,
) -> bool:
    if not ((centre > 2) & (centre < _SIDE - 2)).all():
        return False
    gaps = [
        float(np.hypot(*(centre - other))) - radius - size for i, (other, size) in enumerate(placed) if i != partner
    ]
    return min(gaps, default=99.0) > 3


def _draw_wavy_ellipse(
    labels: NDArray[np.int32], rng: np.random.Generator, centre: NDArray[np.float64], radius: float, label: int
) -> None:
    """Label the free pixels inside an ellipse of axes up to 1 : 1.5 whose outline swings by a few percent."""
    reach = 1.4 * radius
    (top, left), (bottom, right) = (centre - reach).astype(int).clip(0), (centre + reach).astype(int) + 1
    window = labels[top:bottom, left:right]
    y = np.arange(top, top + window.shape[0])[:, np.newaxis] - centre[0]
    x = np.arange(left, left + window.shape[1]) - centre[1]
    turn, stretch = rng.uniform(0, np.pi), rng.uniform(1.0, 1.22)
    along = (x * np.cos(turn) + y * np.sin(turn)) / stretch
    across = (y * np.cos(turn) - x * np.sin(turn)) * stretch
    angle = np.arctan2(across, along)
    phases = rng.uniform(0, 2 * np.pi, 3)
    waves = sum(0.05 / k * np.sin((k + 1) * angle + phase) for k, phase in enumerate(phases, start=1))
    window[(np.hypot(along, across) < radius * (1 + waves)) & (window == 0)] = label


def _texture(rng: np.random.Generator) -> NDArray[np.float64]:
    """Chromatin: smooth noise of two grain sizes around 1."""
    grains = [ndimage.gaussian_filter(rng.normal(size=(_SIDE, _SIDE)), sigma) for sigma in (1.6, 4.0)]
    mixed = sum(0.13 * grain / grain.std() for grain in grains)
    return np.asarray(1 + mixed).clip(0.4, 1.8)


def _thickness(labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """Nuclei are thinner, hence dimmer, towards their edge: 0.45 there, 1 from 6 pixels inwards."""
    depth = np.zeros(labels.shape)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        inside = np.pad(labels[box] == label, 1)
        depth[box] = np.maximum(depth[box], ndimage.distance_transform_edt(inside)[1:-1, 1:-1])
    return np.asarray(0.45 + 0.55 * np.sqrt((depth / 6).clip(0, 1)))
