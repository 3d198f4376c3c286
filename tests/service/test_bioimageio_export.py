"""A model as a package of the BioImage Model Zoo, out and in again."""

import hashlib
import importlib
import io
import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import tifffile
import torch
import yaml
from PIL import Image as Picture

import napari_unetseg
from napari_unetseg import samples
from napari_unetseg.errors import ModelError
from napari_unetseg.image import Image
from napari_unetseg.inference.backends.onnx_export import Exported
from napari_unetseg.networks import build
from napari_unetseg.service import SegmentationService
from napari_unetseg.service import bioimageio_export as exporting
from napari_unetseg.service.bioimageio_export import ExportedPackage, export_bioimageio
from napari_unetseg.zoo.bioimageio.export import CARD_KEY, CONFIG_KEY, FILES, LICENCES, write_zip
from napari_unetseg.zoo.bioimageio.operations import apply_operations
from napari_unetseg.zoo.bioimageio.package_conversion import convert_bioimageio
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.packaging import write_package
from napari_unetseg.zoo.registry import ModelPackage, find_model, read_package

BUNDLED = ("nuclei", "cells", "nails", "spheroids")
SAMPLE_OF = {"nails": "hand"}
FOREIGN = {"name": "torchscript", "arguments": {"in_channels": 3, "out_channels": 2}}
VALIDATOR = "bioimageio.spec==0.5.14.3"
"""The zoo's validator alone, which needs little else and installs in seconds."""
VALIDATE = """
import json, sys
from bioimageio.spec import load_description

description = load_description(sys.argv[1])
found = description.validation_summary
print("ANSWER" + json.dumps([
    type(description).__name__, found.status, [error.msg for part in found.details for error in part.errors]
]))
"""
PINS = ("bioimageio.core==0.11.0", "bioimageio.spec==0.5.12.0", "pydantic==2.11.10")
"""Those of the zoo's tools that work together: with pydantic 2.14 `bioimageio.spec` reads no model."""


@pytest.fixture(scope="module")
def bright(bright_model: Path) -> ModelPackage:
    return read_package(bright_model, "path")


@pytest.fixture(scope="module")
def exported(bright: ModelPackage, tmp_path_factory: pytest.TempPathFactory) -> ExportedPackage:
    path = tmp_path_factory.mktemp("zoo") / "bright.bioimageio.zip"
    return export_bioimageio(bright, path, authors=("A. Doe",), cite=("Doe 2020, 10.1000/xyz.123",))


@pytest.fixture(scope="module")
def files(exported: ExportedPackage) -> Mapping[str, bytes]:
    with zipfile.ZipFile(exported.path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def description(files: Mapping[str, bytes]) -> dict[str, Any]:
    return yaml.safe_load(files["bioimageio.yaml"])


@pytest.fixture
def without_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write no ONNX, which takes seconds, where a test is of something else."""

    def export_onnx(network: object, card: ModelCard, path: Path) -> Exported:
        path.write_bytes(b"none")
        return Exported(path, 0.0, ())

    monkeypatch.setattr(exporting, "export_onnx", export_onnx)
    monkeypatch.setattr(exporting, "_opset", lambda path: 20)


def test_the_zip_holds_every_file_that_is_named_with_its_hash(files, description):
    named = {}

    def look(value: object) -> None:
        if isinstance(value, dict):
            if "source" in value:
                named[value["source"]] = value["sha256"]
            for part in value.values():
                look(part)
        elif isinstance(value, list):
            for part in value:
                look(part)

    look({key: description[key] for key in ("inputs", "outputs", "weights")})
    for name, sha256 in named.items():
        assert hashlib.sha256(files[name]).hexdigest() == sha256
    assert set(files) == named.keys() | {"bioimageio.yaml", description["documentation"], *description["covers"]}
    assert all("/" not in name for name in files)
    assert b"&id" not in files["bioimageio.yaml"], "not every reader of YAML follows references"


def test_the_description_keeps_to_the_rules_of_the_specification(files, description):
    assert description["format_version"] == "0.5.4"
    assert description["type"] == "model"
    assert 5 <= len(description["name"]) <= 128
    assert len(description["description"]) <= 1024
    assert description["authors"] == [{"name": "A. Doe"}]
    assert {"text": "Doe 2020, 10.1000/xyz.123", "doi": "10.1000/xyz.123"} in description["cite"]
    assert all("doi" in entry or "url" in entry for entry in description["cite"])
    assert description["license"] == "CC0-1.0"
    (image,), (answer,) = description["inputs"], description["outputs"]
    assert image["id"] != answer["id"]
    taken, given = (np.load(io.BytesIO(files[tensor["test_tensor"]["source"]])) for tensor in (image, answer))
    assert (taken.dtype, given.dtype) == (image["data"]["type"], answer["data"]["type"])
    assert (taken.ndim, given.ndim) == (len(image["axes"]), len(answer["axes"])) == (4, 4)
    for place, axis in enumerate(image["axes"][2:], start=2):
        size = axis["size"]
        assert taken.shape[place] >= size["min"]
        assert (taken.shape[place] - size["min"]) % size["step"] == 0
        halo = answer["axes"][place]["halo"]
        assert size["min"] - 2 * halo >= 1
        assert answer["axes"][place]["size"] == {"tensor_id": image["id"], "axis_id": axis["id"]}
        assert given.shape[place] == taken.shape[place]
    for tensor, array in ((image, taken), (answer, given)):
        assert len(tensor["axes"][1]["channel_names"]) == array.shape[1]
        assert len(tensor["description"]) <= 128
        assert tifffile.imread(io.BytesIO(files[tensor["sample_tensor"]["source"]])).shape == array.shape[1:]
    assert 0.5 < given.max() <= 1
    with Picture.open(io.BytesIO(files[FILES.cover])) as cover:
        assert cover.width == 2 * cover.height
    assert b"\n## Validation\n" in files[FILES.documentation]


@pytest.mark.parametrize("form", ["onnx", "pytorch_state_dict"])
def test_weights_and_stated_operations_give_the_test_output(files, description, form):
    (image,), (answer,) = description["inputs"], description["outputs"]
    taken, expected = (np.load(io.BytesIO(files[tensor["test_tensor"]["source"]])) for tensor in (image, answer))
    prepared = apply_operations(image["preprocessing"], taken[0])[np.newaxis]
    entry = description["weights"][form]
    if form == "onnx":
        (output,) = onnxruntime.InferenceSession(files[entry["source"]]).run(None, {"image": prepared})
        assert entry["opset_version"] >= 7
        assert entry["parent"] == "pytorch_state_dict"
    else:
        architecture = entry["architecture"]
        made = getattr(importlib.import_module(architecture["import_from"]), architecture["callable"])
        network = made(**architecture["kwargs"])
        state = torch.load(io.BytesIO(files[entry["source"]]), weights_only=True)
        network.load_state_dict(state, strict=True)
        with torch.inference_mode():
            output = network.eval()(torch.from_numpy(prepared)).numpy()
    found = apply_operations(answer["postprocessing"], output[0])
    np.testing.assert_allclose(found, expected[0], atol=1e-4)


def test_the_environment_names_what_the_state_dict_needs(files):
    environment = yaml.safe_load(files[FILES.environment])
    assert any(str(package).startswith("pytorch") for package in environment["dependencies"])
    assert environment["dependencies"][-1]["pip"][0].startswith("napari-unetseg")


def test_the_card_is_in_it(bright, description):
    assert ModelCard.model_validate(description["config"][CONFIG_KEY][CARD_KEY]) == bright.card


def test_what_was_measured_is_reported(exported):
    assert exported.onnx_difference <= 1e-4
    assert exported.difference <= 1e-5
    assert any("repeated three times" in sentence for sentence in exported.unsaid)


def test_out_and_in_again_gives_the_same_card_weights_and_labels(bright, exported, squares, tmp_path):
    back = convert_bioimageio(exported.path, tmp_path / "back").model
    assert back.card == bright.card
    assert back.weights.read_bytes() == bright.weights.read_bytes()
    assert_same_labels(bright, back, Image.of(squares))


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_models_come_back_to_the_bit(name, without_onnx, monkeypatch, tmp_path):
    model = find_model(name)
    # Without the network, whose answer is another test's: what comes back is card and weights.
    monkeypatch.setattr(exporting, "_test_output", lambda network, card, pixels: (np.ones((1, 2, 2), np.float32), 0.0))
    monkeypatch.setattr(exporting, "_write_cover", lambda folder, *rest: (folder / FILES.cover).write_bytes(b"none"))
    export_bioimageio(model, tmp_path / "a.zip", authors=("us",))
    back = convert_bioimageio(tmp_path / "a.zip", tmp_path / name).model
    assert back.card == model.card
    assert back.weights.read_bytes() == model.weights.read_bytes()


@pytest.mark.nightly
@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_models_give_the_same_labels_again(name, bundled_zips, tmp_path):
    back = convert_bioimageio(bundled_zips[name], tmp_path / name).model
    assert_same_labels(find_model(name), back, samples.SAMPLES[SAMPLE_OF.get(name, name)]())


def assert_same_labels(first: ModelPackage, second: ModelPackage, image: Image) -> None:
    found = []
    for model in (first, second):
        with SegmentationService(model.path, device="cpu", backend="torch", precision="float32") as service:
            found.append(service.segment(image))
    assert found[0].count > 2
    np.testing.assert_array_equal(found[0].labels, found[1].labels)
    np.testing.assert_array_equal(found[0].probability, found[1].probability)


def test_a_sample_is_the_test_picture_and_the_cover(bright, without_onnx, squares, tmp_path):
    export_bioimageio(bright, tmp_path / "a.zip", authors=("us",), sample=Image.of(squares))
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        taken = np.load(io.BytesIO(archive.read(FILES.test_input)))
    assert set(np.unique(taken)) == {0, 4000, 5000, 6000}


@pytest.mark.parametrize(
    "fields",
    [
        {"input_channels": 1, "normalisation": {"kind": "min_max"}},
        {"input_channels": 2, "channel_roles": ("nucleus", "cytoplasm")},
        {"input_channels": 3, "normalisation": {"kind": "mean_std", "mean": [0.4], "std": [0.2]}},
        {"input_channels": 3, "image_size": (64, 96)},
        {"input_channels": 3, "outputs": [{"name": "foreground", "activation": "sigmoid"}]},
    ],
)
def test_models_of_every_kind_of_input_and_output_come_back(fields, without_onnx, tmp_path):
    arguments = {"in_channels": fields["input_channels"], "out_channels": 1, "features": [2, 4]}
    known = {
        "name": "drawn_by_lot",
        "display_name": "By lot!",
        "description": "Weights drawn by lot.",
        "architecture": {"name": "unet", "arguments": arguments},
        "outputs": [{"name": "foreground"}],
        "decoder": "threshold",
        "licence": "MIT",
    }
    torch.manual_seed(1)
    state = build("unet", arguments).state_dict()
    if "outputs" in fields:  # what this network gives is a probability only by its bias
        state["final_conv.bias"] += 0.5
    write_package(tmp_path / "drawn_by_lot", known | fields, state)
    model = read_package(tmp_path / "drawn_by_lot", "path")
    export_bioimageio(model, tmp_path / "a.zip", authors=("us",))
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert yaml.safe_load(archive.read("bioimageio.yaml"))["name"] == "By lot"
    back = convert_bioimageio(tmp_path / "a.zip", tmp_path / "back").model
    assert back.card == model.card
    assert back.weights.read_bytes() == model.weights.read_bytes()


def with_card(package: ModelPackage, **fields: object) -> ModelPackage:
    card = ModelCard.model_validate(package.card.model_dump() | fields)
    return ModelPackage(package.path, card, package.origin)


@pytest.mark.parametrize(
    ("fields", "given", "words"),
    [
        ({"licence": "all mine"}, {}, "'all mine' is no SPDX identifier"),
        ({}, {"licence": "all mine"}, "'all mine' is no SPDX identifier"),
        ({}, {"cite": ("Doe 2020",)}, "'Doe 2020': the BioImage Model Zoo cites by DOI or address"),
        ({"architecture": FOREIGN}, {}, "came with a package from elsewhere"),
    ],
)
def test_what_cannot_be_shared_is_refused_before_anything_is_computed(bright, tmp_path, fields, given, words):
    with pytest.raises(ModelError, match=words):
        export_bioimageio(with_card(bright, **fields), tmp_path / "a.zip", authors=("us",), **given)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_sees_nothing_asks_for_a_sample(bright, without_onnx, monkeypatch, tmp_path):
    monkeypatch.setattr(exporting, "draw_discs", lambda card, shape: np.zeros((3, *shape), np.uint8))
    monkeypatch.setattr(exporting, "activations", lambda card: [{"id": "clip", "kwargs": {"min": 0, "max": 1}}])
    with pytest.raises(ModelError, match=r"sees nothing in the test picture.*--sample IMAGE"):
        export_bioimageio(bright, tmp_path / "a.zip", authors=("us",))
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_would_compute_something_else_is_not_written(bright, without_onnx, monkeypatch, tmp_path):
    monkeypatch.setattr(
        exporting, "operations", lambda card: [{"id": "scale_linear", "kwargs": {"gain": 1, "offset": 0}}]
    )
    with pytest.raises(ModelError, match="its probabilities would differ by"):
        export_bioimageio(bright, tmp_path / "a.zip", authors=("us",))
    assert list(tmp_path.iterdir()) == []


def test_names_of_licences_are_spdx_identifiers():
    assert {"MIT", "BSD-3-Clause", "CC-BY-4.0", "CC0-1.0"} <= LICENCES
    assert not any(name.startswith(("GPL-3.0 ", "CC0 ")) for name in LICENCES)


# What the zoo's own tools say, in an environment of their own.


def environment(folder: Path, *pins: str) -> tuple[Path, Path]:
    """Make an environment of its own; return its interpreter and the folder of its packages."""
    venv.create(folder, with_pip=True)
    places = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    python = Path(places["scripts"]) / ("python.exe" if sys.platform == "win32" else "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *pins], check=True, capture_output=True)
    return python, Path(places["purelib"])


@pytest.fixture(scope="module")
def zoo_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Interpreter of an environment with the zoo's own tools, which has torch and ONNX Runtime from this one."""
    python, packages = environment(tmp_path_factory.mktemp("zoo-tools"), *PINS)
    # The second for an editable installation, whose own line there is not followed from here.
    beside = sysconfig.get_paths()["purelib"], str(Path(napari_unetseg.__file__).parents[1])
    (packages / "zz_beside.pth").write_text("\n".join(beside) + "\n", encoding="utf-8")
    return python


def test_the_official_validator_finds_no_fault(exported, tmp_path):
    python, _ = environment(tmp_path / "validator", VALIDATOR)
    run = subprocess.run([python, "-c", VALIDATE, exported.path], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout.rpartition("ANSWER")[2]) == ["ModelDescr", "valid-format", []]


@pytest.fixture(scope="module")
def bundled_zips(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("bundled")
    for name in BUNDLED:
        sample = samples.SAMPLES[SAMPLE_OF.get(name, name)]()
        export_bioimageio(find_model(name), folder / f"{name}.zip", authors=("us",), sample=sample)
    return {name: folder / f"{name}.zip" for name in BUNDLED}


ASK_THE_ZOO = """
import json, sys
from bioimageio.core import test_model
from bioimageio.spec import load_description

description = load_description(sys.argv[1])
said = {"valid": description.validation_summary.status, "type": type(description).__name__}
for form, device in (("onnx", "CPUExecutionProvider"), ("pytorch_state_dict", "cpu")):
    summary = test_model(sys.argv[1], weight_format=form, devices=[device])
    said[form] = [summary.status, [[error.msg for error in part.errors] for part in summary.details if part.errors]]
print("ANSWER" + json.dumps(said))
"""


def ask_the_zoo(python: Path, path: Path) -> dict[str, Any]:
    run = subprocess.run([python, "-c", ASK_THE_ZOO, path], capture_output=True, text=True, check=True)
    return json.loads(run.stdout.rpartition("ANSWER")[2])


@pytest.mark.nightly
@pytest.mark.parametrize("name", BUNDLED)
def test_the_zoo_validates_and_reproduces_bundled_models(name, zoo_python, bundled_zips):
    said = ask_the_zoo(zoo_python, bundled_zips[name])
    assert said == {
        "valid": "valid-format",
        "type": "ModelDescr",
        "onnx": ["passed", []],
        "pytorch_state_dict": ["passed", []],
    }


@pytest.mark.nightly
def test_the_zoo_would_notice_a_wrong_package(zoo_python, exported, tmp_path):
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(exported.path) as archive:
        archive.extractall(folder)
    description = yaml.safe_load((folder / "bioimageio.yaml").read_text(encoding="utf-8"))
    (folder / "bioimageio.yaml").unlink()
    description["inputs"][0]["preprocessing"] = []
    write_zip(tmp_path / "wrong.zip", description, folder)
    said = ask_the_zoo(zoo_python, tmp_path / "wrong.zip")
    assert said["onnx"][0] == said["pytorch_state_dict"][0] != "passed"
