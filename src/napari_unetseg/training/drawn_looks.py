"""Pictures of roundish objects of many looks: bright on dark as in fluorescence, dark on bright as in stained tissue.

They are not meant to be mistaken for images; they are what a network that knows such images has answers to.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

RADII = (4.0, 30.0)
"""Pixels; of a picture all objects have about the same."""

COVERED = (0.02, 0.45)
"""Part of a picture that its objects cover, were they apart."""


def draw_look(rng: Generator, side: int) -> NDArray[np.float32]:
    """Draw a picture, float32 (3, side, side), intensities of 0 to 1."""
    stained = rng.random() < 0.5
    radius = float(np.exp(rng.uniform(*np.log(RADII))))
    strength = _draw_objects(rng, side, radius, spread=rng.uniform(0.1, 0.8))
    grain = rng.uniform(0.05, 0.3)
    strength *= 1 + grain * (_smooth(rng, side, max(1.0, radius / 6)) + _smooth(rng, side, max(1.0, radius / 3)))
    ground = _smooth(rng, side, rng.uniform(2, 8)) + _smooth(rng, side, side / 6)
    if stained:
        between = rng.uniform(0.1, 0.5) * np.clip(1 + rng.uniform(0.1, 0.6) * ground, 0, 3) * (1 - 0.5 * (strength > 0))
        own = np.array((0.65, 0.7, 0.3)) * rng.uniform(0.7, 1.3, 3)
        others = np.array((0.1, 0.8, 0.2)) * rng.uniform(0.7, 1.3, 3)
        if rng.random() < 0.3:
            own = others = np.ones(3)
        density = np.multiply.outer(own, rng.uniform(0.4, 1.0) * strength) + np.multiply.outer(others, between)
        planes = rng.uniform(0.8, 1.0) * 10**-density
    else:
        light = strength + rng.uniform(0.0, 0.25) * (1 + 0.3 * ground) + rng.uniform(0, 0.2) * _blurred(strength, 15.0)
        planes = np.multiply.outer(np.ones(3) if rng.random() < 0.8 else rng.uniform(0.1, 1, 3), light)
    planes = ndimage.gaussian_filter(planes, (0, *[rng.uniform(0.5, 2.0)] * 2))
    noise = rng.normal(size=(1 if rng.random() < 0.7 else 3, side, side))
    planes = planes + rng.uniform(0, 0.06) * np.ptp(planes) * noise
    low, high = np.percentile(planes, (1, 99.8))
    seen: NDArray[np.float32] = ((planes - low) / max(high - low, 1e-6)).astype(np.float32)
    return seen


def _draw_objects(rng: Generator, side: int, radius: float, spread: float) -> NDArray[np.float64]:
    """Draw ellipses, each of its own strength around 1, as a plane (side, side) that is 0 between them."""
    plane = np.zeros((side, side))
    count = max(1, round(rng.uniform(*COVERED) * side**2 / (np.pi * radius**2)))
    flat = rng.uniform(1.0, 1.6)
    for _ in range(count):
        own, stretch, turn = radius * rng.uniform(0.7, 1.35), rng.uniform(1.0, flat), rng.uniform(0, np.pi)
        centre = rng.uniform(0, side, 2)
        reach = own * stretch + 1
        (top, left), (bottom, right) = (centre - reach).astype(int).clip(0), (centre + reach).astype(int) + 1
        part = plane[top:bottom, left:right]
        y = np.arange(top, top + part.shape[0])[:, None] - centre[0]
        x = np.arange(left, left + part.shape[1]) - centre[1]
        along, across = y * np.cos(turn) + x * np.sin(turn), x * np.cos(turn) - y * np.sin(turn)
        inside = (along / (own * stretch)) ** 2 + (across * stretch / own) ** 2 < 1
        part[inside] = float(np.exp(rng.normal(0, spread)).clip(0.2, 3.0))
    return plane


def _smooth(rng: Generator, side: int, grain: float) -> NDArray[np.float64]:
    noise = _blurred(rng.normal(size=(side, side)), grain)
    return np.asarray(noise / max(float(noise.std()), 1e-9))


def _blurred(plane: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    return np.asarray(ndimage.gaussian_filter(plane, sigma))
