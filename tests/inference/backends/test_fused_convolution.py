"""Fused layers compute what the layers that they replace compute, and the ends of a network more exactly."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from napari_unetseg.inference.backends import fused_convolution
from napari_unetseg.inference.backends.fast_layers import fold_batch_norm, round_maps
from napari_unetseg.inference.backends.fused_convolution import (
    ImageConvolution,
    JoinedConvolution,
    PlanarShuffle,
    RectifiedConvolution,
    fuses_convolutions,
    round_and_fuse,
)
from napari_unetseg.networks import build

pytestmark = pytest.mark.skipif(not fuses_convolutions(), reason="this build of PyTorch has no fused convolution")

NARROW = {
    "unet": {"features": [4, 6, 8]},
    "subpixel_unet": {"features": [4, 6, 8], "block": 2},
    "attention_unet": {"base_channels": 4, "depth": 2},
}


def random(*shape, seed=0):
    made = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return made.contiguous(memory_format=torch.channels_last)


def folded(name, **arguments):
    torch.manual_seed(0)
    network = build(name, {"in_channels": 3, "out_channels": 2, **NARROW[name], **arguments}).eval()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    network.requires_grad_(False)
    fold_batch_norm(network)
    return network


def fused(network):
    made = deepcopy(network)
    round_and_fuse(made)
    return made.to(memory_format=torch.channels_last)


@pytest.mark.parametrize("options", [{"padding": 1}, {"padding": 2, "dilation": 2}, {"stride": 2}, {"bias": False}])
def test_a_rectified_convolution_is_the_two_layers(options):
    layer = nn.Conv2d(5, 7, 3, **options).bfloat16().requires_grad_(False)
    x = random(2, 5, 20, 31).bfloat16()
    with torch.inference_mode():
        found, expected = RectifiedConvolution(layer, layer.bias)(x), layer(x).relu()
    assert (expected == 0).any()
    torch.testing.assert_close(found, expected, rtol=2**-7, atol=2**-7)


@pytest.mark.parametrize("make", [RectifiedConvolution, JoinedConvolution])
def test_a_bias_is_not_rounded(make):
    layer = nn.Conv2d(4, 8, 3, padding=1).bfloat16().requires_grad_(False)
    nn.init.zeros_(layer.weight)
    bias = torch.linspace(1, 2, 8) + 2**-8 + 2**-12  # just above the middle between two numbers in bfloat16
    maps = random(1, 4, 8, 8).bfloat16()
    given = maps if make is RectifiedConvolution else maps.chunk(2, dim=1)
    with torch.inference_mode():
        found = make(layer, bias).to(memory_format=torch.channels_last)(given)
    torch.testing.assert_close(found[0, :, 3, 3], bias.bfloat16(), rtol=0, atol=0)


@pytest.mark.parametrize("activation", ["relu", "none"])
@pytest.mark.parametrize("shape", [(2, 4, 20, 31), (1, 1, 2, 2), (1, 16, 1, 40)])
def test_a_joined_convolution_is_that_of_both_maps_side_by_side(shape, activation):
    layer = nn.Conv2d(2 * shape[1], 7, 3, padding=1).bfloat16().requires_grad_(False)
    maps = [random(*shape, seed=seed).bfloat16() for seed in (1, 2)]
    joined = JoinedConvolution(layer, layer.bias).to(memory_format=torch.channels_last)
    joined.activation = activation
    with torch.inference_mode():
        found, expected = joined(maps), layer(torch.cat(maps, dim=1))
    expected = expected.relu() if activation == "relu" else expected
    torch.testing.assert_close(found, expected, rtol=2**-6, atol=2**-6)


@pytest.mark.parametrize("block", [1, 2, 4])
@pytest.mark.parametrize("activation", ["relu", "none"])
def test_an_image_is_read_to_sixteen_bits(block, activation):
    layer = nn.Conv2d(3 * block**2, 16, 3, padding=1).requires_grad_(False)
    x = random(2, 3, 16, 24)
    blocks = nn.functional.pixel_unshuffle(x, block)
    expected = nn.Conv2d.forward(deepcopy(layer).double(), blocks.double())
    expected = expected.relu() if activation == "relu" else expected
    reader = ImageConvolution(layer, 3, block)
    reader.activation = activation
    with torch.inference_mode():
        found = reader(x)
    assert (found.dtype, found.shape) == (torch.bfloat16, expected.shape)
    # Rounded but once, at the end: half of the last of eight bits of what is written.
    torch.testing.assert_close(found.double(), expected, rtol=2**-8 + 2**-12, atol=2**-10)


@pytest.mark.parametrize("block", [1, 2])
def test_one_channel_stands_for_three_that_are_the_same(block):
    reader = ImageConvolution(nn.Conv2d(3 * block**2, 16, 3, padding=1).requires_grad_(False), 3, block)
    grey = random(2, 1, 16, 24)
    with torch.inference_mode():
        found, expected = reader(grey), reader(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(found, expected, rtol=2**-7, atol=2**-9)


def test_blocks_are_taken_apart_in_planes():
    x = random(1, 8, 6, 4)
    found = PlanarShuffle(2)(x)
    assert found.is_contiguous()
    assert torch.equal(found, nn.functional.pixel_shuffle(x, 2))


@pytest.mark.parametrize("name", NARROW)
def test_a_fused_network_is_as_exact_as_a_rounded_one(name):
    network = folded(name)
    rounded = deepcopy(network)
    round_maps(rounded, torch.bfloat16)
    x = random(1, 3, 64, 48)
    with torch.inference_mode():
        expected, before, after = network(x), rounded(x), fused(network)(x)
    assert after.dtype == torch.float32
    errors = [float((found - expected).std() / expected.std()) for found in (before, after)]
    assert 0 < errors[1] < 1.25 * errors[0] < 0.1


@pytest.mark.parametrize("name", NARROW)
def test_no_convolution_is_left_with_a_relu_of_its_own(name):
    network = fused(folded(name))
    kinds = [type(layer) for layer in network.modules() if not list(layer.children())]
    blocks = [module for module in network.modules() if isinstance(module, nn.Sequential)]
    assert kinds.count(ImageConvolution) == 1
    assert kinds.count(RectifiedConvolution) >= 2
    assert kinds.count(JoinedConvolution) == (0 if name == "attention_unet" else 2)
    # A gate of attention rectifies a sum, which no convolution writes.
    left = [block for block in blocks if any(isinstance(layer, nn.ReLU) for layer in block)]
    assert all(isinstance(block[0], nn.ReLU) for block in left)


def test_a_convolution_that_is_normalised_first_does_not_rectify():
    network = fused(folded("unet", norm="instance"))
    layers = list(network.modules())
    assert not any(isinstance(layer, RectifiedConvolution) for layer in layers)
    ends = [layer for layer in layers if isinstance(layer, ImageConvolution | JoinedConvolution)]
    assert {layer.activation for layer in ends} == {"none"}
    assert any(isinstance(layer, nn.ReLU) for layer in layers)


def test_a_build_without_the_operator_is_found_out(monkeypatch):
    def missing(*_given):
        raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_convolution_pointwise'")

    monkeypatch.setattr(fused_convolution, "_convolve", missing)
    assert not fuses_convolutions.__wrapped__()


def test_an_operator_that_computes_wrongly_is_found_out(monkeypatch):
    monkeypatch.setattr(fused_convolution, "_convolve", lambda x, weight, *_given: x.new_zeros(1, len(weight), 6, 6))
    assert not fuses_convolutions.__wrapped__()
