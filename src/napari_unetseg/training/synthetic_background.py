"""What is in a procedural scene besides its objects: light, streaks, single cells, debris, and the camera.

Lengths are in pixels; light is in parts of a bright background's.
"""

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft, ndimage

FloatPlane = NDArray[np.float32]


def log_uniform(rng: Generator, least: float, most: float) -> float:
    """Draw a number between two positive ones, each doubling as likely as any other."""
    return float(math.exp(rng.uniform(math.log(least), math.log(most))))


def texture(rng: Generator, side: int, sigma: float, stretch: float = 1.0) -> FloatPlane:
    """Draw smooth noise of mean 0 and variance 1, float32 (side, side), that goes on across opposite edges.

    White noise blurred with a Gaussian of `sigma`, `stretch` times that along a random direction.
    """
    angle = rng.uniform(0, math.pi)
    y, x = np.meshgrid(fft.fftfreq(side), fft.rfftfreq(side), indexing="ij")
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    gain = np.exp(-2 * (math.pi * sigma) ** 2 * ((stretch * along) ** 2 + across**2))
    gain[0, 0] = 0
    noise = fft.irfft2(fft.rfft2(rng.standard_normal((side, side))) * gain, (side, side))
    standard: FloatPlane = (noise / noise.std()).astype(np.float32)
    return standard


def draw_background(rng: Generator, side: int) -> FloatPlane:
    """Draw an empty field: uneven light, vignetting, streaks, scratches, and now and then the wall of a well."""
    light = np.full((side, side), rng.uniform(0.55, 0.9), np.float32)
    light *= 1 + log_uniform(rng, 0.01, 0.12) * texture(rng, side, side * rng.uniform(0.1, 0.25))
    light *= 1 + log_uniform(rng, 0.005, 0.05) * texture(rng, side, side * rng.uniform(0.02, 0.06))
    y, x = _offsets(rng, side)
    light *= 1 - rng.uniform(-0.1, 0.3) * (y**2 + x**2) / side**2
    if rng.random() < 0.5:
        light *= 1 + log_uniform(rng, 0.005, 0.03) * texture(rng, side, rng.uniform(0.7, 2), rng.uniform(3, 15))
    for _ in range(rng.choice(4, p=[0.5, 0.3, 0.15, 0.05])):
        light *= 1 + rng.uniform(-0.35, 0.2) * _draw_streak(rng, side, side * rng.uniform(0.01, 0.06))
    if rng.random() < 0.2:
        light *= 1 + rng.uniform(-0.7, 0.3) * _draw_wall(rng, side)
    return light


def scatter_debris(rng: Generator, light: FloatPlane, labels: NDArray[np.int32], cell: float) -> FloatPlane:
    """Darken and brighten a field by single cells, most near objects, fibres, and blobs out of focus."""
    side = len(light)
    light = light.copy()
    for y, x in _draw_cells(rng, labels, cell):
        _stamp_cell(rng, light, y, x, cell * rng.uniform(0.1, 0.5))
    if rng.random() < 0.12:
        light *= 1 - rng.uniform(0.3, 0.9) * _draw_streak(rng, side, rng.uniform(0.6, 2), side * rng.uniform(0.1, 0.4))
    if rng.random() < 0.2:
        for _ in range(rng.integers(1, 4)):
            y, x = _offsets(rng, side)
            light *= 1 - rng.uniform(0.05, 0.4) * np.exp(-(y**2 + x**2) / (2 * rng.uniform(3, 14) ** 2))
    return light


def darken_corners(rng: Generator, light: FloatPlane) -> FloatPlane:
    """Darken a field, now and then, by what limits the view: towards the corners, or black outside of a disc."""
    side = len(light)
    radius = np.hypot(
        *(np.linspace(-1, 1, side)[axis] + rng.uniform(-0.15, 0.15) for axis in ((..., None), (None, ...)))
    )
    kind, passed = rng.random(), np.ones(())
    if kind < 0.3:
        passed = 1 - rng.uniform(0.2, 0.7) * np.clip(radius / 1.5, 0, 1) ** rng.uniform(1.5, 4)
    elif kind < 0.4:
        passed = 0.05 + 0.95 / (1 + np.exp((radius - rng.uniform(0.9, 1.25)) / log_uniform(rng, 0.005, 0.05)))
    return (light * passed).astype(np.float32)


def draw_shadows(rng: Generator, light: FloatPlane, typical: float) -> FloatPlane:
    """Darken or brighten a field, now and then, where things lie far above or below: no outline, no grain."""
    if rng.random() < 0.75:
        return light
    light = light.copy()
    for _ in range(rng.integers(1, 4)):
        y, x = _offsets(rng, len(light))
        width = typical * rng.uniform(0.25, 0.6)
        light *= 1 - rng.uniform(-0.1, 0.3) * np.exp(-(y**2 + x**2) / (2 * width**2))
    return light


def draw_bubbles(rng: Generator, light: FloatPlane) -> FloatPlane:
    """Put bubbles of air into a field, now and then: black rings without waves, and clear light in their middles."""
    if rng.random() < 0.88:
        return light
    light = light.copy()
    for _ in range(rng.integers(1, 5)):
        y, x = _offsets(rng, len(light))
        radius = log_uniform(rng, 3, 0.15 * len(light))
        width = max(0.8, radius * rng.uniform(0.08, 0.25))
        inward = radius - np.hypot(y, x)
        ring = np.exp(-(((inward - width) / width) ** 2))
        light *= (1 - rng.uniform(0.6, 0.95) * ring) * (1 + rng.uniform(0, 0.3) * (inward > 2 * width))
    return light


def mark_scale(rng: Generator, image: FloatPlane) -> FloatPlane:
    """Draw a bar for the scale near a corner of a picture (Y, X) or (Y, X, 3), now and then."""
    if rng.random() < 0.92:
        return image
    side = len(image)
    length, height, border = side * rng.uniform(0.1, 0.3), rng.integers(2, 6), rng.integers(4, 16)
    view = image if rng.random() < 0.5 else image[::-1]
    view = view if rng.random() < 0.5 else view[:, ::-1]
    view[border : border + height, border : border + round(length)] = rng.choice((0.0, 1.0))
    return image


def expose(rng: Generator, light: FloatPlane) -> FloatPlane:
    """Take the picture: blur, noise, and now and then a black margin where images were stitched or cut."""
    image = ndimage.gaussian_filter(light, log_uniform(rng, 0.3, 1.6))
    image += log_uniform(rng, 0.002, 0.03) * rng.standard_normal(image.shape, dtype=np.float32)
    if rng.random() < 0.05:
        width = rng.integers(1, 1 + len(image) // 20)
        view = image if rng.random() < 0.5 else image.T
        view[slice(width) if rng.random() < 0.5 else slice(-width, None)] = 0
    return image


def _offsets(rng: Generator, side: int) -> tuple[FloatPlane, FloatPlane]:
    """Rows and columns counted from a random place in the field."""
    centre = rng.uniform(0, side, 2).astype(np.float32)
    y, x = np.ogrid[:side, :side]
    return y - centre[0], x - centre[1]


def _draw_streak(rng: Generator, side: int, width: float, length: float | None = None) -> FloatPlane:
    """Draw a bent band of Gaussian profile and height 1, across the field or of a given half length."""
    y, x = _offsets(rng, side)
    angle = rng.uniform(0, math.pi)
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    bend = rng.normal(0, 0.3) / side
    band = np.exp(-0.5 * ((across - bend * along**2) / width) ** 2)
    return band if length is None else band / (1 + np.exp((np.abs(along) - length) / 2))


def _draw_wall(rng: Generator, side: int) -> FloatPlane:
    """Draw a step from 0 to 1 towards an edge of the field, straight or round."""
    reach = side * log_uniform(rng, 0.6, 3)
    angle = rng.uniform(0, 2 * math.pi)
    inward = reach - side * rng.uniform(0.3, 0.5)
    y, x = np.ogrid[:side, :side]
    radius = np.hypot(y - side / 2 + inward * math.sin(angle), x - side / 2 + inward * math.cos(angle))
    step: FloatPlane = (1 / (1 + np.exp((reach - radius) / (side * rng.uniform(0.005, 0.05))))).astype(np.float32)
    return step


def _draw_cells(rng: Generator, labels: NDArray[np.int32], cell: float) -> NDArray[np.float64]:
    """Draw places (N, 2) of single cells: strewn, in heaps, and stuck to the outlines of objects."""
    side = len(labels)
    count = 0 if rng.random() < 0.2 else round(log_uniform(rng, 2, 120))
    places = rng.uniform(0, side, (count, 2))
    heaped = np.flatnonzero(rng.random(count) < rng.uniform(0, 0.9))
    for index in heaped[heaped > 0]:
        places[index] = places[index - 1] + rng.normal(0, cell, 2)
    outline = np.argwhere((labels == 0) & (ndimage.maximum_filter(labels, 3) > 0))
    if len(outline):
        stuck = rng.choice(outline, rng.integers(1, 20) if rng.random() < 0.5 else 0)
        places = np.concatenate([places, stuck + rng.normal(0, cell / 5, stuck.shape)])
        near = rng.random(count) < 0.3
        strewn = rng.choice(outline, int(near.sum())) + rng.normal(0, 3 * cell, (int(near.sum()), 2))
        places[:count][near] = strewn
    return places


def _stamp_cell(rng: Generator, light: FloatPlane, y: float, x: float, radius: float) -> None:
    """Multiply a cell into the field: a dark dot, or a dark ring around a bright middle."""
    reach = math.ceil(3 * radius + 2)
    top, left = max(0, round(y) - reach), max(0, round(x) - reach)
    part = light[top : round(y) + reach + 1, left : round(x) + reach + 1]
    if not part.size:
        return
    rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
    distance = np.hypot(rows + top - y, columns + left - x) / radius
    dark = rng.uniform(0.1, 0.6)
    if rng.random() < 0.6:
        part *= 1 - dark * np.exp(-(((distance - 0.9) / 0.35) ** 2))
        part *= 1 + rng.uniform(0, 0.4) * np.exp(-((distance / 0.6) ** 2))
    else:
        part *= 1 - dark * np.exp(-(distance**2))
