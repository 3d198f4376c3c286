import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from napari_unetseg.cli.train_command import train_command
from napari_unetseg.training.state import BEST_FILE, LAST_FILE
from napari_unetseg.training.train import RECIPE_FILE, VALIDATION_FILE
from napari_unetseg.training.training_recipe import (
    TrainingRecipe,
    fields_for,
    read_training_recipe,
    write_training_recipe,
)
from napari_unetseg.zoo.card import CARD_FILE, read_card


@pytest.fixture
def command() -> typer.Typer:
    app = typer.Typer()
    app.command()(train_command)
    return app


def test_the_command_trains_by_a_recipe(
    command: typer.Typer, dataset: Path, recipe: TrainingRecipe, tmp_path: Path
) -> None:
    write_training_recipe(recipe, tmp_path / "discs.yaml")
    (tmp_path / "held.txt").write_text("field0\nfield1\n", encoding="utf-8")
    output, checkpoints = tmp_path / "model", tmp_path / "checkpoints"
    arguments = ["--output", output, "--checkpoints", checkpoints, "--recipe", tmp_path / "discs.yaml"]
    arguments += ["--validation", tmp_path / "held.txt", "--steps", "1", "--name", "mine", "--device", "cpu"]
    result = CliRunner().invoke(command, [str(dataset), *map(str, arguments)])
    assert result.exit_code == 0, result.output
    assert f"{output}: model 'mine', Dice " in result.output
    assert "on 2 held-out images" in result.output
    assert read_card(output / CARD_FILE).name == "mine"
    assert read_training_recipe(output / RECIPE_FILE) == recipe.model_copy(update={"name": "mine", "steps": 1})
    assert (output / VALIDATION_FILE).read_text() == "field0\nfield1\n"
    assert (checkpoints / LAST_FILE).exists()


def test_the_mean_of_two_models_is_a_model(
    command: typer.Typer, dataset: Path, recipe: TrainingRecipe, tmp_path: Path
) -> None:
    write_training_recipe(recipe.model_copy(update={"steps": 1}), tmp_path / "discs.yaml")
    shared = [str(dataset), "--recipe", str(tmp_path / "discs.yaml"), "--device", "cpu"]
    weights = []
    for seed in ("1", "2"):
        arguments = ["-o", tmp_path / f"model{seed}", "--checkpoints", tmp_path / seed, "--seed", seed]
        assert CliRunner().invoke(command, [*shared, *map(str, arguments)]).exit_code == 0
        weights += ["--start-from", str(tmp_path / seed / BEST_FILE)]
    output, checkpoints = tmp_path / "mean", tmp_path / "checkpoints"
    arguments = ["-o", str(output), "--checkpoints", str(checkpoints), "--steps", "0"]
    result = CliRunner().invoke(command, [*shared, *arguments, *weights])
    assert result.exit_code == 0, result.output
    assert f"Its weights, unrounded, are in {checkpoints}." in result.output
    assert read_training_recipe(output / RECIPE_FILE).start_from == tuple(weights[1::2])
    assert (checkpoints / BEST_FILE).exists()


@pytest.mark.parametrize(("heads", "has_objects"), [(("foreground",), True), (("foreground", "distance"), False)])
def test_masks_without_numbers_score_objects_only_where_none_are_divided(
    command: typer.Typer,
    dataset: Path,
    recipe: TrainingRecipe,
    tmp_path: Path,
    heads: tuple[str, ...],
    has_objects: bool,
) -> None:
    for path in (dataset / "masks").iterdir():
        iio.imwrite(path, np.where(iio.imread(path), 255, 0).astype(np.uint8))
    write_training_recipe(
        recipe.model_copy(update={"heads": heads, "metric": "dice", "steps": 1}), tmp_path / "masks.yaml"
    )
    arguments = [
        "-o",
        tmp_path / "model",
        "--checkpoints",
        tmp_path / "checkpoints",
        "--recipe",
        tmp_path / "masks.yaml",
    ]
    result = CliRunner().invoke(command, [str(dataset), *map(str, arguments), "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert ("and AP@0.5" in result.output) == has_objects
    scores = read_card(tmp_path / "model" / CARD_FILE).scores
    assert ("ap50" in scores["validation"]) == has_objects
    assert "ap50" not in scores["otsu_watershed"]


def test_without_a_recipe_the_folders_give_the_names(command: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    result = CliRunner().invoke(command, [str(tmp_path / "data"), "-o", str(tmp_path / "My model")])
    # The recipe was accepted; the empty data set is what stopped it.
    assert result.exit_code == 1
    assert f"Error: {tmp_path / 'data' / 'images'}: there are no images." in result.output


def test_a_wrong_option_is_explained(command: typer.Typer, dataset: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, [str(dataset), "-o", str(tmp_path / "model"), "--crop", "30"])
    assert result.exit_code == 1
    assert "crop must be a multiple of 16" in result.output


def test_the_options_go_before_the_recipe(
    command: typer.Typer, dataset: Path, recipe: TrainingRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    write_training_recipe(recipe, tmp_path / "discs.yaml")
    arguments = ["-o", tmp_path / "model", "--checkpoints", tmp_path / "checkpoints", "--device", "cpu"]
    arguments += ["--recipe", tmp_path / "discs.yaml"]
    result = CliRunner().invoke(command, [str(dataset), *map(str, arguments), "--start-from", "none.pt"])
    assert result.exit_code == 1
    assert "Error: none.pt: " in result.output
    result = CliRunner().invoke(command, [str(dataset), *map(str, arguments), "--tensorboard", str(tmp_path / "board")])
    assert result.exit_code == 1
    assert "pip install tensorboard" in result.output
    result = CliRunner().invoke(command, [str(dataset), *map(str, arguments), "--patience", "0"])
    assert result.exit_code == 1
    assert "patience: Input should be greater than or equal to 1" in result.output


def test_a_check_prints_a_table_and_trains_nothing(command: typer.Typer, dataset: Path) -> None:
    result = CliRunner().invoke(command, [str(dataset), "--check"])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].split() == ["name", "status", "size", "objects", "diameter", "annotated"]
    assert lines[1].split()[:5] == ["field0", "good", "64", "x", "64"] or lines[1].startswith("field0  doubtful")
    assert {line.split()[0] for line in lines[1:9]} == {f"field{number}" for number in range(8)}


def test_a_check_that_training_would_fail_fails(command: typer.Typer, dataset: Path) -> None:
    (dataset / "masks" / "field2.png").unlink()
    result = CliRunner().invoke(command, [str(dataset), "--check"])
    assert result.exit_code == 1
    assert "field2: There is no mask of this name." in result.output
    assert "1 of 8 cannot be used: field2." in result.output


def test_without_an_output_only_a_check_is_possible(command: typer.Typer, dataset: Path) -> None:
    result = CliRunner().invoke(command, [str(dataset)])
    assert result.exit_code == 2
    assert "--output" in result.output


def test_type_size_and_minutes_are_written_into_the_recipe_in_full(
    command: typer.Typer, dataset: Path, tmp_path: Path
) -> None:
    output = tmp_path / "My areas"
    arguments = [str(dataset), "-o", str(output), "--checkpoints", str(tmp_path / "run"), "--device", "cpu"]
    arguments += ["--objects", "area", "--size", "tiny", "--minutes", "0.1", "--title", "Areas", "--crop", "64"]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    recipe = read_training_recipe(output / RECIPE_FILE)
    expected = fields_for("area", "tiny")
    assert recipe.heads == expected["heads"]
    assert recipe.metric == "dice"
    assert recipe.parameters.split == 0
    assert recipe.features == expected["features"]
    assert (recipe.crop, recipe.minutes, recipe.name, recipe.display_name) == (64, 0.1, "my_areas", "Areas")
    assert read_card(output / CARD_FILE).decoder == "threshold"
    # The same again from the recipe alone.
    again = ["--recipe", str(output / RECIPE_FILE), "--steps", "1"]
    result = CliRunner().invoke(command, [str(dataset), "-o", str(tmp_path / "again"), *again, "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert read_training_recipe(tmp_path / "again" / RECIPE_FILE) == recipe.model_copy(update={"steps": 1})
