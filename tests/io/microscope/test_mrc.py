"""MRC files as mrcfile writes them, the reference library of the format."""

from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError
from napari_unetseg.io import read_image


def write_mrc(path: Path, array: NDArray[Any], *, size: Any = None, **header: Any) -> Path:
    with mrcfile.new(path) as file:
        file.set_data(array)
        if size is not None:
            file.voxel_size = size
        for name, value in header.items():
            file.header[name] = value
    return path


def numbers(*shape: int, dtype: str = "<i2") -> NDArray[Any]:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def test_a_volume_has_its_voxels_in_angstrom(tmp_path: Path) -> None:
    array = numbers(3, 5, 7)
    image = read_image(write_mrc(tmp_path / "a.mrc", array, size=(10.0, 11.0, 12.0)))
    assert (image.axes, image.scale, image.unit) == ("ZYX", (11.0, 10.0), "angstrom")
    assert image.steps == {"Z": (12.0, "angstrom")}
    np.testing.assert_array_equal(image.array, array)


def test_rows_are_in_the_order_in_which_mrcfile_has_them(tmp_path: Path) -> None:
    path = write_mrc(tmp_path / "a.mrc", numbers(5, 7))
    with mrcfile.open(path) as file:
        np.testing.assert_array_equal(read_image(path).array, file.data)


def test_images_of_a_stack_are_no_volume(tmp_path: Path) -> None:
    with mrcfile.new(tmp_path / "a.mrcs") as file:
        file.set_data(numbers(3, 5, 7))
        file.set_image_stack()
        file.voxel_size = 2.0
    image = read_image(tmp_path / "a.mrcs")
    assert (image.axes, image.scale, dict(image.steps)) == ("NYX", (2.0, 2.0), {})


def test_what_tomography_programs_write_is_a_volume(tmp_path: Path) -> None:
    assert read_image(write_mrc(tmp_path / "a.rec", numbers(3, 5, 7), ispg=0)).axes == "ZYX"


def test_several_volumes_are_counted_before_their_planes(tmp_path: Path) -> None:
    array = numbers(2, 3, 5, 7)
    image = read_image(write_mrc(tmp_path / "a.mrc", array))
    assert image.axes == "NZYX"
    np.testing.assert_array_equal(image.array, array)


def test_turned_axes_are_turned_back(tmp_path: Path) -> None:
    array = numbers(3, 5, 7)
    image = read_image(write_mrc(tmp_path / "a.mrc", array, mapc=3, mapr=1, maps=2))
    # Columns are Z, rows X and sections Y.
    assert image.axes == "ZYX"
    np.testing.assert_array_equal(image.array, array.transpose(2, 0, 1))


@pytest.mark.parametrize("dtype", ["i1", "<i2", "<u2", "<f4", "<f2", ">i2", ">f4"])
def test_numbers_of_every_kind(tmp_path: Path, dtype: str) -> None:
    array = numbers(5, 7, dtype=dtype)
    image = read_image(write_mrc(tmp_path / "a.mrc", array))
    np.testing.assert_array_equal(image.array, array)
    assert image.array.dtype.isnative


def imod(flags: int) -> np.void:
    extra = np.zeros(84, np.uint8)
    extra[40:48] = np.array([1146047817, flags], "<i4").view(np.uint8)
    return np.void(extra.tobytes())


@pytest.mark.parametrize(
    ("header", "signed"),
    [
        ({}, True),
        ({"dmin": 0, "dmax": 200}, False),
        ({"dmin": 0, "dmax": 200, "extra2": imod(1)}, True),
        ({"dmin": -3, "dmax": 100, "extra2": imod(0)}, False),
    ],
)
def test_bytes_are_signed_unless_the_header_says_otherwise(
    tmp_path: Path, header: dict[str, Any], signed: bool
) -> None:
    stored = np.array([[-128, -1], [0, 127]], np.int8)
    image = read_image(write_mrc(tmp_path / "a.mrc", stored, **header))
    np.testing.assert_array_equal(image.array, stored if signed else stored.view(np.uint8))


def test_complex_numbers_are_no_image(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"a\.mrc: holds complex numbers"):
        read_image(write_mrc(tmp_path / "a.mrc", np.ones((5, 7), np.complex64)))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = write_mrc(tmp_path / "a.mrc", numbers(3, 5, 7))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(ImageError, match=r"a\.mrc: is cut short: 1233 bytes are there, and its pixels end at 1234"):
        read_image(path)
    path.write_bytes(whole[:100])
    with pytest.raises(ImageError, match=r"a\.mrc: cannot be read"):
        read_image(path)
    path.write_bytes(whole[:208] + b"none" + whole[212:])
    with pytest.raises(ImageError, match=r"a\.mrc: cannot be read"):
        read_image(path)


def test_a_file_packed_as_a_whole_is_refused(tmp_path: Path) -> None:
    with mrcfile.new(tmp_path / "a.mrc", compression="gzip") as file:
        file.set_data(numbers(5, 7))
    with pytest.raises(ImageError, match="unpack it first"):
        read_image(tmp_path / "a.mrc")


@pytest.mark.parametrize("at", [0, 4, 8])
def test_header_without_pixels_is_refused(tmp_path: Path, at: int) -> None:
    path = tmp_path / "a.mrc"
    with mrcfile.new(path) as file:
        file.set_data(np.ones((2, 3, 4), np.uint16))
    data = bytearray(path.read_bytes())
    data[at : at + 4] = bytes(4)
    path.write_bytes(data)
    with pytest.raises(ImageError, match="no pixels"):
        read_image(path)
