import numpy as np
import pytest

from napari_unetseg.image import Image
from napari_unetseg.training.baseline import otsu_watershed
from napari_unetseg.training.scores import dice_score


@pytest.mark.parametrize("invert", [False, True])
def test_otsu_finds_the_lesser_side_of_the_threshold(invert: bool) -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:60, :60]
    discs = ((y - 30) ** 2 + (x - 18) ** 2 < 144) | ((y - 30) ** 2 + (x - 40) ** 2 < 144)
    grey = np.where(discs, 200, 40) + rng.integers(0, 9, discs.shape)
    labels = otsu_watershed(Image((255 - grey if invert else grey).astype(np.uint8)))
    assert dice_score(labels > 0, discs) == 1
    assert labels.max() == 2  # they touch, and are divided


def test_otsu_finds_nothing_in_a_constant_image() -> None:
    assert otsu_watershed(Image(np.full((9, 9), 7, np.uint8))).max() == 0
