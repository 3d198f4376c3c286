"""OIF files, with settings as FluoView's are described and planes that tifffile writes; and OIB files."""

import gc
import struct
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import tifffile
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError
from napari_unetseg.io import read_image

ARRAY = np.arange(2 * 3 * 2 * 10 * 12).reshape(2, 3, 2, 10, 12).astype("<u2")


def settings(array: NDArray[Any]) -> bytes:
    """Return the main settings of a file of (T, Z, C, Y, X)."""
    times, planes, channels, rows, columns = array.shape
    axes = {
        "X": (columns, 0, 0, "um"),
        "Y": (rows, 0, 0, "um"),
        "C": (channels, 0, 0, ""),
        # Down, as a stage moves, and in nanometres.
        "Z": (planes, 4000, 4000 - 1500 * (planes - 1), "nm"),
        "T": (times, 0, 30000 * (times - 1), "ms"),
    }
    lines = [
        "[ProfileSaveInfo]",
        'Name="FV10 OIF"',
        'Version="1.2.6.0"',
        "[Axis Parameter Common]",
        'AxisOrder="XYCZT"',
    ]
    for number in range(9):
        code, (length, start, end, unit) = dict(enumerate(axes.items())).get(number, ("", (0, 0, 0, "")))
        lines += [f"[Axis {number} Parameters Common]", f'AxisCode="{code}"', f"MaxSize={length}"]
        lines += [f"StartPosition={start}", f"EndPosition={end}", f'UnitName="{unit}"']
    for number, (dye, active) in enumerate([("DAPI", 1), ("Cy3", 0), ("GFP", 1)], 1):
        lines += [f"[GUI Channel {number} Parameters]", f'DyeName="{dye}"', f"CH Activate={active}"]
        lines += [f'CH Name="CHS{number}"']
    lines += ["[Reference Image Parameter]", "ValidBitCounts=12", "ImageDepth=2", "WidthConvertValue=0.2"]
    lines += ['WidthUnit="um"', "HeightConvertValue=0.25", 'HeightUnit="um"']
    return b"\xff\xfe" + "\r\n".join(lines).encode("utf-16-le")


def planes(array: NDArray[Any]) -> dict[str, bytes]:
    found = {}
    for time, plane, channel in np.ndindex(array.shape[:3]):
        file = BytesIO()
        tifffile.imwrite(file, array[time, plane, channel])
        found[f"s_C{channel + 1:03}Z{plane + 1:03}T{time + 1:03}.tif"] = file.getvalue()
    # A picture taken for reference is no plane.
    found["s_C001-R001.tif"] = found["s_C001Z001T001.tif"]
    return found


def write_oif(path: Path, array: NDArray[Any]) -> Path:
    folder = path.with_name(f"{path.name}.files")
    folder.mkdir()
    for name, content in planes(array).items():
        (folder / name).write_bytes(content)
    path.write_bytes(settings(array))
    return path


def write_oib(path: Path, array: NDArray[Any]) -> Path:
    """Write an OIB file: a compound document, whose streams are what the folder of an OIF file holds."""
    streams = {"Stream00000": settings(array)}
    info = ["[OibSaveInfo]", 'Name="FV10 OIB"', "MainFileName=Stream00000", "Stream00000=a.oif"]
    info += ["Storage00001=a.oif.files"]
    for number, (name, content) in enumerate(planes(array).items(), 1):
        info.append(f"Stream{number:05}=Storage00001/{name}")
        streams[f"Stream{number:05}"] = content
    streams["OibInfo.txt"] = b"\xff\xfe" + "\r\n".join(info).encode("utf-16-le")
    path.write_bytes(compound(streams))
    return path


def compound(streams: dict[str, bytes]) -> bytes:
    """Lay streams down as [MS-CFB] says: sectors of 512 bytes, chained by a table, and a directory of names."""
    sector, end, free, no_entry = 512, 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFF
    body, table, entries = b"", [], []

    def store(content: bytes) -> int:
        nonlocal body
        first = len(table)
        number = max(-(-len(content) // sector), 1)
        table.extend([*range(first + 1, first + number), end])
        body += content.ljust(number * sector, b"\0")
        return first

    def entry(name: str, kind: int, child: int, right: int, start: int, size: int) -> bytes:
        said = (name + "\0").encode("utf-16-le")
        head = said.ljust(64, b"\0") + struct.pack("<HBBIII", len(said), kind, 1, no_entry, right, child)
        return head + bytes(16 + 4 + 16) + struct.pack("<IQ", start, size)

    # Streams below 4,096 bytes would go elsewhere; zeros after a TIFF and spaces after text disturb neither.
    padded = {}
    for name, content in streams.items():
        filler = b"\0\0" if content.startswith(b"II") else b" \0"
        padded[name] = content + filler * max(0, (4096 - len(content)) // 2)
    names = sorted(padded, key=lambda name: (len(name), name.upper()))
    entries.append(entry("Root Entry", 5, 1, no_entry, end, 0))
    for number, name in enumerate(names, 1):
        right = number + 1 if number < len(names) else no_entry
        entries.append(entry(name, 2, no_entry, right, store(padded[name]), len(padded[name])))
    directory = store(b"".join(entries).ljust(-(-len(entries) // 4) * sector, b"\0"))
    first, number = len(table), 0
    while (len(table) + number) * 4 > number * sector:
        number += 1
    table.extend([0xFFFFFFFD] * number)
    body += b"".join(struct.pack("<I", at) for at in table).ljust(number * sector, b"\xff")
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
    header += bytes(6) + struct.pack("<IIIIIIIII", 0, number, directory, 0, 4096, end, 0, end, 0)
    return header + struct.pack("<109I", *range(first, first + number), *[free] * (109 - number)) + body


@pytest.mark.parametrize("suffix", [".oif", ".oib"])
def test_axes_sizes_and_names_are_those_of_the_settings(tmp_path: Path, suffix: str) -> None:
    image = read_image((write_oif if suffix == ".oif" else write_oib)(tmp_path / f"a{suffix}", ARRAY))
    assert (image.axes, image.channels) == ("TZCYX", ("DAPI", "GFP"))
    assert (image.scale, image.unit) == ((0.25, 0.2), "micrometer")
    assert image.steps == {"Z": (1.5, "micrometer"), "T": (30.0, "second")}
    np.testing.assert_array_equal(image.array, ARRAY)
    assert not image.remarks


def test_many_threads_read_planes_of_one_open_file(tmp_path: Path) -> None:
    image = read_image(write_oib(tmp_path / "a.oib", ARRAY))
    places = list(np.ndindex(ARRAY.shape[:3])) * 4
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda place: np.asarray(image.array[place]), places))
    for place, plane in zip(places, found, strict=True):
        np.testing.assert_array_equal(plane, ARRAY[place])


def test_the_file_is_closed_once_nobody_needs_it(tmp_path: Path) -> None:
    path = write_oib(tmp_path / "a.oib", ARRAY)
    plane = read_image(path).array[0, 0]
    gc.collect()
    assert str(path) in [file.path for file in psutil.Process().open_files()]
    np.testing.assert_array_equal(plane, ARRAY[0, 0])
    del plane
    gc.collect()
    assert str(path) not in [file.path for file in psutil.Process().open_files()]


def test_one_plane_is_an_image(tmp_path: Path) -> None:
    image = read_image(write_oif(tmp_path / "a.oif", ARRAY[:1, :1, :1]))
    assert image.axes == "YX"
    np.testing.assert_array_equal(image.array, ARRAY[0, 0, 0])


def test_a_missing_plane_is_told_before_it_is_needed(tmp_path: Path) -> None:
    path = write_oif(tmp_path / "a.oif", ARRAY)
    (tmp_path / "a.oif.files" / "s_C001Z002T001.tif").unlink()
    image = read_image(path)
    assert "1 of its 12 planes are missing" in image.remarks[0]
    np.testing.assert_array_equal(image.array[0, 0], ARRAY[0, 0])
    with pytest.raises(ImageError, match=r"a\.oif: the plane at C = 0, T = 0, Z = 1 is missing"):
        np.asarray(image.array[0, 1, 0])


def test_a_damaged_plane_is_told_when_it_is_read(tmp_path: Path) -> None:
    image = read_image(write_oif(tmp_path / "a.oif", ARRAY))
    plane = tmp_path / "a.oif.files" / "s_C002Z003T002.tif"
    plane.write_bytes(plane.read_bytes()[:300])
    with pytest.raises(ImageError, match=r"a\.oif: cannot be read"):
        np.asarray(image.array)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = write_oib(tmp_path / "a.oib", ARRAY)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ImageError, match=r"a\.oib: cannot be read"):
        read_image(path)
    alone = tmp_path / "b.oif"
    alone.write_bytes(settings(ARRAY))
    with pytest.raises(ImageError, match=r"b\.oif.*keep the folder b\.oif\.files"):
        read_image(alone)
