"""All that changes while a network trains, on disk so that a killed run goes on."""

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from napari_unetseg.errors import UnetsegError
from napari_unetseg.networks import build
from napari_unetseg.training.recipe import Recipe


class CheckpointError(UnetsegError):
    """A checkpoint belongs to another recipe or cannot be read."""


@dataclass
class TrainingState:
    """Network, running average of its weights, optimiser, and how far they have come.

    Attributes
    ----------
    history
        One row a validation: step, losses and scores.
    """

    recipe: Recipe
    network: nn.Module
    average: AveragedModel
    optimiser: torch.optim.Optimizer
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def start(recipe: Recipe, device: torch.device) -> TrainingState:
    """Make the state before the first step, from the recipe's seed."""
    torch.manual_seed(recipe.seed)
    network = build(recipe.architecture.name, recipe.architecture.arguments)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def blend(averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        if not averaged.is_floating_point():
            return current
        # Early on the random start must fade faster than `average` lets it.
        return averaged.lerp(current, 1 - min(recipe.average, (1 + int(count)) / (10 + int(count))))

    average = AveragedModel(network, avg_fn=blend, use_buffers=True)
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
    )
    return TrainingState(recipe, network, average, optimiser)


def learning_rate(recipe: Recipe, step: int) -> float:
    """Rise linearly over the warm-up, then fall to zero along half a cosine."""
    if step < recipe.warm_up:
        return recipe.learning_rate * (step + 1) / recipe.warm_up
    progress = (step - recipe.warm_up) / max(1, recipe.steps - recipe.warm_up)
    return recipe.learning_rate * (1 + math.cos(math.pi * progress)) / 2


def save(state: TrainingState, path: Path) -> None:
    """Write a checkpoint; a kill while writing leaves the one before."""
    content = {
        "recipe": state.recipe.model_dump_json(),
        "step": state.step,
        "history": state.history,
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
    }
    unfinished = path.with_suffix(".part")
    torch.save(content, unfinished)
    os.replace(unfinished, path)


def resume(recipe: Recipe, device: torch.device, path: Path) -> TrainingState:
    """Read a checkpoint of the same recipe; only its number of steps may have changed.

    Raises
    ------
    CheckpointError
        If the checkpoint is damaged or belongs to another recipe.
    """
    content = _load(path, device)
    written = Recipe.model_validate_json(content["recipe"])
    if written.model_copy(update={"steps": recipe.steps}) != recipe:
        raise CheckpointError(
            f"{path}: this checkpoint was written with another recipe. Choose another checkpoint folder, "
            "or the recipe it was started with."
        )
    state = start(recipe, device)
    state.network.load_state_dict(content["network"])
    state.average.load_state_dict(content["average"])
    state.optimiser.load_state_dict(content["optimiser"])
    state.step, state.history = content["step"], content["history"]
    return state


def _load(path: Path, device: torch.device) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise CheckpointError(f"{path}: the checkpoint cannot be read ({error}). Delete it to start anew.") from error
    return content
