"""DICOM files as pydicom writes them, and those of many other programs that are shipped with it."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid

from napari_unetseg.errors import ImageError
from napari_unetseg.io import read_image

_WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"


def shipped(name: str) -> str:
    """Return a file that comes with pydicom."""
    return str(get_testdata_file(name, download=False))


def dataset(array: NDArray[Any], kind: str = "MONOCHROME2", **said: Any) -> pydicom.Dataset:
    """Return frames (N, Y, X) or (N, Y, X, 3), or one (Y, X), as pydicom takes them."""
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = said.pop("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7.2"), generate_uid()
    colours = kind in ("RGB", "YBR_FULL")
    frames = array.reshape(-1, *(array.shape[-3:] if colours else array.shape[-2:]))
    data.NumberOfFrames, data.Rows, data.Columns = frames.shape[:3]
    data.SamplesPerPixel, data.PhotometricInterpretation = 3 if colours else 1, kind
    if colours:
        data.PlanarConfiguration = 0
    data.BitsAllocated = 8 * array.itemsize
    data.BitsStored = said.pop("BitsStored", data.BitsAllocated)
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(array.dtype.kind == "i")
    data.PixelData = array.tobytes()
    for name, value in said.items():
        setattr(data, name, value)
    return data


def sequence(**said: Any) -> pydicom.Dataset:
    """Return an item of a sequence."""
    item = pydicom.Dataset()
    for name, value in said.items():
        setattr(item, name, value)
    return item


def written(path: Path, data: pydicom.Dataset) -> Path:
    data.save_as(path, enforce_file_format=True)
    return path


def numbers(*shape: int, dtype: str = "<u2") -> NDArray[Any]:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def test_size_of_pixels_is_along_rows_and_columns(tmp_path: Path) -> None:
    array = numbers(6, 8)
    # Between rows first.
    image = read_image(written(tmp_path / "a.dcm", dataset(array, PixelSpacing=[0.5, 0.25])))
    assert (image.axes, image.scale, image.unit) == ("YX", (0.5, 0.25), "millimeter")
    np.testing.assert_array_equal(image.array, array)


def test_fine_pixels_are_given_in_micrometres(tmp_path: Path) -> None:
    said = dataset(numbers(4, 6, 8), PixelSpacing=[0.0005, 0.00025], SpacingBetweenSlices=0.002)
    image = read_image(written(tmp_path / "a.dcm", said))
    assert (image.axes, image.scale, image.unit) == ("ZYX", (0.5, 0.25), "micrometer")
    assert image.steps == {"Z": (2.0, "micrometer")}


def test_frames_are_planes_of_what_the_file_says(tmp_path: Path) -> None:
    array = numbers(4, 6, 8)
    movie = read_image(written(tmp_path / "t.dcm", dataset(array, FrameTime=250)))
    assert (movie.axes, dict(movie.steps)) == ("TYX", {"T": (0.25, "second")})
    np.testing.assert_array_equal(movie.array[2], array[2])
    assert read_image(written(tmp_path / "n.dcm", dataset(array))).axes == "NYX"


def test_inverted_greys_are_turned_round(tmp_path: Path) -> None:
    array = numbers(6, 8)
    image = read_image(written(tmp_path / "a.dcm", dataset(array, "MONOCHROME1", BitsStored=12)))
    np.testing.assert_array_equal(image.array, 4095 - array)
    signed = read_image(written(tmp_path / "b.dcm", dataset(array.astype("<i2"), "MONOCHROME1")))
    np.testing.assert_array_equal(signed.array, -1 - array.astype(np.int16))


def test_stored_numbers_are_kept_and_what_they_mean_is_told(tmp_path: Path) -> None:
    array = numbers(6, 8)
    image = read_image(written(tmp_path / "a.dcm", dataset(array, RescaleSlope=2, RescaleIntercept=-1024)))
    np.testing.assert_array_equal(image.array, array)
    assert "2 times these, and -1024" in image.remarks[0]


@pytest.mark.parametrize(
    ("name", "axes", "dtype"),
    [
        ("MR_small_RLE.dcm", "YX", "int16"),
        ("MR_small_bigendian.dcm", "YX", "int16"),
        ("MR_small_implicit.dcm", "YX", "int16"),
        ("MR_small_jp2klossless.dcm", "YX", "int16"),
        ("image_dfl.dcm", "YX", "uint8"),
        ("SC_rgb_rle_2frame.dcm", "NYXC", "uint8"),
        ("SC_ybr_full_422_uncompressed.dcm", "YXC", "uint8"),
        ("SC_rgb_jpeg_dcmtk.dcm", "YXC", "uint8"),
        ("examples_palette.dcm", "YXC", "uint8"),
    ],
)
def test_files_of_other_programs(name: str, axes: str, dtype: str) -> None:
    image = read_image(shipped(name))
    assert (image.axes, image.array.dtype, image.rgb) == (axes, np.dtype(dtype), "C" in axes)
    if name.startswith("MR_small"):
        np.testing.assert_array_equal(image.array, read_image(shipped("MR_small.dcm")).array)
    if name == "SC_rgb_rle_2frame.dcm":
        # What the bars of the test picture are: red comes first.
        assert np.asarray(image.array[0])[5, 50].tolist() == [255, 0, 0]
        np.testing.assert_array_equal(np.asarray(image.array[1]), 255 - np.asarray(image.array[0]))


@pytest.mark.parametrize("channels", [1, 2])
def test_the_tiles_of_a_slide_are_put_together(tmp_path: Path, channels: int) -> None:
    slide = numbers(channels, 25, 37)
    padded = np.pad(slide, ((0, 0), (0, 7), (0, 11)))
    tiles = padded.reshape(channels, 2, 16, 3, 16).swapaxes(2, 3).reshape(-1, 16, 16)
    group = sequence(PixelMeasuresSequence=[sequence(PixelSpacing=[0.0005, 0.0005], SliceThickness=0.001)])
    said = dataset(
        tiles,
        SOPClassUID=_WHOLE_SLIDE,
        TotalPixelMatrixRows=25,
        TotalPixelMatrixColumns=37,
        NumberOfOpticalPaths=channels,
        DimensionOrganizationType="TILED_FULL",
        SharedFunctionalGroupsSequence=[group],
    )
    image = read_image(written(tmp_path / "a.dcm", said))
    assert (image.axes, image.scale, image.unit) == ("CYX" if channels > 1 else "YX", (0.5, 0.5), "micrometer")
    np.testing.assert_array_equal(image.array, slide.squeeze())
    np.testing.assert_array_equal(np.asarray(image.array[..., 10:20, 15:35]), slide.squeeze()[..., 10:20, 15:35])
    said.NumberOfFrames -= 1
    with pytest.raises(ImageError, match="do not lie in rows and columns"):
        read_image(written(tmp_path / "b.dcm", said))


def test_tiles_of_a_slide_lie_where_the_file_says(tmp_path: Path) -> None:
    tiles = numbers(5, 16, 16)
    # Of two channels and 32 x 32 pixels, in no order; the other tiles are missing.
    places = [("b", 17, 1), ("a", 1, 17), ("b", 1, 1), ("a", 17, 17), ("a", 1, 1)]
    said = dataset(tiles, SOPClassUID=_WHOLE_SLIDE, TotalPixelMatrixRows=32, TotalPixelMatrixColumns=30)
    said.DimensionOrganizationType = "TILED_SPARSE"
    said.OpticalPathSequence = [
        sequence(OpticalPathIdentifier=name, OpticalPathDescription=dye) for name, dye in (("a", "DAPI"), ("b", "GFP"))
    ]
    said.PerFrameFunctionalGroupsSequence = [
        sequence(
            PlanePositionSlideSequence=[
                sequence(RowPositionInTotalImagePixelMatrix=row, ColumnPositionInTotalImagePixelMatrix=column)
            ],
            OpticalPathIdentificationSequence=[sequence(OpticalPathIdentifier=name)],
        )
        for name, row, column in places
    ]
    image = read_image(written(tmp_path / "a.dcm", said))
    expected = np.zeros((2, 32, 32), np.uint16)
    for (name, row, column), tile in zip(places, tiles, strict=True):
        expected["ab".index(name), row - 1 : row + 15, column - 1 : column + 15] = tile
    assert (image.axes, image.channels) == ("CYX", ("DAPI", "GFP"))
    np.testing.assert_array_equal(image.array, expected[:, :, :30])
    said.PerFrameFunctionalGroupsSequence[0].PlanePositionSlideSequence[0].RowPositionInTotalImagePixelMatrix = 3
    with pytest.raises(ImageError, match="do not lie in rows and columns"):
        read_image(written(tmp_path / "b.dcm", said))


def test_a_file_cut_short_is_named() -> None:
    with pytest.raises(ImageError, match=r"MR_truncated\.dcm: is cut short: 9630 bytes"):
        read_image(shipped("MR_truncated.dcm"))


def test_a_packed_file_cut_short_is_named(tmp_path: Path) -> None:
    said = dataset(np.random.default_rng(0).integers(0, 255, (3, 40, 40), np.uint8))
    said.compress(RLELossless)
    path = written(tmp_path / "a.dcm", said)
    path.write_bytes(path.read_bytes()[:-2000])
    image = read_image(path)
    assert np.asarray(image.array[0]).shape == (40, 40)
    with pytest.raises(ImageError, match=r"a\.dcm: frame 2 cannot be read .*Copy the file again"):
        np.asarray(image.array[2])


def test_what_holds_no_image_is_told() -> None:
    with pytest.raises(ImageError, match=r"rtplan\.dcm: is a DICOM file without an image"):
        read_image(shipped("rtplan.dcm"))
    with pytest.raises(ImageError, match=r"no_meta\.dcm: cannot be read"):
        read_image(shipped("no_meta.dcm"))


def test_a_package_that_a_compression_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.pixels.decoders.base import Decoder

    monkeypatch.setattr(Decoder, "is_available", property(lambda _: False))
    with pytest.raises(ImageError, match=r'JPEG-LS Lossless.*pip install "pylibjpeg\[all\]"'):
        read_image(shipped("MR_small_jpeg_ls_lossless.dcm"))
