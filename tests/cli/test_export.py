"""`napari-unetseg export`, and `segment` with what it exports."""

import sys

import numpy as np
import pytest

from napari_unetseg.io import read_image


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
    ("words", "told"),
    [
        (("nothing_of_this_name",), "There is no model 'nothing_of_this_name'"),
        (("nuclei", "--format", "tflite"), "tflite"),
    ],
)
def test_what_cannot_be_exported_is_said(call, words, told):
    run = call("export", *words)
    assert run.exit_code in (1, 2)
    assert told in run.stderr


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
