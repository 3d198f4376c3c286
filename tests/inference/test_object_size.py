import pytest

from napari_unetseg.errors import ImageError, ParameterError
from napari_unetseg.inference.object_size import scale_factor, size_for_network


@pytest.fixture
def sized(card):
    return card.model_copy(update={"object_size": 20.0})


@pytest.mark.parametrize(
    ("diameter", "size"), [(None, None), (20, None), (20.01, None), (10, (100, 60)), (40, (25, 15)), (30, (33, 20))]
)
def test_the_image_is_stretched_by_the_ratio_of_the_diameters(sized, diameter, size):
    assert size_for_network((50, 30), sized, diameter) == size


@pytest.mark.parametrize("diameter", [0, -3, float("nan"), float("inf")])
def test_a_diameter_is_a_length(sized, diameter):
    with pytest.raises(ParameterError, match=r"diameter = .* above 0"):
        scale_factor(sized, diameter)


def test_a_model_that_does_not_know_its_size_says_so(card):
    assert scale_factor(card, None) == 1
    with pytest.raises(ParameterError, match=r"Tiny does not say how large .* object_size"):
        scale_factor(card, 20)


def test_a_model_that_sees_all_images_at_one_size_says_so(sized):
    stretched = sized.model_copy(update={"image_size": (64, 32)})
    assert size_for_network((64, 32), stretched, None) == (64, 32)
    with pytest.raises(ParameterError, match="64 x 32 pixels, so a diameter would change nothing"):
        size_for_network((50, 30), stretched, 20)


def test_absurd_ratios_are_refused_with_the_image_named(sized):
    with pytest.raises(ImageError, match=r"scan: for a diameter of 0\.01 pixels .* enlarged 2e\+03 times"):
        size_for_network((50, 30), sized, 0.01, "scan")
    with pytest.raises(ImageError, match=r"scan: for a diameter of 5000 pixels its 50 x 30 pixels .* less than one"):
        size_for_network((50, 30), sized, 5000, "scan")
    assert size_for_network((2**16, 2**16), sized, 40) == (2**15, 2**15)
