"""From a model package on disk to a network that can run."""

import hashlib
from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from napari_unetseg.errors import ModelError
from napari_unetseg.networks import SegmentationNetwork, build
from napari_unetseg.zoo.adopt import load_checkpoint
from napari_unetseg.zoo.card import CARD_FILE
from napari_unetseg.zoo.fit import misfit, size_misfit
from napari_unetseg.zoo.registry import ModelPackage


def load_network(package: ModelPackage) -> SegmentationNetwork:
    """Build the network of a package and load its weights.

    The SHA-256 of a package's weights is compared before a byte of them is interpreted; a checkpoint is
    read as `load_checkpoint` does.

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
    if package.is_checkpoint:
        return _load_checkpoint(package)
    network = _empty_network(package)
    return _filled(package, network, _read_tensors(package))


def network_with(package: ModelPackage, tensors: Mapping[str, Tensor]) -> SegmentationNetwork:
    """Build the network of a package with weights that are in memory, float32; see `load_network`."""
    return _filled(package, _empty_network(package), tensors)


def _load_checkpoint(package: ModelPackage) -> SegmentationNetwork:
    network, card = load_checkpoint(package.weights)
    if card.weights.sha256 != package.card.weights.sha256:
        raise ModelError(f"{package.weights}: the checkpoint was exchanged since it was chosen. Choose it again.")
    return network


def _filled(package: ModelPackage, network: SegmentationNetwork, tensors: Mapping[str, Tensor]) -> SegmentationNetwork:
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
    if fault := size_misfit(network, card.image_size):
        raise ModelError(f"{path}: 'image_size' {fault}. Correct it.")
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
    fault = misfit(expected, found)
    if fault:
        raise ModelError(
            f"{package.weights}: the weights do not fit the architecture in {CARD_FILE}: {fault}. "
            "Correct 'architecture', or export the model again."
        )
