"""All that changes while a network trains, on disk so that a killed run goes on."""

import math
import pickle
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.networks import SegmentationNetwork, build
from napari_unetseg.training.targets import HeadName
from napari_unetseg.training.training_recipe import WORDS, TrainingRecipe

LAST_FILE, BEST_FILE = "last.pt", "best.pt"
"""A run's whole state as it was last written, and the averaged weights that scored best so far."""

EARLIER_FOLDER = "earlier"
"""Where both go when the data they were learnt from have changed."""


class CheckpointError(UnetsegError):
    """A checkpoint belongs to another recipe or cannot be read."""


@dataclass
class TrainingState:
    """Network, running average of its weights, optimiser, and how far they have come.

    Attributes
    ----------
    seconds
        Spent so far, in all sittings.
    history
        One row a validation: step, losses and scores.
    data
        What is learnt from, as `data_fingerprint` gives it; empty if nobody said.
    """

    recipe: TrainingRecipe
    network: SegmentationNetwork
    average: AveragedModel
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    data: str = ""


def network_arguments(recipe: TrainingRecipe, heads: Sequence[HeadName]) -> dict[str, Any]:
    """Name the arguments of a recipe's network: RGB in, one channel a head out."""
    arguments = {
        "in_channels": 3,
        "out_channels": len(heads),
        "features": list(recipe.features),
        "norm": recipe.norm,
    }
    return arguments if recipe.architecture == "unet" else {**arguments, "block": recipe.block}


def without_auxiliary(weights: Mapping[str, Tensor], recipe: TrainingRecipe) -> dict[str, Tensor]:
    """Leave out of a trained network's state dict what answers for auxiliary heads, the last channels of all."""
    channels = len(recipe.heads) * (1 if recipe.architecture == "unet" else recipe.block**2)
    return {name: weight[:channels].clone() if "final_conv." in name else weight for name, weight in weights.items()}


def initial_state(recipe: TrainingRecipe, device: torch.device) -> TrainingState:
    """Make the state before the first step, from the recipe's seed."""
    torch.manual_seed(recipe.seed)
    network = build(recipe.architecture, network_arguments(recipe, recipe.learnt))
    # PyTorch's annotations of Module.to do not know memory_format.
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    average = AveragedModel(network, use_buffers=True)
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
        fused=_fuses(device),
    )
    return TrainingState(recipe, network, average, optimiser)


def _fuses(device: torch.device) -> bool:
    return device.type == "cuda"


def update_average(average: AveragedModel, network: nn.Module, decay: float) -> None:
    """Let a running average of weights follow them.

    `AveragedModel.update_parameters` does it weight by weight and waits for the device.
    """
    count = int(average.n_averaged)
    # Early on the random start must fade faster than `decay` lets it.
    kept = min(decay, (1 + count) / (10 + count)) if count else 0.0
    averaged, current = (
        [tensor.detach() for tensor in chain(module.parameters(), module.buffers())]
        for module in (average.module, network)
    )
    pairs = [(old, new) for old, new in zip(averaged, current, strict=True) if old.is_floating_point()]
    blend = get_ema_multi_avg_fn(kept)  # type: ignore[no-untyped-call]
    blend([old for old, _ in pairs], [new for _, new in pairs], count)
    for old, new in zip(averaged, current, strict=True):
        if not old.is_floating_point():
            old.copy_(new)
    average.n_averaged += 1


def progress(recipe: TrainingRecipe, step: int, seconds: float = 0.0) -> float:
    """Tell how much of a run is done, 0 to 1: of its steps or, where that is more, of its time."""
    steps = step / recipe.steps if recipe.steps else 1.0
    time = 0.0 if recipe.minutes is None else seconds / (60 * recipe.minutes)
    return min(1.0, max(steps, time))


def learning_rate(recipe: TrainingRecipe, step: int, seconds: float = 0.0) -> float:
    """Rise linearly over the warm-up, then fall to zero along half a cosine, by what is done of steps or time."""
    if step < recipe.warm_up:
        return recipe.learning_rate * (step + 1) / recipe.warm_up
    warm = min(recipe.warm_up / recipe.steps, 1.0) if recipe.steps else 1.0
    falling = (progress(recipe, step, seconds) - warm) / max(1e-9, 1 - warm)
    return recipe.learning_rate * (1 + math.cos(math.pi * min(1.0, max(0.0, falling)))) / 2


def save_checkpoint(state: TrainingState, path: Path) -> None:
    """Write a checkpoint; a kill while writing leaves the one before."""
    content = {
        "recipe": state.recipe.model_dump_json(),
        "step": state.step,
        "seconds": state.seconds,
        "history": state.history,
        "data": state.data,
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
    }
    with whole_file(path) as temporary:
        torch.save(content, temporary)


def resume_checkpoint(recipe: TrainingRecipe, device: torch.device, path: Path) -> TrainingState:
    """Read a checkpoint of the same recipe; only its words and its number of steps or minutes may have changed.

    Raises
    ------
    CheckpointError
        If the checkpoint is damaged or belongs to another recipe.
    """
    content = _load(path, device)
    if not _learns_alike(content["recipe"], recipe):
        raise CheckpointError(
            f"{path}: this checkpoint was written with another recipe. Choose another checkpoint folder, "
            "or the recipe it was started with."
        )
    state = initial_state(recipe, device)
    state.network.load_state_dict(content["network"])
    state.average.load_state_dict(content["average"])
    for group in content["optimiser"]["param_groups"]:
        group["fused"] = _fuses(device)  # the checkpoint may be of another device
    state.optimiser.load_state_dict(content["optimiser"])
    state.step, state.history = content["step"], content["history"]
    state.seconds = content.get("seconds", 0.0)  # which checkpoints of earlier versions do not have
    return state


def set_aside(recipe: TrainingRecipe, data: str, checkpoints: Path) -> Path | None:
    """Move checkpoints of the same recipe that were learnt from other data out of the way, and return where to.

    What weights saw may be held out of other data, whose scores they would flatter; so nobody goes on from them
    unasked. Of checkpoints of earlier versions nobody knows the data: None, as for those of these data.

    Raises
    ------
    CheckpointError
        If the checkpoint is damaged.
    """
    last = checkpoints / LAST_FILE
    if not last.exists():
        return None
    content = _load(last, torch.device("cpu"))
    if content.get("data") in (None, "", data) or not _learns_alike(content["recipe"], recipe):
        return None
    folder = checkpoints / EARLIER_FOLDER
    folder.mkdir(exist_ok=True)
    # The one to go on from last: if this is cut off before, the next run moves it.
    for path in (checkpoints / BEST_FILE, last):
        if path.exists():
            path.replace(folder / path.name)
    return folder


def learnt_heads(last: Path) -> tuple[HeadName, ...]:
    """Name the heads of the network of a run's state, in order; none where there is no such file, or another."""
    with suppress(CheckpointError, ValidationError):
        content = _load(last, torch.device("cpu"))
        if isinstance(content, dict) and isinstance(content.get("recipe"), str):
            return TrainingRecipe.model_validate_json(content["recipe"]).learnt
    return ()


def _learns_alike(written: str, recipe: TrainingRecipe) -> bool:
    try:
        # An option that came later than the checkpoint is at its default in it.
        earlier = TrainingRecipe.model_validate_json(written)
    except ValidationError:
        return False
    may_differ = {name: getattr(recipe, name) for name in (*WORDS, "steps", "minutes")}
    return earlier.model_copy(update=may_differ) == recipe


def _load(path: Path, device: torch.device) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path}: the checkpoint cannot be read. Delete it to start anew.") from error
    return content
