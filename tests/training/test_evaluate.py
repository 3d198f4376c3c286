from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from napari_unetseg.image import Image
from napari_unetseg.training.dataset import Pair, find_pairs
from napari_unetseg.training.evaluate import (
    Failed,
    Method,
    are_masks,
    choose_truth,
    compare,
    evaluate,
    otsu_watershed,
)
from napari_unetseg.training.scores import Score, dice_score

PAIR = Pair("a", Path("a.png"), Path("a.png"), "image")


def above_half(image: Image) -> np.ndarray:
    return (image.channels_first[0] > 127).astype(np.int32)


HALF = Method("half", above_half, divides=False)


def two_parts() -> np.ndarray:
    mask = np.zeros((20, 20), np.int32)
    mask[2:8, 2:8] = 255
    mask[12:18, 12:18] = 255
    return mask


def test_scores_come_in_the_order_of_the_pairs(dataset: Path) -> None:
    scores = list(evaluate(HALF, find_pairs(dataset), "foreground"))
    assert [score.stem for score in scores] == [f"field{number}" for number in range(8)]
    assert all(score.dice > 0.95 for score in scores if score.kind == "bright")
    assert all(score.dice < 0.5 for score in scores if score.kind == "dark")


def test_a_pair_that_fails_does_not_stop_the_others(dataset: Path) -> None:
    pairs = find_pairs(dataset)
    pairs[2].mask.unlink()
    pairs[3].image.write_bytes(b"no image")
    tifffile.imwrite(pairs[4].mask.with_suffix(".tif"), np.full((64, 64), -1, np.int16))
    pairs[4] = replace(pairs[4], mask=pairs[4].mask.with_suffix(".tif"))

    def breaks(image: Image) -> np.ndarray:
        if image.name == "field5.png":
            raise RuntimeError("out of luck")
        return above_half(image)

    results = list(evaluate(Method("breaks", breaks, divides=False), pairs, "labels"))
    failed = {result.stem: str(result.error) for result in results if isinstance(result, Failed)}
    assert list(failed) == ["field2", "field3", "field4", "field5"]
    assert "field2.png: there is no such file" in failed["field2"]
    assert "field3.png" in failed["field3"]
    assert "field4.tif: no pixel is annotated" in failed["field4"]
    assert failed["field5"] == "out of luck"
    assert sum(isinstance(result, Score) for result in results) == 4


def test_masks_are_known_by_their_single_value(dataset: Path) -> None:
    pairs = find_pairs(dataset)
    assert not are_masks(pairs)
    for pair in pairs[1:]:
        iio.imwrite(pair.mask, np.where(iio.imread(pair.mask), 255, 0).astype(np.uint8))
    assert not are_masks(pairs)
    assert are_masks(pairs[1:])
    pairs[0].mask.write_bytes(b"no image")
    assert are_masks(pairs)


@pytest.mark.parametrize(
    ("masks", "divides", "truth"),
    [
        (False, True, "labels"),
        (False, False, "labels"),
        (True, False, "parts"),
        (True, True, "foreground"),
    ],
)
def test_what_is_compared_depends_on_annotation_and_contender(masks: bool, divides: bool, truth: str) -> None:
    assert choose_truth(masks, divides) == truth


def test_parts_of_a_mask_count_as_objects() -> None:
    found = two_parts()
    found[2:8, 2:8] = 1
    assert compare(found, two_parts(), PAIR, "parts").objects.ap50 == 1
    assert compare(found, two_parts(), PAIR, "labels").objects.true == 1
    assert compare(found, two_parts(), PAIR, "foreground").objects is None


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


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_otsu_leaves_pixels_that_are_no_number_out(odd: float, dark: bool) -> None:
    grey = np.zeros((20, 20), np.float32)
    grey[4:12, 4:12] = 1
    image = 1 - grey if dark else grey.copy()
    image[18, 18] = odd
    np.testing.assert_array_equal(otsu_watershed(Image(image)) > 0, grey > 0)
    assert otsu_watershed(Image(np.full((9, 9), odd, np.float32))).max() == 0
