import csv
import json
import shutil
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from napari_unetseg.cli.cross_validation_run import _rows
from napari_unetseg.training.cross_validation_file import CROSS_VALIDATION_FILE
from napari_unetseg.training.report import SCORES_FILE
from napari_unetseg.training.training_recipe import Source, TrainingRecipe, write_training_recipe
from napari_unetseg.zoo.cross_validated import CrossValidated, Figures


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four images of bright squares in the folders of a data set, and a recipe that learns them in two steps."""
    rng = np.random.default_rng(3)
    folder = tmp_path / "data"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(4):
        labels = np.zeros((64, 64), np.uint8)
        for label, (y, x) in enumerate(rng.permutation(9)[:4, None] // (3, 1) % 3 * 20 + 4, start=1):
            labels[y : y + 12, x : x + 12] = label
        iio.imwrite(folder / "images" / f"{number}.png", np.where(labels > 0, 180, 40).astype(np.uint8))
        iio.imwrite(folder / "masks" / f"{number}.png", labels)
    (folder / "groups.csv").write_text("stem,group\n0,mon\n1,tue\n2,mon\n3,tue\n", encoding="utf-8")
    recipe = TrainingRecipe(
        name="squares",
        display_name="Squares",
        description="Squares.",
        data=Source(name="squares"),
        features=(8, 16),
        crop=32,
        batch=2,
        steps=2,
        warm_up=1,
    )
    write_training_recipe(recipe, folder / "recipe.yaml")
    return folder


def test_a_recipe_is_cross_validated_in_a_process_of_its_own(shell, data, tmp_path):
    words = [data / "recipe.yaml", data / "images", data / "masks", "--cross-validate", "--groups", data / "groups.csv"]
    done = shell("evaluate", *words, "--folds", "2", "--output", tmp_path / "out", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "Fold 2 of 2: 2 images to train on, 2 held out." in done.stdout
    table = [line.split() for line in done.stdout.splitlines()]
    assert ["all", "4"] in [row[:2] for row in table]
    assert ["spread", "of", "the", "folds"] in [row[:4] for row in table]
    assert ["12", "to", "16", "px", "16"] in [row[:5] for row in table]
    with (tmp_path / "out" / SCORES_FILE).open(encoding="utf-8", newline="") as file:
        folds = {row["stem"]: row["fold"] for row in csv.DictReader(file)}
    assert folds == {"0": "1", "2": "1", "1": "2", "3": "2"}
    assert json.loads((tmp_path / "out" / CROSS_VALIDATION_FILE).read_bytes())["scores"]["images"] == 4


def test_a_model_is_cross_validated_by_its_recipe(call, bright_model, data, tmp_path):
    words = [data / "images", data / "masks", "--cross-validate", "--groups", data / "groups.csv", "--device", "cpu"]
    done = call("evaluate", bright_model, *words, "--output", tmp_path / "out")
    assert done.exit_code == 1
    assert "the model has no recipe to train anew by" in done.output
    assert not (tmp_path / "out").exists()
    package = shutil.copytree(bright_model, tmp_path / "model")
    shutil.copy(data / "recipe.yaml", package)
    done = call("evaluate", package / "model.yaml", *words, "--output", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    outcome = json.loads(done.stdout)
    assert (outcome["recipe"]["name"], outcome["scores"]["folds"]) == ("squares", 2)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--cross-validate"], "--output"),
        (["--cross-validate", "--output", "out", "--baselines"], "goes without"),
        (["--groups", "pyproject.toml"], "goes with --cross-validate"),
        (["--folds", "3"], "goes with --cross-validate"),
        (["--cross-validate", "--output", "out", "--folds", "1"], "--folds"),
    ],
)
def test_options_that_do_not_fit_are_refused(call, data, words, fault, monkeypatch):
    monkeypatch.chdir(data)
    (data / "pyproject.toml").touch()
    done = call("evaluate", "nuclei", "images", "masks", *words)
    assert done.exit_code == 2
    assert fault in done.output


def test_images_that_are_all_alike_need_groups(call, data, tmp_path):
    words = ["--cross-validate", "--output", tmp_path / "out", "--device", "cpu"]
    (data / "groups.csv").write_text("stem,group\n0,mon\n1,mon\n2,mon\n3,mon\n", encoding="utf-8")
    done = call(
        "evaluate", data / "recipe.yaml", data / "images", data / "masks", *words, "--groups", data / "groups.csv"
    )
    assert done.exit_code == 1
    assert "All 4 images are in one group" in done.output
    assert not (tmp_path / "out").exists()


def test_kinds_that_are_called_as_other_rows_have_rows_of_their_own():
    def figures(dice: float) -> Figures:
        return Figures(images=1, dice=dice, iou=0.5)

    kinds = {"all": figures(0.1), "fold 1": figures(0.2)}
    folds = {"1": figures(0.3), "2": figures(0.4)}
    scores = CrossValidated(images=2, dice=0.7, iou=0.5, folds=2, spread={"dice": 0.05}, per_kind=kinds, per_fold=folds)
    rows = [(row[0], row[-1]) for row in _rows(scores, ["dice"])]
    assert rows == [
        ("all", "0.700"),
        ("spread of the folds", "0.050"),
        ("all", "0.100"),
        ("fold 1", "0.200"),
        ("fold 1", "0.300"),
        ("fold 2", "0.400"),
    ]
