"""OIF and OIB files of Olympus' FluoView, whose settings and planes, a TIFF file each, oiffile finds."""

import re
from contextlib import nullcontext
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from oiffile import OifFile

from napari_unetseg.errors import ImageError
from napari_unetseg.io.microscope.kept_scenes import KeptScenes
from napari_unetseg.io.microscope.scene import KeptOpen, Scene
from napari_unetseg.io.physical_size import Step, known_size, known_step
from napari_unetseg.io.readable import unreadable_says
from napari_unetseg.language import Sentence
from napari_unetseg.lazy_array import LazyArray

# A plane says where it lies along each axis, from 1: s_C001Z003T002.tif. Pictures that were taken for reference are
# called otherwise.
_PLANE = re.compile(r"s_((?:[A-Z]\d+)*)\.tif", re.IGNORECASE)
_PLACE = re.compile(r"([A-Z])(\d+)", re.IGNORECASE)
_ORDER = "LATZCYX"
_AXES = 9


def open_olympus(path: Path) -> KeptScenes:
    """Open an OIF file, beside which lies the folder of its planes, or an OIB file, which holds both.

    Raises
    ------
    ImageError
        If the planes are not there.
    Exception
        Whatever oiffile raises where the file is damaged.
    """
    folder = path.with_name(f"{path.name}.files")
    if path.suffix.lower() == ".oif" and not folder.is_dir():
        raise ImageError(
            Sentence(
                "{path}: the planes of the image are not there; keep the folder {folder} beside the file.",
                path=path,
                folder=folder.name,
            )
        )
    file = OifFile(path)
    kept = KeptOpen(file.close)
    planes = _planes(file)
    if not planes:
        raise ImageError(Sentence("{path}: holds no plane of an image.", path=path))

    def scene(_: int, name: str) -> Scene:
        return _scene(path, file, kept, planes, name)

    return KeptScenes([path.stem], scene)


def _planes(file: OifFile) -> dict[frozenset[tuple[str, int]], str]:
    """Return the names of the planes by their places, from 0, along the axes that they name."""
    found = {}
    for name in file.glob("*.tif"):
        plane = _PLANE.fullmatch(re.split(r"[/\\]", name)[-1])
        if plane is not None:
            places = frozenset((axis.upper(), int(place) - 1) for axis, place in _PLACE.findall(plane[1]))
            found[places] = name
    return found


def _scene(
    path: Path, file: OifFile, kept: KeptOpen, planes: dict[frozenset[tuple[str, int]], str], name: str
) -> Scene:
    lengths: dict[str, int] = {}
    for places in planes:
        for axis, place in places:
            lengths[axis] = max(lengths.get(axis, 0), place + 1)
    with kept.lock:
        first: NDArray[Any] = file.asarray(min(planes.values()))
    axes = "".join(sorted((axis for axis in lengths), key=_ORDER.find)) + "YX"
    shape = (*(lengths[axis] for axis in axes[:-2]), *first.shape)
    remarks: tuple[str, ...] = ()
    if len(planes) < prod(shape[:-2]):
        remarks = (
            Sentence(
                "{file}: {n} of its {planes} planes are missing, so it cannot be read to its end.",
                file=path.name,
                n=prod(shape[:-2]) - len(planes),
                planes=prod(shape[:-2]),
            ),
        )

    dtype, extent = first.dtype.newbyteorder("="), first.shape

    def one(places: list[int]) -> NDArray[Any]:
        at = frozenset(zip(axes, places, strict=False))
        return _plane(path, file, kept, planes.get(at), at, extent)

    def read(box: tuple[slice, ...]) -> NDArray[Any]:
        lengths = [part.stop - part.start for part in box]
        if prod(lengths[:-2]) == 1:  # as planes are read, without a second one in memory
            return one([part.start for part in box[:-2]])[box[-2:]].reshape(lengths)
        found = np.empty(lengths, dtype)
        for place in np.ndindex(*lengths[:-2]):
            found[place] = one([part.start + index for part, index in zip(box, place, strict=False)])[box[-2:]]
        return found

    array = LazyArray(read, shape, dtype, (*(1 for _ in axes[:-2]), *extent))
    scale, unit, steps = _sizes(file.mainfile, dict(zip(axes, shape, strict=True)))
    channels = _channel_names(file.mainfile, lengths.get("C", 1))
    return Scene(name, axes, array, scale, unit, steps, channels, remarks=remarks)


def _plane(
    path: Path,
    file: OifFile,
    kept: KeptOpen,
    name: str | None,
    place: frozenset[tuple[str, int]],
    shape: tuple[int, ...],
) -> NDArray[Any]:
    pixels: NDArray[Any] | None = None
    if name is not None:
        # An OIB file is one open file, which one thread at a time may read; the planes of an OIF file are many.
        with unreadable_says(path), kept.lock if file.is_oib else nullcontext():
            pixels = file.asarray(name)
    if pixels is None or pixels.shape != shape:
        raise ImageError(
            Sentence(
                "{path}: the plane at {place} is missing or damaged. Copy the file again.",
                path=path,
                place=", ".join(f"{axis} = {at}" for axis, at in sorted(place)) or "0",
            )
        )
    return pixels


def _sizes(
    settings: dict[str, Any], lengths: dict[str, int]
) -> tuple[tuple[float, float] | None, str | None, dict[str, Step]]:
    """Read sizes from the settings: of pixels as they are calibrated, of other axes by their start and end."""
    image = settings.get("Reference Image Parameter", {})
    scale, unit = known_size(
        [image.get(f"{axis}ConvertValue") for axis in ("Height", "Width")],
        [image.get(f"{axis}Unit") for axis in ("Height", "Width")],
    )
    steps: dict[str, Step] = {}
    for number in range(_AXES):
        said = settings.get(f"Axis {number} Parameters Common", {})
        axis = str(said.get("AxisCode", ""))
        if axis not in ("Z", "T") or lengths.get(axis, 1) < 2:
            continue
        try:
            extent = abs(float(said["EndPosition"]) - float(said["StartPosition"])) / (lengths[axis] - 1)
        except (KeyError, TypeError, ValueError):
            continue
        if (step := known_step(extent, said.get("UnitName"), time=axis == "T")) is not None:
            steps[axis] = _in_usual_unit(step, axis)
    return scale, unit, steps


def _in_usual_unit(step: Step, axis: str) -> Step:
    """Return a step in micrometres or seconds where the file has nanometres or milliseconds."""
    size, unit = step
    thousandth = {"Z": ("nanometer", "micrometer"), "T": ("millisecond", "second")}[axis]
    return (size / 1000, thousandth[1]) if unit == thousandth[0] else step


def _channel_names(settings: dict[str, Any], channels: int) -> tuple[str, ...]:
    """Return the dyes of the channels that were recorded, else what the window of FluoView calls them."""
    found = []
    for number in range(1, len(settings) + 1):
        said = settings.get(f"GUI Channel {number} Parameters")
        if said is not None and int(said.get("CH Activate", 0)) != 0:
            found.append(str(said.get("DyeName") or said.get("CH Name") or ""))
    return tuple(found) if len(found) == channels and all(found) else ()
