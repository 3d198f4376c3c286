"""Read one plane from a TIFF file, with its axes and pixel size."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import tifffile

from napari_unetseg.errors import ImageError
from napari_unetseg.image import READ_AT_ONCE, Image
from napari_unetseg.language import Sentence

# The spellings of OME and ImageJ, and the one that is used everywhere else.
_UNITS = {
    "nm": "nanometer",
    "nanometer": "nanometer",
    "µm": "micrometer",  # micro sign
    "μm": "micrometer",  # Greek letter mu
    "\\u00b5m": "micrometer",  # ImageJ's escape
    "um": "micrometer",
    "micron": "micrometer",
    "microns": "micrometer",
    "micrometer": "micrometer",
    "mm": "millimeter",
    "millimeter": "millimeter",
    "cm": "centimeter",
    "centimeter": "centimeter",
    "m": "meter",
    "meter": "meter",
}

# tifffile's axes, where S are samples of a pixel and C channels, and what they are to an `Image`.
_READINGS: dict[str, str] = {"YX": "YX", "CYX": "CYX", "SYX": "CYX", "YXS": "YXC", "YXC": "YXC"}

Scale = tuple[float, float]


def read_tiff(path: Path, named: str | None = None) -> Image:
    """Read a TIFF file that holds one plane, or, where somebody names its axes, a stack.

    A pyramid is read at full resolution. Resolution tags of files that come from neither OME nor ImageJ
    are printing resolutions (72 dpi) far more often than pixel sizes and are not used.

    Parameters
    ----------
    path
        The file.
    named
        Its axes as an `Image` has them, in their order in the file; axes of length one may be left out. None: those
        that the file names.

    Raises
    ------
    ImageError
        If there is more than one plane and no axes are named, if their number is not that of the file, or if there
        is more than one image of the same importance.
    """
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        rivals = [other for other in file.series if other.size >= series.size]
        if len(rivals) > 1:
            raise ImageError(
                Sentence(
                    "{path}: holds {n} images of shapes {shapes}; save the one to segment as a file of its own.",
                    path=path,
                    n=len(rivals),
                    shapes=", ".join(str(other.shape) for other in rivals[:4]),
                )
            )
        kept = [i for i, axis in enumerate(series.axes) if series.shape[i] > 1 or axis in "YX"]
        axes = "".join(series.axes[i] for i in kept)
        if named is None and axes not in _READINGS:
            raise ImageError(
                Sentence(
                    "{path}: shape {shape} with axes {axes} is not one plane. Save one plane (or one "
                    "multichannel plane) as a file of its own, for example with Image > Duplicate in ImageJ, or say "
                    "what its axes are.",
                    path=path,
                    shape=series.shape,
                    axes=series.axes,
                )
            )
        # Of a large file that is not compressed, pixels stay where they are until they are needed.
        in_file = series.dataoffset is not None and series.nbytes > READ_AT_ONCE
        array = tifffile.memmap(path, mode="r", series=0) if in_file else np.asarray(series.asarray())
        if named is None or len(named) != array.ndim:
            array = array.reshape([series.shape[i] for i in kept])
        scale, unit = _pixel_size(file)
        rgb = "S" in axes and series.keyframe.photometric in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)
    if not in_file:
        # ImageJ writes the other byte order, which not everything takes.
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return Image(array, named or _READINGS[axes], rgb, scale, unit, path.name)


def _pixel_size(file: tifffile.TiffFile) -> tuple[Scale | None, str | None]:
    if file.is_ome and file.ome_metadata:
        return _ome_pixel_size(file.ome_metadata)
    if file.is_imagej and file.imagej_metadata:
        return _imagej_pixel_size(file)
    return None, None


def _ome_pixel_size(xml: str) -> tuple[Scale | None, str | None]:
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")  # noqa: S314 (expat expands no external entities)
    if pixels is None:
        return None, None
    sizes = [float(pixels.get(f"PhysicalSize{axis}", 0)) for axis in "YX"]
    # OME's schema: micrometres where no unit is named.
    units = {_UNITS.get(pixels.get(f"PhysicalSize{axis}Unit", "µm").lower()) for axis in "YX"}
    return _known(sizes, units)


def _imagej_pixel_size(file: tifffile.TiffFile) -> tuple[Scale | None, str | None]:
    tags = file.pages.first.tags
    # (numerator, denominator): pixels a unit.
    ratios = [tags[name].value if name in tags else (0, 1) for name in ("YResolution", "XResolution")]
    sizes = [denominator / numerator if numerator else 0.0 for numerator, denominator in ratios]
    unit = str((file.imagej_metadata or {}).get("unit", "")).lower()
    return _known(sizes, {_UNITS.get(unit)})


def _known(sizes: list[float], units: set[str | None]) -> tuple[Scale | None, str | None]:
    """Give the pixel size if both axes have one in the same known unit."""
    if min(sizes) <= 0 or not np.isfinite(sizes).all() or len(units) > 1 or None in units:
        return None, None
    return (sizes[0], sizes[1]), units.pop()
