"""Checkpoints that were trained elsewhere: the weights in them, under their published names.

Nothing in such a file is trusted. See `torch_archive` for what is done about it.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from napari_unetseg.errors import ModelError
from napari_unetseg.language import Sentence
from napari_unetseg.zoo.compatibility import list_first
from napari_unetseg.zoo.discovery import SUFFIXES
from napari_unetseg.zoo.torch_archive import CheckpointRefused, read_archive

_WEIGHTS_KEYS = ("model_state_dict", "state_dict")
# Data parallel training and torch.compile wrap a network, or a part of it, in another.
_WRAPPERS = frozenset({"module", "_orig_mod"})
_AUXILIARY_HEADS = "deep_outputs."
_MAX_HEADER = 16 * 2**20
_WEIGHT_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


@dataclass(frozen=True)
class Checkpoint:
    """The weights in a checkpoint.

    Attributes
    ----------
    path
        The file.
    format
        ``"torch"`` or ``"safetensors"``.
    state
        Weights by their published names, wrappers' prefixes removed. Float32, but for counters
        (int64); copies, so that the file may change or go.
    dropped
        Names of weights that no output depends on, left out of `state`.
    extras
        What else was in the file (optimizer state, settings...), left out too.
    """

    path: Path
    format: Literal["torch", "safetensors"]
    state: dict[str, Tensor]
    dropped: tuple[str, ...]
    extras: tuple[str, ...]


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read the weights in a checkpoint; nothing in the file is executed.

    Parameters
    ----------
    path
        A `.pth`, `.pt` or `.ckpt` file that `torch.save` wrote, or a `.safetensors` file. It holds a
        state dict, or a dict with one under ``model_state_dict`` or ``state_dict``.

    Raises
    ------
    ModelError
        If the file cannot be read, is damaged, holds anything but data, or no weights; the message
        names the file and says why.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ModelError(
            Sentence(
                "{path}: this is not a checkpoint. Choose a file that ends in {endings}.",
                path=path,
                endings=", ".join(SUFFIXES),
            )
        )
    try:
        checkpoint = _copied(path)
    except OSError as error:
        raise ModelError(
            Sentence("{path}: the checkpoint cannot be read ({reason}).", path=path, reason=error.strerror or error)
        ) from error
    except CheckpointRefused as error:
        raise ModelError(
            Sentence(
                "{path}: the checkpoint was not loaded, and nothing in it was run: {reason}.", path=path, reason=error
            )
        ) from error
    # Only now, because wider weights, their copies and the mapped file together can take three times the file.
    for key, value in checkpoint.state.items():
        checkpoint.state[key] = value.float() if value.is_floating_point() else value
    return checkpoint


def _copied(path: Path) -> Checkpoint:
    """Read a checkpoint whose weights still have the types of the file."""
    if path.suffix.lower() == ".safetensors":
        return _checkpoint(path, "safetensors", _read_safetensors(path), ())
    weights, extras = _weights_in(read_archive(path))
    return _checkpoint(path, "torch", weights, extras)


def _checkpoint(
    path: Path, kind: Literal["torch", "safetensors"], weights: Mapping[str, Tensor], extras: tuple[str, ...]
) -> Checkpoint:
    named = _without_wrappers(weights)
    # Many weights can be views of the same bytes; each of them would be copied.
    if sum(value.nbytes for value in named.values()) > path.stat().st_size:
        raise CheckpointRefused(Sentence("its weights take more bytes than the file has"))
    dropped = tuple(key for key in named if key.startswith(_AUXILIARY_HEADS)) + _dead_block(named)
    unused = frozenset(dropped)
    state = {key: _plain(key, value) for key, value in named.items() if key not in unused}
    return Checkpoint(path, kind, state, dropped, extras)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as file:
        start = file.read(8)
    if len(start) < 8 or struct.unpack("<Q", start)[0] > min(_MAX_HEADER, path.stat().st_size):
        raise CheckpointRefused(Sentence("it is not a safetensors file, or was not copied to its end"))
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # it is not a dict
    except SafetensorError as error:
        raise CheckpointRefused(
            Sentence("it is not a safetensors file, or was not copied to its end ({reason})", reason=error)
        ) from error


def _weights_in(content: Any) -> tuple[Mapping[str, Tensor], tuple[str, ...]]:
    """Find the state dict, and name the other entries."""
    if not isinstance(content, Mapping):
        raise CheckpointRefused(Sentence("it holds a {kind}, not a dict of weights", kind=type(content).__name__))
    found = next((key for key in _WEIGHTS_KEYS if key in content), None)
    weights = content if found is None else content[found]
    if not isinstance(weights, Mapping) or not weights:
        raise CheckpointRefused(f"its entry {found!r} holds no weights" if found else "it is an empty dict")
    others = [key for key, value in weights.items() if not isinstance(value, Tensor) or not isinstance(key, str)]
    if others and found is None:
        raise CheckpointRefused(
            Sentence(
                "it has neither {keys}, and is no state dict itself: its entries are {names}",
                keys=" nor ".join(map(repr, _WEIGHTS_KEYS)),
                names=list_first([str(key) for key in weights]),
            )
        )
    if others:
        raise CheckpointRefused(
            Sentence(
                "its entry {found!r} holds more than named weights: {names}",
                found=found,
                names=list_first([str(key) for key in others]),
            )
        )
    return weights, () if found is None else tuple(str(key) for key in content if key != found)


def _without_wrappers(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    named: dict[str, Tensor] = {}
    for key, value in weights.items():
        name = ".".join(part for part in key.split(".") if part not in _WRAPPERS)
        if name in named:
            raise CheckpointRefused(Sentence("it holds two weights named {name}", name=name))
        named[name] = value
    return named


def _dead_block(named: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Name the weights of the SpheroHQ U-Net's deepest `downs` block.

    It is declared and saved but never called: the bottleneck, of the same shape, takes its place.
    """
    ups = {key.split(".")[1] for key in named if key.startswith("ups.")}
    block = f"downs.{len(ups) - 1}."
    declared = {key.removeprefix(block): value.shape for key, value in named.items() if key.startswith(block)}
    instead = {
        key.removeprefix("bottleneck."): value.shape for key, value in named.items() if key.startswith("bottleneck.")
    }
    return tuple(block + key for key in declared) if declared == instead else ()


def _plain(key: str, value: Tensor) -> Tensor:
    if key.endswith("num_batches_tracked") and value.dtype == torch.int64:
        return value.clone()
    if value.dtype not in _WEIGHT_DTYPES or value.layout != torch.strided:
        raise CheckpointRefused(
            Sentence(
                "the weight {key} has the type {type}, which is not a number a network uses", key=key, type=value.dtype
            )
        )
    return value.detach().clone(memory_format=torch.contiguous_format)
