import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from napari_unetseg.image import Image
from napari_unetseg.inference.size_estimate import area_weighted_diameter, estimate_diameter, typical_diameter
from napari_unetseg.lazy_array import LazyArray


def discs(diameter, count=5, seed=0):
    """Bright discs on a grid with a little noise, uint16."""
    pitch = round(1.6 * diameter) + 2
    y, x = np.mgrid[: count * pitch, : count * pitch] % pitch
    bright = np.hypot(y - pitch / 2, x - pitch / 2) < diameter / 2
    return (1000 + 3000 * bright + np.random.default_rng(seed).normal(0, 50, bright.shape)).astype(np.uint16)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("diameter", [8, 15, 30, 50, 70, 120])
def test_discs_are_measured_bright_or_dark(diameter, dark):
    image = discs(diameter)
    assert estimate_diameter(Image(5000 - image if dark else image)) == pytest.approx(diameter, rel=0.2)


@settings(max_examples=20, deadline=None)
@given(st.integers(8, 120), st.booleans())
@example(89, False)
def test_where_the_two_measures_part_nothing_is_said_rather_than_something_wrong(diameter, dark):
    image = discs(diameter)
    guess = estimate_diameter(Image(5000 - image if dark else image))
    assert guess is None or guess == pytest.approx(diameter, rel=0.2)


def test_an_image_that_is_not_in_memory_is_measured_alike():
    pixels = discs(30)
    lazy = LazyArray(lambda box: pixels[box], pixels.shape, pixels.dtype)
    assert estimate_diameter(Image(lazy)) == estimate_diameter(Image(pixels))


def test_a_large_image_of_large_objects_is_looked_at_from_further_away():
    assert estimate_diameter(Image(discs(150, 7))) == pytest.approx(150, rel=0.2)


def test_colours_and_values_that_are_none_do_not_stop_it():
    image = discs(20).astype(np.float64)
    image[3, 3] = np.nan
    colours = np.stack([image, image, image / 2], axis=-1)
    assert estimate_diameter(Image(colours, "YXC", rgb=True)) == pytest.approx(20, rel=0.2)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((1, 1)),
        np.full((90, 700), 7, np.uint8),
        np.full((9, 9), np.nan),
        np.random.default_rng(0).random((300, 1100)),
        discs(30, 2),
        np.eye(2000, dtype=bool),
    ],
)
def test_nothing_is_said_of_what_has_no_objects(pixels):
    assert estimate_diameter(Image(pixels)) is None


def test_the_typical_diameter_is_the_median_of_the_labels_that_are_there():
    labels = np.zeros((40, 40), np.int32)
    for number, side in zip((2, 3, 5, 8, 9), (2, 2, 3, 9, 9), strict=True):
        labels[4 * number : 4 * number + side, 0:side] = number
    assert typical_diameter(labels) == pytest.approx(np.sqrt(4 * 9 / np.pi), rel=0.1)
    labels[labels == 9] = 0
    assert typical_diameter(labels) is None
    assert typical_diameter(np.zeros((3, 3), np.int32)) is None


def test_the_covering_diameter_is_that_of_the_objects_and_not_of_specks():
    labels = np.zeros((100, 100), np.int32)
    labels[10:50, 10:50], labels[55:95, 10:50] = 1, 2
    labels[2:100:8, 60:100:8] = 4 + np.arange(13 * 5).reshape(13, 5)
    assert typical_diameter(labels) == pytest.approx(np.sqrt(4 / np.pi))
    assert area_weighted_diameter(labels) == pytest.approx(np.sqrt(4 * 40 * 40 / np.pi))
    assert area_weighted_diameter(np.where(labels < 3, labels, 0), min_objects=2) == pytest.approx(
        np.sqrt(4 * 40 * 40 / np.pi)
    )


@pytest.mark.parametrize("labels", [np.zeros((3, 3), np.int32), np.array([[0, 1, 2], [3, 4, 4]])])
def test_too_few_objects_have_no_covering_diameter(labels):
    assert area_weighted_diameter(labels) is None
