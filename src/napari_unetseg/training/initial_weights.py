"""Training that begins with the weights of another run or model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.hashing import hash_file
from napari_unetseg.language import Sentence
from napari_unetseg.training.state import BEST_FILE, LAST_FILE, TrainingState, learnt_heads
from napari_unetseg.zoo.checkpoints import read_checkpoint
from napari_unetseg.zoo.compatibility import weight_mismatch
from napari_unetseg.zoo.discovery import SUFFIXES
from napari_unetseg.zoo.network_loading import load_own_network
from napari_unetseg.zoo.registry import find_model


class InitialWeightsError(UnetsegError):
    """Weights do not fit the network that is to begin with them."""


def initialise_weights(state: TrainingState, sources: Sequence[str]) -> None:
    """Give a state that took no step yet the weights of another run or model, or the mean of several.

    Parameters
    ----------
    sources
        Paths of checkpoints, as ``best.pt`` of another run; or model packages, by name or path, whose heads may be
        others than the recipe's. At least one.

    Raises
    ------
    InitialWeightsError
        If the weights do not fit the recipe's network; the message says which differ. Or if the file is the one
        from which a killed run goes on.
    ModelError
        If there is no such file or model, or it cannot be read.
    """
    weights = mean_weights([read_fitting(state, source) for source in sources])
    state.network.load_state_dict(weights)
    state.average.module.load_state_dict(weights)


def hash_weights(source: str) -> str:
    """Return the SHA-256 of the file that holds the weights of a checkpoint or a model package.

    Raises
    ------
    UnetsegError
        If there is no such file or model, or it cannot be read.
    """
    path = Path(source) if Path(source).suffix.lower() in SUFFIXES else find_model(source).weights
    try:
        return hash_file(path)
    except OSError as error:
        raise InitialWeightsError(
            f"{path}: the weights to start from cannot be read ({error.strerror}). Choose a checkpoint or a model."
        ) from error


def mean_weights(several: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Average state dicts of the same network; counts, which are whole numbers, are those of the last."""
    return {
        name: torch.stack([weights[name] for weights in several]).mean(dim=0) if weight.is_floating_point() else weight
        for name, weight in several[-1].items()
    }


def read_fitting(state: TrainingState, source: str) -> dict[str, Tensor]:
    """Read the weights of a checkpoint or a model package and check that they fit the state's network.

    Where it is known what their channels mean they may have other heads than the recipe: the state takes those that
    both have, and keeps its own first weights for the others.
    """
    weights, heads = read_weights(source)
    own = state.network.state_dict()
    if heads:
        weights = take_heads(weights, heads, own, state.recipe.learnt)
    expected = {name: tuple(weight.shape) for name, weight in own.items()}
    fault = weight_mismatch(expected, {name: tuple(weight.shape) for name, weight in weights.items()})
    if fault:
        raise InitialWeightsError(
            f"{source}: these weights do not fit the recipe's network: {fault}. Give the recipe the architecture, "
            "features and heads of the run that they come from, or start without them."
        )
    return weights


def take_heads(
    weights: Mapping[str, Tensor], heads: Sequence[str], own: Mapping[str, Tensor], wanted: Sequence[str]
) -> dict[str, Tensor]:
    """Give a network's last convolution the channels of the wanted heads, in their order; what it lacks are its own."""
    taken = dict(weights)
    for name, weight in weights.items():
        if "final_conv." not in name or name not in own or weight.shape[1:] != own[name].shape[1:]:
            continue
        channels = len(own[name]) // len(wanted)  # of one head; a subpixel network has one for each pixel of a block
        if len(weight) != channels * len(heads):
            continue
        theirs = dict(zip(heads, torch.split(weight, channels), strict=True))
        mine = zip(wanted, torch.split(own[name], channels), strict=True)
        taken[name] = torch.cat([theirs.get(head, part) for head, part in mine])
    return taken


def read_weights(source: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Read the weights of a checkpoint or a model package, float32 on the CPU, and its heads where they are known.

    Those of a run's best weights are, as long as the state of the run lies beside them.
    """
    if Path(source).name == LAST_FILE and Path(source).is_file():
        raise InitialWeightsError(
            f"{source}: from this file a killed run goes on. To begin with its weights, give the best of them, "
            f"{Path(source).with_name(BEST_FILE)}."
        )
    if Path(source).suffix.lower() in SUFFIXES:
        heads = learnt_heads(Path(source).with_name(LAST_FILE)) if Path(source).name == BEST_FILE else ()
        return read_checkpoint(source).state, heads
    package = find_model(source)
    return dict(load_own_network(package, Sentence("trained")).state_dict()), package.card.heads
