"""Procedural scenes of round things of any look: islets, organoids, cysts and clumps of cells, grey or stained.

Nothing here is a picture of one microscope's: things are darker than their surroundings, brighter, or told from
them by an outline or their grain alone, sharp or out of focus, and others lie around them that are not meant.
Lengths are in pixels; what takes light away is counted as an exponent, so that below 0 there is more of it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from napari_unetseg.training.synthetic_background import (
    FloatPlane,
    darken_corners,
    draw_background,
    draw_bubbles,
    draw_shadows,
    expose,
    log_uniform,
    mark_scale,
    scatter_debris,
    texture,
)
from napari_unetseg.training.synthetic_shapes import draw_depth

MOST = 15
"""Objects a scene."""
OVERLAP = 0.15
"""Part of a thing that may lie over others."""

DITHIZONE = (0.25, 1.0, 0.9)
"""What the red stain of islets takes from red, green and blue."""
STAINS = ((0.3, 0.6, 1.0), (1.0, 0.7, 0.25), (0.5, 1.0, 0.35))
"""Others: brown, blue and magenta."""
UNSTAINED = (0.7, 0.8, 1.0)
"""Tissue alone, a little yellow."""


def draw_clumps(rng: Generator, side: int) -> tuple[FloatPlane, NDArray[np.int32]]:
    """Draw a scene of up to `MOST` things that may touch and leave the field.

    Returns
    -------
    image
        float32 (side, side), or (side, side, 3) in colour; mostly between 0 and 1.
    labels
        int32 (side, side): 0 is background; each thing has a number of its own.
    """
    typical = log_uniform(rng, 26, 0.8 * side)
    cell = typical * log_uniform(rng, 0.03, 0.12)
    colours, bystander = _draw_colours(rng)
    look = ClumpLook.draw(rng)
    grains = _draw_grains(rng, side, cell)
    labels = np.zeros((side, side), np.int32)
    density = np.zeros((3, side, side), np.float32)
    for y, x, size in _draw_places(rng, side, typical):
        depth = draw_depth(rng, side, (y, x), size, cell, rng.uniform(1, 1.7) if rng.random() < 0.6 else 1.0)
        covered = labels[depth > 0] > 0
        if covered.size and covered.mean() < OVERLAP:
            labels[depth > 0] = labels.max() + 1
            density += colours.dye(rng, look.absorb(rng, depth, size, grains), grains)
    if bystander is not None:
        density += _draw_bystanders(rng, labels, typical, cell, look, grains, bystander)
    light = darken_corners(rng, draw_background(rng, side))
    # What no light reaches is not there to be found.
    labels[light < 0.15 * light.max()] = 0
    light = draw_bubbles(rng, draw_shadows(rng, light, typical))
    light = scatter_debris(rng, light, labels, max(3.0, cell))
    if colours.grey:
        return mark_scale(rng, expose(rng, light * np.exp(-density[0]))), labels
    lamp = np.asarray((1.0, rng.uniform(0.8, 1), rng.uniform(0.65, 1)), np.float32)[rng.permutation(3)]
    planes = [part * light * np.exp(-absorbed) for part, absorbed in zip(lamp, density, strict=True)]
    seed = int(rng.integers(2**31))
    # The camera is the same for red, green and blue, and so are its noise and its margin here.
    seen = np.stack([expose(np.random.default_rng(seed), plane) for plane in planes], axis=-1)
    return mark_scale(rng, seen), labels


@dataclass(frozen=True)
class Colours:
    """What the things of a scene take from red, green and blue.

    Attributes
    ----------
    stain
        Parts for the three, 1 for the most.
    rest
        The same for those parts of a thing that the stain does not reach.
    patchy
        How much of a thing the stain does not reach, from 0 on.
    grey
        Whether the picture is grey.
    """

    stain: NDArray[np.float32]
    rest: NDArray[np.float32]
    patchy: float
    grey: bool

    def dye(self, rng: Generator, absorbed: FloatPlane, grains: list[FloatPlane]) -> FloatPlane:
        """Share what is absorbed among red, green and blue: float32 (3, Y, X)."""
        if self.grey:
            return np.broadcast_to(absorbed, (3, *absorbed.shape))
        missed = np.clip(self.patchy * (0.5 + _moved(rng, grains[-1])), 0, 1)
        stained = np.multiply.outer(self.stain * rng.uniform(0.85, 1.15, 3).astype(np.float32), absorbed * (1 - missed))
        shared: FloatPlane = stained + np.multiply.outer(self.rest, absorbed * missed)
        return shared


def _draw_colours(rng: Generator) -> tuple[Colours, NDArray[np.float32] | None]:
    """Draw a scene's colours, and that of tissue beside the things which is not meant, if there is any.

    Where a stain tells islets from the gland around them, what it leaves yellow is not meant.
    """
    unstained = np.asarray(UNSTAINED, np.float32) * rng.uniform(0.8, 1.2, 3).astype(np.float32)
    grey = np.ones(3, np.float32)
    if rng.random() < 0.5:
        return Colours(grey, grey, 0, grey=True), None
    kind = rng.random()
    patchy = rng.uniform(0, 0.8)
    if kind < 0.45:
        stain = np.asarray(DITHIZONE, np.float32) * rng.uniform(0.7, 1.3, 3).astype(np.float32)
        return Colours(stain, unstained, patchy, grey=False), unstained if rng.random() < 0.4 else None
    if kind < 0.7:
        return Colours(unstained, unstained, 0, grey=False), None
    stain = np.asarray(STAINS[rng.integers(len(STAINS))], np.float32) * rng.uniform(0.7, 1.3, 3).astype(np.float32)
    return Colours(stain, unstained, patchy, grey=False), None


@dataclass(frozen=True)
class ClumpLook:
    """How the things of a scene change the light that passes them.

    Attributes
    ----------
    body
        What their middle absorbs; below 0 they are brighter than what surrounds them.
    roundness
        Whether they absorb evenly, 0, or by the thickness of a ball, 1.
    softness
        Width of the outline as a part of the diameter.
    grain
        How strongly each of the three grains (`_draw_grains`) varies what is absorbed.
    rim, rim_width
        What the outline absorbs besides, and its width as a part of the diameter.
    halo
        How much brighter it is just outside.
    lumen
        How much of the body is missing in the middle, as in a cyst.
    """

    body: float
    roundness: float
    softness: float
    grain: tuple[float, float, float]
    rim: float
    rim_width: float
    halo: float
    lumen: float

    @classmethod
    def draw(cls, rng: Generator) -> "ClumpLook":
        """Draw a look: dark, bright, hollow, or seen by outline or grain alone."""
        kind = rng.choice(("dark", "bright", "hollow", "outlined", "grainy"), p=(0.5, 0.12, 0.14, 0.12, 0.12))
        body = {"dark": log_uniform(rng, 0.15, 2.5), "bright": -log_uniform(rng, 0.15, 0.8)}.get(
            kind, rng.uniform(-0.08, 0.15)
        )
        if kind == "hollow":
            body = log_uniform(rng, 0.2, 1.2)
        rim = log_uniform(rng, 0.15, 1.2) if kind == "outlined" or rng.random() < 0.4 else 0.0
        least = 0.15 if kind == "grainy" else 0.02
        fine, medium, coarse = (log_uniform(rng, least, 0.4) for _ in range(3))
        return cls(
            body=body,
            roundness=rng.uniform(0, 1),
            softness=log_uniform(rng, 0.004, 0.08 if kind in ("dark", "bright") else 0.03),
            grain=(fine, medium, coarse * 0.6),
            rim=rim * (-1 if kind == "bright" and rng.random() < 0.5 else 1),
            rim_width=log_uniform(rng, 0.015, 0.06),
            halo=rng.uniform(0, 0.25) * (rng.random() < 0.4),
            lumen=rng.uniform(0.6, 1.1) if kind == "hollow" else 0.0,
        )

    def absorb(self, rng: Generator, depth: FloatPlane, size: float, grains: list[FloatPlane]) -> FloatPlane:
        """Compute what a thing of that depth (see `draw_depth`) absorbs, float32 (Y, X)."""
        soft = max(0.4, self.softness * size * log_uniform(rng, 0.6, 1.6))
        inside = 1 / (1 + np.exp(np.clip(-depth / soft, -30, 30)))
        inward = np.clip(2 * depth / size, 0, 1)
        ball = np.sqrt(1 - (1 - inward) ** 2)
        body = self.body * log_uniform(rng, 0.7, 1.4) * (1 - self.roundness + self.roundness * ball)
        body *= 1 - self.lumen / (1 + np.exp((rng.uniform(0.15, 0.4) - inward) / 0.04))
        for strength, grain in zip(self.grain, grains, strict=True):
            body += strength * _moved(rng, grain) * min(1.0, 0.4 + abs(self.body))
        width = max(0.8, self.rim_width * size)
        rim = self.rim * np.exp(-(((depth - width) / width) ** 2))
        halo = self.halo * np.exp(-(((depth + 2 * width) / width) ** 2)) * (depth < 0)
        absorbed: FloatPlane = (body * inside + rim - halo).astype(np.float32)
        return absorbed


def _draw_grains(rng: Generator, side: int, cell: float) -> list[FloatPlane]:
    """Draw three textures that a scene's things share: fine, of the size of cells, and coarse.

    That of cells is smooth, or the net of their borders.
    """
    fine, cells = texture(rng, side, log_uniform(rng, 0.5, 1.5)), texture(rng, side, max(0.7, 0.4 * cell))
    if rng.random() < 0.4:
        cells = np.exp(-((cells / 0.35) ** 2))
        cells = (cells - cells.mean()) / cells.std()
    return [fine, cells, texture(rng, side, max(2.0, cell * rng.uniform(1, 3)))]


def _moved(rng: Generator, grain: FloatPlane) -> FloatPlane:
    """Move a texture, which goes on across opposite edges, so that no two things have the same."""
    return np.roll(grain, tuple(rng.integers(len(grain), size=2)), (0, 1))


def _draw_places(rng: Generator, side: int, typical: float) -> list[tuple[float, float, float]]:
    """Draw (y, x, diameter) of the things: none now and then, else as many as the field has room for."""
    if rng.random() < 0.05:
        return []
    room = max(1.0, 0.8 * side**2 / typical**2)
    count = round(rng.uniform(1, min(float(MOST), room)))
    sizes = np.maximum(14.0, typical * rng.uniform(0.45, 1.3, count))
    return [(*rng.uniform(-0.03 * side, 1.03 * side, 2), size) for size in sizes]


def _draw_bystanders(
    rng: Generator,
    labels: NDArray[np.int32],
    typical: float,
    cell: float,
    look: ClumpLook,
    grains: list[FloatPlane],
    colour: NDArray[np.float32],
) -> FloatPlane:
    """Draw pieces of tissue beside and below the things, ragged and fainter: what they absorb, (3, Y, X).

    They have to be fainter, for training also shows pictures without their colours.
    """
    side = len(labels)
    total = np.zeros((side, side), np.float32)
    for y, x, size in _draw_places(rng, side, typical * rng.uniform(0.4, 1.1)):
        depth = draw_depth(rng, side, (y, x), size, cell * 2, rng.uniform(1, 2))
        part = look.absorb(rng, depth, size, grains) * rng.uniform(0.2, 0.6)
        total = np.maximum(total, ndimage.gaussian_filter(part, rng.uniform(0.3, 2)))
    tinted: FloatPlane = np.multiply.outer(colour, total * np.where(labels > 0, np.float32(0.2), np.float32(1)))
    return tinted
