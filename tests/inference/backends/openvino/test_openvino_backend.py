import gc
import subprocess
import sys

import numpy as np
import psutil
import pytest
import torch

from napari_unetseg.errors import ModelError, UnetsegError
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.openvino import library, network_conversion, openvino_backend
from napari_unetseg.inference.backends.openvino.network_conversion import (
    MODEL_FILE,
    cached_model,
    convert_network,
    read,
)
from napari_unetseg.inference.backends.openvino.openvino_backend import OpenVinoBackend
from napari_unetseg.inference.backends.processor import computes_bfloat16
from napari_unetseg.networks import ARCHITECTURES
from napari_unetseg.zoo.card import Head

pytest.importorskip("openvino")

CPU = Device("cpu", "Tests run on the CPU.")


@pytest.fixture
def file(make, openvino_file):
    return openvino_file(make.network())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_gives_what_pytorch_gives_at_any_size(narrow, openvino_file, architecture):
    network = narrow(architecture)
    grid = 2**network.depth
    batches = [
        np.random.default_rng(height).random((count, 3, height, width), dtype=np.float32)
        for count, height, width in [(1, 2 * grid, 2 * grid), (1, 64, 96), (3, 45, 63), (2, grid, 4 * grid + 1)]
    ]
    expected = []
    for pixels in batches:
        with torch.inference_mode():
            output = network(torch.from_numpy(pixels)).numpy()
        expected.append(output[..., : pixels.shape[2], : pixels.shape[3]])
    heads = [Head(name="foreground", activation="sigmoid")]
    backend = OpenVinoBackend(openvino_file(network), network, heads, CPU)
    for pixels, answer in zip(batches, expected, strict=True):
        assert answer.std() > 0
        np.testing.assert_allclose(backend.run(pixels), answer, atol=1e-4)


def test_the_precision_is_what_was_asked_for(make, file, batch, monkeypatch):
    hints = []
    compile_model = library.openvino_core().compile_model

    class Core:
        def compile_model(self, model, device, wanted):
            hints.append(wanted["INFERENCE_PRECISION_HINT"])
            return compile_model(model, device, wanted)

    monkeypatch.setattr(openvino_backend, "openvino_core", Core)
    backends = {
        kind: OpenVinoBackend(file, make.network(), make.heads, CPU, precision=kind) for kind in ("float32", "bfloat16")
    }
    assert hints == ["f32", "bf16"]
    assert [backend.precision for backend in backends.values()] == ["float32", "bfloat16"]
    difference = np.abs(backends["bfloat16"].run(batch) - backends["float32"].run(batch)).max()
    assert difference < 0.05
    assert (difference > 1e-4) == computes_bfloat16()


def test_unloading_gives_the_memory_back(make, openvino_file):
    network = make.network((64, 128, 256))
    file = openvino_file(network)
    process = psutil.Process()
    backend = OpenVinoBackend(file, network, make.heads, CPU)
    batch = np.zeros((1, 3, 512, 512), np.float32)
    backend.run(batch)
    held = process.memory_info().rss
    backend.unload()
    backend.unload()
    gc.collect()
    # Weights of 7 MB, their repacked copy, and maps of 64 channels, 67 MB each.
    assert held - process.memory_info().rss > 100e6
    with pytest.raises(ModelError, match="unloaded"):
        backend.run(batch)


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_another_device_is_replaced_aloud(make, file, kind):
    device = OpenVinoBackend(file, make.network(), make.heads, Device(kind, "It was found.")).device
    assert device.kind == "cpu"
    assert f"not on the {kind.upper()} device" in device.warning


def test_a_lack_of_memory_is_told_as_such(make, file, batch, monkeypatch):
    class Network:
        def create_infer_request(self):
            return self

        def set_input_tensor(self, tensor):
            pass

        def start_async(self):
            raise RuntimeError("Exception from src/inference: std::bad_alloc")

    monkeypatch.setattr(openvino_backend, "_compile", lambda model, precision: Network())
    with pytest.raises(MemoryError, match="bad_alloc"):
        OpenVinoBackend(file, make.network(), make.heads, CPU).run(batch)


def test_a_call_that_another_one_spoils_is_computed_again(make, file, batch):
    backend = OpenVinoBackend(file, make.network(), make.heads, CPU)
    expected = backend.run(batch)
    polls = []

    def other_is_cancelled():
        polls.append(backend._compiled)
        if len(polls) == 1:
            backend._spoil(backend._compiled)
        return False

    np.testing.assert_array_equal(backend.run(batch, other_is_cancelled), expected)
    assert len(polls) >= 2
    assert backend._compiled not in (None, polls[0])


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / MODEL_FILE).write_text("no graph")
    with pytest.raises(ModelError, match=r"model\.xml: OpenVINO cannot read it.* Delete the folder"):
        read(tmp_path / MODEL_FILE)


def test_a_network_is_converted_once_for_its_weights(make, monkeypatch, tmp_path):
    monkeypatch.setattr(network_conversion, "cache_folder", lambda: tmp_path)
    calls = []
    monkeypatch.setattr(
        network_conversion, "convert_network", lambda network: calls.append(network) or convert_network(network)
    )
    first = cached_model(make.network(), make.card())
    assert cached_model(make.network(), make.card()) == first
    assert len(calls) == 1
    other = make.card().model_copy(update={"weights": make.card().weights.model_copy(update={"sha256": "1" * 64})})
    assert cached_model(make.network(), other) != first
    assert len(calls) == 2
    assert sorted(path.name for path in first.parent.iterdir()) == ["model.bin", "model.xml"]
    assert len(list(tmp_path.iterdir())) == 2


def test_another_version_of_openvino_converts_again(make, monkeypatch):
    here = network_conversion.folder_for(make.card())
    monkeypatch.setattr(network_conversion, "openvino_version", lambda: "1999.1")
    assert network_conversion.folder_for(make.card()) != here


def test_a_network_that_cannot_be_expressed_is_said(make, monkeypatch):
    network = make.network()
    monkeypatch.setattr(type(network), "forward", lambda self, x: self.no_such_layer(x))
    with pytest.raises(ModelError, match=r"OpenVINO cannot express this network .*Use the backend torch"):
        convert_network(network)


@pytest.mark.parametrize(("load", "name"), [("load_openvino", "OpenVINO"), ("load_nncf", "NNCF")])
def test_a_missing_package_is_named_with_its_extra(monkeypatch, load, name):
    monkeypatch.setitem(sys.modules, name.lower(), None)
    with pytest.raises(UnetsegError, match=rf'{name} is not installed.*pip install "napari-unetseg\[openvino\]"'):
        getattr(library, load)()


# Both libraries would send when they are imported: open a connection, and keep a sender's id in the user's home.
SILENCE = """
import multiprocessing, os, socket
from pathlib import Path
def refuse(*args, **kwargs):
    os.write(2, b"wanted the network")
    os._exit(1)  # from whichever thread
{before}
from napari_unetseg.inference.backends.openvino.library import load_nncf, load_openvino
socket.socket.connect = socket.getaddrinfo = multiprocessing.Process.start = refuse
{load}()
import openvino.tools.ovc.telemetry_utils as told
told.init_ovc_telemetry().send_event("test", "test", "test")
print(sorted(path.name for path in Path(os.environ["HOME"]).iterdir()), end="")
"""


@pytest.mark.parametrize(
    ("before", "load", "left"),
    [
        ("", "load_nncf", "[]"),
        # Another part of the program has loaded the sender, which then writes its id, but sends nothing.
        ("import openvino_telemetry", "load_openvino", None),
    ],
)
def test_nothing_is_reported_to_the_makers(tmp_path, before, load, left, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CI", "GITHUB_ACTIONS", "TF_BUILD", "JENKINS_URL"):
        monkeypatch.delenv(name, raising=False)
    program = SILENCE.format(before=before, load=load)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert left is None or ended.stdout == left
