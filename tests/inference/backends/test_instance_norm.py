"""InstanceNorm in strips agrees with PyTorch's own in float64, whatever the maps' mean and size."""

import pytest
import torch
from torch import nn

from napari_unetseg.inference.backends.fast_layers import STRIP_PIXELS, StripInstanceNorm, map_statistics


def maps(shape, mean=0.0, dtype=torch.float32):
    made = mean + torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return made.to(dtype).to(memory_format=torch.channels_last)


def layer(channels):
    made = nn.InstanceNorm2d(channels, affine=True)
    nn.init.normal_(made.weight, 1, 0.2, generator=torch.Generator().manual_seed(1))
    nn.init.normal_(made.bias, 0, 0.2, generator=torch.Generator().manual_seed(2))
    return made.eval().requires_grad_(False)


@pytest.mark.parametrize("mean", [0, 3, 30])
@pytest.mark.parametrize("shape", [(1, 8, 512, 512), (1, 64, 64, 64), (3, 4, 40, 3000), (1, 2, 1, STRIP_PIXELS * 3)])
def test_as_exact_as_the_layer_that_it_replaces(shape, mean):
    original, x = layer(shape[1]), maps(shape, mean)
    expected = nn.InstanceNorm2d.forward(layer(shape[1]).double(), x.double())
    error = (StripInstanceNorm(original)(x) - expected).abs().max()
    assert error < 2e-6 * (4 + mean)  # a rounded input of this size can do no better


def test_a_map_of_equal_values_becomes_the_bias():
    original = layer(3)
    result = StripInstanceNorm(original)(torch.full((1, 3, 100, 100), 0.7))
    torch.testing.assert_close(result, original.bias[None, :, None, None].expand(1, 3, 100, 100), rtol=0, atol=1e-4)


def test_rounded_maps_are_summed_up_exactly():
    x = maps((1, 4, 300, 300), 30, torch.bfloat16)
    mean, variance = map_statistics(x)
    assert mean.dtype == variance.dtype == torch.float32
    torch.testing.assert_close(mean, x.double().mean((0, 2, 3)).float(), rtol=1e-6, atol=0)
    torch.testing.assert_close(variance, x.double().var((0, 2, 3), correction=0).float(), rtol=1e-5, atol=0)
    assert StripInstanceNorm(layer(4))(x).dtype == torch.bfloat16


def test_rounded_weights_are_used_as_they_are():
    original, x = layer(4).bfloat16(), maps((2, 4, 30, 30), dtype=torch.bfloat16)
    expected = original.float()(x.float())
    torch.testing.assert_close(StripInstanceNorm(original.bfloat16())(x).float(), expected, rtol=0, atol=0.02)
