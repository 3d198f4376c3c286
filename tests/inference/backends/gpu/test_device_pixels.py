import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_unetseg.image import Image
from napari_unetseg.inference.backends import RawPixels
from napari_unetseg.inference.backends.gpu import device_pixels
from napari_unetseg.inference.backends.gpu.device_pixels import DevicePixels, can_upload, host_tensor
from napari_unetseg.inference.normalisation import IntensityRanges, Normalised, normalise
from napari_unetseg.inference.tiling.exact import mirrored
from napari_unetseg.zoo.card import IMAGENET, Linear, MeanStd, MinMax, Percentile, ZScore

INTEGERS = [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.int64]
DTYPES = [np.bool_, *INTEGERS, np.float16, np.float32, np.float64]


DEVICES = ["cpu"]
DEVICES += ["cuda"] if torch.cuda.is_available() else []
DEVICES += ["mps"] if torch.backends.mps.is_available() else []


def on_device(pixels: Normalised, device: str = "cpu") -> DevicePixels:
    return DevicePixels(pixels.raw, host_tensor(pixels.raw.planes).clone().to(device))


def same_bits(pixels: Normalised, rows, columns) -> None:
    """Compare what devices there are with the host, in the memory that a batch of channels-last windows has."""
    assert can_upload(pixels.raw, "cuda")
    expected = pixels.read(rows, columns)
    for device in DEVICES:
        if can_upload(pixels.raw, device):
            batch = torch.full((2, *expected.shape), np.nan, device=device)
            batch = batch.contiguous(memory_format=torch.channels_last)
            on_device(pixels, device).window(rows, columns, batch[1])
            np.testing.assert_array_equal(batch[1].cpu().numpy(), expected)
            assert batch[0].isnan().all()


@pytest.fixture(params=[1, 2], ids=["narrow table", "wide table"])
def bytes_in_table(request, monkeypatch):
    monkeypatch.setitem(device_pixels._BYTES_IN_TABLE, "cpu", request.param)


def some_pixels(dtype, shape):
    """Random values of the whole type, floats not all finite."""
    random = np.random.default_rng(5)
    if dtype is np.bool_:
        return random.random(shape) < 0.4
    if np.issubdtype(dtype, np.integer):
        ends = np.iinfo(dtype)
        return random.integers(ends.min, ends.max, shape, dtype, endpoint=True)
    pixels = random.normal(0.4, 3, shape).astype(dtype)
    pixels.flat[[3, 8, 11]] = np.nan, np.inf, -np.inf
    return pixels


@pytest.mark.usefixtures("bytes_in_table")
@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", [Percentile(), MinMax(), IMAGENET, MeanStd(mean=(0.4,), std=(0.2,))])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_device_makes_the_numbers_of_the_host(dtype, kind, channels, colours):
    if channels == 1 and kind is IMAGENET:
        kind = MeanStd(mean=(0.485,), std=(0.229,))
    array = some_pixels(dtype, (21, 18, 3) if colours == 3 else (21, 18))
    pixels = normalise(Image.of(array), kind, channels)
    same_bits(pixels, mirrored(21, 32), mirrored(18, 32))
    same_bits(pixels, np.arange(3, 19), np.arange(18))


@st.composite
def images(draw):
    dtype = draw(st.sampled_from(DTYPES))
    colours = draw(st.sampled_from([1, 3]))
    shape = colours, draw(st.integers(1, 6)), draw(st.integers(1, 6))
    elements = None
    if np.issubdtype(dtype, np.floating):
        width = 8 * np.dtype(dtype).itemsize
        elements = st.floats(width=width, allow_subnormal=width < 64)
    planes = draw(arrays(dtype, shape, elements=elements))
    ends = st.floats(-1e300, 1e300, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-290)
    channels = draw(st.sampled_from([1, 3]))
    several = channels == 3 and draw(st.booleans())
    ranges = tuple(tuple(sorted(draw(st.tuples(ends, ends)))) for _ in range(3 if several else 1))
    return Normalised(planes, channels, IntensityRanges(used=(0, len(planes)), ranges=ranges))


@pytest.mark.usefixtures("bytes_in_table")
@given(pixels=images(), data=st.data())
@settings(deadline=None)
def test_any_rows_and_columns_of_any_image_are_those_of_the_host(pixels, data):
    height, width = pixels.planes.shape[1:]
    rows, columns = (
        np.array(data.draw(st.lists(st.integers(0, length - 1), min_size=1, max_size=9))) for length in (height, width)
    )
    same_bits(pixels, rows, columns)


def test_strips_join_without_a_seam(monkeypatch):
    monkeypatch.setattr(device_pixels, "_AT_ONCE", 100)
    pixels = normalise(Image.of(some_pixels(np.uint16, (40, 30))), Percentile(), 3)
    same_bits(pixels, mirrored(40, 48), mirrored(30, 32))


@pytest.mark.parametrize("span", [75.0, 77.0, 91.0, 99.0])
def test_it_is_divided_and_not_multiplied_by_the_reciprocal(span):
    # Halfway between two numbers of float32, so that a last bit of float64 decides which it becomes.
    planes = span * (np.array([[[1.75, 1.875, 1.9375]]]) + 2**-24)
    pixels = Normalised(planes, 1, IntensityRanges(used=(0, 1), ranges=((0.0, span),)))
    same_bits(pixels, np.arange(1), np.arange(3))


def test_a_constant_image_is_zero():
    for dtype in (np.uint8, np.float32):
        pixels = normalise(Image.of(np.full((5, 6), 7, dtype)), Percentile(), 1)
        out = torch.ones(1, 5, 6)
        on_device(pixels).window(np.arange(5), np.arange(6), out)
        assert not out.any()


def test_memory_is_shared_and_may_be_read_only():
    planes = np.arange(12, dtype=np.uint16).reshape(3, 4)[np.newaxis]
    planes.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = host_tensor(planes)
    assert tensor.dtype == torch.int16
    assert tensor.data_ptr() == planes.ctypes.data


def test_of_interleaved_colours_the_memory_is_shared_too():
    colours = np.zeros((5, 4, 3), np.uint8)
    tensor = host_tensor(Image.of(colours).channels_first)
    assert tensor.data_ptr() == colours.ctypes.data
    assert tensor.stride() == (1, 12, 3)


def test_what_is_repeated_without_a_copy_is_shared_as_well():
    planes = np.broadcast_to(np.arange(4, dtype=np.uint8), (1, 3, 4))
    assert can_upload(raw_of(planes), "cuda")
    np.testing.assert_array_equal(host_tensor(planes).numpy(), planes)


def raw_of(planes, channels=1, ranges=((0.0, 1.0),)):
    return RawPixels(planes, channels, ranges)


@pytest.mark.parametrize(
    ("planes", "kinds"),
    [
        (np.zeros((1, 2, 2), np.uint16), {"cuda", "mps"}),
        (np.zeros((1, 2, 2), np.float16), {"cuda", "mps"}),
        (np.zeros((1, 2, 2), np.float32), {"cuda"}),
        (np.zeros((1, 2, 2), np.int64), {"cuda"}),
        (np.zeros((1, 2, 2), np.uint64), set()),
        (np.zeros((1, 2, 2), ">u2"), set()),
        (np.zeros((1, 2, 2), np.uint8)[:, ::-1], set()),
        (np.zeros((1, 2, 4), np.uint16)[..., ::2], {"cuda", "mps"}),
        (np.zeros((1, 2), [("a", "u1"), ("b", "u2")])["b"][np.newaxis], set()),
    ],
)
def test_what_a_device_cannot_take_is_left_to_the_host(planes, kinds):
    assert {kind for kind in ("cuda", "mps") if can_upload(raw_of(planes), kind)} == kinds


def test_ranges_that_fit_no_channels_are_left_to_the_host():
    planes = np.zeros((3, 2, 2), np.uint8)
    two = ((0.0, 1.0), (0.0, 2.0))
    assert not can_upload(raw_of(planes, 2, two), "cuda")
    assert can_upload(raw_of(planes[:2], 2, two), "cuda")
    assert can_upload(raw_of(planes[:1], 2, two), "cuda")


def test_images_beyond_what_apple_s_library_counts_are_left_to_the_host():
    large = np.broadcast_to(np.zeros(1, np.uint8), (1, 2**16, 2**15))
    assert not can_upload(raw_of(large), "mps")
    assert can_upload(raw_of(large), "cuda")


@pytest.mark.usefixtures("bytes_in_table")
@pytest.mark.parametrize(
    "kind", [ZScore(per_channel=True, clip=(-1, 2)), Linear(gain=(1, 3), offset=(0, -2)), MinMax(clip=(0.25, 0.5))]
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_stains_within_limits_are_those_of_the_host(dtype, kind):
    pixels = normalise(Image(some_pixels(dtype, (2, 21, 18)), "CYX"), kind, 2)
    same_bits(pixels, mirrored(21, 24), mirrored(18, 20))
