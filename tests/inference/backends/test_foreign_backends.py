"""Networks of other programs behind the runtime that computes them."""

import numpy as np
import pytest
import torch

from napari_unetseg.errors import Cancelled, ModelError, is_out_of_memory
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.make_backend import make_backend
from napari_unetseg.inference.backends.selection import BackendRequest, plan_execution
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.registry import read_package

CPU = Device("cpu", "It is tested.")
KINDS = {"onnx_graph": "onnxruntime", "torchscript": "torch"}


@pytest.fixture(params=KINDS)
def package(request, foreign_model):
    return read_package(foreign_model(request.param, step=4, smallest=8, halo=4), "path")


@pytest.fixture
def backend(package):
    plan = plan_execution(BackendRequest(), package.card, "cpu")
    assert plan.backend == KINDS[package.card.architecture.name]
    return make_backend(plan, load_network(package), package.card, CPU)


@pytest.fixture
def batch():
    return np.random.default_rng(1).random((3, 1, 16, 12), dtype=np.float32)


def blurred(batch):
    kernel = torch.full((1, 1, 5, 5), 20 / 25)
    return torch.sigmoid(torch.nn.functional.conv2d(torch.from_numpy(batch), kernel, padding=2) - 10).numpy()


@pytest.mark.parametrize("cancel", [None, lambda: False])
def test_it_answers_with_probabilities(backend, batch, cancel):
    expected = np.repeat(blurred(batch), 2, axis=1)
    out = np.empty_like(expected)
    assert backend.run(batch, cancel, out) is out
    np.testing.assert_allclose(out, expected, atol=1e-6)
    # Alone or beside others, a window gets the same answer.
    np.testing.assert_array_equal(backend.run(batch[1:2]), out[1:2])


def test_it_says_which_sizes_it_takes(backend):
    assert (backend.grid, backend.receptive_radius, backend.accepted_size(3, 9)) == (4, 4, (8, 12))
    assert (backend.precision, backend.in_bands, backend.device_memory_mb, backend.compilation) == (
        "float32",
        False,
        None,
        "",
    )


def test_a_cancel_is_seen_before_a_window(backend, batch):
    with pytest.raises(Cancelled):
        backend.run(batch, lambda: True)


def test_nothing_runs_once_it_is_unloaded(backend, batch):
    backend.unload()
    with pytest.raises(ModelError, match="unloaded"):
        backend.run(batch)


def test_a_lack_of_memory_stays_one_and_all_else_is_a_sentence(backend, batch, monkeypatch):
    errors = {"bad allocation": is_out_of_memory, "Node blur failed": lambda error: "Node blur failed" in str(error)}
    holder, name = (backend._session, "run") if hasattr(backend, "_session") else (backend._network, "compute")

    class Failing:
        def __getattr__(self, attribute):
            return getattr(holder, attribute)

    for text, fits in errors.items():

        def fail(*_args, text=text):
            raise RuntimeError(text)

        if hasattr(backend, "_session"):
            failing = Failing()
            failing.run = fail
            monkeypatch.setattr(backend, "_session", failing)
        else:
            monkeypatch.setattr(holder, name, fail)
        with pytest.raises((RuntimeError, ModelError)) as caught:
            backend.run(batch)
        assert fits(caught.value)
        assert isinstance(caught.value, ModelError) != (text == "bad allocation")


def test_what_is_called_a_probability_stays_within_0_and_1(foreign_model, batch, monkeypatch):
    package = read_package(foreign_model("torchscript"), "path")

    network = load_network(package)
    monkeypatch.setattr(network, "compute", lambda x: torch.cat([3 * x, x - 1], 1))
    answer = make_backend(plan_execution(BackendRequest(), package.card, "cpu"), network, package.card, CPU).run(batch)
    assert (answer.min(), answer.max()) == (0, 1)


@pytest.mark.parametrize(
    ("wanted", "warns"),
    [
        (BackendRequest(), False),
        (BackendRequest(precision="float32"), False),
        (BackendRequest("openvino"), True),
        (BackendRequest("openvino", "int8"), True),
        (BackendRequest(precision="bfloat16"), True),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_there_is_one_way_to_run_it_whatever_is_asked_for(package, wanted, device, warns):
    def unused(*_args):
        raise AssertionError("nothing is asked of the machine")

    plan = plan_execution(wanted, package.card, device, bfloat16=unused, openvino=unused, on_gpu=unused)
    assert (plan.backend, plan.precision) == (KINDS[package.card.architecture.name], "float32")
    assert "alone computes" in plan.reason
    assert bool(plan.warning) == warns
    assert not warns or "was asked for" in plan.warning
