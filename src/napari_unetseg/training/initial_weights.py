"""Training that begins with the weights of another run or model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import Sentence
from napari_unetseg.training.state import BEST_FILE, LAST_FILE, TrainingState
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
        Paths of checkpoints, as ``best.pt`` of another run; or model packages, by name or path. At least one.

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


def mean_weights(several: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Average state dicts of the same network; counts, which are whole numbers, are those of the last."""
    return {
        name: torch.stack([weights[name] for weights in several]).mean(dim=0) if weight.is_floating_point() else weight
        for name, weight in several[-1].items()
    }


def read_fitting(state: TrainingState, source: str) -> dict[str, Tensor]:
    """Read the weights of a checkpoint or a model package and check that they fit the state's network."""
    weights = read_weights(source)
    expected = {name: tuple(weight.shape) for name, weight in state.network.state_dict().items()}
    fault = weight_mismatch(expected, {name: tuple(weight.shape) for name, weight in weights.items()})
    if fault:
        raise InitialWeightsError(
            f"{source}: these weights do not fit the recipe's network: {fault}. Give the recipe the architecture, "
            "features and heads of the run that they come from, or start without them."
        )
    return weights


def read_weights(source: str) -> dict[str, Tensor]:
    """Read the weights of a checkpoint or a model package, float32 on the CPU."""
    if Path(source).name == LAST_FILE and Path(source).is_file():
        raise InitialWeightsError(
            f"{source}: from this file a killed run goes on. To begin with its weights, give the best of them, "
            f"{Path(source).with_name(BEST_FILE)}."
        )
    if Path(source).suffix.lower() in SUFFIXES:
        return read_checkpoint(source).state
    return dict(load_own_network(find_model(source), Sentence("trained")).state_dict())
