"""`napari-unetseg export`, and `segment` with what it exports."""

import sys
import zipfile

import numpy as np
import pytest
import yaml

from napari_unetseg.inference.backends.onnx_export import Exported
from napari_unetseg.io import read_image
from napari_unetseg.service import bioimageio_export


def test_export_checks_itself_and_says_how_well_it_agrees(call, bright_model, tmp_path):
    run = call("export", bright_model, "--format", "onnx", "-o", tmp_path / "out" / "bright.onnx")
    assert run.exit_code == 0, run.output
    wrote, compared = run.stdout.splitlines()
    assert wrote.startswith(f"Wrote {tmp_path / 'out' / 'bright.onnx'} (")
    assert compared.startswith("Largest difference from PyTorch: ")
    assert float(compared.split()[4].rstrip(",")) <= 1e-4
    assert run.stderr == ""
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["bright.onnx"]


@pytest.mark.parametrize(
    ("words", "reported"),
    [
        (("nothing_of_this_name",), "There is no model 'nothing_of_this_name'"),
        (("nuclei", "--format", "tflite"), "tflite"),
    ],
)
def test_what_cannot_be_exported_is_said(call, words, reported):
    run = call("export", *words)
    assert run.exit_code in (1, 2)
    assert reported in run.stderr


def test_a_model_is_written_for_the_zoo_and_comes_back(call, save_squares, bright_model, tmp_path, monkeypatch):
    def export_onnx(network, card, path):
        path.write_bytes(b"none")  # which takes seconds, and is tested above
        return Exported(path, 0.0, ())

    monkeypatch.setattr(bioimageio_export, "export_onnx", export_onnx)
    monkeypatch.setattr(bioimageio_export, "_opset", lambda path: 20)
    save_squares(tmp_path / "a.tif")
    file = tmp_path / "out" / "bright.zip"
    words = ("--author", "A. Doe", "--author", "B. Roe", "--licence", "MIT", "--sample", tmp_path / "a.tif")
    run = call("export", bright_model, "--format", "bioimageio", "-o", file, *words)
    assert run.exit_code == 0, run.output
    wrote, compared, told, *unsaid = run.stdout.splitlines()
    assert wrote.startswith(f"Wrote {file} (")
    assert compared.startswith("Largest difference of the ONNX weights from PyTorch: ")
    assert told.startswith("What the specification has no words for")
    assert any("foreground above 0.5, touching objects divided by the distance" in line for line in unsaid)
    with zipfile.ZipFile(file) as archive:
        description = yaml.safe_load(archive.read("bioimageio.yaml"))
    assert description["authors"] == [{"name": "A. Doe"}, {"name": "B. Roe"}]
    assert description["license"] == "MIT"
    run = call("convert", file, "-o", tmp_path / "back")
    assert run.exit_code == 0, run.output
    weights = [(folder / "weights.safetensors").read_bytes() for folder in (bright_model, tmp_path / "back")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("words", "reported"),
    [
        (("--format", "bioimageio"), "Say who made the model: --author NAME."),
        (("--author", "A. Doe"), "Only with --format bioimageio: --author."),
        (("--licence", "MIT", "--cite", "x"), "Only with --format bioimageio: --licence, --cite."),
        (("--format", "bioimageio", "--author", "A. Doe", "--licence", "my own"), "'my own' is no SPDX identifier"),
        (("--format", "bioimageio", "--int8", "--calibrate", "."), "has no int8"),
    ],
)
def test_what_is_missing_or_too_much_for_the_zoo_is_said(call, bright_model, tmp_path, words, reported):
    run = call("export", bright_model, "-o", tmp_path / "a.zip", *words)
    assert run.exit_code in (1, 2)
    # Click breaks its messages into lines within a box.
    assert reported in " ".join(run.stderr.replace("│", " ").split())
    assert list(tmp_path.iterdir()) == []


def test_segment_gives_the_same_labels_with_onnxruntime(call, save_squares, bright_model, tmp_path):
    truth = save_squares(tmp_path / "a.tif")
    for backend in ("torch", "onnxruntime"):
        out = tmp_path / backend
        run = call("segment", tmp_path / "a.tif", "--model", bright_model, "-o", out, "--backend", backend)
        assert run.exit_code == 0, run.output
        labels = read_image(out / "a_labels.tif")
        np.testing.assert_array_equal(labels.array, truth)


def test_a_missing_runtime_is_named_with_its_extra(call, save_squares, bright_model, tmp_path, monkeypatch):
    save_squares(tmp_path / "a.tif")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    run = call("segment", tmp_path / "a.tif", "--model", bright_model, "--backend", "onnxruntime")
    assert run.exit_code == 1
    assert 'pip install "napari-unetseg[onnx]"' in run.stderr


def test_an_unknown_backend_is_refused(call, save_squares, tmp_path):
    save_squares(tmp_path / "a.tif")
    run = call("segment", tmp_path / "a.tif", "--backend", "tensorflow")
    assert run.exit_code == 1
    assert "There is no backend 'tensorflow'. Choose one of auto, torch, openvino, onnxruntime." in run.stderr


@pytest.fixture
def calibrated(monkeypatch, tmp_path):
    """Calibrations that end with a Dice; what they were given."""
    from napari_unetseg.inference.backends.openvino import network_conversion
    from napari_unetseg.inference.backends.openvino.int8_store import Calibration, write_calibration
    from napari_unetseg.inference.backends.openvino.network_conversion import folder_for, write_folder
    from napari_unetseg.service import calibrating

    monkeypatch.setattr(network_conversion, "cache_folder", lambda: tmp_path / "cache")
    given = []

    def set_dice(dice):
        def calibrate(package, images, progress):
            given.extend(image.name for image in images)
            progress(1, 2)
            names = tuple(image.name for image in images)
            calibration = Calibration(
                model=package.name,
                weights_sha256=package.card.weights.sha256,
                dice=dice,
                worst_image=names[0],
                worst_dice=0.5,
                images=names,
                windows=2,
                in_int8=4,
                layers=6,
                versions={},
            )
            write_folder(folder_for(package.card, "int8"), lambda place: write_calibration(calibration, place))
            return calibration

        monkeypatch.setattr(calibrating, "calibrate_package", calibrate)
        return given

    return set_dice


def test_int8_shows_the_images_of_a_folder_and_says_how_well_masks_agree(
    call, save_squares, bright_model, tmp_path, calibrated
):
    given = calibrated(0.9981)
    for name in ("a", "b"):
        save_squares(tmp_path / "images" / f"{name}.tif")
    run = call("export", bright_model, "--int8", "--calibrate", tmp_path / "images", "-o", tmp_path / "copy")
    assert run.exit_code == 0, run.output
    assert given == ["a.tif", "b.tif"]
    assert "Dice of 0.9981 (2 images)" in run.stdout
    assert "Lowest on a.tif: 0.5000. 4 of 6 convolutions are computed in int8." in run.stdout
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["calibration.json"]
    assert run.stderr == "1 of 2\n"


def test_int8_below_the_limit_is_refused(call, save_squares, bright_model, tmp_path, calibrated):
    calibrated(0.9949)
    save_squares(tmp_path / "images" / "a.tif")
    run = call("export", bright_model, "--int8", "--calibrate", tmp_path / "images")
    assert run.exit_code == 1
    assert "bright is not used in int8: its masks agree with float32 only to a Dice of 0.9949" in run.stdout


@pytest.mark.parametrize("words", [("--int8",), ("--calibrate", ".")])
def test_int8_needs_images_and_images_need_int8(call, words):
    run = call("export", "nuclei", *words)
    assert run.exit_code == 2
    assert "belong together" in run.stderr


def test_a_folder_without_images_cannot_calibrate(call, bright_model, tmp_path):
    run = call("export", bright_model, "--int8", "--calibrate", tmp_path)
    assert run.exit_code == 1
    assert "at least one image" in run.stderr
