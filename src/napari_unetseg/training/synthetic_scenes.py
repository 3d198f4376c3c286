"""Procedural scenes: images of spheroids and other round things that were never there, with their exact masks.

What is drawn of spheroids, and within which bounds, follows what bright-field images of them show: tissue that
dims light by its thickness and grain, an outline that is dark because it bends light away, single cells around
it, and a background that is never even. Lengths are in pixels; light is in parts of a bright background's.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage
from tqdm import tqdm

from napari_unetseg.image import Image
from napari_unetseg.training.dataset import Sample, prepare
from napari_unetseg.training.synthetic_background import (
    FloatPlane,
    draw_background,
    expose,
    log_uniform,
    scatter_debris,
    texture,
)
from napari_unetseg.training.synthetic_clumps import draw_clumps
from napari_unetseg.training.synthetic_shapes import draw_depth
from napari_unetseg.zoo.card import Percentile

KIND = "scene"
SCENE_SIDE = 256
SPHEROIDS = 0.35
"""Part of the scenes that show spheroids as `draw_spheroids` does; the others are of `synthetic_clumps`."""
DIAMETERS = (36.0, 170.0)
"""Least and greatest diameter of the spheroid that gives a scene its measure."""


def make_scenes(count: int, seed: int, normalisation: Percentile) -> list[Sample]:
    """Make samples of kind ``"scene"``: the same for the same seed, and more of them begin with these."""
    scenes = tqdm(draw_scenes(count, seed), "Making scenes", count, unit="scene", disable=None)
    return [
        prepare(_as_image(image, stem), labels, stem, KIND, normalisation)
        for stem, (image, labels) in ((f"{KIND}{number:04}", scene) for number, scene in enumerate(scenes))
    ]


def _as_image(image: FloatPlane, stem: str) -> Image:
    if image.ndim == 2:
        return Image(image, name=stem)
    return Image(image, axes="YXC", rgb=True, name=stem)


def draw_scenes(count: int, seed: int) -> Iterator[tuple[FloatPlane, NDArray[np.int32]]]:
    """Draw scenes one after another; each depends on the seed and its number alone."""
    return (draw_scene(np.random.default_rng((seed, number))) for number in range(count))


def draw_scene(rng: Generator, side: int = SCENE_SIDE) -> tuple[FloatPlane, NDArray[np.int32]]:
    """Draw a scene of spheroids, or of other round things.

    Returns
    -------
    image
        float32 (side, side), or (side, side, 3) in colour; mostly between 0 and 1.
    labels
        int32 (side, side): 0 is background, debris too; every thing has a number of its own.
    """
    return draw_spheroids(rng, side) if rng.random() < SPHEROIDS else draw_clumps(rng, side)


def draw_spheroids(rng: Generator, side: int = SCENE_SIDE) -> tuple[FloatPlane, NDArray[np.int32]]:
    """Draw a grey scene of no, one or several spheroids that do not touch: as `draw_scene`."""
    diameter = log_uniform(rng, *DIAMETERS)
    cell = diameter * log_uniform(rng, 0.04, 0.1)
    appearance = SpheroidAppearance.draw(rng)
    light = draw_background(rng, side)
    labels = np.zeros((side, side), np.int32)
    for y, x, size in draw_places(rng, side, diameter):
        depth = draw_depth(rng, side, (y, x), size, cell)
        around = ndimage.maximum_filter(depth, 7) > 0
        if (depth > 0).any() and not labels[around].any():
            labels[depth > 0] = labels.max() + 1
            light *= appearance.transmit(rng, depth, size, size / diameter, cell)
    return expose(rng, scatter_debris(rng, light, labels, cell)), labels


def draw_places(rng: Generator, side: int, diameter: float) -> list[tuple[float, float, float]]:
    """Draw (y, x, diameter) of the spheroids: none to four, and small ones around the first."""
    count = int(rng.choice(5, p=[0.06, 0.64, 0.16, 0.09, 0.05]))
    sizes = diameter * np.append(1, rng.uniform(0.4, 1, max(0, count - 1)))[:count]
    places = [(*rng.uniform(0.1 * side, 0.9 * side, 2), size) for size in sizes]
    if places and rng.random() < 0.3:
        y, x, _ = places[0]
        for _ in range(rng.integers(1, 5)):
            angle, distance = rng.uniform(0, 2 * math.pi), diameter * rng.uniform(0.7, 1.5)
            size = max(10.0, diameter * rng.uniform(0.12, 0.35))
            places.append((y + distance * math.sin(angle), x + distance * math.cos(angle), size))
    return places


@dataclass(frozen=True)
class SpheroidAppearance:
    """How the spheroids of a scene change the light that passes them.

    Attributes
    ----------
    body
        What the whole thickness absorbs, as the exponent of the light that is left.
    grain, grain_size
        How much what is absorbed varies, and the size of the grains in cells.
    rim, rim_width
        What the outline absorbs, and its width in cells.
    halo, halo_width
        How much brighter (or darker) it is just outside, and how far, in cells.
    core, core_depth
        What a necrotic core absorbs besides, and at which part of the radius it begins.
    """

    body: float
    grain: float
    grain_size: float
    rim: float
    rim_width: float
    halo: float
    halo_width: float
    core: float
    core_depth: float

    @classmethod
    def draw(cls, rng: Generator) -> "SpheroidAppearance":
        """Draw an appearance, from translucent to black."""
        return cls(
            body=log_uniform(rng, 0.1, 5),
            grain=log_uniform(rng, 0.05, 0.45),
            grain_size=log_uniform(rng, 0.08, 0.45),
            rim=log_uniform(rng, 0.1, 2),
            rim_width=log_uniform(rng, 0.2, 0.7),
            halo=rng.uniform(-0.05, 0.2),
            halo_width=log_uniform(rng, 0.3, 2),
            core=rng.uniform(0.2, 1.5) * (rng.random() < 0.35),
            core_depth=rng.uniform(0.3, 0.7),
        )

    def transmit(self, rng: Generator, depth: FloatPlane, size: float, thickness: float, cell: float) -> FloatPlane:
        """Compute the part of the light that passes, float32 (Y, X).

        Parameters
        ----------
        depth
            See `draw_depth`.
        size, cell
            Diameters of the spheroid and of a single cell.
        thickness
            The spheroid's thickness as a part of the scene's measure.
        """
        side = len(depth)
        inward = np.clip(2 * depth / size, 0, 1)
        # A ball's thickness over its disc.
        ball = np.sqrt(1 - (1 - inward) ** 2)
        rim_width, halo_width = max(0.7, self.rim_width * cell), max(0.7, self.halo_width * cell)
        rim = np.exp(-(((depth - rim_width) / rim_width) ** 2)) * (1 + 0.3 * texture(rng, side, 2 * cell))
        grain = texture(rng, side, max(0.6, self.grain_size * cell)) + 0.5 * texture(rng, side, size / 12)
        core = 1 / (1 + np.exp((self.core_depth - inward) / 0.08))
        absorbed = (self.body * thickness + self.grain * grain) * ball + self.rim * rim + self.core * core * (depth > 0)
        halo = np.exp(-(((depth + halo_width) / halo_width) ** 2))
        passed: FloatPlane = (np.exp(-absorbed) * (1 + self.halo * halo)).astype(np.float32)
        return passed
