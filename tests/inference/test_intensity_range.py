import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_unetseg.inference import intensity_range
from napari_unetseg.inference.intensity_range import percentile_range


@settings(deadline=None)
@given(st.lists(st.integers(0, 65535), min_size=1, max_size=40), st.floats(0, 49), st.floats(51, 100))
def test_percentiles_are_those_of_numpy(values, low, high):
    pixels = np.array(values, np.uint16).reshape(1, -1)
    expected = tuple(np.percentile(pixels, (low, high)))
    if expected[0] == expected[1]:
        expected = (min(values), max(values))
    np.testing.assert_allclose(percentile_range(pixels, low, high), expected, rtol=1e-12)


def test_large_images_use_a_regular_subsample_and_miss_no_lone_value(monkeypatch):
    monkeypatch.setattr(intensity_range, "EXACT_PIXELS", 100)
    pixels = np.random.default_rng(0).random((2, 40, 30))
    assert percentile_range(pixels, 10, 90) == pytest.approx(np.percentile(pixels[:, ::5, ::5], (10, 90)))
    lonely = np.full((40, 30), np.nan)
    lonely[1, 1], lonely[2, 2] = 3, 5
    assert percentile_range(lonely, 0, 100) == (3, 5)


@given(
    data=st.data(),
    dtype=st.sampled_from([np.bool_, np.uint8, np.int8, np.uint16, np.int16]),
    ends=st.tuples(st.floats(0, 100), st.floats(0, 100)),
)
@settings(deadline=None)
def test_percentiles_of_small_integers_are_those_of_numpy_bit_for_bit(data, dtype, ends):
    span = (0, 1) if dtype is np.bool_ else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    values = np.array(data.draw(st.lists(st.integers(*span), min_size=1, max_size=30)), dtype)[np.newaxis]
    low, high = sorted(ends)
    bottom, top = np.percentile(0.5 * values.astype(np.float64), (low, high))
    if top > bottom:
        assert percentile_range(values, low, high) == (2 * bottom, 2 * top)
    else:
        assert percentile_range(values, low, high) == (values.min(), values.max())


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int8, np.uint16, np.int16])
def test_percentiles_of_many_small_integers_are_those_of_numpy(monkeypatch, dtype):
    monkeypatch.setattr(intensity_range, "_PAIRS_PAY", 1000)
    monkeypatch.setattr(intensity_range, "_IN_CACHE", 300)
    values = (np.random.default_rng(1).normal(60, 15, (3, 21, 19)) > 70).astype(dtype)
    if dtype != np.bool_:
        values += np.random.default_rng(2).integers(-9 if np.iinfo(dtype).min else 0, 90, values.shape, dtype)
    bottom, top = np.percentile(0.5 * values.astype(np.float64), (0.3, 99.2))
    assert percentile_range(values, 0.3, 99.2) == (2 * bottom, 2 * top)


@given(
    data=st.data(),
    dtype=st.sampled_from([np.float16, np.float32, np.float64, ">f4", np.int32, np.uint64]),
    ends=st.tuples(st.floats(0, 100), st.floats(0, 100)),
)
@settings(deadline=None)
def test_percentiles_of_wide_numbers_are_those_of_numpy_bit_for_bit(data, dtype, ends):
    elements = None
    if np.dtype(dtype).kind == "f":
        elements = st.floats(width=8 * np.dtype(dtype).itemsize, allow_subnormal=False)
    values = data.draw(arrays(dtype, (1, data.draw(st.integers(1, 30))), elements=elements))
    low, high = sorted(ends)
    halves = 0.5 * values.astype(np.float64)
    halves = halves[np.isfinite(halves)]
    bottom, top = np.percentile(halves, (low, high)) if halves.size else (0, 0)
    if top > bottom:
        assert percentile_range(values, low, high) == (2 * bottom, 2 * top)
    elif halves.size:
        assert percentile_range(values, low, high) == (2 * halves.min(), 2 * halves.max())
    else:
        assert percentile_range(values, low, high) == (0, 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_extremes_pass_over_pixels_without_a_value(monkeypatch, bad):
    monkeypatch.setattr(intensity_range, "_IN_CACHE", 40)
    pixels = np.full((3, 40, 10), 5, np.float32)
    pixels[1, 25, 3], pixels[2, 7, 7] = 9, -3
    assert intensity_range.extremes(pixels) == (-3, 9)
    pixels[0, 20], pixels[2, 39, 9] = bad, bad
    assert intensity_range.extremes(pixels) == (-3, 9)
    invalid = intensity_range.invalid_pixels(pixels)
    assert np.array_equal(invalid, ~np.isfinite(pixels).all(axis=0))
    assert intensity_range.extremes(pixels[:, 20:21] * np.nan) == (0, 0)


def test_a_plane_varies_only_in_pixels_that_have_a_value(monkeypatch):
    monkeypatch.setattr(intensity_range, "_A_LOOK", 40)
    planes = np.full((3, 40, 10), 5, np.float32)
    planes[1] = np.nan
    planes[0, 3, 3] = np.nan
    assert intensity_range.varying_planes(planes) == []
    planes[2, 0, 0], planes[0, 39, 9] = 4, 6
    assert intensity_range.varying_planes(planes) == [0, 2]


def test_what_is_not_in_memory_is_read_in_whole_chunks():
    whole = da.zeros((3, 100, 90), chunks=(1, 16, 7))
    found = list(intensity_range.pieces(whole, elsewhere=3 * 40 * 40))
    assert found[0] == (slice(0, 32), slice(0, 35))
    assert found[-1] == (slice(96, 100), slice(70, 90))
    seen = np.zeros((100, 90), int)
    for part in found:
        seen[part] += 1
    assert (seen == 1).all()
    assert next(intensity_range.pieces(whole, elsewhere=3)) == (slice(0, 16), slice(0, 7))
