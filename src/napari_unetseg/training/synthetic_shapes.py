"""Outlines of procedural objects: round, oval, grown together or rough with cells, as depths under the outline.

Lengths are in pixels.
"""

import math

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from napari_unetseg.training.synthetic_background import FloatPlane, log_uniform, texture


def draw_depth(
    rng: Generator, side: int, centre: tuple[float, float], size: float, cell: float, longer: float = 1.0
) -> FloatPlane:
    """Draw a shape: the depth of each pixel under its outline, float32 (side, side), below 0 outside.

    One lobe of diameter `size`, `longer` times as long as wide in a random direction, now and then with
    others grown together with it; the outline waves, and single cells make it rough.
    """
    unevenness, roughness = log_uniform(rng, 0.01, 0.12), rng.uniform(0, 0.35) * cell
    depth = _draw_lobe(rng, side, centre, size / 2, unevenness, longer)
    if rng.random() < 0.2:
        for _ in range(rng.integers(1, 4)):
            angle, distance = rng.uniform(0, 2 * math.pi), size / 2 * rng.uniform(0.6, 1.2)
            lobe_centre = (centre[0] + distance * math.sin(angle), centre[1] + distance * math.cos(angle))
            lobe = _draw_lobe(rng, side, lobe_centre, size / 2 * rng.uniform(0.3, 0.7), unevenness)
            depth = np.maximum(depth, lobe)
    depth += roughness * texture(rng, side, 0.35 * cell)
    return _in_one_piece(depth)


def _draw_lobe(
    rng: Generator, side: int, centre: tuple[float, float], radius: float, unevenness: float, longer: float = 1.0
) -> FloatPlane:
    rows, columns = np.ogrid[:side, :side]
    y, x = rows - centre[0], columns - centre[1]
    if longer != 1:
        turn = rng.uniform(0, math.pi)
        y, x = y * math.cos(turn) + x * math.sin(turn), x * math.cos(turn) - y * math.sin(turn)
        y, x = y * longer**0.5, x / longer**0.5
    angle = np.arctan2(y, x)
    outline = np.ones((side, side))
    for wave in range(2, 9):
        outline += unevenness * rng.normal() / wave**0.5 * np.cos(wave * angle + rng.uniform(0, 2 * math.pi))
    return (radius * outline - np.hypot(y, x)).astype(np.float32)


def _in_one_piece(depth: FloatPlane) -> FloatPlane:
    """Lift holes just above the outline, and sink all but the largest piece just below it."""
    pieces, count = ndimage.label(depth > 0)
    if not count:
        return depth
    largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    mask = ndimage.binary_fill_holes(pieces == largest)
    least = np.float32(0.1)
    return np.where(mask, np.maximum(depth, least), np.minimum(depth, -least))
