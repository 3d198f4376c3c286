"""Channels of an image as a network gets them."""

import numpy as np
import pytest

from napari_unetseg.channel_selection import choose_channels, take_channels
from napari_unetseg.channels import ChannelChoice
from napari_unetseg.errors import ImageError
from napari_unetseg.image import Image
from napari_unetseg.lazy_array import LazyArray

PIXELS = np.stack([np.full((4, 5), value, np.uint8) for value in (200, 100, 7)])
STAINED = Image(PIXELS, "CYX", name="a.nd2", channels=("DAPI", "GFP", "GFP long"))
ROLES = ("nucleus", "cytoplasm")


def taken(text: str, image: Image = STAINED) -> Image:
    return take_channels(image, ChannelChoice.parse(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [("DAPI", 200), ("dapi", 200), ("D", 200), ("GFP", 100), ("gfp l", 7), ("2", 7), ('"GFP long"', 7)],
)
def test_one_channel_is_found_by_name_number_or_beginning(text: str, value: int) -> None:
    image = taken(text)
    assert (image.axes, image.channels) == ("YX", ())
    assert np.unique(image.array).tolist() == [value]


def test_a_channel_called_by_a_number_goes_before_the_number_itself() -> None:
    image = Image(PIXELS, "CYX", channels=("488", "0", "1"))
    assert np.unique(taken("0", image).array).tolist() == [100]


def test_a_number_of_thousands_of_digits_is_no_channel() -> None:
    with pytest.raises(ImageError, match="there is no channel"):
        taken("9" * 5000)


@pytest.mark.parametrize(
    ("text", "values", "dtype"),
    [("max(GFP,DAPI)", [200], "u1"), ("sum(0, 1)", [300], "u2"), ("sum(DAPI,DAPI,DAPI)", [600], "u2")],
)
def test_combined_channels_are_one_that_holds_their_values(text: str, values: list[int], dtype: str) -> None:
    image = taken(text)
    assert (image.axes, image.array.dtype, np.unique(image.array).tolist()) == ("YX", dtype, values)


@pytest.mark.parametrize(("axes", "shape"), [("ZCYX", (2, 2, 4, 5)), ("ZYXC", (2, 4, 5, 2)), ("CTYX", (2, 2, 4, 5))])
def test_of_a_stack_nothing_is_read_before_it_is_needed(axes: str, shape: tuple[int, ...]) -> None:
    data = np.arange(80, dtype=np.int16).reshape(shape)
    reads: list[tuple[slice, ...]] = []

    def read(box: tuple[slice, ...]) -> np.ndarray:
        reads.append(box)
        return data[box]

    image = Image(LazyArray(read, shape, data.dtype), axes, channels=("a", "b"))  # type: ignore[arg-type]
    swapped, brightest = taken("b,a", image), taken("max(a,b)", image)
    assert not reads
    assert (swapped.axes, brightest.axes, swapped.channels) == (axes, axes.replace("C", ""), ("b", "a"))
    at = axes.index("C")
    np.testing.assert_array_equal(np.asarray(swapped.array), np.flip(data, at))
    np.testing.assert_array_equal(np.asarray(brightest.plane((1,)).array), data.max(at).take(1, 0))
    assert all(box[axes.index("YZT"[0])] == slice(0, 4) for box in reads)


def test_a_float_without_a_value_has_none_combined_either() -> None:
    image = Image(np.array([[[np.nan, 1]], [[2, 3]]], np.float32), "CYX")
    np.testing.assert_array_equal(np.asarray(taken("max(0,1)", image).array), [[np.nan, 3]])


def test_grey_images_have_one_channel_that_may_serve_twice() -> None:
    grey = Image(PIXELS[0])
    assert taken("0", grey) == grey
    assert taken("0,0", grey).array.shape == (2, 4, 5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Cy5", r"a.nd2: there is no channel 'Cy5'; it has 0: DAPI, 1: GFP, 2: GFP long"),
        ("GF", r"'GF' fits several of its channels: 1: GFP, 2: GFP long"),
        ("3", "there is no channel '3'"),
    ],
)
def test_what_is_not_there_or_not_clear_is_told_with_what_is(text: str, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        taken(text)


def test_roles_decide_the_order_in_which_a_model_gets_its_channels() -> None:
    choice = ChannelChoice.parse("cytoplasm=GFP,nucleus=DAPI")
    image = choose_channels(STAINED, choice, 2, ROLES)
    assert image.channels == ("DAPI", "GFP")
    assert image.array[:, 0, 0].tolist() == [200, 100]
    assert image.chosen


def test_channels_that_are_called_as_the_roles_need_not_be_named() -> None:
    named = Image(PIXELS, "CYX", channels=("Cytoplasm", "brightfield", "nucleus"))
    assert choose_channels(named, None, 2, ROLES).array[:, 0, 0].tolist() == [7, 200]
    two = Image(PIXELS[:2], "CYX")
    np.testing.assert_array_equal(choose_channels(two, None, 2, ROLES).array, two.array)


@pytest.mark.parametrize(
    ("choice", "inputs", "roles", "words"),
    [
        (None, 2, ROLES, r"model: 3; it takes 2: nucleus, cytoplasm.*nucleus=DAPI,cytoplasm=GFP"),
        ("DAPI", 2, ROLES, "model: 1; it takes 2"),
        ("DAPI,GFP", 3, (), "model: 2; it takes 3.*0: DAPI"),
        ("DAPI,GFP", 1, (), "model: 2; it takes 1"),
        ("nucleus=DAPI,cytoplasm=GFP", 3, (), "knows no roles of channels, so nucleus, cytoplasm says nothing"),
        ("nucleus=DAPI,membrane=GFP", 2, ROLES, "takes the channels nucleus, cytoplasm, but nucleus, membrane"),
    ],
)
def test_another_number_than_the_model_takes_is_refused(
    choice: str | None, inputs: int, roles: tuple[str, ...], words: str
) -> None:
    with pytest.raises(ImageError, match=words):
        choose_channels(STAINED, None if choice is None else ChannelChoice.parse(choice), inputs, roles)


@pytest.mark.parametrize(("inputs", "count"), [(1, 3), (3, 1), (3, 3), (3, 4)])
def test_models_of_pictures_see_what_they_always_saw(inputs: int, count: int) -> None:
    image = Image(np.zeros((count, 4, 4), np.uint8), "CYX")
    assert choose_channels(image, None, inputs, ()) is image
