"""LIF files as Leica describes the format: no program but Leica's writes them. Bio-Formats reads these, too."""

import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError
from napari_unetseg.io import read_image
from napari_unetseg.io.microscope.lif import open_lif

DIMENSIONS = {"X": (1, "m"), "Y": (2, "m"), "Z": (3, "m"), "T": (4, "s"), "W": (5, "nm"), "M": (10, "")}


@dataclass
class Series:
    """A series as it is stored: C or S (samples) among its axes are its channels."""

    name: str
    array: NDArray[np.generic]
    axes: str
    extents: dict[str, float] = field(default_factory=dict)
    channels: Sequence[tuple[str, int]] = (("Green", 0),)
    dyes: Sequence[str] = ()

    def description(self, memory: str) -> str:
        strides = dict(zip(self.axes, self.array.strides, strict=True))
        lengths = dict(zip(self.axes, self.array.shape, strict=True))
        apart = strides.get("C", strides.get("S", 0))
        bits, is_float = 8 * self.array.itemsize, int(self.array.dtype.kind == "f")
        channels = "".join(
            f'<ChannelDescription DataType="{is_float}" ChannelTag="{tag}" Resolution="{bits}" '
            f'NameOfMeasuredQuantity="" Min="0" Max="255" Unit="" LUTName="{colour}" IsLUTInverted="0" '
            f'BytesInc="{number * apart}" BitInc="0">'
            + "".join(
                f"<ChannelProperty><Key>DyeName</Key><Value>{dye}</Value></ChannelProperty>"
                for dye in self.dyes[number : number + 1]
            )
            + "</ChannelDescription>"
            for number, (colour, tag) in enumerate(self.channels)
        )
        dimensions = "".join(
            f'<DimensionDescription DimID="{DIMENSIONS[axis][0]}" NumberOfElements="{lengths[axis]}" Origin="0" '
            f'Length="{self.extents.get(axis, 0)!r}" Unit="{DIMENSIONS[axis][1]}" BitInc="0" '
            f'BytesInc="{strides[axis]}"/>'
            for axis in sorted(set(self.axes) - set("CS"), key="XYZTWM".index)
        )
        return (
            f"<Element Name={quoteattr(self.name)} Visibility='1' UniqueID='{memory}'><Data><Image><ImageDescription>"
            f"<Channels>{channels}</Channels><Dimensions>{dimensions}</Dimensions></ImageDescription></Image></Data>"
            f"<Memory Size='{self.array.nbytes}' MemoryBlockID='{memory}'/></Element>"
        )


def write_lif(path: Path, series: Sequence[Series], folder: str | None = None) -> Path:
    inner = "".join(one.description(f"MemBlock_{number}") for number, one in enumerate(series))
    if folder is not None:
        inner = f"<Element Name={quoteattr(folder)}><Data/><Children>{inner}</Children></Element>"
    header = (
        '<LMSDataContainerHeader Version="2"><Element Name="project"><Data><Experiment Path=""/></Data>'
        f"<Memory Size='0' MemoryBlockID='MemBlock_project'/><Children>{inner}</Children></Element>"
        "</LMSDataContainerHeader>"
    ).encode("utf-16-le")
    with path.open("wb") as file:
        file.write(struct.pack("<IIBI", 0x70, len(header) + 5, 0x2A, len(header) // 2) + header)
        for number, one in enumerate(series):
            name = f"MemBlock_{number}".encode("utf-16-le")
            file.write(struct.pack("<IIBQBI", 0x70, len(name) + 14, 0x2A, one.array.nbytes, 0x2A, len(name) // 2))
            file.write(name + one.array.tobytes())
    return path


def write_lof(path: Path, series: Series) -> Path:
    """Write a series as an object file, its pixels before its description, and an XLIF file that describes it too."""
    name = "LMS_Object_File".encode("utf-16-le")
    element = series.description("MemBlock_1")
    header = f'<LMSDataContainerHeader Version="2">{element}</LMSDataContainerHeader>'.encode("utf-16-le")
    with path.open("wb") as file:
        file.write(struct.pack("<IIBI", 0x70, len(name) + 5, 0x2A, len(name) // 2) + name)
        file.write(struct.pack("<BIBI", 0x2A, 2, 0x2A, 0) + struct.pack("<BQ", 0x2A, series.array.nbytes))
        file.write(series.array.tobytes())
        file.write(struct.pack("<IIBI", 0x70, len(header) + 5, 0x2A, len(header) // 2) + header)
    block = f"<Block File='{path.name}' Offset='0' Size='{series.array.nbytes}' UUID='u'/>"
    element = element.replace("MemoryBlockID='MemBlock_1'/>", f"MemoryBlockID='MemBlock_1'>{block}</Memory>")
    described = f'<?xml version="1.0"?><LMSDataContainerHeader Version="2">{element}</LMSDataContainerHeader>'
    path.with_suffix(".xlif").write_text(described)
    return path


def write_project(path: Path, references: Sequence[str]) -> Path:
    children = "".join(f'<Reference File="{name}" UUID="u"/>' for name in references)
    path.write_text(
        '<?xml version="1.0"?><LMSDataContainerHeader Version="2"><Element Name="p" UniqueID="u"><Data>'
        f"<Experiment/></Data><Children>{children}</Children></Element></LMSDataContainerHeader>"
    )
    return path


def numbers(*shape: int, dtype: str = "<u2") -> NDArray[np.generic]:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def test_axes_sizes_and_names_are_those_of_the_series(tmp_path: Path) -> None:
    array = numbers(3, 2, 4, 10, 20)
    extents = {"X": 19 * 0.2e-6, "Y": 9 * 0.25e-6, "Z": 3 * 1.5e-6, "T": 60.0}
    series = Series("Series 1", array, "TCZYX", extents, (("Green", 0), ("Red", 0)), ("DAPI", ""))
    image = read_image(write_lif(tmp_path / "a.lif", [series]))
    assert (image.axes, image.channels, image.unit) == ("TZCYX", ("DAPI", "Red"), "micrometer")
    np.testing.assert_array_equal(image.array, array.transpose(0, 2, 1, 3, 4))
    assert image.scale == pytest.approx((0.25, 0.2))
    assert image.steps == {"Z": (pytest.approx(1.5), "micrometer"), "T": (30.0, "second")}


def test_each_series_of_a_folder_is_a_scene(tmp_path: Path) -> None:
    one, other = numbers(6, 7, dtype="u1"), numbers(8, 9)
    path = write_lif(tmp_path / "a.lif", [Series("A", one, "YX"), Series("A", other, "YX")], folder="Slide 1")
    with open_lif(path) as file:
        assert file.scene_names == ("Slide 1/A", "Slide 1/A (2)")
    np.testing.assert_array_equal(read_image(path / "0").array, one)
    np.testing.assert_array_equal(read_image(path / "1").array, other)
    with pytest.raises(ImageError, match="2 scenes"):
        read_image(path)


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1)], ids=["RGB", "BGR"])
def test_colours_are_red_green_and_blue_whatever_their_order_in_the_file(tmp_path: Path, order: Sequence[int]) -> None:
    array = numbers(5, 6, 3, dtype="u1")
    names = {1: "Red", 2: "Green", 3: "Blue"}
    series = Series("colours", array, "YXS", channels=[(names[tag], tag) for tag in order])
    image = read_image(write_lif(tmp_path / "a.lif", [series]))
    assert (image.axes, image.rgb, image.channels) == ("YXC", True, ())
    np.testing.assert_array_equal(image.array, array[..., np.argsort(order)])


def test_object_files_and_what_leads_to_them(tmp_path: Path) -> None:
    arrays = {"a": numbers(3, 5, 6), "b": numbers(2, 7, 8, dtype="u1")}
    for name, array in arrays.items():
        path = write_lof(tmp_path / f"{name}.lof", Series(f"Image {name}", array, "ZYX", {"X": 1e-6}))
        np.testing.assert_array_equal(read_image(path).array, array)
        np.testing.assert_array_equal(read_image(path.with_suffix(".xlif")).array, array)
    project = write_project(tmp_path / "p.xlef", ["a.xlif", "b.xlif"])
    np.testing.assert_array_equal(read_image(project / "Image b").array, arrays["b"])
    (tmp_path / "b.lof").rename(tmp_path / "elsewhere.lof")
    np.testing.assert_array_equal(read_image(project / "Image a").array, arrays["a"])
    with pytest.raises(ImageError, match=r"b\.lof: the pixels of Image b are not there"):
        read_image(project / "Image b")


def test_wavelengths_and_tiles_are_planes(tmp_path: Path) -> None:
    array = numbers(2, 3, 5, 6)
    image = read_image(write_lif(tmp_path / "a.lif", [Series("tiles", array, "MWYX")]))
    assert image.axes == "WMYX"
    np.testing.assert_array_equal(image.array, array.swapaxes(0, 1))
    assert "2 tiles" in image.remarks[0]
    assert read_image(tmp_path / "a.lif", axes="MCYX").axes == "MCYX"


def test_a_scan_along_x_and_z_is_a_plane(tmp_path: Path) -> None:
    array = numbers(5, 6)
    series = Series("xz", array, "ZX", {"X": 5e-6, "Z": 8e-6})
    image = read_image(write_lif(tmp_path / "a.lif", [series]))
    assert (image.axes, image.scale) == ("YX", (pytest.approx(2.0), pytest.approx(1.0)))
    np.testing.assert_array_equal(image.array, array)
    assert "X and Z" in image.remarks[0]


def test_floats_are_read_by_many_threads(tmp_path: Path) -> None:
    array = numbers(8, 3, 20, 30, dtype="<f4")
    path = write_lif(tmp_path / "a.lif", [Series("f", array, "TCYX", channels=[("a", 0), ("b", 0), ("c", 0)])])
    image = read_image(path)
    places = list(np.ndindex(8, 3)) * 5
    with ThreadPoolExecutor(8) as pool:
        planes = list(pool.map(lambda place: np.asarray(image.array[place]), places))
    for place, plane in zip(places, planes, strict=True):
        np.testing.assert_array_equal(plane, array[place])
    path.unlink()  # which Windows refuses while a file is open


def test_a_file_cut_short_is_told_where_it_ends(tmp_path: Path) -> None:
    series = [Series("whole", numbers(5, 6), "YX"), Series("cut", numbers(50, 60), "YX")]
    path = write_lif(tmp_path / "a.lif", series)
    path.write_bytes(path.read_bytes()[:-10])
    np.testing.assert_array_equal(read_image(path / "whole").array, series[0].array)
    with pytest.raises(ImageError, match=r"a\.lif.*is cut short"):
        read_image(path / "cut")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ImageError, match=r"a\.lif.*damaged"):
        read_image(path / "whole")


@pytest.mark.parametrize(
    ("found", "put"), [('NumberOfElements="6"', 'NumberOfElements="0"'), ('BytesInc="12"', 'BytesInc="-2"')]
)
def test_a_description_that_cannot_be_is_refused(tmp_path: Path, found: str, put: str) -> None:
    path = write_lif(tmp_path / "a.lif", [Series("s", numbers(5, 6), "YX")])
    text = path.read_bytes()
    assert found.encode("utf-16-le") in text
    path.write_bytes(text.replace(found.encode("utf-16-le"), put.encode("utf-16-le")))
    with pytest.raises(ImageError, match=r"a\.lif: s is damaged"):
        read_image(path)
