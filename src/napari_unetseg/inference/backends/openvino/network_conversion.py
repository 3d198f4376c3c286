"""A network in OpenVINO's own form: converted from PyTorch, and kept for the next time."""

import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import torch

from napari_unetseg.errors import ModelError, UnetsegError, last_line
from napari_unetseg.inference.backends.converted import converted_name, example_input
from napari_unetseg.inference.backends.openvino.library import (
    cache_folder,
    load_openvino,
    openvino_core,
    openvino_version,
)
from napari_unetseg.language import Sentence
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.zoo.card import ModelCard

if TYPE_CHECKING:
    from openvino import Model

MODEL_FILE = "model.xml"

_converting = Lock()


def convert_network(network: SegmentationNetwork) -> "Model":
    """Return a network as OpenVINO's model, float32; batch, height and width are free.

    Parameters
    ----------
    network
        In evaluation mode, float32, on the CPU.

    Raises
    ------
    UnetsegError
        If OpenVINO is not installed.
    ModelError
        If it cannot express the network.
    """
    openvino = load_openvino()
    pixels = example_input(network)
    shape = openvino.PartialShape([-1, network.in_channels, -1, -1])
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            # Tracing is deprecated, and warns of branches on sizes; `example_input` says why it takes the right ones.
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.filterwarnings("ignore", "Converting a tensor to a Python boolean")
            # PyTorch's own check of the trace takes longer than everything else together.
            traced = torch.jit.trace(network, pixels, check_trace=False)  # type: ignore[no-untyped-call]
            model: Model = openvino.convert_model(traced, example_input=pixels, input=[shape])
    except Exception as error:  # its errors share no other class
        raise ModelError(
            Sentence("OpenVINO cannot express this network ({reason}). Use the backend torch.", reason=_reason(error))
        ) from error
    return model


def cached_model(network: SegmentationNetwork, card: ModelCard) -> Path:
    """Return the file of a network in OpenVINO's form, float32, from the user's cache folder; converted if need be.

    Raises
    ------
    UnetsegError
        As `convert_network` does, or if the folder cannot be written.
    """
    folder = folder_for(card)
    # Two services that begin with the same model would both convert it.
    with _converting:
        if not (folder / MODEL_FILE).is_file():
            model = convert_network(network)
            write_folder(folder, lambda place: save(model, place))
    return folder / MODEL_FILE


def folder_for(card: ModelCard, precision: str = "float32") -> Path:
    """Return where a model is kept in a precision; by its weights, its architecture, and the versions that decide."""
    return cache_folder() / f"{converted_name(card, openvino_version())}-{precision}"


def save(model: "Model", folder: Path) -> None:
    """Write a model and its weights, as they are, into a folder."""
    load_openvino().save_model(model, folder / MODEL_FILE, compress_to_fp16=False)


def read(file: Path) -> "Model":
    """Read a model that `save` wrote.

    Raises
    ------
    UnetsegError
        If OpenVINO is not installed.
    ModelError
        If it cannot read the file; the message names it.
    """
    core: Any = openvino_core()
    try:
        model: Model = core.read_model(file)
    except RuntimeError as error:
        raise ModelError(
            Sentence(
                "{file}: OpenVINO cannot read it ({reason}). Delete the folder that it is in and try again.",
                file=file,
                reason=_reason(error),
            )
        ) from error
    return model


def write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder that is either whole or not there; one that is there already is replaced.

    Raises
    ------
    UnetsegError
        If the operating system refuses; the message names the folder.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as place:
            new = Path(place) / "new"
            new.mkdir()
            fill(new)
            if folder.exists():
                folder.rename(Path(place) / "old")
            new.rename(folder)
    except OSError as error:
        raise UnetsegError(
            Sentence(
                "{path}: cannot be written ({reason}). Choose another folder or make room on the disk.",
                path=folder,
                reason=error.strerror or error,
            )
        ) from error


def copy_folder(folder: Path, place: Path) -> None:
    """Copy a folder of the cache to a place of the user's; files of the same names there are replaced."""
    shutil.copytree(folder, place, dirs_exist_ok=True)


def _reason(error: Exception) -> str:
    return last_line(str(error)) or type(error).__name__
