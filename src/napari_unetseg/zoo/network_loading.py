"""From a model package on disk to a network that can run."""

import hashlib
from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from napari_unetseg.errors import ModelError, panics_are_errors
from napari_unetseg.language import Sentence
from napari_unetseg.networks import SegmentationNetwork, build
from napari_unetseg.networks.foreign import ForeignNetwork, OnnxGraph, TorchScriptProgram
from napari_unetseg.networks.foreign_arguments import is_foreign
from napari_unetseg.zoo.card import CARD_FILE, NETWORK_TITLES
from napari_unetseg.zoo.compatibility import size_mismatch, weight_mismatch
from napari_unetseg.zoo.consent import require_consent
from napari_unetseg.zoo.foreign_files import check_foreign_file
from napari_unetseg.zoo.import_checkpoint import load_checkpoint
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
    NetworkNotAllowed
        If another program wrote the network, and nobody allowed it to run on this computer.
    """
    if package.is_checkpoint:
        return _load_checkpoint(package)
    if is_foreign(package.card.architecture.name):
        require_consent(package.card, package.weights)
        return foreign_network(package, read_weights(package))
    network = _empty_network(package)
    return _filled(package, network, _read_tensors(package))


def load_own_network(package: ModelPackage, purpose: Sentence) -> SegmentationNetwork:
    """Load a network whose layers are known here, as what is to be done with it needs.

    Parameters
    ----------
    package
        The model.
    purpose
        Why, as in ``Sentence("trained")``.

    Raises
    ------
    ModelError
        As `load_network` does, and where another program wrote the network.
    """
    if is_foreign(package.card.architecture.name):
        raise ModelError(
            Sentence(
                "{model} cannot be {done}: its network comes from another program ({kind}) and can only be run as it "
                "is. Choose a model of this program, or convert a checkpoint of its weights.",
                model=package.card.display_name,
                done=purpose,
                kind=NETWORK_TITLES[package.card.architecture.name],
            )
        )
    return load_network(package)


def foreign_network(package: ModelPackage, content: bytes) -> ForeignNetwork:
    """Make the network of a package of what is in its file, once that was looked through.

    Raises
    ------
    ModelError
        If it cannot be used; the message names the file.
    UnetsegError
        If the packages for ONNX are not installed.
    """
    architecture = package.card.architecture
    check_foreign_file(architecture.name, content, str(package.weights))
    kind = OnnxGraph if architecture.name == "onnx_graph" else TorchScriptProgram
    network: ForeignNetwork = kind(architecture.arguments, content, str(package.weights)).eval()
    if fault := size_mismatch(network, package.card.image_size):
        raise ModelError(
            Sentence("{path}: 'image_size' {fault}. Correct it.", path=package.path / CARD_FILE, fault=fault)
        )
    return network


def network_with(package: ModelPackage, tensors: Mapping[str, Tensor]) -> SegmentationNetwork:
    """Build the network of a package with weights that are in memory, float32; see `load_network`."""
    return _filled(package, _empty_network(package), tensors)


def _load_checkpoint(package: ModelPackage) -> SegmentationNetwork:
    network, card = load_checkpoint(package.weights)
    if card.weights.sha256 != package.card.weights.sha256:
        raise ModelError(
            Sentence("{path}: the checkpoint was exchanged since it was chosen. Choose it again.", path=package.weights)
        )
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
            Sentence(
                "{path}: architecture {network!r} cannot be built from its arguments: {reason}. Correct "
                "'architecture.arguments'.",
                path=path,
                network=card.architecture.name,
                reason=error,
            )
        ) from error
    if network.in_channels != card.input_channels:
        raise ModelError(
            Sentence(
                "{path}: 'input_channels' is {channels}, but the architecture takes {expected}. Correct one of them.",
                path=path,
                channels=card.input_channels,
                expected=network.in_channels,
            )
        )
    if network.out_channels != len(card.outputs):
        raise ModelError(
            Sentence(
                "{path}: 'outputs' names {heads} heads, but the architecture has {expected}. Correct one of them.",
                path=path,
                heads=len(card.outputs),
                expected=network.out_channels,
            )
        )
    if fault := size_mismatch(network, card.image_size):
        raise ModelError(Sentence("{path}: 'image_size' {fault}. Correct it.", path=path, fault=fault))
    return network


def read_weights(package: ModelPackage) -> bytes:
    """Return what is in the file of a package's weights, if it is what its card says.

    Raises
    ------
    ModelError
        If it cannot be read, or its SHA-256 is another; the message names the file.
    """
    path, expected = package.weights, package.card.weights.sha256
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            Sentence(
                "{path}: the weights cannot be read ({reason}). Copy the folder again.",
                path=path,
                reason=error.strerror,
            )
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ModelError(
            Sentence(
                "{path}: these are not the weights that {card} describes (SHA-256 {found}..., expected "
                "{expected}...). The file is damaged or was exchanged: copy the model folder again.",
                path=path,
                card=CARD_FILE,
                found=found[:12],
                expected=expected[:12],
            )
        )
    return content


def _read_tensors(package: ModelPackage) -> dict[str, Tensor]:
    path, content = package.weights, read_weights(package)
    try:
        with panics_are_errors():
            tensors = load(content)
    except SafetensorError as error:
        raise ModelError(
            Sentence(
                "{path}: this is not a safetensors file ({reason}). Export the model again.", path=path, reason=error
            )
        ) from error
    return {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}


def _check_fit(package: ModelPackage, network: SegmentationNetwork, tensors: Mapping[str, Tensor]) -> None:
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    fault = weight_mismatch(expected, found)
    if fault:
        raise ModelError(
            Sentence(
                "{path}: the weights do not fit the architecture in {card}: {fault}. Correct 'architecture', "
                "or export the model again.",
                path=package.weights,
                card=CARD_FILE,
                fault=fault,
            )
        )
