"""The overlay shows the image and the outline of every object."""

import imageio.v3 as imageio
import numpy as np
import pytest

from napari_unetseg.image import Image
from napari_unetseg.io import draw_overlay, write_overlay


def is_coloured(picture):
    return np.ptp(picture.astype(int), axis=-1) > 0


def test_outline_lies_inside_the_object_and_the_rest_stays_grey():
    labels = np.zeros((12, 14), int)
    labels[3:9, 4:10] = 1
    picture = draw_overlay(Image(np.arange(12 * 14.0).reshape(12, 14)), labels)
    expected = labels.astype(bool)
    expected[4:8, 5:9] = False
    np.testing.assert_array_equal(is_coloured(picture), expected)


def test_objects_cut_by_the_border_are_closed():
    coloured = is_coloured(draw_overlay(Image(np.zeros((6, 6))), np.ones((6, 6), int)))
    assert coloured[[0, -1]].all()
    assert coloured[:, [0, -1]].all()
    assert not coloured[1:-1, 1:-1].any()


def test_touching_objects_get_two_colours():
    labels = np.ones((6, 8), int)
    labels[:, 4:] = 2
    picture = draw_overlay(Image(np.zeros((6, 8))), labels)
    assert tuple(picture[3, 3]) != tuple(picture[3, 4])


def test_contrast_is_stretched_whatever_the_type():
    ramp = np.linspace(0, 1, 400).reshape(20, 20)
    nothing = np.zeros((20, 20), int)
    expected = draw_overlay(Image(ramp), nothing)
    assert expected.min() == 0
    assert expected.max() == 255
    for array in (1000 + 300 * ramp, (60000 * ramp).astype(np.uint16), -5 + ramp.astype(np.float32)):
        np.testing.assert_allclose(draw_overlay(Image(array), nothing), expected.astype(int), atol=1)


def test_colours_of_a_picture_stay():
    array = np.zeros((9, 9, 3), np.uint8)
    array[:5, :, 0], array[5:, :, 2] = 200, 100
    picture = draw_overlay(Image(array, "YXC", rgb=True), np.zeros((9, 9), int))
    assert tuple(picture[0, 0]) == (255, 0, 0)
    assert picture[8, 0, 2] == pytest.approx(128, abs=2)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 3)])
@pytest.mark.parametrize("channels", [None, 2, 5])
def test_any_size_and_channels(shape, channels):
    array = np.full(shape if channels is None else (channels, *shape), np.nan)
    picture = draw_overlay(Image(array, "YX" if channels is None else "CYX"), np.zeros(shape, int))
    np.testing.assert_array_equal(picture, np.zeros((*shape, 3)))


def test_png_holds_the_drawing(tmp_path):
    labels = np.zeros((15, 11), int)
    labels[4:9, 2:8] = 3
    image = Image(np.random.default_rng(0).random((15, 11)))
    write_overlay(tmp_path / "a.png", image, labels)
    np.testing.assert_array_equal(imageio.imread(tmp_path / "a.png"), draw_overlay(image, labels))
