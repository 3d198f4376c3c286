from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from napari_unetseg.networks import build
from napari_unetseg.training.job_folder import NetworkSize, ObjectType
from napari_unetseg.training.state import learning_rate, network_arguments
from napari_unetseg.training.training_recipe import (
    Augmentation,
    RecipeError,
    TrainingRecipe,
    explain_recipe_error,
    fields_for,
    read_training_recipe,
    write_training_recipe,
)
from napari_unetseg.zoo.registry import bundled_model_folder

BUNDLED = sorted(bundled_model_folder().glob("*/*recipe.yaml"))


def test_a_recipe_survives_the_disk(recipe: TrainingRecipe, tmp_path: Path) -> None:
    write_training_recipe(recipe, tmp_path / "recipe.yaml")
    assert read_training_recipe(tmp_path / "recipe.yaml") == recipe


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: f"{path.parent.name} {path.stem}")
def test_bundled_recipes_are_those_of_their_model(path: Path) -> None:
    assert read_training_recipe(path).name == path.parent.name


def test_there_is_a_bundled_recipe() -> None:
    assert BUNDLED


def test_an_unknown_key_is_named(recipe: TrainingRecipe, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    write_training_recipe(recipe, path)
    path.write_text(path.read_text() + "epochs: 3\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"recipe\.yaml: .*epochs"):
        read_training_recipe(path)


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.yaml: .*cannot be read"):
        read_training_recipe(tmp_path / "none.yaml")
    (tmp_path / "broken.yaml").write_text("name: [", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"broken\.yaml: .*not valid YAML"):
        read_training_recipe(tmp_path / "broken.yaml")


def test_a_crop_must_fit_the_poolings(recipe: TrainingRecipe) -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        TrainingRecipe.model_validate({**recipe.model_dump(), "features": (4, 8, 16), "crop": 30})


@pytest.mark.parametrize(
    ("given", "meant"), [(None, ()), ("best.pt", ("best.pt",)), (["one.pt", "two.pt"], ("one.pt", "two.pt"))]
)
def test_one_or_several_weights_to_start_from(
    recipe: TrainingRecipe, given: str | list[str] | None, meant: tuple[str, ...]
) -> None:
    assert TrainingRecipe.model_validate({**recipe.model_dump(), "start_from": given}).start_from == meant


def test_no_steps_need_weights_to_start_from(recipe: TrainingRecipe) -> None:
    with pytest.raises(ValidationError, match="steps may be 0 only with start_from"):
        TrainingRecipe.model_validate({**recipe.model_dump(), "steps": 0})
    TrainingRecipe.model_validate({**recipe.model_dump(), "steps": 0, "start_from": "best.pt"})


def test_the_best_seen_size_is_among_those_seen_well(recipe: TrainingRecipe) -> None:
    for object_size in (None, 5.0):
        with pytest.raises(ValidationError, match="object_sizes needs an object_size between the two"):
            TrainingRecipe.model_validate({**recipe.model_dump(), "object_size": object_size, "object_sizes": [8, 18]})
    assert (
        TrainingRecipe.model_validate({**recipe.model_dump(), "object_size": 12, "object_sizes": [8, 18]}).object_size
        == 12
    )


def test_no_head_is_learnt_twice(recipe: TrainingRecipe) -> None:
    with pytest.raises(ValueError, match="no head twice"):
        TrainingRecipe.model_validate({**recipe.model_dump(), "auxiliary": ["distance"]})


def test_heads_that_make_no_objects_are_refused_before_anything_is_learnt(recipe: TrainingRecipe) -> None:
    flows = ["flow_y", "flow_x"]
    with pytest.raises(ValidationError, match=r"heads must name 'distance' or 'boundary'.* flows may be auxiliary"):
        TrainingRecipe.model_validate({**recipe.model_dump(), "heads": ["foreground", *flows]})
    TrainingRecipe.model_validate({**recipe.model_dump(), "heads": ["foreground"], "auxiliary": flows})


@pytest.mark.parametrize(
    "wrong",
    [
        *({name: -0.1} for name in ("gain", "offset", "gamma", "noise", "blur", "smallest_object", "rotate")),
        *({name: float("inf")} for name in ("stretch", "balance", "haze", "grain", "blur", "largest_object")),
        *({name: 1.5} for name in ("on_object", "invert", "grey", "shuffle", "tint")),
        {"noise": float("nan")},
        {"scale": [0, 1]},
        {"scale": [2, 1]},
        {"diameter": [10, float("inf")]},
    ],
    ids=str,
)
def test_numbers_that_nothing_can_be_drawn_by_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as raised:
        Augmentation.model_validate(wrong)
    assert explain_recipe_error(raised.value).startswith(next(iter(wrong)))


def test_the_learning_rate_rises_and_falls(recipe: TrainingRecipe) -> None:
    longer = recipe.model_copy(update={"learning_rate": 1.0, "warm_up": 4, "steps": 104})
    rates = [learning_rate(longer, step) for step in range(104)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1, 1]
    assert rates[54] == pytest.approx(0.5)
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert 0 < rates[-1] < 0.001


@pytest.mark.parametrize("objects", ["touching", "area", None])
@pytest.mark.parametrize("size", ["tiny", "standard", None])
def test_every_choice_of_type_and_size_is_a_recipe(objects: ObjectType | None, size: NetworkSize | None) -> None:
    named = {"name": "a", "display_name": "A", "description": "A.", "data": {"name": "a"}}
    recipe = TrainingRecipe.model_validate({**named, **fields_for(objects, size)})
    assert (recipe.heads == ("foreground",)) == (objects == "area")
    if size is not None:
        network = build(recipe.architecture, network_arguments(recipe, recipe.learnt))
        millions = sum(weight.numel() for weight in network.parameters()) / 1e6
        assert round(millions, 1) == {"tiny": 0.4, "standard": 1.9}[size]  # as its docstring has it
