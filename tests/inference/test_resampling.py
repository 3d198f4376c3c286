import dask.array as da
import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_unetseg.image import Image
from napari_unetseg.inference import normalisation
from napari_unetseg.inference.backends.gpu import device_pixels
from napari_unetseg.inference.backends.gpu.device_pixels import DevicePixels, host_tensor
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.inference.resampling import Resampler, axis_weights
from napari_unetseg.inference.tiling.exact import mirrored
from napari_unetseg.zoo.card import MinMax

LENGTHS = [(40, 64), (64, 40), (37, 13), (90, 7), (1, 5), (5, 1), (6, 6)]


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize(("length", "new_length"), LENGTHS)
def test_the_weights_are_those_of_pytorch(length, new_length, smooth):
    line = np.random.default_rng(0).random((1, 1, length, 3), np.float32)
    expected = functional.interpolate(
        torch.from_numpy(line), (new_length, 3), mode="bilinear", align_corners=False, antialias=smooth
    )
    ours = axis_weights(length, new_length, smooth=smooth) @ line[0, 0]
    assert np.abs(ours - expected[0, 0].numpy()).max() <= 1e-5


@pytest.mark.parametrize("new_shape", [(31, 17), (90, 140), (60, 45)])
def test_windows_show_what_the_whole_shows_and_their_answers_add_up(new_shape):
    shape = (60, 45)
    pixels = normalise(Image(np.random.default_rng(0).random(shape)), MinMax(), 3)
    resampler = Resampler(shape, new_shape)
    rows, columns = (np.arange(length) for length in new_shape)
    whole = resampler.read(pixels, rows, columns)
    assert whole.shape == (3, *new_shape)
    from_whole = np.zeros((3, *shape), np.float32)
    resampler.add(whole, (slice(0, new_shape[0]), slice(0, new_shape[1])), from_whole)
    from_windows = np.zeros_like(from_whole)
    for top, bottom in ((0, 11), (11, 12), (12, new_shape[0])):
        for left, right in ((0, 5), (5, new_shape[1])):
            part = resampler.read(pixels, rows[top:bottom], columns[left:right])
            np.testing.assert_array_equal(part, whole[:, top:bottom, left:right])
            resampler.add(part, (slice(top, bottom), slice(left, right)), from_windows)
    np.testing.assert_allclose(from_windows, from_whole, atol=1e-6)


def test_a_window_that_no_pixel_looks_at_adds_nothing():
    resampler = Resampler((2, 2), (200, 200))
    whole = np.zeros((1, 2, 2), np.float32)
    resampler.add(np.ones((1, 3, 200), np.float32), (slice(0, 3), slice(0, 200)), whole)
    assert not whole.any()


def test_rows_may_be_mirrored():
    pixels = normalise(Image(np.arange(12.0).reshape(3, 4)), MinMax(), 1)
    resampler = Resampler((3, 4), (6, 8))
    whole = resampler.read(pixels, np.arange(6), np.arange(8))
    mirrored = resampler.read(pixels, np.array([4, 5, 5, 4]), np.arange(8))
    np.testing.assert_array_equal(mirrored, whole[:, [4, 5, 5, 4]])


@pytest.mark.parametrize(("colours", "channels"), [(1, 1), (1, 3), (3, 3), (3, 1)])
@pytest.mark.parametrize("new_shape", [(31, 17), (90, 140), (60, 45), (7, 200)])
def test_a_device_stretches_as_the_host_does(monkeypatch, new_shape, colours, channels):
    monkeypatch.setattr(device_pixels, "_AT_ONCE", 900)
    array = np.random.default_rng(0).integers(0, 255, (60, 45, colours), dtype=np.uint8)
    pixels = normalise(Image(array, "YXC", rgb=True), MinMax(), channels)
    resampler = Resampler((60, 45), new_shape)
    raw = resampler.raw(pixels)
    on_device = DevicePixels(raw, host_tensor(raw.planes))
    rows, columns = (mirrored(length, length + 5) for length in new_shape)
    for seen in ((rows, columns), (rows[3:6], columns[-9:])):
        out = torch.full((channels, len(seen[0]), len(seen[1])), np.nan)
        on_device.window(*seen, out)
        expected = resampler.read(pixels, *seen)
        np.testing.assert_allclose(out.numpy(), np.broadcast_to(expected, out.shape), rtol=0, atol=1e-7)


def test_what_is_not_in_memory_is_stretched_by_the_host(monkeypatch):
    monkeypatch.setattr(normalisation, "READ_AT_ONCE", 100)
    pixels = normalise(Image(da.zeros((60, 45), chunks=9)), MinMax(), 3)
    assert Resampler((60, 45), (30, 20)).raw(pixels) is None
