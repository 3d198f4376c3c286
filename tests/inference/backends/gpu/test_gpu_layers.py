"""What replaces InstanceNorm on a GPU computes the same; where kernels are missing or wrong, PyTorch's layers do it."""

import logging
import sys
from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional

from napari_unetseg.inference.backends.gpu import gpu_layers
from napari_unetseg.inference.backends.gpu.gpu_layers import FusedInstanceNorm, fuse_instance_norm, kernels_work
from napari_unetseg.networks import build

KERNELS = "napari_unetseg.inference.backends.gpu.instance_norm_kernel"
NARROW = {
    "unet": {"features": [4, 6, 8], "norm": "instance"},
    "subpixel_unet": {"features": [4, 6, 8], "norm": "instance"},
    "cbam_resunet": {"features": [4, 6]},
    "hrnet": {"widths": [4, 5, 6, 7]},
}


@pytest.fixture(params=NARROW)
def network(request):
    torch.manual_seed(0)
    made = build(request.param, {"in_channels": 3, "out_channels": 1, **NARROW[request.param]}).eval()
    for layer in made.modules():
        if isinstance(layer, nn.InstanceNorm2d):
            nn.init.normal_(layer.weight, 1, 0.2)
            nn.init.normal_(layer.bias, 0, 0.2)
    return made


@pytest.fixture
def x():
    return torch.rand(2, 3, 96, 64).to(memory_format=torch.channels_last)


@pytest.fixture
def pretend(monkeypatch):
    """Put a function in the place of Triton's kernels, and let the processor pass for a GPU."""

    def pretend(normalise_maps):
        kernels = SimpleNamespace(DTYPES=(torch.float32, torch.bfloat16), normalise_maps=normalise_maps)
        monkeypatch.setitem(sys.modules, KERNELS, kernels)
        monkeypatch.setattr(gpu_layers, "_works", {})
        monkeypatch.setattr(gpu_layers, "kernels_work", gpu_layers._try_kernels)

    return pretend


def right(x, weight, bias, eps, *, relu, out):
    weight, bias = (None if values is None else values.float() for values in (weight, bias))
    y = functional.instance_norm(x.float(), weight=weight, bias=bias, eps=eps)
    out.copy_(y.relu() if relu else y)


def of_kind(network, kind):
    return [layer for layer in network.modules() if isinstance(layer, kind)]


@torch.inference_mode()
def answer(network, x):
    return network(x)


@pytest.mark.parametrize("to_be_compiled", [False, True])
def test_the_network_answers_the_same(network, x, to_be_compiled):
    expected, count = answer(deepcopy(network), x), len(of_kind(network, nn.InstanceNorm2d))
    fuse_instance_norm(network)
    fused = of_kind(network, FusedInstanceNorm)
    assert (len(fused), of_kind(network, nn.InstanceNorm2d)) == (count, [])
    for layer in fused:
        layer.to_be_compiled = to_be_compiled
    torch.testing.assert_close(answer(network, x), expected, atol=2e-3, rtol=1e-3)


def test_the_kernels_answer_the_same(network, x, pretend):
    calls = []
    pretend(lambda *args, **options: (calls.append(options["out"] is args[0]), right(*args, **options)))
    expected = answer(deepcopy(network), x)
    fuse_instance_norm(network)
    torch.testing.assert_close(answer(network, x), expected, atol=2e-3, rtol=1e-3)
    assert any(calls)  # in place after a convolution


def test_the_relu_after_it_becomes_part_of_it():
    block = nn.Sequential(nn.Conv2d(3, 4, 1), nn.InstanceNorm2d(4), nn.ReLU(), nn.InstanceNorm2d(4), nn.Sigmoid())
    fuse_instance_norm(block)
    assert (block[1].relu, block[1].in_place) == (True, True)
    assert isinstance(block[2], nn.Identity)
    assert (block[3].relu, block[3].in_place) == (False, False)
    assert isinstance(block[4], nn.Sigmoid)


def test_running_statistics_stay():
    block = nn.Sequential(nn.InstanceNorm2d(4, track_running_stats=True), nn.ReLU())
    fuse_instance_norm(block)
    assert isinstance(block[0], nn.InstanceNorm2d)
    assert isinstance(block[1], nn.ReLU)


def test_maps_as_planes_are_left_to_pytorch(pretend):
    def never(*_args, **_options):
        raise AssertionError("the kernels read channels side by side")

    pretend(never)
    layer = FusedInstanceNorm(nn.InstanceNorm2d(4), relu=True, in_place=False)
    x = torch.rand(1, 4, 8, 8)
    torch.testing.assert_close(layer(x), functional.instance_norm(x).relu())


def test_there_are_no_kernels_for_a_processor():
    assert not kernels_work(torch.device("cpu"), torch.float32)


@pytest.mark.parametrize(
    ("kernels", "words"),
    [
        (right, None),
        (lambda x, *_args, out, **_options: out.copy_(x), "are off by"),
        (lambda x, *_args, out, **_options: out.fill_(torch.nan), "are off by nan"),
        (lambda *_args, **_options: (_ for _ in ()).throw(RuntimeError("no ptxas\nhere")), "(RuntimeError: no ptxas)"),
    ],
)
def test_kernels_are_tried_before_they_are_used(pretend, caplog, kernels, words):
    pretend(kernels)
    with caplog.at_level(logging.INFO, "napari_unetseg"):
        works = gpu_layers._try_kernels(torch.device("cpu"), torch.float32)
    assert works is (words is None)
    assert [record.getMessage() for record in caplog.records if words is None or words not in record.getMessage()] == []
    assert len(caplog.records) == (words is not None)


def test_lack_of_memory_is_no_fault_of_the_kernels(pretend):
    def lacking(*_args, **_options):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    pretend(lacking)
    with pytest.raises(torch.OutOfMemoryError):
        gpu_layers._try_kernels(torch.device("cpu"), torch.float32)


def test_other_types_of_maps_are_left_to_pytorch(pretend):
    pretend(right)
    assert not gpu_layers._try_kernels(torch.device("cpu"), torch.float64)


def test_without_triton_pytorch_computes(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, KERNELS, None)
    with caplog.at_level(logging.INFO, "napari_unetseg"):
        assert not gpu_layers._try_kernels(torch.device("cpu"), torch.float32)
    assert "PyTorch's own layers" in caplog.text
