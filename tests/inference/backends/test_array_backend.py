"""What holds for every runtime that reads arrays: OpenVINO and ONNX Runtime."""

import threading

import numpy as np
import pytest

from napari_unetseg.errors import Cancelled, ModelError
from napari_unetseg.zoo.card import Head

pytestmark = pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"], indirect=True)


@pytest.fixture
def backend(make, runtime):
    return runtime(make.network())


@pytest.mark.parametrize("activations", [("none", "none"), ("sigmoid", "none"), ("sigmoid", "sigmoid")])
def test_it_gives_what_the_torch_backend_gives(make, runtime, batch, activations):
    heads = tuple(Head(name=head.name, activation=kind) for head, kind in zip(make.heads, activations, strict=True))
    expected = make.backend(make.network(), heads).run(batch)
    result = runtime(make.network(), heads).run(batch)
    assert (result.dtype, result.shape) == (np.float32, (2, 2, 32, 48))
    assert expected.std() > 0.05
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_it_needs_the_same_tiles(make, backend):
    other = make.backend(make.network())
    assert (backend.grid, backend.receptive_radius) == (other.grid, other.receptive_radius)
    assert backend.accepted_size(9, 30) == other.accepted_size(9, 30)
    assert (backend.device, backend.precision, backend.device_memory_mb) == (other.device, "float32", None)
    assert not backend.in_bands


def test_it_lets_the_weights_of_the_network_go(make, runtime):
    network = make.network()
    runtime(network)
    assert all(tensor.is_meta for tensor in network.state_dict().values())


def test_answers_go_where_they_are_wanted_and_windows_of_any_layout_are_read(backend, batch):
    expected = backend.run(batch)
    with backend.buffers(batch.shape) as (windows, probabilities):
        windows[:] = batch
        assert backend.run(windows, None, probabilities) is probabilities
        np.testing.assert_array_equal(probabilities, expected)
    turned = np.ascontiguousarray(batch.transpose(0, 1, 3, 2)).transpose(0, 1, 3, 2)
    np.testing.assert_array_equal(backend.run(turned), expected)


def test_a_cancel_before_a_run_computes_nothing(backend, batch):
    with pytest.raises(Cancelled):
        backend.run(batch, lambda: True)


def test_a_cancel_stops_inside_a_forward_pass(backend, batch):
    # Seconds of work, of which the second poll stops all but the layer that runs.
    work = np.zeros((4, 3, 1024, 1024), np.float32)
    polls, threads = iter([False, True]), set()

    def cancel():
        threads.add(threading.get_ident())
        return next(polls)

    expected = backend.run(batch)
    with pytest.raises(Cancelled):
        backend.run(work, cancel)
    assert next(polls, None) is None
    assert threads == {threading.get_ident()}
    np.testing.assert_array_equal(backend.run(batch, lambda: False), expected)


def test_an_unloaded_backend_says_so(backend, batch):
    backend.unload()
    backend.unload()
    with pytest.raises(ModelError, match="unloaded"):
        backend.run(batch)
