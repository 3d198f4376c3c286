"""Which level of a pyramid is meant."""

import pytest

from napari_unetseg.errors import ImageError
from napari_unetseg.io.levels import Level, level_number

LEVELS = [Level((4000 >> at, 3000 >> at), (0.25 * 2**at, 0.25 * 2**at), "micrometer") for at in range(4)]


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        (0, 0),
        (3, 3),
        (-1, 3),
        (" 2 ", 2),
        ("0.25 µm", 0),
        ("0.6um", 1),
        ("500 nm", 1),
        ("1e-3 mm", 2),
        ("9 micron", 3),
        ("0.01 µm", 0),
        ("4000 px", 0),
        ("3999 px", 1),
        ("600 pixels", 3),
        ("10 px", 3),
    ],
)
def test_a_level_is_named_by_number_pixel_size_or_number_of_pixels(wanted: int | str, number: int) -> None:
    assert level_number(wanted, LEVELS, "a.zarr") == number


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (4, "a.zarr: level 4 does not exist; there are 0 to 3"),
        ("-5", "level -5 does not exist"),
        ("half", "'half': names no level"),
        ("3 s", "'3 s': names no level"),
        ("1.2.3 µm", "names no level"),
        ("1.2.3 px", "names no level"),
    ],
)
def test_what_is_no_level_is_said(wanted: int | str, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        level_number(wanted, LEVELS, "a.zarr")


def test_a_pixel_size_needs_a_known_one() -> None:
    with pytest.raises(ImageError, match=r"b\.zarr: does not state the size"):
        level_number("0.5 µm", [Level((10, 10))], "b.zarr")
