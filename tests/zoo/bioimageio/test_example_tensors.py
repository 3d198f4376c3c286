"""Pictures to test a package with."""

import numpy as np
import pytest

from napari_unetseg.zoo.bioimageio.example_tensors import as_tensor, draw_discs, fit_picture

MEAN_STD = {"kind": "mean_std", "mean": [0.5], "std": [0.2]}


def test_discs_are_of_the_size_of_the_objects_and_the_channels_differ(make_card):
    picture = draw_discs(make_card(object_size=20), (120, 160))
    assert picture.dtype == np.uint8
    assert picture.shape == (3, 120, 160)
    assert picture[0].mean() > picture[1].mean() > picture[2].mean()
    bright = picture[0] > 110
    # One disc of 20 pixels in each square of 34.
    assert bright.mean() == pytest.approx(np.pi * 10**2 / 34**2, rel=0.3)
    np.testing.assert_array_equal(picture, draw_discs(make_card(object_size=20), (120, 160)))


def test_the_middle_of_a_larger_image_is_taken(make_card):
    planes = np.arange(3 * 20 * 30).reshape(3, 20, 30).astype(np.uint16)
    found = fit_picture(make_card(), planes, (10, 12))
    np.testing.assert_array_equal(found, planes[:, 5:15, 9:21])


def test_a_smaller_image_is_mirrored(make_card):
    found = fit_picture(make_card(), np.array([[[1, 2, 3]]]), (1, 9))
    assert found.shape == (3, 1, 9)
    assert set(np.abs(np.diff(found[0, 0]))) <= {0, 1}
    assert set(found[0, 0]) == {1, 2, 3}


def test_colours_become_grey_and_grey_becomes_colours(make_card):
    colours = np.stack([np.full((4, 4), value, np.uint8) for value in (30, 60, 90)])
    assert (fit_picture(make_card(input_channels=1), colours, (4, 4)) == 60).all()
    assert fit_picture(make_card(), colours[:1], (4, 4)).shape == (3, 4, 4)


def test_a_card_that_needs_a_full_range_gets_8_bits(make_card):
    planes = np.linspace(100, 4000, 16).reshape(1, 4, 4).astype(np.uint16)
    model = make_card(normalisation=MEAN_STD)
    found = as_tensor(model, fit_picture(model, planes, (4, 4)))
    assert found.dtype == np.uint8
    assert (found.min(), found.max()) == (0, 255)
    assert as_tensor(make_card(), planes).dtype == np.float32
