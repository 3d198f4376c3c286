"""Checkpoints that were trained elsewhere: the weights in them, under their published names.

Nothing in such a file is trusted. See `torch_archive` for what is done about it.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from napari_unetseg.errors import ModelError, panics_are_errors
from napari_unetseg.language import Sentence
from napari_unetseg.zoo.discovery import SUFFIXES
from napari_unetseg.zoo.state_dicts import find_state_dict, unwrap
from napari_unetseg.zoo.torch_archive import CheckpointRefused, read_archive

_AUXILIARY_HEADS = "deep_outputs."
# BatchNorm counts batches since PyTorch 0.4.1, and nothing depends on the count.
_MEAN, _COUNTER = ".running_mean", ".num_batches_tracked"
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
        What else was in the file (optimizer state, settings, running means of the weights...), left out too.
    entry
        Where in the file the weights were, as ``"state_dict.model"``; empty where they were all that it holds.
    """

    path: Path
    format: Literal["torch", "safetensors"]
    state: dict[str, Tensor]
    dropped: tuple[str, ...]
    extras: tuple[str, ...]
    entry: str


def read_checkpoint(path: str | Path, *, any_ending: bool = False, as_stored: bool = False) -> Checkpoint:
    """Read the weights in a checkpoint; nothing in the file is executed.

    Parameters
    ----------
    path
        A `.pth`, `.pt` or `.ckpt` file that `torch.save` wrote, or a `.safetensors` file. It holds a
        state dict, or a dict with one in it; see `find_state_dict` and `unwrap`.
    any_ending
        Whether a file of another name is one, too, since something else says so.
    as_stored
        Whether weights keep the types that they have in the file.

    Raises
    ------
    ModelError
        If the file cannot be read, is damaged, holds anything but data, or no weights; the message
        names the file and says why.
    """
    path = Path(path)
    if not any_ending and path.suffix.lower() not in SUFFIXES:
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
    for key, value in checkpoint.state.items() if not as_stored else ():
        checkpoint.state[key] = value.float() if value.is_floating_point() else value
    return checkpoint


def _copied(path: Path) -> Checkpoint:
    """Read a checkpoint whose weights still have the types of the file."""
    if path.suffix.lower() == ".safetensors":
        return _checkpoint(path, "safetensors", _read_safetensors(path), "", ())
    file = read_archive(path)
    found = find_state_dict(file.content)
    weights = {key: file.tensor(stored) for key, stored in found.weights.items()}
    return _checkpoint(path, "torch", weights, found.entry, found.extras)


def _checkpoint(
    path: Path,
    kind: Literal["torch", "safetensors"],
    weights: Mapping[str, Tensor],
    entry: str,
    extras: tuple[str, ...],
) -> Checkpoint:
    named, prefix, beside = unwrap(weights)
    # Many weights can be views of the same bytes; each of those that are taken is copied.
    if sum(value.nbytes for value in named.values()) > path.stat().st_size:
        raise CheckpointRefused(Sentence("its weights take more bytes than the file has"))
    dropped = tuple(key for key in named if key.startswith(_AUXILIARY_HEADS)) + _dead_block(named)
    unused = frozenset(dropped)
    state = {key: _plain(key, value) for key, value in named.items() if key not in unused}
    for key in [key for key in state if key.endswith(_MEAN)]:
        state.setdefault(key.removesuffix(_MEAN) + _COUNTER, torch.zeros((), dtype=torch.int64))
    return Checkpoint(path, kind, state, dropped, extras + beside, ".".join(filter(None, (entry, prefix))))


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as file:
        start = file.read(8)
    if len(start) < 8 or struct.unpack("<Q", start)[0] > min(_MAX_HEADER, path.stat().st_size):
        raise CheckpointRefused(Sentence("it is not a safetensors file, or was not copied to its end"))
    try:
        with panics_are_errors(), safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # it is not a dict
    except SafetensorError as error:
        raise CheckpointRefused(
            Sentence("it is not a safetensors file, or was not copied to its end ({reason})", reason=error)
        ) from error


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
    if key.endswith(_COUNTER):
        return value.to(torch.int64, copy=True)
    if value.dtype not in _WEIGHT_DTYPES or value.layout != torch.strided:
        raise CheckpointRefused(
            Sentence(
                "the weight {key} has the type {type}, which is not a number a network uses", key=key, type=value.dtype
            )
        )
    return value.detach().clone(memory_format=torch.contiguous_format)
