"""A model as a package of the BioImage Model Zoo: its files computed, compared and zipped. Imports torch.

What a package says is decided in `zoo.bioimageio.export`. Here the network is run: the test output is what the stated
operations give, and is compared with what this program computes of the same picture.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from napari_unetseg.errors import ModelError
from napari_unetseg.image import Image
from napari_unetseg.inference.backends.onnx_export import export_onnx
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.language import Sentence
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.networks.foreign_arguments import is_foreign
from napari_unetseg.service.service import SegmentationService
from napari_unetseg.zoo.bioimageio.cover import draw_cover, write_cover
from napari_unetseg.zoo.bioimageio.documentation import document, unsaid
from napari_unetseg.zoo.bioimageio.example_tensors import as_tensor, draw_discs, fit_picture
from napari_unetseg.zoo.bioimageio.export import (
    FILES,
    Statement,
    check_citations,
    check_licence,
    describe_package,
    environment,
    write_zip,
)
from napari_unetseg.zoo.bioimageio.operations import activations, apply_operations, operations, smallest_shape
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.registry import ModelPackage

TOLERANCE = 1e-3
"""Largest difference between the probabilities of this program and those of the stated operations."""

_FAINT = 1e-3  # the zoo's validator takes an output that is nowhere above a tenth of it for none


@dataclass(frozen=True)
class ExportedPackage:
    """A package that was written, and how it compares with the model.

    Attributes
    ----------
    onnx_difference
        Largest difference of the ONNX file from PyTorch, as `Exported.difference` is.
    difference
        Largest difference of a probability of the test output from what this program computes of the test input.
    unsaid
        What the fields of the package cannot say, as sentences; its documentation does.
    """

    path: Path
    onnx_difference: float
    difference: float
    unsaid: tuple[str, ...]


def export_bioimageio(
    package: ModelPackage,
    path: Path,
    *,
    authors: tuple[str, ...],
    licence: str | None = None,
    cite: tuple[str, ...] = (),
    sample: Image | None = None,
) -> ExportedPackage:
    """Write a model as a zip of the BioImage Model Zoo, spec 0.5, with ONNX and PyTorch weights.

    Parameters
    ----------
    authors
        Names of those who made the model.
    licence
        SPDX identifier; None: what the card says.
    cite
        What to cite, each with a DOI or an address, beside what the card and the training data ask for.
    sample
        A plane that the model is meant for: its objects are on the cover, and its middle is the test input. None: drawn
        discs.

    Raises
    ------
    ModelError
        If the specification has no words for the model, if what it has words for computes something else, or if the
        model sees nothing in the picture.
    UnetsegError
        If the packages for ONNX are not installed, or the file cannot be written.
    """
    card = package.card
    if is_foreign(card.architecture.name):
        raise ModelError(
            Sentence(
                "{model}: its network came with a package from elsewhere, and is none of this program's. Share that "
                "package.",
                model=card.name,
            )
        )
    licence = licence or card.licence
    check_licence(licence, card.name)
    check_citations(cite)
    network = load_network(package)
    pixels = _test_picture(card, sample)
    output, difference = _test_output(network, card, pixels)
    with TemporaryDirectory(prefix="napari-unetseg-") as temporary:
        folder = Path(temporary)
        onnx = export_onnx(network, card, folder / FILES.onnx)
        torch.save(_stored_tensors(package, network), folder / FILES.state_dict)
        _write_tensors(folder, pixels, output)
        _write_cover(folder, package, sample, pixels)
        (folder / FILES.environment).write_text(environment(), encoding="utf-8")
        words = document(card, authors, licence, _measured(onnx.difference, difference))
        (folder / FILES.documentation).write_text(words, encoding="utf-8")
        statement = Statement(
            authors=authors,
            licence=licence,
            cite=cite,
            network_class=type(network).__name__,
            opset=_opset(folder / FILES.onnx),
            pytorch=torch.__version__.partition("+")[0],
        )
        write_zip(path, describe_package(card, statement, folder), folder)
    return ExportedPackage(path, onnx.difference, difference, unsaid(card))


def _test_picture(card: ModelCard, sample: Image | None) -> NDArray[Any]:
    if sample is None:
        return as_tensor(card, draw_discs(card, smallest_shape(card)))
    used = normalise(sample, card.normalisation, card.input_channels).planes
    return as_tensor(card, fit_picture(card, np.asarray(used), smallest_shape(card)))


def _test_output(
    network: SegmentationNetwork, card: ModelCard, pixels: NDArray[Any]
) -> tuple[NDArray[np.float32], float]:
    """Return what the stated operations give, (heads, Y, X), and how far this program's own answer is from it."""
    stated = _answer(network, card, apply_operations(operations(card), pixels))
    ours = _answer(network, card, normalise(_as_image(card, pixels), card.normalisation, card.input_channels).array)
    difference = float(np.abs(stated - ours).max())
    if not difference <= TOLERANCE:
        raise ModelError(
            Sentence(
                "{model}: not exported, because by the words of the BioImage Model Zoo its probabilities would differ "
                "by {difference:.2g}, more than {tolerance:g}. Export it as ONNX.",
                model=card.name,
                difference=difference,
                tolerance=TOLERANCE,
            )
        )
    if stated.max() < _FAINT:
        raise ModelError(
            Sentence(
                "{model}: not exported, because it sees nothing in the test picture, so that nobody could test the "
                "package. Give an image that it is meant for: --sample IMAGE.",
                model=card.name,
            )
        )
    return stated, difference


def _as_image(card: ModelCard, pixels: NDArray[Any]) -> Image:
    if len(pixels) == 1:
        return Image(pixels[0], "YX", name="test picture")
    return Image(pixels, "CYX", rgb=len(pixels) == 3 and not card.channel_roles, name="test picture")


def _answer(network: SegmentationNetwork, card: ModelCard, values: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.inference_mode():
        output = network(torch.from_numpy(values[np.newaxis]))[0].numpy()
    return apply_operations(activations(card), output)


def _stored_tensors(package: ModelPackage, network: SegmentationNetwork) -> Mapping[str, torch.Tensor]:
    """Return the weights in the types in which they are stored, so that the same file can be made of them again."""
    return network.state_dict() if package.is_checkpoint else load_file(package.weights)


def _write_tensors(folder: Path, pixels: NDArray[Any], output: NDArray[np.float32]) -> None:
    for array, tensor, sample in (
        (pixels, FILES.test_input, FILES.sample_input),
        (output, FILES.test_output, FILES.sample_output),
    ):
        np.save(folder / tensor, array[np.newaxis])
        tifffile.imwrite(folder / sample, array, photometric="minisblack", compression="zlib", metadata=None)


def _write_cover(folder: Path, package: ModelPackage, sample: Image | None, pixels: NDArray[Any]) -> None:
    shown = _as_image(package.card, pixels) if sample is None else sample
    with SegmentationService(package.path, device="cpu", backend="torch", precision="float32") as service:
        labels = service.segment(shown).labels
    write_cover(folder / FILES.cover, draw_cover(shown, labels))


def _opset(path: Path) -> int:
    import onnx

    versions = onnx.load(path, load_external_data=False).opset_import
    return next(int(entry.version) for entry in versions if entry.domain in ("", "ai.onnx"))


def _measured(onnx: float, operations: float) -> tuple[str, ...]:
    return (
        f"The ONNX weights differ from PyTorch by {onnx:.1g} at most, on random images.",
        f"Probabilities by the operations stated here differ from those of napari-unetseg by {operations:.1g} at most, "
        "on the test picture.",
    )
