from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from napari_unetseg.training.crop_store import CropStore
from napari_unetseg.training.dataset import find_pairs, load_samples
from napari_unetseg.training.sampling import draw_batch, draw_batches, draw_donor, draw_weights
from napari_unetseg.training.training_recipe import TrainingRecipe

CPU = torch.device("cpu")


def test_shares_grow_with_the_square_root() -> None:
    kinds = ["a"] * 16 + ["b"] * 4
    groups = ["a1"] * 9 + ["a2"] * 7 + ["b1"] * 4
    weights = draw_weights(kinds, groups, 0.5)
    np.testing.assert_allclose(weights.sum(), 1)
    np.testing.assert_allclose([weights[:16].sum(), weights[16:].sum()], [4 / 6, 2 / 6])
    np.testing.assert_allclose(weights[:9].sum() / weights[9:16].sum(), np.sqrt(9 / 7))
    np.testing.assert_allclose(weights[:9], weights[0])


def test_shares_are_those_of_images_or_of_kinds_and_groups() -> None:
    kinds, groups = ["a"] * 6 + ["b"] * 2, ["a1"] * 4 + ["a2"] * 2 + ["b1"] * 2
    np.testing.assert_allclose(draw_weights(kinds, groups, 1), 1 / 8)
    np.testing.assert_allclose(draw_weights(kinds, groups, 0), [1 / 16] * 4 + [1 / 8] * 2 + [1 / 4] * 2)


def test_a_batch_depends_on_seed_and_step_alone(dataset: Path, recipe: TrainingRecipe) -> None:
    store = CropStore(load_samples(find_pairs(dataset), recipe.normalisation), CPU)
    weights = np.full(8, 1 / 8)
    pixels, targets = draw_batch(store, weights, recipe, step=7)
    assert pixels.shape == (2, 3, 32, 32)
    assert targets.shape == (2, 5, 32, 32)
    again, _ = draw_batch(store, weights, recipe, step=7)
    other, _ = draw_batch(store, weights, recipe, step=8)
    assert torch.equal(pixels, again)
    assert not torch.equal(pixels, other)


def test_batches_drawn_ahead_are_those_of_their_steps(dataset: Path, recipe: TrainingRecipe) -> None:
    store = CropStore(load_samples(find_pairs(dataset), recipe.normalisation), CPU)
    weights = np.full(len(store), 1 / len(store))
    batches = draw_batches(store, weights, recipe, 5)
    for step in (5, 6, 7):
        for drawn, expected in zip(next(batches), draw_batch(store, weights, recipe, step), strict=True):
            assert torch.equal(drawn, expected)
    batches.close()


def test_donors_are_of_the_same_kind_and_channels(dataset: Path, recipe: TrainingRecipe) -> None:
    store = CropStore(load_samples(find_pairs(dataset), recipe.normalisation), CPU)
    rng = np.random.default_rng(0)
    # Bright and grey are fields 0, 2 and 4; the second is never drawn.
    weights = np.array([0.1, 0.1, 0, 0.1, 0.3, 0.1, 0.2, 0.2])
    donors = [draw_donor(store, weights, 0, rng) for _ in range(400)]
    assert set(donors) == {0, 4}
    assert 70 < donors.count(0) < 130


def test_pasting_fills_empty_crops(dataset: Path, recipe: TrainingRecipe) -> None:
    full = load_samples(find_pairs(dataset), recipe.normalisation)[0]
    empty = replace(full, targets=torch.zeros_like(full.targets))
    store = CropStore([full, empty], CPU)
    plain = recipe.model_copy(update={"batch": 64, "crop": 48})
    pasting = plain.model_copy(update={"augmentation": plain.augmentation.model_copy(update={"paste": 1.0})})

    def count_empty(some: TrainingRecipe) -> int:
        _, targets = draw_batch(store, np.full(2, 0.5), some, 3)
        return int((targets[:, 0].amax(dim=(1, 2)) == 0).sum())

    # Half of the crops, then half of that half.
    assert 24 <= count_empty(plain) <= 40
    assert 8 <= count_empty(pasting) <= 23
