"""Sizes and names in LSM and STK files, in the form that Zeiss and MetaMorph describe; tifffile writes the rest.

The LSM files have three channels: tifffile looks for the bits of two elsewhere, as old files have them.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from napari_unetseg.io import read_image

LSM_INFO = 34412
_COLOURS_AT, _TIME_AT = 108, 112


def write_lsm(path: Path, array: NDArray[Any], names: list[str], *, size: float = 0.2e-6, time: float = 30.0) -> Path:
    """Write (T, Z, C, Y, X) as an LSM file does: after each plane its thumbnail, and offsets from the file's start."""
    times, planes, channels, rows, columns = array.shape
    info = struct.pack(
        "<Iiiiiiiiii", 50350412, 160, columns, rows, planes, channels, times, 1 if array.itemsize == 1 else 2, 4, 4
    )
    info += struct.pack("<6d", size, size * 1.25, size * 5, 0, 0, 0) + struct.pack("<HHI", 0 if times == 1 else 6, 0, 0)
    info += struct.pack("<IIII", 0, 0, 0, 0) + struct.pack("<d", time)
    info = info.ljust(160, b"\0")
    with tifffile.TiffWriter(path, byteorder="<") as file:
        for number, place in enumerate(np.ndindex(times, planes)):
            tags = [(LSM_INFO, 1, len(info), info, True)] if number == 0 else []
            plain: dict[str, Any] = {"metadata": None, "software": False, "planarconfig": "separate"}
            file.write(array[place], photometric="minisblack", extratags=tags, **plain)
            file.write(np.zeros((3, 4, 4), np.uint8), photometric="rgb", subfiletype=1, **plain)
    content = bytearray(path.read_bytes())
    at = content.index(info)
    said = b"".join(struct.pack("<I", len(name) + 1) + name.encode() + b"\0" for name in names)
    colours = struct.pack("<6I", 24 + 4 * len(names) + len(said), len(names), len(names), 24, 24 + 4 * len(names), 0)
    content[at + _COLOURS_AT : at + _COLOURS_AT + 4] = struct.pack("<I", len(content))
    path.write_bytes(bytes(content) + colours + bytes(4 * len(names)) + said)
    return path


def test_names_sizes_and_times_of_an_lsm_file(tmp_path: Path) -> None:
    array = np.arange(2 * 3 * 3 * 12 * 16, dtype="<u2").reshape(2, 3, 3, 12, 16)
    image = read_image(write_lsm(tmp_path / "a.lsm", array, ["Ch1-T1", "Ch2-T2", "ChD"]))
    assert (image.axes, image.channels) == ("TZCYX", ("Ch1-T1", "Ch2-T2", "ChD"))
    assert (image.scale, image.unit) == (pytest.approx((0.25, 0.2)), "micrometer")
    assert image.steps == {"Z": (pytest.approx(1.0), "micrometer"), "T": (30.0, "second")}
    np.testing.assert_array_equal(image.array, array)


def test_a_size_of_nothing_is_none(tmp_path: Path) -> None:
    array = np.arange(3 * 3 * 12 * 16).astype("u1").reshape(1, 3, 3, 12, 16)
    image = read_image(write_lsm(tmp_path / "a.lsm", array, ["a", "b", "c"], size=0, time=0))
    assert (image.axes, image.scale, dict(image.steps), image.remarks) == ("ZCYX", None, {}, ())


def write_stk(path: Path, array: NDArray[Any], *, apart: int = 0, times: list[int] | None = None) -> Path:
    """Write planes of which only the first has tags, which say how many there are."""
    n = len(array)
    planes = [(apart, 1, 2460000, (times or [0] * n)[number], 0, 0) for number in range(n)]
    uic2 = b"".join(struct.pack("<6I", *plane) for plane in planes)
    # Room for where the values lie, which is filled in below.
    parts = [part for plane in planes for part in plane]
    tags = [(33628, 4, 4, [0] * 4, True), (33629, 5, n, parts[: 2 * n], True)]
    tifffile.imwrite(path, array[0], byteorder="<", rowsperstrip=len(array[0]), metadata=None, extratags=tags)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        values = {tag.code: tag.offset + 8 for tag in page.tags if tag.code in (33628, 33629)}
        first, strips = page.dataoffsets[0], page.tags["StripOffsets"].valueoffset
    end = len(content)
    content += array.tobytes()
    content[strips : strips + 4] = struct.pack("<I", end)
    assert first < end
    places = {}
    for name, value in (("x", struct.pack("<II", 1, 5)), ("y", struct.pack("<II", 1, 4)), ("unit", b"\x03\0\0\0um")):
        places[name] = len(content)
        content += value.ljust(8, b"\0")
    for code, value in (
        (33628, struct.pack("<8I", 3, 1, 4, places["x"], 5, places["y"], 6, places["unit"])),
        (33629, uic2),
    ):
        content[values[code] : values[code] + 4] = struct.pack("<I", len(content))
        content += value
    path.write_bytes(bytes(content))
    return path


@pytest.mark.parametrize(
    ("said", "axes", "steps"),
    [
        ({"apart": 2}, "ZYX", {"Z": (2.0, "micrometer")}),
        ({"times": [0, 500, 1000]}, "TYX", {"T": (500.0, "millisecond")}),
    ],
)
def test_sizes_and_times_of_an_stk_file(tmp_path: Path, said: Any, axes: str, steps: Any) -> None:
    array = np.arange(3 * 12 * 16, dtype="<u2").reshape(3, 12, 16)
    image = read_image(write_stk(tmp_path / "a.stk", array, **said))
    assert (image.axes, image.scale, image.unit, image.steps) == (axes, (0.25, 0.2), "micrometer", steps)
    np.testing.assert_array_equal(image.array, array)
