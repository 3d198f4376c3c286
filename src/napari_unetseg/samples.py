"""Sample images for the bundled models, drawn here: nothing is downloaded, and what is in them is known."""

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
    Image
        The image.
    int32
        Labels (512, 512) that count from 1; 0 is background.
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
    Image
        The image.
    int32
        Labels (512, 512) that count from 1; 0 is background.
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


def cells() -> Image:
    """Return cells in phase contrast, uint8 (512, 512), 0.8 micrometres a pixel."""
    return cells_with_truth()[0]


def cells_with_truth() -> tuple[Image, NDArray[np.int32]]:
    """Make the cells and the label image they were drawn from, the same on every call.

    Phase contrast darkens what is thick compared with what is around it, which also makes the bright seam at the
    edge of a cell.

    Returns
    -------
    Image
        The image.
    int32
        Labels (512, 512) that count from 1; 0 is background.
    """
    rng = np.random.default_rng(17)
    labels = _draw_labels(rng, count=40, mean_radius=24.0, longest=2.6)
    depth = _depth(labels)
    grains = sum(0.15 * grain / grain.std() for grain in (_noise(rng, 1.1), _noise(rng, 3.0)))
    phase = (depth / 8).clip(0, 1) ** 0.5 * (1 + grains)
    contrast = ndimage.gaussian_filter(phase, 14) - ndimage.gaussian_filter(phase, 0.9)
    seam = np.exp(-(((depth + ndimage.distance_transform_edt(labels == 0) - 1.5) / 1.6) ** 2))
    array = _camera_8_bit(rng, 255 * (0.42 + 0.42 * contrast + 0.3 * seam))
    return Image(array, "YX", scale=(0.8, 0.8), unit="micrometer", name="cells"), labels


def spheroids() -> Image:
    """Return spheroids in bright field, uint8 (512, 512), 2 micrometres a pixel."""
    return spheroids_with_truth()[0]


def spheroids_with_truth() -> tuple[Image, NDArray[np.int32]]:
    """Make the spheroids and the label image they were drawn from, the same on every call.

    Balls of tissue dim the light by their thickness, and bend it away at their rim.

    Returns
    -------
    Image
        The image.
    int32
        Labels (512, 512) that count from 1; 0 is background.
    """
    rng = np.random.default_rng(31)
    labels = np.zeros((_SIDE, _SIDE), np.int32)
    places = ((120, 130, 58), (330, 110, 44), (170, 360, 70), (390, 330, 62), (60, 250, 30), (285, 235, 36))
    for label, (y, x, radius) in enumerate(places, start=1):
        _draw_wavy_ellipse(labels, rng, np.array((y, x), dtype=float), radius, 1.15, label)
    radii = np.array([1.0, *(radius for _, _, radius in places)])[labels]
    inside, outside = (ndimage.distance_transform_edt(part) for part in (labels > 0, labels == 0))
    ball = np.sqrt(1 - (1 - (inside / radii).clip(0, 1)) ** 2)
    rim = 0.5 * np.exp(-(((inside - 3) / 2.5) ** 2)) * (labels > 0)
    absorbed = ball * (0.75 + _noise(rng, 2.0)) + rim
    glow = 1 + 0.09 * np.exp(-((outside / 5) ** 2)) * (labels == 0)
    y, x = np.mgrid[:_SIDE, :_SIDE] / _SIDE
    light = ndimage.gaussian_filter((0.74 + 0.06 * y - 0.05 * x) * np.exp(-absorbed) * glow, 1.1)
    array = _camera_8_bit(rng, 255 * light)
    return Image(array, "YX", scale=(2.0, 2.0), unit="micrometer", name="spheroids"), labels


def hand() -> Image:
    """Return the fingers of a hand, uint8 RGB (512, 512, 3)."""
    return hand_with_truth()[0]


def hand_with_truth() -> tuple[Image, NDArray[np.int32]]:
    """Make the hand and the label image of its nails, the same on every call.

    Returns
    -------
    Image
        The image.
    int32
        Labels (512, 512) that count from 1; 0 is all but nails.
    """
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:_SIDE, :_SIDE].astype(float)
    labels = np.zeros((_SIDE, _SIDE), np.int32)
    palm = ((x - 240) / 215) ** 4 + ((y - 560) / 200) ** 4 < 1
    roundness = np.where(palm, 0.9, 0.0)
    gloss = np.zeros(labels.shape)
    fingers = ((95, 190, 38, -0.22), (190, 110, 42, -0.06), (290, 100, 42, 0.05), (385, 150, 38, 0.18))
    for label, (middle, tip, half, tilt) in enumerate(fingers, start=1):
        across, along = x - middle + tilt * (y - tip), y - tip - half
        away = np.where(along < 0, np.hypot(across, along), abs(across)) / half
        roundness = np.where(away < 1, np.sqrt((1 - away**2).clip(0)), roundness)
        nail = abs(across / (0.66 * half)) ** 2.6 + abs((along + 0.05 * half) / (0.82 * half)) ** 2.6 < 1
        labels[nail & (away < 1)] = label
        shine = ((across / half + 0.2) / 0.15) ** 2 + ((along / half + 0.2) / 0.4) ** 2
        gloss = np.where(labels == label, 60 * np.exp(-shine), gloss)
    grain = _noise(rng, 2.0)[..., np.newaxis]
    grain /= grain.std()
    parts = (labels > 0, (roundness > 0) & (labels == 0))
    fold = (ndimage.grey_dilation(labels, (5, 5)) > 0) & parts[1]
    skin = (205, 150, 125) * (0.6 + 0.4 * roundness[..., np.newaxis]) * (1 - 0.18 * fold[..., np.newaxis])
    nails = (228, 172, 165) * (0.75 + 0.25 * roundness[..., np.newaxis]) + gloss[..., np.newaxis]
    ground = (70, 78, 90) * (1 + 0.05 * grain)
    light = np.select([part[..., np.newaxis] for part in parts], [nails, skin], ground) * (1 + 0.025 * grain)
    array = _camera_8_bit(rng, ndimage.gaussian_filter(light, (1.2, 1.2, 0)))
    return Image(array, "YXC", rgb=True, name="hand"), labels


SAMPLES: dict[str, Callable[[], Image]] = {
    "nuclei": nuclei,
    "tissue": tissue,
    "cells": cells,
    "spheroids": spheroids,
    "hand": hand,
}
"""Nuclei and tissue are for the model ``nuclei``, the hand for ``nails``, the others for that of their name."""


def _noise(rng: np.random.Generator, grain: float) -> NDArray[np.float64]:
    """Smooth noise around 0 whose grains have about that radius in pixels."""
    return np.asarray(ndimage.gaussian_filter(rng.normal(size=(_SIDE, _SIDE)), grain))


def _camera_8_bit(rng: np.random.Generator, light: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Add the noise of a camera to light of 0 to 255."""
    return (light + rng.normal(0, 2.5, light.shape)).round().clip(0, 255).astype(np.uint8)


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
    return np.asarray(0.45 + 0.55 * np.sqrt((_depth(labels) / 6).clip(0, 1)))


def _depth(labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return how far each pixel of an object lies from its outside, other objects included; 0 outside."""
    depth = np.zeros(labels.shape)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        inside = np.pad(labels[box] == label, 1)
        depth[box] = np.maximum(depth[box], ndimage.distance_transform_edt(inside)[1:-1, 1:-1])
    return depth
