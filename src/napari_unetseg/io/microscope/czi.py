"""CZI files of Zeiss, read by pylibCZIrw: scenes, mosaics put together, and pyramids."""

import functools
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from math import prod
from pathlib import Path
from typing import Any, Self
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from pylibCZIrw import czi

from napari_unetseg.errors import ImageError
from napari_unetseg.image import READ_AT_ONCE
from napari_unetseg.io.microscope.location import unique_names
from napari_unetseg.io.microscope.planes import lazy_planes, missing_planes
from napari_unetseg.io.microscope.scene import KeptOpen, Scene
from napari_unetseg.io.physical_size import Step, known_size, known_step
from napari_unetseg.language import Sentence
from napari_unetseg.lazy_array import LazyArray

# By the file's letter of an axis; S are scenes and M tiles, which are put together.
_STACK_AXES = "VHIRBTZC"
_TYPES = {
    "Gray8": (np.uint8, 1),
    "Gray16": (np.uint16, 1),
    "Gray32Float": (np.float32, 1),
    "Bgr24": (np.uint8, 3),
    "Bgr48": (np.uint16, 3),
    "Bgr96Float": (np.float32, 3),
}
# Decoded tiles of planes too large to be read whole: neighbours need the tiles that lie under both.
_CACHE = 2**28
_NO_SCENES = -1
_SMALLEST_SIDE = 256
"""Pixels along the longer side below which no smaller level of a pyramid is of use."""


@dataclass
class _Parts:
    """What is stored of a scene, by the list of its parts at the end of the file.

    Attributes
    ----------
    rectangle
        Left, top, right and bottom of all its tiles.
    places
        Along each axis the places that hold anything.
    planes
        Those that hold anything, as their places along `_STACK_AXES`.
    types
        Of pixels, by the place of the channel.
    tile
        Height and width of the largest tile.
    smallest
        Factor of the smallest level of its pyramid, 1 without one.
    """

    rectangle: tuple[int, int, int, int] | None = None
    places: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    planes: set[tuple[int, ...]] = field(default_factory=set)
    types: dict[int, str] = field(default_factory=dict)
    tile: tuple[int, int] = (1, 1)
    smallest: float = 1.0

    def add(self, information: Any, place: dict[str, int]) -> None:
        """Add one part."""
        if information.get_zoom() < 1:
            self.smallest = min(self.smallest, information.get_zoom())
            return
        at = information.logicalRect
        box = at.x, at.y, at.x + at.w, at.y + at.h
        known = self.rectangle or box
        self.rectangle = (*map(min, known[:2], box[:2]), *map(max, known[2:], box[2:]))
        self.tile = max(self.tile[0], at.h), max(self.tile[1], at.w)
        for axis in _STACK_AXES:
            self.places[axis].add(place.get(axis, 0))
        self.planes.add(tuple(place.get(axis, 0) for axis in _STACK_AXES))
        self.types.setdefault(place.get("C", 0), information.pixelType.name)


def open_czi(path: Path) -> "CziFile":
    """Open a CZI file.

    Raises
    ------
    ImageError
        If it holds no image.
    Exception
        Whatever pylibCZIrw raises where it is damaged.
    """
    return CziFile(path)


class CziFile:
    """A CZI file, open, with nothing but the list of its parts and its metadata read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: _Reader | None = _Reader(path)
        self._parts = _parts(self._open.reader)
        if not self._parts:
            raise ImageError(Sentence("{path}: holds no image.", path=path))
        self._said = _Metadata(self._open.reader.raw_metadata)
        self.scene_names = unique_names([self._said.scene_names.get(place) for place in self._parts])

    def scene(self, number: int) -> Scene:
        """Return a scene; see `MicroscopeFile`."""
        place, parts = list(self._parts.items())[number]
        reader = self._reader()
        kinds = {_TYPES.get(kind) for kind in parts.types.values()}
        colours = {kind[1] for kind in kinds if kind is not None}
        if None in kinds or len(colours) != 1:
            raise ImageError(
                Sentence(
                    "{path}: its pixels are of types that are not read together ({types}); export it as OME-TIFF.",
                    path=self._path,
                    types=", ".join(sorted(set(parts.types.values()))),
                )
            )
        rgb = colours == {3}
        dtype = np.result_type(*(kind[0] for kind in kinds if kind is not None))
        axes = [axis for axis in _STACK_AXES if len(parts.places[axis]) > 1 or axis in "TZC"]
        pixels = _Pixels(reader, place, parts, axes, dtype, rgb)
        # The letter of colours is wanted, so channels that are pictures themselves are planes along another axis.
        letters = "".join(axes).replace("C", "A" if rgb else "C") + ("YXC" if rgb else "YX")
        whole, smaller = pixels.level(1), []
        height, width = pixels.size
        factor = 2
        while 1 / factor >= parts.smallest * 0.99 and max(height, width) // factor >= _SMALLEST_SIDE:
            smaller.append(pixels.level(factor))
            factor *= 2
        planes = prod(len(parts.places[axis]) for axis in axes)
        channels = tuple(self._said.channel_names.get(at, f"C{at}") for at in sorted(parts.places["C"]))
        return Scene(
            self.scene_names[number],
            letters,
            whole,
            self._said.scale,
            self._said.unit,
            {axis: step for axis, step in self._said.steps.items() if axis in letters},
            channels if self._said.channel_names and not rgb else (),
            rgb,
            missing_planes(planes - len(parts.planes), planes),
            tuple(smaller),
        )

    def close(self) -> None:
        """Let go of the file; see `MicroscopeFile`."""
        self._open = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _reader(self) -> "_Reader":
        if self._open is None:
            raise ValueError("the file was closed")
        return self._open


class _WithoutCopies(czi.CziReader):
    """The library's reader, which copies each plane that it has read to look at its shape, and again."""

    @classmethod
    def _get_array_from_bitmap(cls, pixel_data: Any) -> NDArray[Any]:
        return np.asarray(pixel_data)


class _Reader(KeptOpen):
    """The library's handle, which any number of threads may use at once."""

    def __init__(self, path: Path, cache: czi.CacheOptions | None = None) -> None:
        self.path = path
        self.reader = _WithoutCopies(str(path), cache_options=cache)
        super().__init__(self.reader.close)

    @functools.cached_property
    def with_cache(self) -> "_Reader":
        """The file once more, with a cache for decoded tiles."""
        return _Reader(self.path, czi.CacheOptions(czi.CacheType.Standard, _CACHE))


class _Pixels:
    """Reads the planes of a scene, or parts of them."""

    def __init__(
        self, reader: _Reader, place: int, parts: _Parts, axes: list[str], dtype: np.dtype[Any], rgb: bool
    ) -> None:
        left, top, right, bottom = parts.rectangle or (0, 0, 0, 0)
        self.size = bottom - top, right - left
        self._origin = top, left
        self._scene, self._parts, self._dtype = place, parts, dtype
        self._colours = (3,) if rgb else ()
        self._places = {axis: sorted(parts.places[axis]) for axis in axes}
        # What is read whole needs none of its tiles twice.
        in_tiles = prod(self.size) * len(self._colours or (1,)) * dtype.itemsize > READ_AT_ONCE
        self._reader = reader.with_cache if in_tiles else reader

    def level(self, factor: int) -> LazyArray:
        """Return them at a lower resolution."""
        height, width = (side // factor for side in self.size)
        return lazy_planes(
            functools.partial(self._plane, factor),
            [len(places) for places in self._places.values()],
            (height, width, *self._colours),
            self._dtype,
            self._reader.path,
            self._parts.tile,
        )

    def _plane(self, factor: int, index: tuple[int, ...], rows: slice, columns: slice) -> NDArray[Any]:
        plane = {axis: places[at] for (axis, places), at in zip(self._places.items(), index, strict=True)}
        top, left = (start + part.start * factor for start, part in zip(self._origin, (rows, columns), strict=True))
        height, width = rows.stop - rows.start, columns.stop - columns.start
        pixels: NDArray[Any] = self._reader.reader.read(
            roi=(left, top, width * factor, height * factor),
            plane=plane,
            scene=None if self._scene == _NO_SCENES else self._scene,
            zoom=1 / factor,
            pixel_type=self._parts.types[plane.get("C", min(self._parts.types))],
        )
        if pixels.shape[:2] != (height, width):
            raise ValueError(f"{pixels.shape[:2]} pixels were read of {height, width}")
        # The file has blue first.
        found = pixels[..., ::-1] if self._colours else pixels[..., 0]
        return np.asarray(found, self._dtype)


class _Metadata:
    """What the XML of a file says of sizes and names."""

    def __init__(self, text: str) -> None:
        # Expat, which reads it, bounds what entities may grow to.
        root = ElementTree.fromstring(text) if text.strip() else ElementTree.Element("ImageDocument")  # noqa: S314
        distances = {
            item.get("Id"): _in_micrometers(item.findtext("Value"))
            for item in root.iterfind("Metadata/Scaling/Items/Distance")
        }
        self.scale, self.unit = known_size([distances.get("Y"), distances.get("X")], ["micrometer"] * 2)
        dimensions = "Metadata/Information/Image/Dimensions"
        seconds = root.findtext(f"{dimensions}/T/Positions/Interval/Increment")
        steps = {"Z": known_step(distances.get("Z"), "micrometer"), "T": known_step(seconds, "second", time=True)}
        self.steps: dict[str, Step] = {axis: step for axis, step in steps.items() if step is not None}
        self.channel_names = _channel_names(root.findall(f"{dimensions}/Channels/Channel"))
        self.scene_names = {
            int(scene.get("Index", at)): _scene_name(scene)
            for at, scene in enumerate(root.iterfind(f"{dimensions}/S/Scenes/Scene"))
        }


def _parts(reader: czi.CziReader) -> dict[int, _Parts]:
    """Return what is stored of each scene, by its number in the file, or `_NO_SCENES` where the file knows none."""
    found: dict[int, _Parts] = defaultdict(_Parts)

    def add(_: int, information: Any) -> bool:
        place = information.coordinate.to_dict()
        found[place.get("S", _NO_SCENES)].add(information, place)
        return True

    reader.enumerate_subblocks(add)
    return {place: found[place] for place in sorted(found) if found[place].planes}


def _channel_names(channels: list[ElementTree.Element]) -> dict[int, str]:
    """Return the names of channels by their number; those of the same name get their number, too."""
    named = {at: (channel.get("Name") or "").strip() for at, channel in enumerate(channels)}
    times = Counter(named.values())
    return {at: name if times[name] == 1 else f"{name} {at}" for at, name in named.items() if name}


def _scene_name(scene: ElementTree.Element) -> str:
    """Return what a scene is called: by its name, and by that of the well or region that it is one of."""
    shape = scene.find("Shape")
    parts = [scene.get("Name") or "", shape.get("Name") or "" if shape is not None else ""]
    return "-".join(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _in_micrometers(metres: str | None) -> float | None:
    """Return a number of metres in micrometres, without an error of rounding."""
    try:
        return float(Decimal((metres or "").strip()).scaleb(6))
    except InvalidOperation:
        return None
