"""Inductor, as far as a processor shows it: it writes C++ here, where it writes Triton for a GPU."""

import importlib.util
import shutil

import pytest
import torch
from torch import nn

from napari_unetseg.inference.backends.gpu import inductor
from napari_unetseg.inference.backends.gpu.gpu_layers import fuse_instance_norm
from napari_unetseg.inference.backends.gpu.inductor import compile_network, why_not_compiled
from napari_unetseg.networks import UNet


@pytest.fixture
def card(monkeypatch):
    """A machine with an NVIDIA GPU and all that compiling takes."""

    def card(*, capability=(9, 0), triton=True, compilers=("gcc",)):
        monkeypatch.delenv("CC", raising=False)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _name: capability)
        monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object() if triton else None)
        monkeypatch.setattr(shutil, "which", lambda name: name if name in compilers else None)

    return card


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        ({}, None),
        ({"compilers": ("clang",)}, None),
        ({"compilers": ()}, "There is no C compiler (gcc or clang)."),
        ({"triton": False}, "Triton is not installed."),
        ({"capability": (6, 1)}, "This GPU is too old for it."),
    ],
)
def test_what_lacks_is_named(card, machine, reason):
    card(**machine)
    assert why_not_compiled("cuda:1") == reason


def test_a_compiler_may_be_named(card, monkeypatch):
    card(compilers=())
    monkeypatch.setenv("CC", "/opt/bin/cc")
    assert why_not_compiled("cuda:0") is None


@pytest.mark.parametrize("name", ["cpu", "mps"])
def test_it_is_for_nvidia(name):
    assert why_not_compiled(name) == "That is done for NVIDIA GPUs alone."


def test_what_is_traced_has_the_weights_and_no_hooks():
    network = UNet(1, 1, (4, 6))
    called = []
    layer = network.final_conv
    layer.register_forward_pre_hook(lambda _layer, _inputs: called.append(1))
    layer.register_forward_hook(lambda _layer, _inputs, _output: called.append(1))
    traced = inductor._with_same_weights(network)
    assert [id(weight) for weight in traced.parameters()] == [id(weight) for weight in network.parameters()]
    assert traced.final_conv is not layer
    traced(torch.rand(1, 1, 8, 8))
    assert called == []
    network(torch.rand(1, 1, 8, 8))
    assert called == [1, 1]


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, of its own parts
def test_compiled_code_computes_the_network(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")
    torch.manual_seed(0)
    network = UNet(1, 1, (4, 6), "instance").eval()
    fuse_instance_norm(network)
    network.to(memory_format=torch.channels_last)
    example = torch.rand(2, 1, 16, 24).to(memory_format=torch.channels_last)
    compiled = compile_network(network, example)
    x = torch.rand(2, 1, 16, 24).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        torch.testing.assert_close(compiled(x), network(x), atol=1e-4, rtol=0)
        # Weights are looked up in the network, which keeps its own meanwhile.
        nn.init.zeros_(network.final_conv.weight)
        torch.testing.assert_close(compiled(x), network(x), atol=1e-4, rtol=0)
    assert any(tmp_path.iterdir())
