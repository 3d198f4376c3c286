from pathlib import Path

import pytest
import torch
from torch import Tensor

from napari_unetseg.errors import ModelError
from napari_unetseg.training.dataset import find_pairs, load_samples
from napari_unetseg.training.initial_weights import InitialWeightsError, initialise_weights
from napari_unetseg.training.state import BEST_FILE, LAST_FILE, TrainingState, initial_state, save_checkpoint
from napari_unetseg.training.train import card_fields
from napari_unetseg.training.training_recipe import TrainingRecipe
from napari_unetseg.zoo.packaging import write_package

CPU = torch.device("cpu")


def weights_of(state: TrainingState) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in state.network.state_dict().items()}


@pytest.fixture
def other(recipe: TrainingRecipe) -> TrainingState:
    """A network of the same recipe with other weights."""
    return initial_state(recipe.model_copy(update={"seed": 1}), CPU)


def test_a_checkpoint_gives_its_weights(recipe: TrainingRecipe, other: TrainingState, tmp_path: Path) -> None:
    torch.save(other.network.state_dict(), tmp_path / "best.pt")
    state = initial_state(recipe, CPU)
    initialise_weights(state, [str(tmp_path / "best.pt")])
    for name, weight in weights_of(other).items():
        assert torch.equal(state.network.state_dict()[name], weight)
        assert torch.equal(state.average.module.state_dict()[name], weight)


def test_of_several_the_mean_is_taken(recipe: TrainingRecipe, other: TrainingState, tmp_path: Path) -> None:
    third = initial_state(recipe.model_copy(update={"seed": 2}), CPU)
    torch.save(other.network.state_dict(), tmp_path / "one.pt")
    torch.save(third.network.state_dict(), tmp_path / "two.pt")
    state = initial_state(recipe, CPU)
    initialise_weights(state, [str(tmp_path / "one.pt"), str(tmp_path / "two.pt")])
    one, two = weights_of(other), weights_of(third)
    for name, weight in state.network.named_parameters():
        torch.testing.assert_close(weight.detach(), (one[name] + two[name]) / 2)
        assert torch.equal(state.average.module.state_dict()[name], weight)


def test_each_of_several_must_fit(recipe: TrainingRecipe, other: TrainingState, tmp_path: Path) -> None:
    torch.save(other.network.state_dict(), tmp_path / "one.pt")
    deeper = initial_state(recipe.model_copy(update={"features": (8, 16, 16)}), CPU)
    torch.save(deeper.network.state_dict(), tmp_path / "two.pt")
    with pytest.raises(InitialWeightsError, match=r"two\.pt: these weights do not fit"):
        initialise_weights(initial_state(recipe, CPU), [str(tmp_path / "one.pt"), str(tmp_path / "two.pt")])


def test_a_model_package_gives_its_weights(
    dataset: Path, recipe: TrainingRecipe, other: TrainingState, tmp_path: Path
) -> None:
    fields = card_fields(recipe, load_samples(find_pairs(dataset), recipe.normalisation), images=8)
    write_package(tmp_path / "model", fields, weights_of(other))
    state = initial_state(recipe, CPU)
    initialise_weights(state, [str(tmp_path / "model")])
    for name, weight in weights_of(other).items():
        # A package holds its weights rounded.
        torch.testing.assert_close(state.network.state_dict()[name], weight, atol=1e-3, rtol=1e-3)


def test_heads_of_a_package_are_matched_by_name(
    dataset: Path, recipe: TrainingRecipe, other: TrainingState, tmp_path: Path
) -> None:
    fields = card_fields(recipe, load_samples(find_pairs(dataset), recipe.normalisation), images=8)
    write_package(tmp_path / "model", fields, weights_of(other))
    state = initial_state(recipe.model_copy(update={"heads": ("boundary", "foreground"), "auxiliary": ()}), CPU)
    fresh = weights_of(state)["final_conv.weight"]
    initialise_weights(state, [str(tmp_path / "model")])
    boundary, foreground = state.network.state_dict()["final_conv.weight"]
    there = weights_of(other)["final_conv.weight"][recipe.heads.index("foreground")]
    torch.testing.assert_close(foreground, there, atol=1e-3, rtol=1e-3)
    assert torch.equal(boundary, fresh[0])


def test_heads_of_a_run_are_matched_by_name_as_long_as_its_state_lies_beside_its_best_weights(
    recipe: TrainingRecipe, other: TrainingState, tmp_path: Path
) -> None:
    torch.save(other.network.state_dict(), tmp_path / BEST_FILE)
    save_checkpoint(other, tmp_path / LAST_FILE)
    state = initial_state(recipe.model_copy(update={"heads": ("boundary", "foreground")}), CPU)
    fresh = weights_of(state)["final_conv.weight"]
    initialise_weights(state, [str(tmp_path / BEST_FILE)])
    boundary, foreground = state.network.state_dict()["final_conv.weight"]
    assert torch.equal(foreground, weights_of(other)["final_conv.weight"][recipe.heads.index("foreground")])
    assert torch.equal(boundary, fresh[0])


def test_the_state_of_another_program_tells_no_heads(
    recipe: TrainingRecipe, other: TrainingState, tmp_path: Path
) -> None:
    torch.save(other.network.state_dict(), tmp_path / BEST_FILE)
    for content in ({"epoch": 3}, torch.zeros(2)):
        torch.save(content, tmp_path / LAST_FILE)
        initialise_weights(initial_state(recipe, CPU), [str(tmp_path / BEST_FILE)])


def test_the_optimiser_learns_the_weights_it_was_given(
    recipe: TrainingRecipe, other: TrainingState, tmp_path: Path
) -> None:
    torch.save(other.network.state_dict(), tmp_path / "best.pt")
    state = initial_state(recipe, CPU)
    learned = {id(weight) for group in state.optimiser.param_groups for weight in group["params"]}
    initialise_weights(state, [str(tmp_path / "best.pt")])
    assert {id(weight) for weight in state.network.parameters()} == learned


def test_a_misfit_says_what_differs(recipe: TrainingRecipe, other: TrainingState, tmp_path: Path) -> None:
    torch.save(other.network.state_dict(), tmp_path / "best.pt")
    one_head = initial_state(recipe.model_copy(update={"heads": ("foreground",)}), CPU)
    before = weights_of(one_head)
    with pytest.raises(InitialWeightsError, match=r"best\.pt: .*2 of the wrong shape \(final_conv\.weight is \(2, 8"):
        initialise_weights(one_head, [str(tmp_path / "best.pt")])
    assert all(torch.equal(weight, before[name]) for name, weight in weights_of(one_head).items())
    deeper = initial_state(recipe.model_copy(update={"features": (8, 16, 16)}), CPU)
    with pytest.raises(InitialWeightsError, match=r"missing \(downs\."):
        initialise_weights(deeper, [str(tmp_path / "best.pt")])


def test_the_state_of_a_killed_run_points_to_its_best_weights(
    recipe: TrainingRecipe, other: TrainingState, tmp_path: Path
) -> None:
    save_checkpoint(other, tmp_path / LAST_FILE)
    with pytest.raises(InitialWeightsError) as raised:
        initialise_weights(initial_state(recipe, CPU), [str(tmp_path / LAST_FILE)])
    assert str(tmp_path / LAST_FILE) in str(raised.value)
    assert str(tmp_path / BEST_FILE) in str(raised.value)


def test_a_missing_file_is_named(recipe: TrainingRecipe, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.pt"):
        initialise_weights(initial_state(recipe, CPU), [str(tmp_path / "none.pt")])
