"""A model as a package of the BioImage Model Zoo (spec 0.5): its description, and the zip that holds it.

What computes the tensors and the ONNX file is `service.bioimageio_export`. A package of this module comes back as the
model that it was, to the bit: `CARD_KEY` of its `config` holds the whole card, and the state dict the tensors as they
were stored.
"""

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

import napari_unetseg
from napari_unetseg.errors import ModelError
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.io.hashing import hash_file
from napari_unetseg.language import Sentence
from napari_unetseg.zoo.bioimageio.documentation import citation_of, network_citation, source_words
from napari_unetseg.zoo.bioimageio.operations import (
    INPUT,
    OUTPUT,
    activations,
    input_axes,
    operations,
    output_axes,
)
from napari_unetseg.zoo.card import MeanStd, ModelCard

SPEC_VERSION = "0.5.4"
"""The version that packages are written in: newer ones, up to 0.5.14 at least, read it unchanged."""

DESCRIPTION_FILE = "bioimageio.yaml"
CONFIG_KEY = "napari-unetseg"
"""Key of the description's `config` under which this program keeps what the specification has no words for."""
CARD_KEY = "card"
"""Key below it: the model card, as `model.yaml` states it."""

_IDENTIFIERS = """
    0BSD AFL-3.0 AGPL-3.0-only AGPL-3.0-or-later Apache-2.0 Artistic-2.0 BSD-2-Clause BSD-3-Clause BSL-1.0
    CC-BY-3.0 CC-BY-4.0 CC-BY-NC-3.0 CC-BY-NC-4.0 CC-BY-NC-ND-4.0 CC-BY-NC-SA-3.0 CC-BY-NC-SA-4.0 CC-BY-ND-4.0
    CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0 ECL-2.0 EPL-2.0 EUPL-1.2 GPL-2.0-only GPL-2.0-or-later GPL-3.0-only
    GPL-3.0-or-later ISC LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later MIT MIT-0 MPL-2.0 MS-PL
    NCSA ODbL-1.0 OFL-1.1 PDDL-1.0 PostgreSQL Unlicense Zlib
"""
LICENCES = frozenset(_IDENTIFIERS.split())
"""SPDX identifiers that models and data come under."""

_SHORTEST_NAME, _LONGEST_NAME, _LONGEST_DESCRIPTION = 5, 64, 512
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_+\- ()]+")


@dataclass(frozen=True)
class Files:
    """Names of the files of a package, all in one folder."""

    onnx: str = "weights.onnx"
    state_dict: str = "weights.pt"
    environment: str = "environment.yaml"
    test_input: str = "test_input.npy"
    test_output: str = "test_output.npy"
    sample_input: str = "sample_input.tif"
    sample_output: str = "sample_output.tif"
    cover: str = "cover.jpg"
    documentation: str = "README.md"


FILES = Files()


@dataclass(frozen=True)
class Statement:
    """What a card does not say of a model.

    Attributes
    ----------
    authors
        Names of those who made it.
    licence
        SPDX identifier of the weights' licence.
    cite
        What to cite, each with a DOI or an address, beside what the card and the training data ask for.
    network_class
        Name of the network's class in `napari_unetseg.networks`.
    opset
        Of the ONNX file.
    pytorch
        Version that wrote the state dict.
    """

    authors: tuple[str, ...]
    licence: str
    cite: tuple[str, ...]
    network_class: str
    opset: int
    pytorch: str


def check_licence(licence: str, model: str) -> None:
    """Refuse a licence that is no SPDX identifier, by which the zoo goes.

    Raises
    ------
    ModelError
        If it is not one of `LICENCES`.
    """
    if licence not in LICENCES:
        raise ModelError(
            Sentence(
                "{model}: the licence {licence!r} is no SPDX identifier, which the BioImage Model Zoo asks for. Name "
                "one, such as CC-BY-4.0, MIT or BSD-3-Clause: --licence ID.",
                model=model,
                licence=licence,
            )
        )


def check_citations(cite: Sequence[str]) -> None:
    """Refuse what to cite without a DOI or an address.

    Raises
    ------
    ModelError
        If one has neither; the message quotes it.
    """
    for words in cite:
        if citation_of(words) is None:
            raise ModelError(
                Sentence(
                    "{words!r}: the BioImage Model Zoo cites by DOI or address. Add one to these words, such as "
                    "10.1038/s41592-019-0612-7.",
                    words=words,
                )
            )


def describe_package(card: ModelCard, statement: Statement, folder: Path) -> dict[str, Any]:
    """Return the description of a package, whose files lie in a folder, as plain values.

    Raises
    ------
    ModelError
        If the specification has no words for what the card states.
    """

    def file(name: str) -> dict[str, str]:
        return {"source": name, "sha256": hash_file(folder / name)}

    authors = [{"name": name.replace("/", "-")} for name in statement.authors]
    sources = (*statement.cite, *card.citations, *map(source_words, card.training_data), network_citation(card))
    found = (citation_of(words) for words in sources)
    description: dict[str, Any] = {
        "format_version": SPEC_VERSION,
        "type": "model",
        "name": package_name(card),
        "description": card.description[:_LONGEST_DESCRIPTION],
        "authors": authors,
        "cite": [entry for entry in found if entry],
        "license": statement.licence,
        "documentation": FILES.documentation,
        "covers": [FILES.cover],
        "tags": ["segmentation", "unet2d", "2d", "pytorch", "onnx", "napari", "napari-unetseg", card.name],
        "timestamp": datetime.now(UTC).replace(microsecond=0).isoformat(),
        "inputs": [
            {
                "id": INPUT,
                "description": _input_words(card),
                "axes": input_axes(card),
                "data": {"type": "uint8" if isinstance(card.normalisation, MeanStd) else "float32"},
                "test_tensor": file(FILES.test_input),
                "sample_tensor": file(FILES.sample_input),
                "preprocessing": operations(card),
            }
        ],
        "outputs": [
            {
                "id": OUTPUT,
                "description": "Probabilities: " + ", ".join(card.heads),
                "axes": output_axes(card),
                "data": {"type": "float32", "range": [0, 1]},
                "test_tensor": file(FILES.test_output),
                "sample_tensor": file(FILES.sample_output),
                "postprocessing": activations(card),
            }
        ],
        "weights": {
            "pytorch_state_dict": {
                **file(FILES.state_dict),
                "authors": authors,
                "architecture": {
                    "import_from": "napari_unetseg.networks",
                    "callable": statement.network_class,
                    "kwargs": dict(card.architecture.arguments),
                },
                "pytorch_version": statement.pytorch,
                "dependencies": file(FILES.environment),
            },
            "onnx": {**file(FILES.onnx), "opset_version": statement.opset, "parent": "pytorch_state_dict"},
        },
        "config": {CONFIG_KEY: {"version": napari_unetseg.__version__, CARD_KEY: card_values(card)}},
    }
    if card.training_data:
        description["training_data"] = _training_data(card)
    return description


def card_values(card: ModelCard) -> dict[str, Any]:
    """Return a card as the plain values that `model.yaml` has."""
    return card.model_dump(mode="json", exclude_none=True)


def package_name(card: ModelCard) -> str:
    """Return the name of a model in the few characters that the zoo allows."""
    name = " ".join(_NOT_IN_A_NAME.sub(" ", card.display_name).split())[:_LONGEST_NAME]
    return name if len(name) >= _SHORTEST_NAME else f"{name or card.name} segmentation"


def _input_words(card: ModelCard) -> str:
    if card.channel_roles:
        return "Image with one channel each for " + " and ".join(card.channel_roles)
    return {1: "Grey image", 3: "Colour image, or a grey one three times"}.get(card.input_channels, "Image of stains")


def _training_data(card: ModelCard) -> dict[str, Any]:
    """Describe all that a model learned from as one data set, as the zoo has room for one."""
    licences = {data.licence.replace(" ", "-") for data in card.training_data}
    lines = (f"{source_words(data)} ({data.images} images, {data.licence})" for data in card.training_data)
    found = (citation_of(source_words(data)) for data in card.training_data)
    data: dict[str, Any] = {
        "type": "dataset",
        "format_version": "0.3.0",
        "name": f"Training images of {package_name(card)}"[:_LONGEST_NAME],
        "description": "; ".join(lines)[:_LONGEST_DESCRIPTION],
        "cite": [entry for entry in found if entry],
        "tags": ["segmentation"],
    }
    if len(licences) == 1 and licences <= LICENCES:
        (data["license"],) = licences
    return data


def environment() -> str:
    """Return the Conda environment in which the state dict's network can be built, as YAML."""
    dependencies = ["python>=3.11", "pytorch>=2.6", "pip", {"pip": [f"napari-unetseg>={napari_unetseg.__version__}"]}]
    return yaml.safe_dump(
        {"name": "napari-unetseg", "channels": ["conda-forge", "nodefaults"], "dependencies": dependencies},
        sort_keys=False,
    )


class _WithoutReferences(yaml.SafeDumper):
    """Writes what stands in several places several times, as not every reader follows references."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def write_zip(path: Path, description: Mapping[str, Any], folder: Path) -> None:
    """Write the description and the files of a folder into a zip, which is there only if it is whole.

    Raises
    ------
    UnetsegError
        If the file cannot be written.
    """
    text = yaml.dump(dict(description), Dumper=_WithoutReferences, sort_keys=False, allow_unicode=True, width=100)
    with whole_file(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(DESCRIPTION_FILE, text)
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
