"""Which wells and fields a plate of OME-Zarr has."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from tests.io.ome_zarr.foreign_writers import axes_of, multiscale, write_image, write_plate

from napari_unetseg.errors import ImageError
from napari_unetseg.io import read_image
from napari_unetseg.io.ome_zarr.plate_layout import is_plate, open_plate, well_name

PIXELS = [np.full((8, 8), value, np.uint8) for value in range(4)]
WELLS = {"B/2": PIXELS[:2], "A/1": PIXELS[2:3], "A/3": PIXELS[3:]}


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_wells_and_their_fields_are_found_by_rows(tmp_path: Path, zarr_format: int) -> None:
    write_plate(tmp_path / "p.zarr", WELLS, zarr_format=zarr_format)
    plate = open_plate(tmp_path / "p.zarr")
    assert (plate.name, plate.rows, plate.columns) == ("screen", ("A", "B"), ("1", "2", "3"))
    assert [(well.name, well.place, len(well.fields)) for well in plate.wells] == [
        ("A01", (0, 0), 1),
        ("A03", (0, 2), 1),
        ("B02", (1, 1), 2),
    ]
    assert (plate.acquisitions, plate.missing) == (((0, "first"),), ())
    field = plate.wells[2].fields[1]
    assert (field.name, field.acquisition) == ("1", 0)
    image = read_image(field.path)
    assert (image.name, image.scale) == ("p.zarr/B/2/1", (0.5, 0.5))
    np.testing.assert_array_equal(image.array, PIXELS[1])


def test_a_plate_may_lie_in_an_archive(tmp_path: Path) -> None:
    write_plate(tmp_path / "p.zarr", WELLS)
    archive = shutil.make_archive(str(tmp_path / "p.zarr"), "zip", tmp_path / "p.zarr")
    plate = open_plate(archive)
    assert plate.wells[0].fields[0].path == f"{archive}/A/1/0"
    np.testing.assert_array_equal(read_image(plate.wells[0].fields[0].path).array, PIXELS[2])


def test_what_is_missing_of_a_plate_is_said_and_the_rest_is_there(tmp_path: Path) -> None:
    write_plate(tmp_path / "p.zarr", WELLS)
    shutil.rmtree(tmp_path / "p.zarr" / "A" / "1")
    shutil.rmtree(tmp_path / "p.zarr" / "B" / "2" / "0")
    plate = open_plate(tmp_path / "p.zarr")
    assert [[field.name for field in well.fields] for well in plate.wells] == [[], ["0"], ["1"]]
    assert "the well A/1 is missing" in plate.missing[0]
    assert "B/2: the field 0 is missing" in plate.missing[1]


def test_wells_are_placed_by_their_path_where_nothing_else_is_said(tmp_path: Path) -> None:
    group = write_plate(tmp_path / "p.zarr", WELLS)
    group.attrs.put({"plate": {"wells": [{"path": well} for well in WELLS], "acquisitions": None}})
    plate = open_plate(tmp_path / "p.zarr")
    assert (plate.name, plate.rows, plate.columns) == ("p", ("A", "B"), ("1", "2", "3"))
    assert [well.name for well in plate.wells] == ["A01", "A03", "B02"]


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ((), ["A01", "A03", "B02"]),
        (("a1",), ["A01"]),
        (("A*", "B/2"), ["A01", "A03", "B02"]),
        (("*3", " "), ["A03"]),
        (("?02",), ["B02"]),
    ],
)
def test_wells_are_chosen_by_patterns(tmp_path: Path, patterns: tuple[str, ...], names: list[str]) -> None:
    write_plate(tmp_path / "p.zarr", WELLS)
    assert [well.name for well in open_plate(tmp_path / "p.zarr").chosen(patterns)] == names


def test_a_pattern_that_names_no_well_is_said(tmp_path: Path) -> None:
    write_plate(tmp_path / "p.zarr", WELLS)
    with pytest.raises(ImageError, match="no well is named C4; there are A01 to B02"):
        open_plate(tmp_path / "p.zarr").chosen(["A1", "C4"])


@pytest.mark.parametrize(
    ("text", "name"), [("b3", "B03"), ("B-03", "B03"), ("AA/12", "AA12"), (" H 1 ", "H01"), ("x", None), ("3B", None)]
)
def test_a_well_has_one_name_however_it_is_written(text: str, name: str | None) -> None:
    assert well_name(text) == name


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        (None, "is no plate"),
        ({"wells": []}, "is a plate without wells"),
        ({"rows": []}, r"plate\.wells: Field required"),
        ({"wells": [{"path": "A"}]}, "'A' names no row and column"),
        ({"wells": [{"rowIndex": 0}]}, r"plate\.wells\.0\.path: Field required"),
    ],
)
def test_what_is_no_plate_is_said(tmp_path: Path, stated: Any, said: str) -> None:
    group = zarr.open_group(tmp_path / "p.zarr", mode="w", zarr_format=2)
    group.attrs.update({} if stated is None else {"plate": stated})
    assert is_plate(tmp_path / "p.zarr") == (stated is not None)
    with pytest.raises(ImageError, match=said):
        open_plate(tmp_path / "p.zarr")


def test_an_image_is_no_plate(tmp_path: Path) -> None:
    write_image(tmp_path / "a.zarr", PIXELS[0], multiscale(axes_of("yx"), 1, [1, 1]))
    assert not is_plate(tmp_path / "a.zarr")
    assert not is_plate(tmp_path / "missing.tif")
