"""What networks in another runtime's form have in common: the input they are traced with, and what they are called."""

import hashlib

import torch
from torch import Tensor

import napari_unetseg
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.zoo.card import ModelCard


def example_input(network: SegmentationNetwork) -> Tensor:
    """Return an input to trace a network with: its maps have odd sides at every level but the deepest.

    The networks resize an up-sampled map where it differs from its skip connection. Tracing follows one
    branch, and it has to be that one: where the sizes agree, resizing changes nothing.
    """
    grid = 2**network.depth
    return torch.zeros(2, network.in_channels, 4 * grid - 1, 6 * grid - 1)


def converted_name(card: ModelCard, *versions: str | None) -> str:
    """Return a name that follows from a model's weights, its architecture, the version of this package, and others'."""
    facts = [card.weights.sha256, card.architecture.model_dump_json(), napari_unetseg.__version__, *versions]
    key = hashlib.sha256("\n".join(map(str, facts)).encode()).hexdigest()
    return f"{card.architecture.name}-{key[:32]}"
