"""Leica's LIF, LOF, XLIF and XLEF files: liffile finds series and pixels, which are read where the file says they lie.

Each series says how far apart its pixels, rows, planes and channels lie. So no file stays open, and whatever order a
microscope scanned in, no plane is read that nobody asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
from liffile import LifFile
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError
from napari_unetseg.io.axis_order import FREE_LETTERS
from napari_unetseg.io.microscope.kept_scenes import KeptScenes, refuse_cut_file
from napari_unetseg.io.microscope.scene import Scene
from napari_unetseg.io.physical_size import Step, known_size, length
from napari_unetseg.language import Sentence
from napari_unetseg.lazy_array import LazyArray

# Leica's numbers of axes. W and E are wavelengths of emission and excitation, A is a rotation, M are tiles of a
# mosaic, L is a loop; N and Q are slices of a scan along time.
_LETTERS = {1: "X", 2: "Y", 3: "Z", 4: "T", 5: "W", 6: "A", 7: "N", 8: "Q", 9: "E", 10: "M", 11: "L"}
# In which order planes are counted; all others come before.
_ORDER = "MTZ"
_DIMENSIONS = "./Data/Image/ImageDescription/Dimensions/DimensionDescription"
_CHANNELS = "./Data/Image/ImageDescription/Channels/ChannelDescription"
# Leica's numbers of red, green and blue.
_COLOURS = (1, 2, 3)


@dataclass(frozen=True)
class _Series:
    """One image: what is said of it, and where its pixels lie, which is nowhere if they are in no Leica file."""

    name: str
    element: Element
    path: Path
    start: int | None
    size: int


@dataclass(frozen=True)
class _Axis:
    """An axis as the file describes it: `stride` is in bytes, `extent` from the first place to the last in `unit`."""

    letter: str
    places: int
    stride: int
    extent: float
    unit: str

    @property
    def step(self) -> float | None:
        return length(self.extent / (self.places - 1)) if self.places > 1 else None


def open_lif(path: Path) -> KeptScenes:
    """Open a LIF or LOF file, or the XLIF or XLEF file that leads to LOF files.

    Series are called by their folders and their name, as in ``"Slide 1/Series 3"``. Pixel sizes are in micrometres.

    Raises
    ------
    Exception
        Whatever liffile raises where the file is damaged.
    """
    with LifFile(path, squeeze=False) as file:
        found = list(_series_of(file, ""))

    def read(number: int, name: str) -> Scene:
        return _scene(found[number], name)

    return KeptScenes([series.name for series in found], read)


def _series_of(file: LifFile, folder: str) -> Iterator[_Series]:
    kind = file.type.name
    if kind in ("XLEF", "XLCF"):
        inner = f"{folder}{file.name}/" if kind == "XLCF" else folder
        for child in file.children:
            yield from _series_of(child, inner)
        return
    for element in file.xml_element.findall("./Element"):
        if element.find("./Data/Image") is not None:
            yield _series(file, element, folder + element.get("Name", ""))
        yield from _inner_series(file, element, folder)


def _inner_series(file: LifFile, parent: Element, folder: str) -> Iterator[_Series]:
    for element in parent.findall("./Children/Element"):
        name = folder + element.get("Name", "")
        if element.find("./Data/Image") is not None:
            yield _series(file, element, name)
        yield from _inner_series(file, element, f"{name}/")


def _series(file: LifFile, element: Element, name: str) -> _Series:
    path, blocks = Path(file.filepath), file.memory_blocks
    memory = element.find("./Memory")
    block = blocks.get("" if memory is None else memory.get("MemoryBlockID", ""))
    if file.type.name != "LIF":
        block = next(iter(blocks.values()), None)
    if file.type.name == "XLIF" and block is not None and len(block.frames) == 1:
        path = path.parent / block.frames[0].file
        if path.suffix.lower() != ".lof" or not path.is_file():
            return _Series(name, element, path, None, 0)
        with LifFile(path) as other:
            block = next(iter(other.memory_blocks.values()), None)
    if block is None or block.offset < 0:
        return _Series(name, element, path, None, 0)
    return _Series(name, element, path, int(block.offset), int(block.size))


def _scene(series: _Series, name: str) -> Scene:
    axes, remarks = _with_rows(series, _axes(series.element))
    channels = series.element.findall(_CHANNELS)
    rgb = sorted(_number(channel, "ChannelTag") for channel in channels) == list(_COLOURS)
    channels.sort(key=lambda channel: _number(channel, "ChannelTag" if rgb else "BytesInc"))
    array, letters = _pixels(series, axes, channels, rgb)
    known = {axis.letter: axis for axis in axes}
    scale, unit = known_size([_micrometres(known["Y"]), _micrometres(known["X"])], ["micrometer", "micrometer"])
    steps: dict[str, Step] = {}
    if "Z" in known and (step := _micrometres(known["Z"])):
        steps["Z"] = step, "micrometer"
    if "T" in known and known["T"].unit in ("", "s") and (step := known["T"].step):
        steps["T"] = step, "second"
    if "M" in known and known["M"].places > 1:
        remarks += (
            Sentence(
                "{scene}: its {n} tiles are not put together, but read one by one along M; LAS X can merge them.",
                scene=name,
                n=known["M"].places,
            ),
        )
    names = () if rgb else tuple(_channel_name(channel) for channel in channels)
    return Scene(name, letters, array, scale, unit, steps, names if any(names) else (), rgb, remarks)


def _axes(element: Element) -> list[_Axis]:
    found: list[_Axis] = []
    for said in element.findall(_DIMENSIONS):
        taken = [axis.letter for axis in found]
        letter = _LETTERS.get(_number(said, "DimID"), "")
        if not letter or letter in taken:
            letter = next(free for free in FREE_LETTERS if free not in taken and free not in _LETTERS.values())
        extent = float(said.get("Length") or 0)
        places, stride = _number(said, "NumberOfElements"), _number(said, "BytesInc")
        found.append(_Axis(letter, places, stride, extent, said.get("Unit", "")))
    return sorted(found, key=lambda axis: (_ORDER + "YX").find(axis.letter))


def _with_rows(series: _Series, axes: list[_Axis]) -> tuple[list[_Axis], tuple[str, ...]]:
    """Take the innermost other axis for the rows of a scan that has none, such as one along X and Z."""
    letters = [axis.letter for axis in axes]
    if "Y" in letters and "X" in letters:
        return axes, ()
    others = sorted((axis for axis in axes if axis.letter != "X" and axis.places > 1), key=lambda axis: axis.stride)
    if "X" not in letters or not others:
        raise ImageError(
            Sentence("{path}: {scene} is no image, but a scan along one axis.", path=series.path, scene=series.name)
        )
    rows = others[0]
    remark = Sentence("{scene}: is a scan along X and {axis}, which are its rows.", scene=series.name, axis=rows.letter)
    rest = [axis for axis in axes if axis is not rows and axis.letter not in "YX"]
    (columns,) = (axis for axis in axes if axis.letter == "X")
    return [*rest, _Axis("Y", rows.places, rows.stride, rows.extent, rows.unit), columns], (remark,)


def _pixels(series: _Series, axes: list[_Axis], channels: list[Element], rgb: bool) -> tuple[LazyArray, str]:
    """Return the pixels, with channels before the rows, or colours after the columns."""
    if series.start is None:
        raise ImageError(
            Sentence(
                "{path}: the pixels of {scene} are not there, or in no file of Leica's. Put all files of the project "
                "beside each other, or export the series in LAS X.",
                path=series.path,
                scene=series.name,
            )
        )
    path, start, size = series.path, series.start, series.size
    types = [_pixel_type(channel) for channel in channels] or [np.dtype(np.uint8)]
    places = [_number(channel, "BytesInc") for channel in channels] or [0]
    dtype = np.result_type(*types).newbyteorder("=")
    within = sum((axis.places - 1) * axis.stride for axis in axes)
    last = within + max(at + kind.itemsize for at, kind in zip(places, types, strict=True))
    refuse_cut_file(path, start + last)
    if last > size or any(axis.places < 1 or axis.stride < 0 for axis in axes):
        raise ImageError(
            Sentence("{path}: {scene} is damaged: its pixels are not all there.", path=path, scene=series.name)
        )
    shape, strides = tuple(axis.places for axis in axes), tuple(axis.stride for axis in axes)
    at = len(axes) if rgb else len(axes) - 2

    def read(box: tuple[slice, ...]) -> NDArray[Any]:
        found = np.empty([part.stop - part.start for part in box], dtype)
        # Mapped while it is read, and no longer, so that it does not count as memory of this process.
        mapped = np.memmap(path, np.uint8, "r", start, (size,))
        inner = box[:at] + box[at + 1 :]
        for place, channel in enumerate(range(box[at].start, box[at].stop)):
            source = np.ndarray(shape, types[channel], mapped, places[channel], strides)
            found[(slice(None),) * at + (place,)] = source[inner]
        return found

    letters = "".join(axis.letter for axis in axes)
    whole = (*shape[:at], len(types), *shape[at:])
    chunks = tuple(1 if axis.letter not in "YX" else axis.places for axis in axes)
    array = LazyArray(read, whole, dtype, (*chunks[:at], len(types) if rgb else 1, *chunks[at:]))
    return array, f"{letters[:at]}C{letters[at:]}"


def _pixel_type(channel: Element) -> np.dtype[Any]:
    bits = _number(channel, "Resolution")
    size = next((size for size in (1, 2, 4, 8) if bits <= 8 * size), 8)
    return np.dtype(f"<f{size}" if _number(channel, "DataType") == 1 else f"<u{size}")


def _micrometres(axis: _Axis) -> float | None:
    return None if axis.step is None or axis.unit != "m" else axis.step * 1e6


def _channel_name(channel: Element) -> str:
    """Return the dye of a channel where it is said, else the colours in which it is shown."""
    said = {part.findtext("Key", ""): part.findtext("Value", "") for part in channel.findall("./ChannelProperty")}
    return said.get("DyeName") or str(channel.get("LUTName", ""))


def _number(element: Element, name: str) -> int:
    return int(element.get(name) or 0)
