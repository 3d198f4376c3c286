"""Which sample comes next: rare kinds of image are drawn more often than their number says."""

from collections import Counter, defaultdict
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_unetseg.training.augment import draw_crops
from napari_unetseg.training.crop_store import CropStore
from napari_unetseg.training.training_recipe import TrainingRecipe


def draw_weights(kinds: Sequence[str], groups: Sequence[str], rare: float) -> NDArray[np.float64]:
    """Probability of each image to be drawn.

    A kind's share grows with its number of images to the power of `rare`, and within a kind so does a group's: at 1
    every image is as likely as any other, at 0 every kind and group, and at 0.5 it is halfway between.
    """
    sizes = Counter(zip(kinds, groups, strict=True))
    kind_sizes = Counter(kinds)
    group_shares: defaultdict[str, float] = defaultdict(float)
    for (kind, _), size in sizes.items():
        group_shares[kind] += size**rare
    weights = np.empty(len(kinds))
    for index, (kind, group) in enumerate(zip(kinds, groups, strict=True)):
        size = sizes[kind, group]
        weights[index] = kind_sizes[kind] ** rare * (size**rare / group_shares[kind]) / size
    weights /= weights.sum()
    return weights


def draw_batch(
    store: CropStore, weights: NDArray[np.float64], recipe: TrainingRecipe, step: int
) -> tuple[Tensor, Tensor]:
    """Draw the crops of a step: pixels, float32 (N, 3, side, side), and targets, (N, 5, side, side).

    They depend on the recipe's seed and the step alone, so a resumed run sees what an uninterrupted one would have
    seen; on another device it sees the same views under the same light, with noise of other grains.
    """
    rng = np.random.default_rng((recipe.seed, step))
    chosen = rng.choice(len(store), size=recipe.batch, p=weights)
    pasting = rng.random(recipe.batch) < recipe.augmentation.paste
    donors = None
    if pasting.any():
        donors = np.full(recipe.batch, -1)
        for place in np.flatnonzero(pasting):
            donors[place] = draw_donor(store, weights, chosen[place], rng)
    return draw_crops(store, chosen, recipe.crop, recipe.augmentation, rng, donors)


def draw_donor(store: CropStore, weights: NDArray[np.float64], index: int, rng: np.random.Generator) -> int:
    """Draw a sample of the same kind, with colour or without as it, by the weights; it may be the same again."""
    alike = (np.array(store.kinds) == store.kinds[index]) & (store.colourless == store.colourless[index])
    return int(rng.choice(len(store), p=alike * weights / (alike * weights).sum()))


def draw_batches(
    store: CropStore, weights: NDArray[np.float64], recipe: TrainingRecipe, step: int
) -> Generator[tuple[Tensor, Tensor]]:
    """Draw the batches from a step on, without end; each while the network works on the one before."""
    with ThreadPoolExecutor(1, "draw crops") as pool:
        coming = pool.submit(draw_batch, store, weights, recipe, step)
        for following in count(step + 1):
            batch = coming.result()
            coming = pool.submit(draw_batch, store, weights, recipe, following)
            yield batch
