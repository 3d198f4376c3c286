"""Packages of others become models that answer as the package says, or are refused in words."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.zoo.bioimageio.conftest import (
    WritePackage,
    answer_to,
    described_0_4,
    picture,
    sigmoid,
    unet,
    write_description,
    write_files,
)

from napari_unetseg.errors import ModelError
from napari_unetseg.service.package_check import answer_of
from napari_unetseg.zoo.bioimageio.package_conversion import convert_bioimageio
from napari_unetseg.zoo.card import Head, Linear, Percentile, ZScore
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.registry import read_package


def test_a_package_with_halo_and_scale_range_becomes_a_model_that_answers_as_it_says(
    write_zoo_package: WritePackage, tmp_path: Path
) -> None:
    converted = convert_bioimageio(write_zoo_package(), tmp_path / "mine", answer=answer_of)
    card = converted.model.card
    assert card.architecture.name == "unet"
    assert card.normalisation == Percentile(low=1, high=99)
    assert card.outputs == (Head(name="foreground"), Head(name="boundary"))
    assert (card.name, card.display_name, card.licence) == ("mine", "Nuclei of somebody", "MIT")
    assert (card.authors, card.citations) == (("Ada Maker",), ("Maker 2020, https://doi.org/10.1000/xyz",))
    assert card.description == "Finds nuclei. Trained on somebody/images."
    assert card.pixel_size == 0.5
    assert converted.comparison is not None
    assert converted.comparison.largest < 1e-5
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        "cover.png",
        "documentation.md",
        "known_answer.safetensors",
        "model.yaml",
        "weights.safetensors",
    ]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    weights = load_network(read_package(tmp_path / "mine", "path")).state_dict()
    assert all(torch.equal(weights[name], value) for name, value in unet().state_dict().items())


def test_zip_folder_and_description_give_the_same_model(write_zoo_package: WritePackage, tmp_path: Path) -> None:
    folder = write_zoo_package()
    archive = tmp_path / "given.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in folder.iterdir():
            file.write(path, f"in a folder/{path.name}")
    cards = [
        convert_bioimageio(source, tmp_path / f"out {number}" / "mine").model.card
        for number, source in enumerate((folder, archive, folder / "rdf.yaml"))
    ]
    assert cards[0] == cards[1] == cards[2]


def test_version_0_4_with_two_unnamed_channels_needs_their_meaning(tmp_path: Path) -> None:
    network, pixels = unet(), picture()
    prepared = (pixels - pixels.mean()) / (pixels.std() + 1e-6)
    write_files(tmp_path / "old", network, pixels, sigmoid(answer_to(network, prepared)))
    steps = [{"name": "zero_mean_unit_variance", "kwargs": {"axes": "cyx", "mode": "per_sample"}}]
    described = described_0_4(tmp_path / "old", steps, [{"name": "sigmoid"}], 2)
    folder = write_description(tmp_path / "old", described)
    with pytest.raises(ModelError, match=r"what the 2 channels of its output mean.*--outputs foreground,boundary"):
        convert_bioimageio(folder, tmp_path / "mine", answer=answer_of)
    with pytest.raises(ModelError, match="for each of the 2 channels"):
        convert_bioimageio(folder, tmp_path / "mine", outputs="foreground")
    converted = convert_bioimageio(folder, tmp_path / "mine", outputs="foreground,boundary", answer=answer_of)
    assert converted.model.card.normalisation == ZScore()
    assert converted.comparison is not None
    assert converted.comparison.agrees


def test_fixed_figures_are_those_of_the_stored_values(write_zoo_package: WritePackage, tmp_path: Path) -> None:
    def edit(description: dict[str, Any]) -> None:
        fixed = {"id": "fixed_zero_mean_unit_variance", "kwargs": {"mean": 500.0, "std": 250.0}}
        description["inputs"][0]["preprocessing"] = [fixed]

    converted = convert_bioimageio(write_zoo_package(edit), tmp_path / "mine")
    assert converted.model.card.normalisation == Linear(gain=(1 / 250,), offset=(-2.0,))


def test_a_model_that_answers_otherwise_is_not_kept_unless_somebody_wants_it(
    write_zoo_package: WritePackage, tmp_path: Path
) -> None:
    def edit(description: dict[str, Any]) -> None:
        description["inputs"][0]["preprocessing"][0]["kwargs"]["max_percentile"] = 60.0

    folder = write_zoo_package(edit)
    with pytest.raises(ModelError, match=r"given: the model was not added.*differ by 0\.\d+ at most \(\w+, row \d+"):
        convert_bioimageio(folder, tmp_path / "mine", answer=answer_of)
    assert not (tmp_path / "mine").exists()
    converted = convert_bioimageio(folder, tmp_path / "mine", answer=answer_of, take_anyway=True)
    assert converted.comparison is not None
    assert not converted.comparison.agrees


def test_a_step_that_nothing_here_does_is_refused_by_its_name(write_zoo_package: WritePackage, tmp_path: Path) -> None:
    def before(description: dict[str, Any]) -> None:
        description["inputs"][0]["preprocessing"].append({"id": "local_contrast", "kwargs": {"radius": 3}})

    def after(description: dict[str, Any]) -> None:
        description["outputs"][0]["postprocessing"] = [{"id": "softmax", "kwargs": {"axis": "channel"}}]

    for number, (edit, name) in enumerate(((before, "local_contrast"), (after, "softmax"))):
        with pytest.raises(ModelError, match=f"this package cannot be used.*'{name}'"):
            convert_bioimageio(write_zoo_package(edit, where=f"given {number}"), tmp_path / "mine")


def test_masks_of_a_binarised_output_are_compared_as_masks(write_zoo_package: WritePackage, tmp_path: Path) -> None:
    def edit(description: dict[str, Any]) -> None:
        steps = [{"id": "sigmoid"}, {"id": "binarize", "kwargs": {"threshold": 0.44}}]
        description["outputs"][0]["postprocessing"] = steps

    folder = write_zoo_package(edit, names=("nucleus",))
    probability = np.load(folder / "test_output.npy")
    assert 0 < (probability > 0.44).mean() < 1
    np.save(folder / "test_output.npy", (probability > 0.44).astype(np.uint8))
    write_description(folder, _without_hashes(folder))
    converted = convert_bioimageio(folder, tmp_path / "mine", answer=answer_of)
    assert converted.model.card.parameters.threshold == 0.44
    assert converted.comparison is not None
    assert (converted.comparison.of_masks, converted.comparison.largest) == (True, 0)


def _without_hashes(folder: Path) -> dict[str, Any]:
    import yaml

    description: dict[str, Any] = yaml.safe_load((folder / "rdf.yaml").read_text(encoding="utf-8"))
    del description["outputs"][0]["test_tensor"]["sha256"]
    return description


def test_what_is_on_the_web_is_not_fetched(write_zoo_package: WritePackage, tmp_path: Path) -> None:
    def edit(description: dict[str, Any]) -> None:
        description["weights"]["pytorch_state_dict"]["source"] = "https://example.com/weights.pt"

    with pytest.raises(
        ModelError, match=r"none of its weights.*https://example\.com/weights\.pt is not in the package"
    ):
        convert_bioimageio(write_zoo_package(edit), tmp_path / "mine")


def test_weights_that_were_exchanged_are_refused(write_zoo_package: WritePackage, tmp_path: Path) -> None:
    folder = write_zoo_package()
    torch.save(unet(1).state_dict(), folder / "weights.torch")
    with pytest.raises(ModelError, match=r"weights\.torch is not the file that the package describes"):
        convert_bioimageio(folder, tmp_path / "mine")
