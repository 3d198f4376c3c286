"""From a model package on disk to a network that can run."""

import hashlib
from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from napari_unetseg.errors import ModelError
from napari_unetseg.networks import SegmentationNetwork, build
from napari_unetseg.zoo.card import CARD_FILE
from napari_unetseg.zoo.registry import ModelPackage

_NAMED = 3


def load_network(package: ModelPackage) -> SegmentationNetwork:
    """Build the network of a package and load its weights.

    The SHA-256 of the weights is compared before a byte of them is interpreted.

    Returns
    -------
    SegmentationNetwork
        In evaluation mode, float32, on the CPU.

    Raises
    ------
    ModelError
        If the weights are missing, are not those the card names, or do not fit the architecture, or
        if the architecture does not take its arguments; the message names the file.
    """
    network = _empty_network(package)
    tensors = _read_tensors(package)
    _check_fit(package, network, tensors)
    network.load_state_dict(tensors, strict=True, assign=True)
    return network.requires_grad_(False).eval()


def _empty_network(package: ModelPackage) -> SegmentationNetwork:
    card, path = package.card, package.path / CARD_FILE
    try:
        # No memory and no random weights for a network whose weights come from the file.
        with torch.device("meta"):
            network = build(card.architecture.name, card.architecture.arguments)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{path}: architecture {card.architecture.name!r} cannot be built from its arguments: {error}. "
            "Correct 'architecture.arguments'."
        ) from error
    if network.in_channels != card.input_channels:
        raise ModelError(
            f"{path}: 'input_channels' is {card.input_channels}, but the architecture takes {network.in_channels}. "
            "Correct one of them."
        )
    if network.out_channels != len(card.outputs):
        raise ModelError(
            f"{path}: 'outputs' names {len(card.outputs)} heads, but the architecture has {network.out_channels}. "
            "Correct one of them."
        )
    return network


def _read_tensors(package: ModelPackage) -> dict[str, Tensor]:
    path, expected = package.weights, package.card.weights.sha256
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: the weights cannot be read ({error.strerror}). Copy the folder again.") from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ModelError(
            f"{path}: these are not the weights that {CARD_FILE} describes (SHA-256 {found[:12]}..., "
            f"expected {expected[:12]}...). The file is damaged or was exchanged: copy the model folder again."
        )
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise ModelError(f"{path}: this is not a safetensors file ({error}). Export the model again.") from error
    return {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}


def _check_fit(package: ModelPackage, network: SegmentationNetwork, tensors: Mapping[str, Tensor]) -> None:
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    misshapen = [
        f"{key} is {found[key]} instead of {shape}"
        for key, shape in expected.items()
        if key in found and found[key] != shape
    ]
    faults = {
        "missing": [key for key in expected if key not in found],
        "unexpected": [key for key in found if key not in expected],
        "of the wrong shape": misshapen,
    }
    if any(faults.values()):
        told = "; ".join(f"{len(keys)} {fault} ({_some(keys)})" for fault, keys in faults.items() if keys)
        raise ModelError(
            f"{package.weights}: the weights do not fit the architecture in {CARD_FILE}: {told}. "
            "Correct 'architecture', or export the model again."
        )


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:_NAMED]) + (", ..." if len(keys) > _NAMED else "")
