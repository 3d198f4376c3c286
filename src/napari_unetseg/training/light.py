"""Under which light, through which camera and file crops are seen: drawn on the host, applied where they are."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from napari_unetseg.training import light_effects
from napari_unetseg.training.crop_store import send_numbers
from napari_unetseg.training.training_recipe import Augmentation

TISSUE_POINTS, TISSUE_GRAINS = (5, 9, 17, 33), 64
"""Sides of the nets on which the thickness of tissue is drawn, coarse and fine."""

DYE_SPREAD = 0.1
"""Standard deviation of what a dye absorbs in a channel, from laboratory to laboratory."""

Numbers = NDArray[np.floating] | NDArray[np.integer] | NDArray[np.bool_]


class Effect(NamedTuple):
    """Something that happens to some crops.

    Attributes
    ----------
    change
        Makes new pixels of (N, 3, side, side) and of `numbers`.
    which
        int64 (N,): the crops to which it happens.
    numbers
        Each with a row for each of these.
    """

    change: Callable[..., Tensor]
    which: NDArray[np.int64]
    numbers: tuple[Numbers, ...]


@torch.no_grad()
def relight(pixels: Tensor, effects: Sequence[Effect]) -> Tensor:
    """Apply effects to crops (N, 3, side, side), one after another."""
    present = [effect for effect in effects if len(effect.which)]
    if not present:
        return pixels
    sent = iter(send_numbers([array for e in present for array in (e.which, *e.numbers)], pixels.device))
    pixels = pixels.clone()
    for effect in present:
        which = next(sent).long()
        numbers = [next(sent) for _ in effect.numbers]
        if len(which) == len(pixels):
            pixels = effect.change(pixels, *numbers)
        else:
            pixels.index_copy_(0, which, effect.change(pixels.index_select(0, which), *numbers))
    return pixels


def draw_light(
    colourless: NDArray[np.bool_], glowing: NDArray[np.bool_], options: Augmentation, rng: Generator
) -> list[Effect]:
    """Draw what happens to crops, in the order in which it does.

    Parameters
    ----------
    colourless, glowing
        Which crops show samples without colour, and which of these bright objects, (N,).
    """
    count = len(colourless)
    dyed = _some(options.dye * glowing, rng)
    colourless = colourless & ~np.isin(np.arange(count), dyed)
    return [
        draw_tissue(dyed, rng),
        *draw_colours(colourless, options, rng),
        *draw_contrast(count, options, rng),
        *draw_optics(count, options, rng),
        *draw_camera(count, options, rng),
    ]


def draw_tissue(dyed: NDArray[np.int64], rng: Generator) -> Effect:
    """Draw how crops of bright nuclei look as stained tissue."""
    count = len(dyed)
    points = int(rng.choice(TISSUE_POINTS))
    dyes = np.array(light_effects.STAINS[:2]) + rng.normal(0, DYE_SPREAD, (count, 2, 3))
    amounts = rng.uniform((0.5, 0.0, 0.0, 0.0), (1.8, 0.25, 0.9, 0.15), (count, 4))
    coarse = rng.uniform(0, 1, (count, points, points))
    fine = rng.uniform(-1, 1, (count, TISSUE_GRAINS, TISSUE_GRAINS))
    return Effect(light_effects.dye, dyed, (dyes.clip(0.02, 1.1), amounts, coarse, fine))


def draw_colours(colourless: NDArray[np.bool_], options: Augmentation, rng: Generator) -> list[Effect]:
    """Draw dyes, and which channels become which."""
    count = len(colourless)
    stained = _some(options.stain * ~colourless, rng)
    amounts, shifts = rng.uniform(0.6, 1.5, (len(stained), 3)), rng.uniform(-0.06, 0.06, (len(stained), 3))
    dropped = ~colourless & (rng.random(count) < options.grey)
    shuffled = ~colourless & ~dropped & (rng.random(count) < options.shuffle)
    tinted = rng.random(count) < np.where(colourless, options.tint, options.recolour * dropped)
    inverted = rng.random(count) < options.invert
    balanced = ~(colourless | dropped) | tinted
    matrix = np.tile(np.eye(3), (count, 1, 1))
    weights = rng.dirichlet(np.ones(3), count)
    matrix[dropped] = weights[dropped, None, :]
    order = rng.permuted(np.tile(np.arange(3), (count, 1)), axis=1)
    matrix[shuffled] = np.eye(3)[order[shuffled]]
    tints = rng.random((count, 3))
    tints /= tints.max(axis=1, keepdims=True)
    matrix *= np.where(tinted[:, None], tints, 1)[:, :, None]
    matrix[inverted] *= -1
    balance = np.where(balanced[:, None], _factors(options.balance, (count, 3), rng), 1)
    matrix *= balance[:, :, None]
    changed = np.flatnonzero(dropped | shuffled | tinted | inverted | (balanced & (options.balance > 0)))
    return [
        Effect(light_effects.stain, stained, (amounts, shifts)),
        Effect(light_effects.recolour, changed, (matrix[changed], (inverted[:, None] * balance)[changed])),
    ]


def draw_contrast(count: int, options: Augmentation, rng: Generator) -> list[Effect]:
    """Draw how bright and how steep intensities are, in the whole and around each place."""
    gamma, gain = (_factors(spread, count, rng) for spread in (options.gamma, options.gain))
    offset = rng.uniform(-options.offset, options.offset, count)
    detailed = _some(options.local_contrast, rng, count)
    reach = np.exp(rng.uniform(np.log(4), np.log(16), len(detailed)))
    shaded = _some(0.3 * (options.shade > 0), rng, count)
    depth = rng.uniform(0, options.shade, len(shaded))[:, None, None]
    hazy = _some(0.15 * (options.haze > 0), rng, count)
    thickness = rng.uniform(0, options.haze, len(hazy))[:, None, None]
    return [
        Effect(light_effects.change_tone, np.arange(count), (gamma, gain, offset)),
        Effect(light_effects.change_details, detailed, (reach, _factors(0.8, len(detailed), rng))),
        Effect(light_effects.shade, shaded, (depth * rng.uniform(-1, 1, (len(shaded), 3, 3)),)),
        Effect(light_effects.add_haze, hazy, (thickness * rng.uniform(-1, 1, (len(hazy), 4, 4)),)),
    ]


def draw_optics(count: int, options: Augmentation, rng: Generator) -> list[Effect]:
    """Draw how sharp crops are."""
    blurred = _some(0.25, rng, count)
    sharpened = _some(options.sharpen, rng, count)
    sigma, amount = rng.uniform(0.7, 2, len(sharpened)), rng.uniform(0.2, 1.5, len(sharpened))
    return [
        Effect(light_effects.smooth, blurred, (rng.uniform(0.3, max(0.3, options.blur), len(blurred)),)),
        Effect(light_effects.sharpen, sharpened, (sigma, amount)),
    ]


def draw_camera(count: int, options: Augmentation, rng: Generator) -> list[Effect]:
    """Draw noise, and what is lost in a file."""
    grainy = (rng.random(count) < 0.5) & (options.noise > 0)
    dim = rng.random(count) < options.photons
    sigma = grainy * rng.uniform(0, options.noise, count)
    photons = dim * np.exp(rng.uniform(np.log(0.02), np.log(0.15), count))
    grain = rng.uniform(1, options.grain, count)
    noisy = np.flatnonzero(grainy | dim)
    # Most cameras of grey images give the same noise to all channels.
    own = rng.random(count) < 0.3
    planes = np.cumsum(np.where(own[noisy, None], 1, (1, 0, 0))) - 1
    seed, fields = int(rng.integers(2**62)), int(planes[-1]) + 1 if len(planes) else 0
    add_noise = partial(light_effects.add_noise, fields=fields, seed=seed, grained=options.grain > 1)
    levelled = _some(options.levels, rng, count)
    compressed = _some(options.jpeg, rng, count)
    return [
        Effect(add_noise, noisy, (planes.reshape(-1, 3), sigma[noisy], photons[noisy], grain[noisy])),
        Effect(
            light_effects.round_levels, levelled, (np.exp(rng.uniform(np.log(8), np.log(64), len(levelled))).round(),)
        ),
        Effect(light_effects.compress, compressed, (rng.integers(30, 95, len(compressed)),)),
    ]


def _some(probability: float | NDArray[np.floating], rng: Generator, count: int | None = None) -> NDArray[np.int64]:
    """Draw which of so many crops something happens to."""
    return np.flatnonzero(rng.random(count or np.shape(probability)) < probability)


def _factors(spread: float, shape: int | tuple[int, ...], rng: Generator) -> NDArray[np.float64]:
    """Draw factors up to 1 + spread, or its inverse."""
    drawn: NDArray[np.float64] = (1 + spread) ** rng.uniform(-1, 1, shape)
    return drawn
