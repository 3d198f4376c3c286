"""Two sample images, drawn here: nothing is downloaded, and what is in them is known."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unetseg.image import Image

_SIDE = 512
_PIXEL_SIZE_UM = 0.32


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
    labels = _draw_labels(rng, count=95, mean_radius=14.0, longest=1.22)
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
    """Return stained tissue in transmitted light, uint8 RGB (512, 512, 3), 0.5 micrometres a pixel."""
    return tissue_with_truth()[0]


def tissue_with_truth() -> tuple[Image, NDArray[np.int32]]:
    """Make the tissue and the label image its nuclei were drawn from, the same on every call.

    Haematoxylin darkens the nuclei, eosin the fibres between them; light passes by the law of Beer and
    Lambert, with the stains' optical densities of Ruifrok and Johnston, Anal. Quant. Cytol. Histol. 23, 291 (2001).

    Returns
    -------
    The image, and int32 labels (512, 512) that count from 1; 0 is background.
    """
    rng = np.random.default_rng(8)
    labels = _draw_labels(rng, count=260, mean_radius=8.5, longest=1.45)
    strength = np.concatenate([[0.0], rng.normal(0.42, 0.09, labels.max()).clip(0.22, 0.65)])
    fibres = _fibres(rng)
    haematoxylin = strength[labels] * _texture(rng) + 0.05
    eosin = 0.15 * fibres * (1 - 0.5 * (labels > 0))
    gaps = ndimage.gaussian_filter(rng.normal(size=labels.shape), 14)
    eosin *= ndimage.gaussian_filter((gaps < 1.1 * gaps.std()).astype(float), 2)
    densities = np.multiply.outer(haematoxylin, (0.65, 0.70, 0.29)) + np.multiply.outer(eosin, (0.07, 0.99, 0.11))
    light = ndimage.gaussian_filter(10**-densities, (0.9, 0.9, 0))
    camera = 244 * light + rng.normal(0, 2.5, light.shape)
    array = camera.round().clip(0, 255).astype(np.uint8)
    return Image(array, "YXC", rgb=True, scale=(0.5, 0.5), unit="micrometer", name="tissue"), labels


SAMPLES: dict[str, Callable[[], Image]] = {"nuclei": nuclei, "tissue": tissue}


def _draw_labels(rng: np.random.Generator, *, count: int, mean_radius: float, longest: float) -> NDArray[np.int32]:
    """Place nuclei that may touch but not overlap; every fourth is set against an earlier one.

    Radii are in pixels; an ellipse's axes are its radius times and divided by up to `longest`.
    """
    labels = np.zeros((_SIDE, _SIDE), np.int32)
    centres, radii = np.empty((count, 2)), np.empty(count)
    placed = 0
    for _ in range(40 * count):
        if placed == count:
            break
        radius = mean_radius * float(np.clip(rng.normal(1, 0.18), 0.57, 1.5))
        centre = rng.uniform(0, _SIDE, 2)
        gaps_needed = np.full(placed, 3.0)
        if placed % 4 == 3:
            partner = int(rng.integers(placed))
            angle = rng.uniform(0, 2 * np.pi)
            away = 0.97 * (radii[partner] + radius)
            centre = centres[partner] + away * np.array([np.sin(angle), np.cos(angle)])
            gaps_needed[partner] = -np.inf
        gaps = np.hypot(*(centres[:placed] - centre).T) - radii[:placed] - radius
        if (gaps > gaps_needed).all() and (centre > 2).all() and (centre < _SIDE - 2).all():
            centres[placed], radii[placed] = centre, radius
            placed += 1
            _draw_wavy_ellipse(labels, rng, centre, radius, longest, placed)
    return labels


def _draw_wavy_ellipse(
    labels: NDArray[np.int32],
    rng: np.random.Generator,
    centre: NDArray[np.float64],
    radius: float,
    longest: float,
    label: int,
) -> None:
    """Label the free pixels inside an ellipse whose outline swings by a few percent."""
    reach = 1.15 * longest * radius
    (top, left), (bottom, right) = (centre - reach).astype(int).clip(0), (centre + reach).astype(int) + 1
    part = labels[top:bottom, left:right]
    y = np.arange(top, top + part.shape[0])[:, np.newaxis] - centre[0]
    x = np.arange(left, left + part.shape[1]) - centre[1]
    turn, stretch = rng.uniform(0, np.pi), rng.uniform(1.0, longest)
    along = (x * np.cos(turn) + y * np.sin(turn)) / stretch
    across = (y * np.cos(turn) - x * np.sin(turn)) * stretch
    angle = np.arctan2(across, along)
    phases = rng.uniform(0, 2 * np.pi, 3)
    waves = sum(0.05 / k * np.sin((k + 1) * angle + phase) for k, phase in enumerate(phases, start=1))
    part[(np.hypot(along, across) < radius * (1 + waves)) & (part == 0)] = label


def _texture(rng: np.random.Generator) -> NDArray[np.float64]:
    """Chromatin: smooth noise of two grain sizes around 1."""
    grains = [ndimage.gaussian_filter(rng.normal(size=(_SIDE, _SIDE)), sigma) for sigma in (1.6, 4.0)]
    mixed = sum(0.13 * grain / grain.std() for grain in grains)
    return np.asarray(1 + mixed).clip(0.4, 1.8)


def _fibres(rng: np.random.Generator) -> NDArray[np.float64]:
    """Wavy strands around 1: noise drawn out along one direction, then bent."""
    strands = ndimage.gaussian_filter(rng.normal(size=(_SIDE, _SIDE)), (2.0, 14))
    bend = [ndimage.gaussian_filter(rng.normal(size=(_SIDE, _SIDE)), 50) for _ in range(2)]
    y, x = np.mgrid[:_SIDE, :_SIDE]
    bent = ndimage.map_coordinates(
        strands, [y + 40 * bend[0] / bend[0].std(), x + 20 * bend[1] / bend[1].std()], order=1, mode="mirror"
    )
    return np.asarray(1 + 0.17 * bent / bent.std()).clip(0.2, 2)


def _thickness(labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """Nuclei are thinner, hence dimmer, towards their edge: 0.45 there, 1 from 6 pixels inwards."""
    depth = np.zeros(labels.shape)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        inside = np.pad(labels[box] == label, 1)
        depth[box] = np.maximum(depth[box], ndimage.distance_transform_edt(inside)[1:-1, 1:-1])
    return np.asarray(0.45 + 0.55 * np.sqrt((depth / 6).clip(0, 1)))
