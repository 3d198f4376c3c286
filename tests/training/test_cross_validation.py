import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import torch

from napari_unetseg.errors import ImageError, UnetsegError
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.training import cross_validation as module
from napari_unetseg.training import tune_decoder
from napari_unetseg.training.cross_validation import cross_validate
from napari_unetseg.training.cross_validation_file import CROSS_VALIDATION_FILE, CrossValidation, read_cross_validation
from napari_unetseg.training.dataset import DatasetError, Sample, find_pairs
from napari_unetseg.training.folds import deal
from napari_unetseg.training.report import SCORES_FILE
from napari_unetseg.training.state import initial_state
from napari_unetseg.training.training_recipe import RecipeError, TrainingRecipe
from napari_unetseg.training.validation_choice import pairs_fingerprint
from napari_unetseg.zoo.registry import read_package

GROUPS = {"field0": "a", "field1": "a", "field2": "b", "field3": "b", "field4": "c", "field5": "c"}
GROUPS |= {"field6": "d", "field7": "d"}
FOLDS = [("field0", "field1", "field6", "field7"), ("field2", "field3"), ("field4", "field5")]


class KilledError(Exception):
    """Stands for a kill in the middle of a run."""


def killed() -> bool:
    raise KilledError


@pytest.fixture(autouse=True)
def _few_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the decoder few parameters to be chosen from, as each is tried on each image."""
    for name, values in {"THRESHOLD": (0.4, 0.5), "SPLIT": (0.3,), "MIN_SIZE": (5,), "MIN_CONFIDENCE": (0.0,)}.items():
        monkeypatch.setattr(tune_decoder, f"{name}_CHOICES", values)


@pytest.fixture
def short(recipe: TrainingRecipe) -> TrainingRecipe:
    return recipe.model_copy(update={"steps": 2})


def run(dataset: Path, recipe: TrainingRecipe, folder: Path, **options: Any) -> CrossValidation:
    pairs = find_pairs(dataset)
    folds = deal(GROUPS, {pair.stem: pair.kind for pair in pairs}, 3)
    return cross_validate(pairs, GROUPS, folds, recipe, folder, device="cpu", **options)


def weights_of(folder: Path, fold: int) -> str:
    return read_package(folder / f"fold{fold}" / "model", "path").card.weights.sha256


def test_neither_training_nor_choice_is_given_an_image_of_its_fold(
    dataset: Path, short: TrainingRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[set[str]] = []
    chosen_on: list[set[str]] = []
    fit, choose = module.fit, module._Chooser.choose

    def watched_fit(training: Sequence[Sample], weights: Any, validation: Sequence[Sample], *rest: Any, **options: Any):
        learnt.append({sample.stem for sample in training})
        assert len(weights) == len(training)
        assert list(validation) == []
        return fit(training, weights, validation, *rest, **options)

    def watched_choice(chooser: Any, stems: Sequence[str]) -> DecodeParameters:
        chosen_on.append(set(stems))
        return choose(chooser, stems)

    monkeypatch.setattr(module, "fit", watched_fit)
    monkeypatch.setattr(module._Chooser, "choose", watched_choice)
    outcome = run(dataset, short, tmp_path / "out")

    others = [GROUPS.keys() - set(held) for held in FOLDS]
    assert learnt == others
    assert chosen_on == [*others, GROUPS.keys()]
    assert outcome.scores.folds == 3
    assert outcome.images_sha256 == pairs_fingerprint(find_pairs(dataset))
    assert [figures.images for figures in outcome.scores.per_fold.values()] == [4, 2, 2]
    assert read_cross_validation(tmp_path / "out" / CROSS_VALIDATION_FILE) == outcome
    with (tmp_path / "out" / SCORES_FILE).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["stem"]: row["group"] for row in rows} == GROUPS
    assert [{row["stem"] for row in rows if row["fold"] == str(number)} for number in (1, 2, 3)] == list(
        map(set, FOLDS)
    )


def test_what_a_fold_holds_out_leaves_no_trace_in_its_weights(
    dataset: Path, short: TrainingRecipe, tmp_path: Path
) -> None:
    run(dataset, short, tmp_path / "before")
    for stem in FOLDS[1]:
        for name in ("images", "masks"):
            path = dataset / name / f"{stem}.png"
            iio.imwrite(path, np.roll(iio.imread(path), 20, axis=0))
    run(dataset, short, tmp_path / "after")
    same = [weights_of(tmp_path / "before", fold) == weights_of(tmp_path / "after", fold) for fold in (1, 2, 3)]
    assert same == [False, True, False]


def test_a_killed_run_goes_on_in_the_fold_it_was_in(dataset: Path, short: TrainingRecipe, tmp_path: Path) -> None:
    asked = 0

    def kill_in_the_second_fold() -> bool:
        nonlocal asked
        asked += 1
        if asked == 4:
            raise KilledError
        return False

    with pytest.raises(KilledError):
        run(dataset, short, tmp_path / "killed", stop=kill_in_the_second_fold)
    resumed = run(dataset, short, tmp_path / "killed", stop=kill_in_the_second_fold)
    assert asked == 4 + 1 + 2
    assert resumed == run(dataset, short, tmp_path / "undisturbed")

    # Once all is trained, only the scores are worked out anew.
    (tmp_path / "killed" / "fold1" / "maps" / "field0.npy").write_bytes(b"")  # but damaged maps, which are predicted
    assert run(dataset, short, tmp_path / "killed", stop=kill_in_the_second_fold) == resumed
    assert asked == 7
    with pytest.raises(UnetsegError, match="another recipe"):
        run(dataset, short.model_copy(update={"seed": 1}), tmp_path / "killed")


def test_folds_are_scored_as_their_model_would_segment(
    dataset: Path, recipe: TrainingRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With sizes that a model knows, the decoder's parameters decide at which it looks at an image; and a run by time.
    seen: list[tuple[DecodeParameters, list[str]]] = []
    predict_pairs = module.predict_pairs

    def watched(package: Any, pairs: Sequence[Any], device: str) -> Any:
        seen.append((package.card.parameters, [pair.stem for pair in pairs]))
        return predict_pairs(package, pairs, device)

    monkeypatch.setattr(module, "predict_pairs", watched)
    sized = {"object_size": 12.0, "object_sizes": (8.0, 16.0), "steps": 1000, "minutes": 1e-4}
    outcome = run(dataset, recipe.model_copy(update=sized), tmp_path / "out")
    assert seen[:3] == [(recipe.parameters, list(held)) for held in FOLDS]
    assert seen[3:] == [(outcome.fold_parameters[str(n)], list(held)) for n, held in enumerate(FOLDS, start=1)]


def test_weights_that_may_have_seen_the_images_are_no_beginning(
    dataset: Path, recipe: TrainingRecipe, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match="begins with weights that were trained before"):
        run(dataset, recipe.model_copy(update={"start_from": ("nuclei",), "steps": 0}), tmp_path / "out")


def test_images_of_which_nothing_is_annotated_are_not_scored(
    dataset: Path, short: TrainingRecipe, tmp_path: Path
) -> None:
    for stem in ("field0", "field2"):
        tifffile.imwrite(dataset / "masks" / f"{stem}.tif", np.full((64, 64), -1, np.int16))
        (dataset / "masks" / f"{stem}.png").unlink()
    outcome = run(dataset, short.model_copy(update={"steps": 1}), tmp_path / "out")
    assert outcome.scores.images == 6
    assert [figures.images for figures in outcome.scores.per_fold.values()] == [3, 1, 2]
    assert sorted(path.stem for path in (tmp_path / "out" / "fold2" / "maps").iterdir()) == ["field3"]


def test_a_fold_without_annotation_is_named_before_anything_is_learnt(
    dataset: Path, short: TrainingRecipe, tmp_path: Path
) -> None:
    for stem in FOLDS[1]:
        tifffile.imwrite(dataset / "masks" / f"{stem}.tif", np.full((64, 64), -1, np.int16))
        (dataset / "masks" / f"{stem}.png").unlink()
    with pytest.raises(DatasetError, match=r"nothing is annotated on any image of fold 2 \(field2, field3\)"):
        run(dataset, short, tmp_path / "out")
    assert not (tmp_path / "out" / "fold1").exists()


def test_an_image_without_mask_is_named(dataset: Path, short: TrainingRecipe, tmp_path: Path) -> None:
    pairs = find_pairs(dataset)
    pairs[3].mask.unlink()
    with pytest.raises(DatasetError, match=r"1 of 8 images have no mask \(field3\.png\)"):
        cross_validate(pairs, GROUPS, FOLDS, short, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


def test_weights_to_start_from_that_were_replaced_are_noticed(
    dataset: Path, short: TrainingRecipe, tmp_path: Path
) -> None:
    start = tmp_path / "start.pt"
    for seed in (1, 2):
        start.unlink(missing_ok=True)
        torch.save(
            initial_state(short.model_copy(update={"seed": seed}), torch.device("cpu")).network.state_dict(), start
        )
        if seed == 1:
            with pytest.raises(KilledError):
                run(dataset, short, tmp_path / "out", start_from=[str(start)], stop=killed)
    with pytest.raises(UnetsegError, match="from other weights"):
        run(dataset, short, tmp_path / "out", start_from=[str(start)])
    start.unlink()
    with pytest.raises(UnetsegError, match=r"start\.pt: the weights to start from cannot be read"):
        run(dataset, short, tmp_path / "out", start_from=[str(start)])


def test_an_unreadable_image_is_named_before_anything_is_learnt(
    dataset: Path, short: TrainingRecipe, tmp_path: Path
) -> None:
    (dataset / "images" / "field3.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"field3\.png"):
        run(dataset, short, tmp_path / "out")
    assert not (tmp_path / "out" / "fold1").exists()
