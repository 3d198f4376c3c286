"""From a trained network to a model package on disk."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from napari_unetseg.io.atomic import whole_file
from napari_unetseg.zoo.card import CARD_FILE, ModelCard, Weights, write_card


def write_package(
    folder: Path, fields: Mapping[str, Any], state: Mapping[str, Tensor], dtype: torch.dtype = torch.float16
) -> ModelCard:
    """Write the weights and the card of a model; `load_network` reads them back.

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
    UnetsegError
        If the folder cannot be written.
    """
    tensors = {name: _stored(tensor, dtype) for name, tensor in state.items()}
    content = save(tensors)
    weights = Weights(sha256=hashlib.sha256(content).hexdigest())
    card = ModelCard.model_validate({**fields, "weights": weights})
    with whole_file(folder / weights.file) as path:
        path.write_bytes(content)
    with whole_file(folder / CARD_FILE) as path:
        write_card(card, path)
    return card


def _stored(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    kernel = tensor.is_floating_point() and tensor.ndim > 1
    return tensor.detach().cpu().to(dtype if kernel else tensor.dtype).contiguous()
