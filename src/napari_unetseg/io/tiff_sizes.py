"""Pixel sizes and steps of TIFF files, as OME, ImageJ and the tags of plain files state them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from napari_unetseg.io.physical_size import Step, known_size, known_step, length, unit_name
from napari_unetseg.language import Sentence

# What files write where there is no unit, which is nothing to speak of.
_NO_UNIT = ("", "pixel", "pixels", "reference frame", "none", "null")
# Nothing is printed as finely as this: 5 µm are 5080 dots an inch.
_FINEST_PRINT = 5e-6
_METRES: dict[int, float] = {tifffile.RESUNIT.INCH: 0.0254, tifffile.RESUNIT.CENTIMETER: 0.01}


@dataclass(frozen=True)
class Sizes:
    """What an `Image` says of its steps: `Image.scale`, `Image.unit`, `Image.steps` and `Image.remarks`."""

    scale: tuple[float, float] | None = None
    unit: str | None = None
    steps: Mapping[str, Step] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def seen_at(self, shape: tuple[int, int], full: tuple[int, int]) -> "Sizes":
        """Return the sizes of an image of `full` height and width that is shown with fewer pixels."""
        if self.scale is None or shape == full:
            return self
        ratios = [_times_smaller(*lengths) for lengths in zip(shape, full, strict=True)]
        return replace(self, scale=(self.scale[0] * ratios[0], self.scale[1] * ratios[1]))


def _times_smaller(length: int, full: int) -> float:
    """Return how many pixels became one; a whole number where the rest of a pixel can have been dropped."""
    whole = round(full / length)
    return whole if length in (full // whole, -(-full // whole)) else full / length


def read_sizes(file: tifffile.TiffFile, name: str) -> Sizes:
    """Read pixel size and steps. A negative size is taken as its magnitude; what is no size is left out and said.

    Resolution tags of files that come from neither OME nor ImageJ, and inches of ImageJ, are printing resolutions
    (72 dpi) far more often than pixel sizes: they count where nothing could be printed so finely. Remarks call the file
    by its name.
    """
    if file.is_ome and file.ome_metadata:
        return _ome_sizes(name, file.ome_metadata)
    if file.is_svs:
        return _svs_sizes(name, file)
    if file.is_imagej and file.imagej_metadata:
        return _imagej_sizes(name, file)
    if file.is_lsm and file.lsm_metadata:
        return _lsm_sizes(name, file.lsm_metadata)
    if file.is_stk and file.stk_metadata:
        return _stk_sizes(name, file.stk_metadata)
    return _plain_sizes(file)


def _ome_sizes(name: str, xml: str) -> Sizes:
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")  # noqa: S314 (expat expands no external entities)
    if pixels is None:
        return Sizes()
    # OME's schema: micrometres and seconds where no unit is named.
    sizes = {axis: pixels.get(f"PhysicalSize{axis}") for axis in "YXZ"} | {"T": pixels.get("TimeIncrement")}
    units: dict[str, Any] = {axis: pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "YXZ"}
    return _sizes(name, sizes, units | {"T": pixels.get("TimeIncrementUnit", "s")})


def _imagej_sizes(name: str, file: tifffile.TiffFile) -> Sizes:
    stated: Mapping[str, Any] = file.imagej_metadata or {}
    unit = str(stated.get("unit", ""))
    y_size, x_size = _resolution(file)
    if unit_name(unit) == "inch" and max(y_size or 0, x_size or 0) * _METRES[tifffile.RESUNIT.INCH] > _FINEST_PRINT:
        unit = ""
    units = {"Y": stated.get("yunit", unit), "X": unit, "Z": stated.get("zunit", unit), "T": stated.get("tunit", "sec")}
    steps = {"Z": stated.get("spacing"), "T": stated.get("finterval") or None}
    return _sizes(name, {"Y": y_size, "X": x_size} | steps, units)


def _svs_sizes(name: str, file: tifffile.TiffFile) -> Sizes:
    stated = tifffile.tifffile.svs_description_metadata(file.pages.first.description)
    size = stated.get("MPP")  # micrometres a pixel
    return _sizes(name, dict.fromkeys("YX", size) | dict.fromkeys("ZT"), dict.fromkeys("YXZT", "µm"))


def _lsm_sizes(name: str, stated: Mapping[str, Any]) -> Sizes:
    # Metres, and seconds; 0 where a size is not known.
    sizes = {axis: stated.get(f"VoxelSize{axis}") for axis in "YXZ"}
    micrometres = {axis: size * 1e6 if size else None for axis, size in sizes.items()}
    units = dict.fromkeys("YXZ", "µm") | {"T": "s"}
    return _sizes(name, micrometres | {"T": stated.get("TimeIntervall") or None}, units)


def _stk_sizes(name: str, stated: Mapping[str, Any]) -> Sizes:
    unit = stated.get("CalibrationUnits", "")
    is_calibrated = bool(stated.get("SpatialCalibration", True))
    sizes: dict[str, Any] = {
        axis: (stated.get(f"{axis}Calibration") or None) if is_calibrated else None for axis in "YX"
    }
    # Of each plane: how far it is from the one before, in the unit of the pixels, and when it was taken.
    steps, times = stated.get("ZDistance", ()), stated.get("DatetimeCreated", ())
    sizes["Z"] = (float(steps[0]) or None) if len(steps) else None
    sizes["T"] = None
    if len(times) > 1:
        sizes["T"] = float((times[-1] - times[0]) / np.timedelta64(1, "ms")) / (len(times) - 1) or None
    return _sizes(name, sizes, dict.fromkeys("YXZ", unit) | {"T": "ms"})


def _plain_sizes(file: tifffile.TiffFile) -> Sizes:
    y_size, x_size = _resolution(file)
    metres = _METRES.get(file.pages.first.resolutionunit)
    if y_size is None or x_size is None or metres is None or max(y_size, x_size) * metres > _FINEST_PRINT:
        return Sizes()
    return Sizes((y_size * metres * 1e6, x_size * metres * 1e6), "micrometer")


def _resolution(file: tifffile.TiffFile) -> list[float | None]:
    """Return the size of a pixel along Y and X in the unit of the resolution tags."""
    tags = file.pages.first.tags
    # (numerator, denominator): pixels a unit.
    ratios = [tags[name].value if name in tags else (0, 1) for name in ("YResolution", "XResolution")]
    return [length(denominator / numerator) if numerator else None for numerator, denominator in ratios]


def _sizes(name: str, sizes: Mapping[str, Any], units: Mapping[str, Any]) -> Sizes:
    scale, unit = known_size([sizes["Y"], sizes["X"]], [units["Y"], units["X"]])
    known = {axis: known_step(sizes[axis], units[axis], time=axis == "T") for axis in "ZT"}
    remarks = dict.fromkeys(
        Sentence(
            "{file}: states a size of {size} {unit} for its pixels, which is not known; it is left out.",
            file=name,
            size=sizes[axis],
            unit=units[axis],
        )
        for axis in sizes
        if sizes[axis] is not None and known_step(sizes[axis], units[axis], time=axis == "T") is None
        if str(units[axis]).strip().lower() not in _NO_UNIT
    )
    return Sizes(scale, unit, {axis: step for axis, step in known.items() if step is not None}, tuple(remarks))
