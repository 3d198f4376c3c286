"""From a trained network to a model package on disk."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save, save_file
from torch import Tensor

from napari_unetseg.errors import ModelError, panics_are_errors
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.io.hashing import hash_file
from napari_unetseg.language import Sentence
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.networks.foreign_arguments import FOREIGN_SUFFIXES
from napari_unetseg.zoo.card import CARD_FILE, KNOWN_ANSWER_FILE, Architecture, ModelCard, WeightsFile, write_card
from napari_unetseg.zoo.consent import allow_network
from napari_unetseg.zoo.known_answer import PICTURE_SIDE, SHA256_KEY, draw_picture
from napari_unetseg.zoo.network_loading import foreign_network, load_network, network_with
from napari_unetseg.zoo.registry import ModelPackage


def write_package(
    folder: Path, fields: Mapping[str, Any], state: Mapping[str, Tensor], dtype: torch.dtype = torch.float16
) -> ModelCard:
    """Write the weights, the card and a known answer of a model; `load_network` reads them back.

    Parameters
    ----------
    folder
        Where; made if needed. A package there is replaced.
    fields
        Fields of the `ModelCard` but for `weights`, which is worked out here.
    state
        The network's state dict.
    dtype
        Type in which kernels are stored. Everything with one dimension or none (biases, and the
        scales and statistics of normalisation) is tiny, can exceed the range of float16, and stays
        as it is.

    Returns
    -------
    ModelCard
        As written.

    Raises
    ------
    pydantic.ValidationError
        If the fields do not make a card; nothing is written then.
    ModelError
        If the state does not fit the architecture, or the network answers with values that are not numbers;
        nothing is written then.
    UnetsegError
        If the folder cannot be written.
    """
    tensors = {name: _stored(tensor, dtype) for name, tensor in state.items()}
    card = ModelCard.model_validate({**fields, "weights": WeightsFile(sha256="")})
    package = ModelPackage(folder, card, "path")
    answer = _answer(package, network_with(package, {name: _computed(tensor) for name, tensor in tensors.items()}))
    with whole_file(package.weights) as path, panics_are_errors():
        save_file(tensors, path)
        sha256 = hash_file(path)
    card = card.model_copy(update={"weights": WeightsFile(sha256=sha256)})
    with whole_file(folder / CARD_FILE) as path:
        write_card(card, path)
    _write_answer(folder, card, answer)
    return card


def write_foreign_package(folder: Path, fields: Mapping[str, Any], content: bytes) -> ModelCard:
    """Write a model whose network another program wrote, and allow it to run on this computer.

    Whoever calls this has its user's consent.

    Parameters
    ----------
    folder
        Where; made if needed. A package there is replaced.
    fields
        Fields of the `ModelCard` but for `weights`. Its architecture is ``onnx_graph`` or ``torchscript``, with
        arguments as `napari_unetseg.networks.foreign_arguments.ForeignArguments` has them.
    content
        Of the ONNX or TorchScript file.

    Returns
    -------
    ModelCard
        As written.

    Raises
    ------
    pydantic.ValidationError
        If the fields do not make a card; nothing is written then.
    ModelError
        If the file is damaged or does more than computing, or the network cannot be run as its card says, or answers
        with values that are not numbers; nothing is written then.
    UnetsegError
        If the packages for ONNX are not installed, or the folder cannot be written.
    """
    name = Architecture.model_validate(fields["architecture"]).name
    weights = WeightsFile(file=f"weights{FOREIGN_SUFFIXES[name]}", sha256=hashlib.sha256(content).hexdigest())
    card = ModelCard.model_validate({**fields, "weights": weights})
    package = ModelPackage(folder, card, "path")
    answer = _answer(package, foreign_network(package, content))
    with whole_file(package.weights) as path:
        path.write_bytes(content)
    with whole_file(folder / CARD_FILE) as path:
        write_card(card, path)
    _write_answer(folder, card, answer)
    allow_network(card)
    return card


def write_known_answer(package: ModelPackage) -> None:
    """Store a model's output for a small test image beside its weights; see `known_answer` for what it is good for.

    Raises
    ------
    ModelError
        If the model cannot be loaded, or answers with values that are not numbers.
    UnetsegError
        If the folder cannot be written.
    """
    _write_answer(package.path, package.card, _answer(package, load_network(package)))


def _answer(package: ModelPackage, network: SegmentationNetwork) -> dict[str, Tensor]:
    card = package.card
    pixels = torch.from_numpy(draw_picture(card, network.accepted_size(PICTURE_SIDE, PICTURE_SIDE)))
    with torch.inference_mode():
        output = network(pixels[None])[0, :, : pixels.shape[1], : pixels.shape[2]]
    logits = torch.tensor([head.activation == "none" for head in card.outputs])[:, None, None]
    probability = torch.where(logits, output.sigmoid(), output)
    if not probability.isfinite().all():
        raise ModelError(
            Sentence("{path}: with these weights the network gives values that are not numbers.", path=package.weights)
        )
    return {"pixels": pixels, "probability": probability.contiguous()}


def _write_answer(folder: Path, card: ModelCard, answer: dict[str, Tensor]) -> None:
    with whole_file(folder / KNOWN_ANSWER_FILE) as path, panics_are_errors():
        path.write_bytes(save(answer, metadata={SHA256_KEY: card.weights.sha256}))


def _computed(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _stored(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    kernel = tensor.is_floating_point() and tensor.ndim > 1
    return tensor.detach().cpu().to(dtype if kernel else tensor.dtype).contiguous()
