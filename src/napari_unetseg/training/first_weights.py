"""Training that begins with the weights of another run or model."""

from pathlib import Path

from torch import Tensor

from napari_unetseg.errors import UnetsegError
from napari_unetseg.training.state import BEST_FILE, LAST_FILE, TrainingState
from napari_unetseg.zoo.checkpoints import read_checkpoint
from napari_unetseg.zoo.discovery import SUFFIXES
from napari_unetseg.zoo.fit import misfit
from napari_unetseg.zoo.loading import load_network
from napari_unetseg.zoo.registry import find_model


class FirstWeightsError(UnetsegError):
    """Weights do not fit the network that is to begin with them."""


def begin_with(state: TrainingState, source: str) -> None:
    """Give a state that took no step yet the weights of another run or model.

    Parameters
    ----------
    source
        Path of a checkpoint, as ``best.pt`` of another run; or a model package, by its name or path.

    Raises
    ------
    FirstWeightsError
        If the weights do not fit the recipe's network; the message says which differ. Or if the file is the one
        from which a killed run goes on.
    ModelError
        If there is no such file or model, or it cannot be read.
    """
    weights = read_weights(source)
    expected = {name: tuple(weight.shape) for name, weight in state.network.state_dict().items()}
    fault = misfit(expected, {name: tuple(weight.shape) for name, weight in weights.items()})
    if fault:
        raise FirstWeightsError(
            f"{source}: these weights do not fit the recipe's network: {fault}. Give the recipe the architecture, "
            "features and heads of the run that they come from, or start without them."
        )
    state.network.load_state_dict(weights)
    state.average.module.load_state_dict(weights)


def read_weights(source: str) -> dict[str, Tensor]:
    """Read the weights of a checkpoint or a model package, float32 on the CPU."""
    if Path(source).name == LAST_FILE and Path(source).is_file():
        raise FirstWeightsError(
            f"{source}: from this file a killed run goes on. To begin with its weights, give the best of them, "
            f"{Path(source).with_name(BEST_FILE)}."
        )
    if Path(source).suffix.lower() in SUFFIXES:
        return read_checkpoint(source).state
    return dict(load_network(find_model(source)).state_dict())
