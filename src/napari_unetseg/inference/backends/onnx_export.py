"""A network as an ONNX file: exported, compared with PyTorch, and kept for the next time."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from platformdirs import user_cache_path

from napari_unetseg.errors import ModelError, UnetsegError
from napari_unetseg.inference.backends.converted import converted_name, example_input
from napari_unetseg.inference.backends.onnx_backend import run_session
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.language import Sentence
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.networks.onnx_session import MISSING_EXTRA, open_session
from napari_unetseg.zoo.card import ModelCard

ONNX_TOLERANCE = 1e-4
"""Largest difference from PyTorch that is let pass, in units of the largest output if that is above 1."""

INPUT, OUTPUT = "image", "output"

_exporting = Lock()


@dataclass(frozen=True)
class Exported:
    """An ONNX file and how it compares with the network that it was made from.

    Attributes
    ----------
    difference
        Largest difference between outputs, divided by the largest output where that is above 1.
    shapes
        Shapes (N, C, H, W) of the random inputs that were compared.
    """

    path: Path
    difference: float
    shapes: tuple[tuple[int, int, int, int], ...]


def export_onnx(network: SegmentationNetwork, card: ModelCard, path: Path) -> Exported:
    """Write a network as ONNX and compare it with PyTorch; the file is there only if they agree.

    The input ``image``, float32 (batch, channels, height, width), takes any batch, height and width
    that the network takes; the output ``output`` is what the network itself returns, so heads whose
    activation is ``"none"`` are logits. The file's metadata hold `model`, `weights_sha256`, `heads`
    and the whole `card`, the last two as JSON.

    Parameters
    ----------
    network
        In evaluation mode, float32, on the CPU.
    card
        What goes into the metadata.
    path
        The file; one that is there is replaced.

    Raises
    ------
    UnetsegError
        If the packages for ONNX are not installed, or the file cannot be written.
    ModelError
        If the outputs differ by more than `ONNX_TOLERANCE`.
    """
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UnetsegError(MISSING_EXTRA) from error
    with _quiet(), torch.inference_mode():
        program = torch.onnx.export(
            network,
            (example_input(network),),
            dynamo=True,
            dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
            input_names=[INPUT],
            output_names=[OUTPUT],
            verbose=False,
        )
    assert program is not None  # noqa: S101 (None is for the exporter before dynamo)
    program.model.metadata_props.update(
        model=card.name,
        weights_sha256=card.weights.sha256,
        heads=json.dumps([head.model_dump() for head in card.outputs]),
        card=card.model_dump_json(),
    )
    shapes = _shapes(network)
    with whole_file(path) as temporary:
        program.save(temporary, external_data=False)
        difference = _difference(network, temporary, shapes)
        if not difference <= ONNX_TOLERANCE:
            raise ModelError(
                Sentence(
                    "{path}: not written, because the exported model {model} differs from PyTorch by "
                    "{difference:.2g}, more than {tolerance:g}. Use the model with PyTorch.",
                    path=path,
                    model=card.name,
                    difference=difference,
                    tolerance=ONNX_TOLERANCE,
                )
            )
    return Exported(path, difference, shapes)


def cached_onnx(network: SegmentationNetwork, card: ModelCard) -> Path:
    """Return the ONNX file of a network from the user's cache folder, exported if it is not there yet.

    Its name follows from the weights, the architecture and the version of this package.

    Raises
    ------
    UnetsegError
        As `export_onnx` does.
    """
    path = user_cache_path("napari-unetseg", appauthor=False) / "onnx" / f"{converted_name(card)}.onnx"
    # Two services that begin with the same model would write the same temporary file.
    with _exporting:
        if not path.is_file():
            export_onnx(network, card, path)
    return path


def _shapes(network: SegmentationNetwork) -> tuple[tuple[int, int, int, int], ...]:
    """Return small, odd and oblong shapes whose deepest maps still have statistics worth the name."""
    grid, channels = 2**network.depth, network.in_channels
    return (
        (1, channels, 3 * grid, 3 * grid),
        (2, channels, 4 * grid + 1, 3 * grid),
        (1, channels, 5 * grid - 1, 4 * grid + 3),
    )


def _difference(network: SegmentationNetwork, path: Path, shapes: tuple[tuple[int, int, int, int], ...]) -> float:
    session = open_session(path)
    rng = np.random.default_rng(0)
    differences = []
    for shape in shapes:
        batch = rng.random(shape, dtype=np.float32)
        with torch.inference_mode():
            expected = network(torch.from_numpy(batch)).numpy()
        largest = np.abs(run_session(session, batch) - expected).max()
        differences.append(float(largest / max(1, np.abs(expected).max())))
    return max(differences)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporter says to its own developers."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)
