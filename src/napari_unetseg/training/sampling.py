"""Which sample comes next: rare kinds of image are drawn more often than their number says."""

from collections import Counter, defaultdict
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, stack

from napari_unetseg.training.augment import draw_crop
from napari_unetseg.training.dataset import Sample
from napari_unetseg.training.training_recipe import TrainingRecipe


def draw_weights(kinds: Sequence[str], groups: Sequence[str]) -> NDArray[np.float64]:
    """Probability of each image to be drawn.

    A kind's share grows with the square root of its number of images, and within a kind so does a
    group's: halfway between every image alike and every group alike.
    """
    sizes = Counter(zip(kinds, groups, strict=True))
    kind_sizes = Counter(kinds)
    group_shares: defaultdict[str, float] = defaultdict(float)
    for (kind, _), size in sizes.items():
        group_shares[kind] += size**0.5
    weights = np.empty(len(kinds))
    for index, (kind, group) in enumerate(zip(kinds, groups, strict=True)):
        size = sizes[kind, group]
        weights[index] = kind_sizes[kind] ** 0.5 * (size**0.5 / group_shares[kind]) / size
    weights /= weights.sum()
    return weights


def draw_batch(
    samples: Sequence[Sample], weights: NDArray[np.float64], recipe: TrainingRecipe, step: int
) -> tuple[Tensor, Tensor]:
    """Draw the crops of a step: pixels, float32 (N, 3, side, side), and targets, (N, 5, side, side).

    They depend on the recipe's seed and the step alone, so a resumed run sees what an
    uninterrupted one would have seen.
    """
    rng = np.random.default_rng((recipe.seed, step))
    chosen = rng.choice(len(samples), size=recipe.batch, p=weights)
    crops = []
    for index in chosen:
        # Without pasting no number is drawn for it, so that recipes that do not paste keep their crops.
        pasting = recipe.augmentation.paste > 0 and rng.random() < recipe.augmentation.paste
        donor = draw_donor(samples, weights, index, rng) if pasting else None
        crops.append(draw_crop(samples[index], recipe.crop, recipe.augmentation, rng, donor))
    return stack([pixels for pixels, _ in crops]), stack([targets for _, targets in crops])


def draw_donor(samples: Sequence[Sample], weights: NDArray[np.float64], index: int, rng: np.random.Generator) -> Sample:
    """Draw a sample of the same kind and number of channels, by the weights; it may be the same again."""
    appearances = [(sample.kind, sample.pixels.shape[0]) for sample in samples]
    alike = np.array([appearance == appearances[index] for appearance in appearances]) * weights
    return samples[int(rng.choice(len(samples), p=alike / alike.sum()))]


def draw_batches(
    samples: Sequence[Sample], weights: NDArray[np.float64], recipe: TrainingRecipe, step: int
) -> Generator[tuple[Tensor, Tensor]]:
    """Draw the batches from a step on, without end; each while the network works on the one before."""
    with ThreadPoolExecutor(1, "draw crops") as pool:
        coming = pool.submit(draw_batch, samples, weights, recipe, step)
        for following in count(step + 1):
            batch = coming.result()
            coming = pool.submit(draw_batch, samples, weights, recipe, following)
            yield batch
