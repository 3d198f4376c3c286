"""Each replacement computes what was there before, in every network; InstanceNorm agrees with PyTorch's in float64."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from napari_unetseg.inference.backends.fast_layers import (
    STRIP_PIXELS,
    PairwiseMaximum,
    StripInstanceNorm,
    fold_batch_norm,
    map_statistics,
    replace_instance_norm,
    replace_pooling,
    round_maps,
)
from napari_unetseg.networks import build

NORMS = (nn.BatchNorm2d, nn.InstanceNorm2d, StripInstanceNorm)
NARROW = {
    "unet": {"features": [4, 6, 8], "norm": "instance"},
    "subpixel_unet": {"features": [4, 6, 8], "norm": "instance"},
    "cbam_resunet": {"features": [4, 6]},
    "hrnet": {"widths": [4, 5, 6, 7]},
    "attention_unet": {"base_channels": 4, "depth": 2},
}


def norms(network):
    return [layer for layer in network.modules() if isinstance(layer, NORMS)]


@pytest.fixture(params=NARROW)
def network(request):
    torch.manual_seed(0)
    made = build(request.param, {"in_channels": 3, "out_channels": 1, **NARROW[request.param]}).eval()
    for layer in made.modules():  # answers that differ from pixel to pixel, as training leaves them
        if isinstance(layer, NORMS):
            nn.init.normal_(layer.weight, 1, 0.2)
            nn.init.normal_(layer.bias, 0, 0.2)
        elif isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    return made


@pytest.fixture
def answer():
    pixels = torch.rand(1, 3, 192, 160, generator=torch.Generator().manual_seed(1))

    def compute(network, dtype=torch.float32):
        with torch.inference_mode():
            return network(pixels.to(dtype, memory_format=torch.channels_last))

    return compute


def test_folding_leaves_no_batch_norm_and_the_same_output(make, answer):
    network = make.network((8, 16, 16))
    expected = answer(deepcopy(network))
    fold_batch_norm(network)
    assert norms(network) == []
    assert (answer(network) - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_no_instance_norm_is_left_and_the_output_is_the_same(network, answer):
    # In float32, InstanceNorm on a map of a few pixels magnifies rounding.
    network.double()
    expected, count = answer(deepcopy(network), torch.float64), len(norms(network))
    replace_instance_norm(network)
    assert {type(norm) for norm in norms(network)} <= {StripInstanceNorm, nn.BatchNorm2d}
    assert len(norms(network)) == count
    torch.testing.assert_close(answer(network, torch.float64), expected)


def test_instance_norm_without_weights_too():
    network = nn.Sequential(nn.InstanceNorm2d(3))
    pixels = torch.rand(2, 3, 5, 7)
    expected = network(pixels)
    replace_instance_norm(network)
    assert isinstance(network[0], StripInstanceNorm)
    torch.testing.assert_close(network(pixels), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(2, 4, 200, 97), (1, 3, 1, 9000), (1, 8, 4, 4)])
def test_a_relu_that_follows_is_done_at_once_to_the_bit(shape, dtype):
    norm, x = layer(shape[1]), maps(shape, dtype=dtype)
    network = nn.Sequential(norm, nn.ReLU(inplace=True), nn.Identity())
    expected = StripInstanceNorm(norm)(x).relu()
    replace_instance_norm(network)
    assert not any(isinstance(module, nn.ReLU) for module in network)
    found = network(x)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, expected)
    assert 0.3 < (found == 0).float().mean() < 0.7


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(2, 5, 8, 12), (1, 3, 9, 7), (1, 1, 2, 2)])
def test_maxima_by_pairs_are_those_of_blocks(shape, dtype):
    x = maps(shape, dtype=dtype)
    x[0, 0, 0, 0] = torch.nan
    network = nn.Sequential(nn.MaxPool2d(2), nn.MaxPool2d(3, 2))
    expected = network[0](x)
    replace_pooling(network)
    assert [type(module) for module in network] == [PairwiseMaximum, nn.MaxPool2d]
    torch.testing.assert_close(network[0](x), expected, rtol=0, atol=0, equal_nan=True)


def test_instance_norm_with_statistics_of_its_own_is_left_alone():
    network = nn.Sequential(nn.InstanceNorm2d(3, track_running_stats=True))
    replace_instance_norm(network)
    assert isinstance(network[0], nn.InstanceNorm2d)


def test_maps_keep_their_channels_side_by_side(answer):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4, affine=True)).eval()
    network.to(memory_format=torch.channels_last)
    replace_instance_norm(network)
    assert answer(network).is_contiguous(memory_format=torch.channels_last)


def test_only_the_layer_that_reads_the_image_stays_float32(network, answer):
    fold_batch_norm(network)
    seen = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda layer, inputs, _output: seen.append((inputs[0].dtype, layer)))
    round_maps(network, torch.bfloat16)
    assert answer(network).dtype == torch.float32
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer for dtype, layer in seen if dtype == torch.float32] == convolutions[:1]
    assert {layer.weight.dtype for layer in convolutions} == {torch.float32, torch.bfloat16}
    assert len(seen) == len(convolutions)


@pytest.mark.parametrize("network", set(NARROW) - {"hrnet"}, indirect=True)  # its maps of few pixels magnify rounding
def test_rounding_changes_little(network, answer):
    fold_batch_norm(network)
    expected = answer(deepcopy(network))
    round_maps(network, torch.bfloat16)
    difference = (answer(network) - expected).std() / expected.std()
    assert 1e-4 < difference < 0.1


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
