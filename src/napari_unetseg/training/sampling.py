"""Which sample comes next: rare kinds of image are drawn more often than their number says."""

from collections import Counter, defaultdict

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, stack

from napari_unetseg.training.augment import draw_crop
from napari_unetseg.training.dataset import Sample
from napari_unetseg.training.recipe import Recipe


def draw_weights(kinds: list[str], groups: list[str]) -> NDArray[np.float64]:
    """Probability of each image to be drawn.

    A kind's share grows with the square root of its number of images, and within a kind so does a
    group's: halfway between every image alike and every group alike.
    """
    sizes = Counter(zip(kinds, groups, strict=True))
    kind_sizes = Counter(kinds)
    shares: defaultdict[str, float] = defaultdict(float)
    for (kind, _), size in sizes.items():
        shares[kind] += size**0.5
    total = sum(size**0.5 for size in kind_sizes.values())
    weights = [
        kind_sizes[kind] ** 0.5 / total * sizes[kind, group] ** 0.5 / shares[kind] / sizes[kind, group]
        for kind, group in zip(kinds, groups, strict=True)
    ]
    return np.array(weights) / np.sum(weights)


def draw_batch(samples: list[Sample], weights: NDArray[np.float64], recipe: Recipe, step: int) -> tuple[Tensor, Tensor]:
    """Draw the crops of a step, float32 (N, 3, side, side) and (N, heads, side, side).

    They depend on the recipe's seed and the step alone, so a resumed run sees what an
    uninterrupted one would have seen.
    """
    rng: Generator = np.random.default_rng((recipe.seed, step))
    chosen = rng.choice(len(samples), size=recipe.batch, p=weights)
    crops = [draw_crop(samples[index], recipe.crop, recipe.augmentation, rng) for index in chosen]
    return stack([pixels for pixels, _ in crops]), stack([targets for _, targets in crops])
