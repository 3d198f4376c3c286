import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_unetseg.errors import ModelError, UnetsegError
from napari_unetseg.inference.backends import onnx_export
from napari_unetseg.inference.backends.onnx_backend import run_session
from napari_unetseg.inference.backends.onnx_export import cached_onnx, export_onnx
from napari_unetseg.networks import ARCHITECTURES
from napari_unetseg.networks.onnx_session import open_session


class FinishedProgram:
    """What the exporter returns, for a file that was exported before."""

    def __init__(self, file):
        self._file = file
        self.model = SimpleNamespace(metadata_props={})

    def save(self, path, external_data):
        shutil.copy(self._file, path)


@pytest.fixture(scope="module")
def exported(make, tmp_path_factory):
    """A small U-Net, its card, and what exporting it gave."""
    network, card = make.network(), make.card()
    return network, card, export_onnx(network, card, tmp_path_factory.mktemp("onnx") / "deep" / "tiny.onnx")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_gives_what_pytorch_gives_at_any_size(make, narrow, architecture, tmp_path):
    network = narrow(architecture)
    file = export_onnx(network, make.card(make.heads[:1]), tmp_path / "narrow.onnx").path
    session = open_session(file)
    grid = 2**network.depth
    for batch, height, width in [
        (1, 2 * grid, 2 * grid),
        (1, 64, 96),
        (3, 45, 63),
        (1, 75, 101),
        (2, grid, 4 * grid + 1),
    ]:
        pixels = torch.rand(batch, 3, height, width)
        with torch.inference_mode():
            expected = network(pixels).numpy()
        assert expected.std() > 0
        np.testing.assert_allclose(run_session(session, pixels.numpy()), expected, atol=1e-4)


def test_the_batch_norm_network_that_is_trained_here_agrees(exported):
    network, _, result = exported
    assert result.difference <= 1e-5
    pixels = torch.rand(2, 3, 37, 50)
    with torch.inference_mode():
        expected = network(pixels).numpy()
    assert expected.std() > 0.5
    np.testing.assert_allclose(run_session(open_session(result.path), pixels.numpy()), expected, atol=1e-4)


def test_the_file_says_what_it_is(exported):
    _, card, result = exported
    session = open_session(result.path)
    reported = session.get_modelmeta().custom_metadata_map
    assert (reported["model"], reported["weights_sha256"]) == (card.name, card.weights.sha256)
    assert [head["name"] for head in json.loads(reported["heads"])] == ["foreground", "distance"]
    assert type(card).model_validate_json(reported["card"]) == card
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.shape) == ("image", ["batch", 3, "height", "width"])
    assert (given.name, given.shape[:2]) == ("output", ["batch", 2])


def test_it_is_one_file_and_nothing_else(exported):
    result = exported[2]
    assert [path.name for path in result.path.parent.iterdir()] == ["tiny.onnx"]


@pytest.mark.parametrize(("fault", "reported"), [(1.5, r"0\.\d+"), (np.nan, "nan")])
def test_a_network_that_differs_is_not_written(exported, tmp_path, monkeypatch, fault, reported):
    network, card, result = exported
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: FinishedProgram(result.path))
    monkeypatch.setattr(onnx_export, "run_session", lambda session, batch: run_session(session, batch) + fault)
    with pytest.raises(ModelError, match=rf"tiny\.onnx: not written.* model tiny differs from PyTorch by {reported}"):
        export_onnx(network, card, tmp_path / "tiny.onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_was_exported_is_found_again(exported, monkeypatch):
    network, card, _ = exported
    written = []

    def write(_network, _card, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"onnx")
        written.append(path)

    monkeypatch.setattr(onnx_export, "export_onnx", write)
    other_weights = card.model_copy(update={"weights": card.weights.model_copy(update={"sha256": "2" * 64})})
    other_shape = card.model_copy(
        update={"architecture": card.architecture.model_copy(update={"arguments": {"features": [1, 2]}})}
    )
    paths = [cached_onnx(network, one) for one in (card, other_weights, other_shape, card, other_weights)]
    assert written == paths[:3]
    assert len(set(written)) == 3
    assert paths[3:] == paths[:2]
    for path in written:
        path.unlink()


@pytest.mark.parametrize("package", ["onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_its_extra(exported, tmp_path, monkeypatch, package):
    network, card, _ = exported
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UnetsegError, match=r'pip install "napari-unetseg\[onnx\]"'):
        export_onnx(network, card, tmp_path / "tiny.onnx")
    assert list(tmp_path.iterdir()) == []
