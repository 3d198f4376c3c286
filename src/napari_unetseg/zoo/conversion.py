"""From a checkpoint to a model package: the weights that work, a card, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from napari_unetseg.errors import ModelError
from napari_unetseg.language import Sentence
from napari_unetseg.networks import build
from napari_unetseg.zoo.card import CARD_FILE, ModelCard, WeightsFile, as_name, explain_card_error
from napari_unetseg.zoo.compatibility import size_mismatch
from napari_unetseg.zoo.import_checkpoint import describe_checkpoint, load_checkpoint
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.packaging import write_package
from napari_unetseg.zoo.published import PUBLISHED
from napari_unetseg.zoo.registry import read_package

_TEST_SIDE = 256
_WEIGHTS_FILE = WeightsFile(sha256="").file


@dataclass(frozen=True)
class Converted:
    """What became of a checkpoint.

    Attributes
    ----------
    source
        The checkpoint.
    folder
        The model package.
    card
        The card in it.
    dropped
        Names of weights that no output depends on.
    extras
        What else was in the checkpoint (optimizer state, settings...).
    entry
        Where in the checkpoint the weights were; see `Checkpoint`.
    bytes_before, bytes_after
        Size of the checkpoint and of the package's weights.
    """

    source: Path
    folder: Path
    card: ModelCard
    dropped: tuple[str, ...]
    extras: tuple[str, ...]
    entry: str
    bytes_before: int
    bytes_after: int


def convert_checkpoint(
    path: str | Path,
    folder: Path,
    changes: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Converted:
    """Write a model package from a checkpoint.

    Parameters
    ----------
    path
        See `load_checkpoint`.
    folder
        Where; made if needed. Its name is that of the model, unless `changes` has another.
    changes
        Fields of the `ModelCard` that the file does not state, or states wrongly. Where the weights fit several
        networks, `architecture` says which.
    dtype
        Type in which kernels are stored: float32, which changes nothing, or float16, half as large.

    Raises
    ------
    ModelError
        If the checkpoint cannot be used, a field is wrong, a weight is too large for `dtype`, or the
        folder holds a model already; the message names the file. Nothing is written then.
    UnetsegError
        If the folder cannot be written.
    """
    if (folder / CARD_FILE).exists():
        raise ModelError(
            Sentence(
                "{folder}: there is a model already. Choose another folder, or delete this one first.", folder=folder
            )
        )
    if (folder / _WEIGHTS_FILE).exists():
        raise ModelError(
            Sentence(
                "{path}: this file would be replaced. Choose another folder, or move it.", path=folder / _WEIGHTS_FILE
            )
        )
    changes = dict(changes or {})
    checkpoint, card = describe_checkpoint(path, changes.get("architecture"))
    _check_range(checkpoint.path, checkpoint.state, dtype)
    fields = card.model_dump(exclude={"weights"}) | _names(folder.absolute().name, card) | changes
    _check_fields(checkpoint.path, fields)
    written = write_package(folder, fields, checkpoint.state, dtype)
    return Converted(
        source=checkpoint.path,
        folder=folder,
        card=written,
        dropped=checkpoint.dropped,
        extras=checkpoint.extras,
        entry=checkpoint.entry,
        bytes_before=checkpoint.path.stat().st_size,
        bytes_after=(folder / written.weights.file).stat().st_size,
    )


def largest_difference(converted: Converted) -> float:
    """Run checkpoint and package on the same random image; return how far their probabilities differ at most.

    Raises
    ------
    ModelError
        If either cannot be loaded any more.
    """
    card = converted.card
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, card.input_channels, _TEST_SIDE, _TEST_SIDE, generator=generator)
    before, _ = load_checkpoint(converted.source)
    after = load_network(read_package(converted.folder, "path"))
    with torch.inference_mode():
        outputs = [network(image) for network in (before, after)]
    if card.outputs[0].activation == "none":
        outputs = [output.sigmoid() for output in outputs]
    return float((outputs[0] - outputs[1]).abs().max())


def _names(title: str, card: ModelCard) -> dict[str, str]:
    """Name a model as its folder; in the folder of the published model that it is, as that one."""
    published = PUBLISHED.get(title)
    if published is not None and published.architecture == card.architecture:
        return {
            "name": published.name,
            "display_name": published.display_name,
            "description": published.description,
        }
    return {"name": as_name(title), "display_name": title}


def _check_fields(path: Path, fields: Mapping[str, Any]) -> None:
    """Refuse fields that make no card, or one that its own network cannot serve."""
    try:
        card = ModelCard.model_validate({**fields, "weights": WeightsFile(sha256="")})
    except ValidationError as error:
        raise ModelError(
            Sentence("{path}: its model card would be wrong: {faults}.", path=path, faults=explain_card_error(error))
        ) from error
    with torch.device("meta"):
        network = build(card.architecture.name, card.architecture.arguments)
    if fault := size_mismatch(network, card.image_size):
        raise ModelError(Sentence("{path}: the image size {fault}.", path=path, fault=fault))


def _check_range(path: Path, state: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    largest = torch.finfo(dtype).max
    beyond = [name for name, weight in state.items() if weight.ndim > 1 and weight.abs().max() > largest]
    if beyond:
        raise ModelError(
            Sentence(
                "{path}: the weight {weight} is too large for {dtype}. Convert to float32.",
                path=path,
                weight=beyond[0],
                dtype=dtype,
            )
        )
