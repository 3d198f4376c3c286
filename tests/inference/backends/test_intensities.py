import numpy as np
import pytest

from napari_unetseg.inference.backends.intensities import lookup_table, rescale


def test_rescaling_takes_low_to_zero_and_high_to_one():
    array = rescale(np.array([[10, 20, 30, np.nan, np.inf]]), 10, 20)
    assert array.dtype == np.float32
    assert array.tolist() == [[0, 1, 2, 0, 0]]
    assert rescale(np.array([5, 6]), 5, 5).tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int8, np.uint16, np.int16, np.float16])
def test_a_table_holds_what_rescaling_gives(dtype):
    pixels = np.array([0, 1, 1, 0]) if dtype is np.bool_ else np.array([0, 3, 100, 127, 77])
    pixels = pixels.astype(dtype)
    if dtype in (np.int8, np.int16, np.float16):
        pixels[1] = -9
    if dtype is np.float16:
        pixels[2] = np.inf
    places = pixels.view(f"u{pixels.itemsize}")
    np.testing.assert_array_equal(lookup_table(dtype, 3, 60)[places], rescale(pixels, 3, 60))
