from pathlib import Path

import numpy as np
import pytest

from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.training.cross_validation_file import (
    CROSS_VALIDATION_FILE,
    CrossValidation,
    ScoredImage,
    found_by_size,
    hash_recipe,
    read_cross_validation,
    require_same_images,
    require_same_recipe,
    summarise,
    trained_on_all,
    write_cross_validation,
)
from napari_unetseg.training.dataset import DatasetError
from napari_unetseg.training.report import SCORES_FILE
from napari_unetseg.training.scores import Score, score
from napari_unetseg.training.training_recipe import RecipeError, TrainingRecipe


def scored(stem: str, fold: int, found: int, kind: str = "image") -> ScoredImage:
    """Score an image of four squares, 10, 10, 20 and 40 pixels wide, of which the first are found."""
    truth = np.zeros((100, 100), np.int32)
    for number, (y, x, side) in enumerate([(0, 0, 10), (0, 20, 10), (20, 0, 20), (50, 50, 40)], start=1):
        truth[y : y + side, x : x + side] = number
    predicted = np.where(truth <= found, truth, 0)
    diameters = np.sqrt(4 * np.array([100, 100, 400, 1600]) / np.pi)
    return ScoredImage(fold, "group", score(predicted, truth, stem, kind), diameters, np.arange(4) < found)


@pytest.fixture
def images() -> list[ScoredImage]:
    return [scored("a", 1, 4), scored("b", 1, 2, "other"), scored("c", 2, 1)]


@pytest.fixture
def outcome(images: list[ScoredImage], recipe: TrainingRecipe) -> CrossValidation:
    chosen = DecodeParameters(threshold=0.4)
    return CrossValidation(
        recipe=recipe,
        recipe_sha256=hash_recipe(recipe),
        parameters=chosen,
        fold_parameters={"1": chosen, "2": chosen},
        scores=summarise(images),
    )


def test_means_are_of_images_and_the_spread_of_folds(images: list[ScoredImage]) -> None:
    summary = summarise(images)
    assert (summary.images, summary.folds) == (3, 2)
    assert summary.ap50 == pytest.approx((1 + 0.5 + 0.25) / 3, abs=1e-4)
    assert {name: figures.ap50 for name, figures in summary.per_fold.items()} == {"1": 0.75, "2": 0.25}
    assert summary.spread["ap50"] == pytest.approx(0.5 / 2**0.5, abs=1e-4)  # of two, with Bessel's correction
    assert {kind: figures.ap50 for kind, figures in summary.per_kind.items()} == {"image": 0.625, "other": 0.5}


def test_what_was_found_is_told_by_diameter(images: list[ScoredImage]) -> None:
    told = {size: (one.objects, one.found) for size, one in found_by_size(images).items()}
    assert told == {"8 to 12 px": (6, 0.8333), "16 to 24 px": (3, 0.3333), "32 to 48 px": (3, 0.3333)}
    large = ScoredImage(1, "group", images[0].score, np.array([192.0, 500.0]), np.array([True, False]))
    assert list(found_by_size([large])) == ["192 px and more"]


def test_masks_that_tell_no_objects_apart_have_no_sizes() -> None:
    nothing = np.empty(0), np.empty(0, bool)
    alone = [ScoredImage(fold, "group", Score("a", "image", 0.5, 0.4, None), *nothing) for fold in (1, 2)]
    summary = summarise(alone)
    assert (summary.dice, summary.ap50, summary.by_size) == (0.5, None, {})
    assert summary.spread == {"dice": 0, "iou": 0}


def test_the_file_is_read_as_it_was_written(
    outcome: CrossValidation, images: list[ScoredImage], tmp_path: Path
) -> None:
    write_cross_validation(outcome, images, tmp_path)
    assert read_cross_validation(tmp_path / CROSS_VALIDATION_FILE) == outcome
    lines = (tmp_path / SCORES_FILE).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("fold,group,stem,kind,dice,iou,ap50,")
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["1", "group", "a"],
        ["1", "group", "b"],
        ["2", "group", "c"],
    ]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        read_cross_validation(tmp_path / "missing.json")
    (tmp_path / "summary.json").write_text('{"images": 3}', encoding="utf-8")
    with pytest.raises(DatasetError, match="no outcome of a cross-validation"):
        read_cross_validation(tmp_path / "summary.json")


def test_scores_are_of_the_images_that_they_are_of_where_that_is_known(outcome: CrossValidation) -> None:
    require_same_images(outcome, "any")  # as the file is of an earlier version
    known = outcome.model_copy(update={"images_sha256": "one"})
    require_same_images(known, "one")
    with pytest.raises(DatasetError, match="of other images or masks than those to train on"):
        require_same_images(known, "other")


def test_scores_are_of_one_recipe_whatever_it_is_called_and_however_long_it_takes(
    outcome: CrossValidation, recipe: TrainingRecipe
) -> None:
    longer = recipe.model_copy(update={"name": "other", "licence": "CC0 1.0", "steps": 8000})
    require_same_recipe(outcome, longer)
    assert trained_on_all(outcome, recipe).endswith("in whole groups")
    told = "They were trained for 4 steps of 2 crops, the model for 8,000 steps of 2 crops"
    assert trained_on_all(outcome, longer).endswith(told)
    timed = recipe.model_copy(update={"minutes": 2.5, "start_from": ("runs/earlier",)})
    require_same_recipe(outcome, timed)
    assert trained_on_all(outcome, timed).endswith("the model for 2.5 minutes of 2 crops from earlier")
    with pytest.raises(RecipeError, match="not the one of which the cross-validation is"):
        require_same_recipe(outcome, recipe.model_copy(update={"crop": 64}))
