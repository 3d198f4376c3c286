import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from napari_unetseg.networks import SubpixelUNet, UNet, bands, unet

HALVES = st.integers(1, 400)


@given(HALVES.map(lambda half: 2 * half), st.integers(1, 3 * bands.BAND))
def test_bands_are_even_and_cover_each_row_once(height, width):
    parts = list(bands.bands(height, width))
    assert [row for part in parts for row in range(height)[part]] == list(range(height))
    assert all((part.stop - part.start) % 2 == 0 for part in parts)
    assert all((part.stop - part.start) * width <= max(bands.BAND, 2 * width) for part in parts)


@settings(deadline=None)
@given(st.data())
@torch.inference_mode()
def test_rows_are_computed_as_in_the_whole_map(data):
    height = data.draw(st.integers(1, 30))
    top = data.draw(st.integers(0, height - 1))
    rows = slice(top, data.draw(st.integers(top + 1, height)))
    torch.manual_seed(0)
    block = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 1, 3, padding=1)).double()
    x = torch.rand(1, 1, height, 5, dtype=torch.float64)
    found = bands.compute_rows(block, bands.rows_of(x), height, rows, 2)
    torch.testing.assert_close(found, block(x)[..., rows, :], rtol=0, atol=1e-14)


def test_joined_bands_are_the_map():
    whole = torch.rand(2, 3, 10, 4)
    parts = (whole[..., rows, :] for rows in (slice(0, 4), slice(4, 8), slice(8, 10)))
    joined = bands.join_bands(parts, 10)
    assert torch.equal(joined, whole)
    assert joined.is_contiguous(memory_format=torch.channels_last)


@pytest.fixture
def small_bands(monkeypatch):
    """Bands and maps so small that those of the tests are divided at two levels."""
    monkeypatch.setattr(bands, "BAND", 128)
    monkeypatch.setattr(unet, "SMALL", 200)


def make(kind, **arguments):
    torch.manual_seed(0)
    network = kind(3, 2, features=(4, 6, 8, 8), **arguments)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    return network.eval()


@pytest.mark.parametrize(
    ("kind", "size", "count"),
    [
        (UNet, (64, 64), 32),
        (UNet, (80, 16), 10),
        (UNet, (8, 16), 1),
        (SubpixelUNet, (64, 64), 8),
        (SubpixelUNet, (32, 112), 8),
        (SubpixelUNet, (16, 16), 1),
    ],
)
@torch.inference_mode()
def test_bands_of_a_network_are_its_answer(small_bands, kind, size, count):
    network = make(kind)
    assert network.in_bands
    x = torch.rand(2, 3, *size)
    parts = list(network.bands(x))
    assert len(parts) == count
    torch.testing.assert_close(torch.cat(parts, dim=2), network(x), rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_what_cannot_be_divided_comes_at_once(small_bands):
    odd, instance = (61, 64), (64, 64)
    for kind, norm, size in (
        (UNet, "batch", odd),
        (SubpixelUNet, "batch", odd),
        (UNet, "instance", instance),
        (SubpixelUNet, "instance", instance),
    ):
        network = make(kind, norm=norm)
        x = torch.rand(1, 3, *size)
        (whole,) = network.bands(x)
        assert torch.equal(whole, network(x))
    assert not make(UNet, norm="instance").in_bands
    assert not make(SubpixelUNet, norm="instance").in_bands


@torch.inference_mode()
def test_no_map_of_a_banded_level_is_larger_than_a_band_with_what_it_sees(small_bands):
    network = make(UNet)
    seen = []
    for block in (network.init_conv, network.downs[0], network.decoder_blocks[-1], network.decoder_blocks[-2]):
        block.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[-2] * inputs[0].shape[-1]))
    list(network.bands(torch.rand(1, 3, 64, 64)))
    # A band of two rows of 64 pixels, what its decoder sees beside it, and what the encoder sees beside that.
    assert max(seen) <= (2 + 2 * 2 + 2 * 2) * 64
