import pytest

from napari_unetseg.plugin.dock.size_words import believed, can_rescale, comparison, is_far_off, pixels
from napari_unetseg.zoo.registry import read_package


@pytest.fixture(scope="module")
def card(bright_model):
    """It expects objects of 12 pixels."""
    return read_package(bright_model, "path").card


@pytest.mark.parametrize(("diameter", "told"), [(8.46, "8.5"), (8.0, "8"), (26.7, "27"), (9.97, "10")])
def test_a_decimal_only_where_it_tells_something(diameter, told):
    assert pixels(diameter) == told


@pytest.mark.parametrize(
    ("found", "guessed", "told"),
    [
        (None, None, "expects objects of 12 px"),
        (None, 26.7, "expects objects of 12 px, yours: ~27 px"),
        (20.2, None, "expects objects of 12 px, yours: 20 px"),
        (20.2, 27.0, "expects objects of 12 px, yours: 20 px"),
        (20.2, 41.0, "expects objects of 12 px, yours: ~41 px"),
        (20.2, 5.0, "expects objects of 12 px, yours: 20 px"),
    ],
)
def test_what_was_found_goes_before_a_guess_unless_it_looks_like_pieces(card, found, guessed, told):
    assert comparison(card, found, guessed) == told


def test_models_that_cannot_rescale_say_why(card):
    assert comparison(None, 5, 5) == ""
    unsized = card.model_copy(update={"object_size": None})
    fixed = card.model_copy(update={"image_size": (64, 32)})
    assert comparison(unsized, 5, None) == "does not say which object size it expects"
    assert comparison(fixed, 5, None) == "sees all images at 64 x 32 px"
    assert [can_rescale(each) for each in (card, unsized, fixed, None)] == [True, False, False, False]
    assert not any(is_far_off(each, 100, None) for each in (unsized, fixed, None))


@pytest.mark.parametrize(
    ("yours", "diameter", "far"),
    [
        *((None, None, False), (12, None, False), (24, None, False), (25, None, True), (6, None, False)),
        *((5, None, True), (25, 25, False), (25, 12, True), (12, 30, True)),
    ],
)
def test_far_off_is_more_than_twice_what_the_model_will_see(card, yours, diameter, far):
    assert is_far_off(card, yours, diameter) is far


def test_nothing_known_is_believed_nothing():
    assert believed(None, None) is None
