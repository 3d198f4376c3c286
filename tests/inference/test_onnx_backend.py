import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from napari_unetseg.errors import Cancelled, ModelError, UnetsegError
from napari_unetseg.inference.backends.choice import make_backend
from napari_unetseg.inference.backends.onnx_backend import OnnxBackend, open_session
from napari_unetseg.inference.backends.preference import Way
from napari_unetseg.inference.backends.torch_backend import TorchBackend
from napari_unetseg.inference.device import Device
from napari_unetseg.inference.export import export_onnx
from napari_unetseg.zoo.card import Head

CPU = Device("cpu", "Tests run on the CPU.")


@pytest.fixture(scope="module")
def file(make, tmp_path_factory):
    return export_onnx(make.network(), make.card(), tmp_path_factory.mktemp("onnx") / "tiny.onnx").path


@pytest.fixture(scope="module")
def backend(make, file):
    return OnnxBackend(file, make.network(), make.heads, CPU)


@pytest.fixture
def batch():
    return np.random.default_rng(0).random((2, 3, 32, 48)).astype(np.float32)


@pytest.mark.parametrize("activations", [("none", "none"), ("sigmoid", "none"), ("sigmoid", "sigmoid")])
def test_it_gives_what_the_torch_backend_gives(make, file, batch, activations):
    heads = tuple(Head(name=head.name, activation=kind) for head, kind in zip(make.heads, activations, strict=True))
    expected = make.backend(make.network(), heads).run(batch)
    result = OnnxBackend(file, make.network(), heads, CPU).run(batch)
    assert (result.dtype, result.shape) == (np.float32, (2, 2, 32, 48))
    assert expected.std() > 0.05
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_it_needs_the_same_tiles(make, backend):
    other = make.backend(make.network())
    assert (backend.grid, backend.receptive_radius) == (other.grid, other.receptive_radius)
    assert backend.accepted_size(9, 30) == other.accepted_size(9, 30)
    assert (backend.device, backend.precision, backend.device_memory_mb) == (CPU, "float32", None)


def test_it_lets_the_weights_of_the_network_go(make, file):
    network = make.network()
    OnnxBackend(file, network, make.heads, CPU)
    assert all(tensor.is_meta for tensor in network.state_dict().values())


def test_a_cancel_before_a_run_computes_nothing(backend, batch):
    with pytest.raises(Cancelled):
        backend.run(batch, lambda: True)


def test_a_cancel_stops_inside_a_forward_pass(make, backend):
    # Seconds of work, of which the second poll stops all but the layer that runs.
    batch = np.zeros((4, 3, 1024, 1024), np.float32)
    polls, threads = iter([False, True]), set()

    def cancel():
        threads.add(threading.get_ident())
        return next(polls)

    with pytest.raises(Cancelled):
        backend.run(batch, cancel)
    assert next(polls, None) is None
    assert threads == {threading.get_ident()}


def test_a_flag_that_stays_down_changes_nothing(backend, batch):
    assert np.array_equal(backend.run(batch, lambda: False), backend.run(batch))


def test_threads_share_a_backend_but_not_a_cancel_flag(backend):
    rng = np.random.default_rng(0)
    batches = [rng.random((1, 3, 32, 32)).astype(np.float32) for _ in range(8)]
    expected = [backend.run(batch) for batch in batches]

    def work(index):
        try:
            return backend.run(batches[index], lambda: index % 2 == 1)
        except Cancelled:
            return None

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(work, range(8)))
    for index, result in enumerate(results):
        if index % 2:
            assert result is None
        else:
            np.testing.assert_allclose(result, expected[index], atol=1e-5)


def test_an_unloaded_backend_says_so(make, file, batch):
    backend = OnnxBackend(file, make.network(), make.heads, CPU)
    backend.unload()
    backend.unload()
    with pytest.raises(ModelError, match="unloaded"):
        backend.run(batch)


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_a_device_that_the_runtime_cannot_use_is_replaced_aloud(make, file, monkeypatch, kind):
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    device = OnnxBackend(file, make.network(), make.heads, Device(kind, "It was found.")).device
    assert device.kind == "cpu"
    assert f"cannot use the {kind.upper()} device" in device.warning


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "cut.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match=r"cut\.onnx: ONNX Runtime cannot read it.* Delete it"):
        open_session(tmp_path / "cut.onnx")


def test_a_missing_package_is_named_with_its_extra(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UnetsegError, match=r'pip install "napari-unetseg\[onnx\]"'):
        open_session(file)


def test_backends_are_chosen_by_name(make, file, monkeypatch, batch):
    from napari_unetseg.inference import export

    monkeypatch.setattr(export, "cached_onnx", lambda network, card: file)
    ways = [Way(name, "float32", "The test asks for it.") for name in ("torch", "onnxruntime")]
    chosen = {way.backend: make_backend(way, make.network(), make.card(), CPU) for way in ways}
    assert [type(backend) for backend in chosen.values()] == [TorchBackend, OnnxBackend]
    np.testing.assert_allclose(chosen["torch"].run(batch), chosen["onnxruntime"].run(batch), atol=1e-5)
