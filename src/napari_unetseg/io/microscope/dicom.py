"""DICOM files, by pydicom: slices, series of frames, volumes, and whole slides in tiles.

Numbers are those that are stored: rescale slope and intercept are left alone, since models look at the range of an
image and not at its unit. Greys that are stored inverted (MONOCHROME1) are turned round, palettes and YBR become RGB.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from napari_unetseg.errors import ImageError
from napari_unetseg.io.microscope.kept_scenes import KeptScenes, refuse_cut_file
from napari_unetseg.io.microscope.scene import Scene
from napari_unetseg.io.physical_size import Step, known_size, known_step, length
from napari_unetseg.language import Sentence
from napari_unetseg.lazy_array import LazyArray

# Longer elements stay in the file: of the pixels is wanted where they lie.
_KEPT_BYTES = 2**16
_PIXELS = 0x7FE00010
_GREY = ("MONOCHROME1", "MONOCHROME2")
_WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
# Pixels smaller than this, in millimetres, are given in micrometres.
_FINE = 0.01


@dataclass(frozen=True)
class _Frames:
    """The frames of a file: how many, their shape (Y, X) or (Y, X, 3), and what reads one of them."""

    number: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[int], NDArray[Any]]


def open_dicom(path: Path) -> KeptScenes:
    """Open a DICOM file of one frame or of several, which are planes of a volume, time points, or tiles of a slide.

    Frames are planes along ``Z`` where the file says how far they are apart, time points along ``T`` where it says how
    long one takes, and planes along ``N`` otherwise. Pixel sizes are in millimetres, finer ones in micrometres.

    Its only scene raises an `ImageError` if the file holds no image, is cut short, or is compressed in a way that needs
    another package.

    Raises
    ------
    Exception
        Whatever pydicom raises where the file is damaged.
    """
    header = pydicom.dcmread(path, defer_size=_KEPT_BYTES)

    def scene(_: int, name: str) -> Scene:
        return _scene(path, header, _frames(path, header), name)

    return KeptScenes([path.stem], scene)


def _frames(path: Path, header: pydicom.Dataset) -> _Frames:
    if "Rows" not in header or "Columns" not in header or "PhotometricInterpretation" not in header:
        # pydicom gives nothing of a file that ends within its packed pixels.
        raise ImageError(
            Sentence("{path}: is a DICOM file without an image, or cut short. If it is, copy it again.", path=path)
        )
    syntax = header.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        raise ImageError(Sentence("{path}: does not say how its pixels are stored, so they cannot be read.", path=path))
    if syntax.is_encapsulated:
        _check_decoder(path, syntax)
    number, samples = int(header.get("NumberOfFrames") or 1), int(header.get("SamplesPerPixel", 1))
    kind, bits = str(header.PhotometricInterpretation), int(header.get("BitsAllocated", 8))
    shape = (int(header.Rows), int(header.Columns))
    if kind in _GREY and samples == 1 and bits in (8, 16, 32):
        mapped = _mapped_frames(path, header, number, shape, bits)
        if mapped is not None:
            return mapped

    # pydicom looks for pixels in a file without unpacking it first.
    source = pydicom.dcmread(path) if syntax.is_deflated else path

    def read(frame: int) -> NDArray[Any]:
        try:
            pixels = pixel_array(source, index=frame)
        except Exception as error:
            raise ImageError(
                Sentence(
                    "{path}: frame {frame} cannot be read ({reason}). Copy the file again, or save it without "
                    "compression.",
                    path=path,
                    frame=frame,
                    reason=" ".join(str(error).split()),
                )
            ) from error
        pixels = _as_it_looks(pixels, header)
        return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)

    # What one frame looks like tells what all do.
    first = read(0)
    return _Frames(number, first.shape, first.dtype, read)


def _mapped_frames(
    path: Path, header: pydicom.Dataset, number: int, shape: tuple[int, int], bits: int
) -> _Frames | None:
    """Return frames that lie in the file as they are, one after the other; None where they do not."""
    syntax, element = header.file_meta.TransferSyntaxUID, header.get_item(_PIXELS)
    is_plain = not syntax.is_encapsulated and not syntax.is_deflated and syntax.is_little_endian
    start = getattr(element, "value_tell", 0)
    if not is_plain or element is None or not start:
        return None
    kind = "i" if int(header.get("PixelRepresentation", 0)) else "u"
    dtype = np.dtype(f"<{kind}{bits // 8}")
    whole = (number, *shape)
    refuse_cut_file(path, start + int(np.prod(whole, dtype=np.int64)) * dtype.itemsize)

    def read(frame: int) -> NDArray[Any]:
        mapped = np.memmap(path, dtype, "r", start, whole)
        return _as_it_looks(np.array(mapped[frame]), header)

    return _Frames(number, shape, dtype.newbyteorder("="), read)


def _check_decoder(path: Path, syntax: pydicom.uid.UID) -> None:
    decoder = get_decoder(syntax)
    if not decoder.is_available:
        raise ImageError(
            Sentence(
                "{path}: is compressed as {kind}, which needs one more package. Install it: {command}.",
                path=path,
                kind=syntax.name,
                command='pip install "pylibjpeg[all]" pyjpegls',
            )
        )


def _as_it_looks(pixels: NDArray[Any], header: pydicom.Dataset) -> NDArray[Any]:
    kind = header.PhotometricInterpretation
    if kind == "PALETTE COLOR":
        coloured: NDArray[Any] = apply_color_lut(pixels, header)
        # 16 bits of a colour say no more than 8 to the eye, for which a palette is.
        return coloured if coloured.itemsize == 1 else (coloured >> 8).astype(np.uint8)
    if kind != "MONOCHROME1" or pixels.ndim != 2:
        return pixels
    if pixels.dtype.kind == "u":
        largest = 2 ** int(header.get("BitsStored", 8 * pixels.itemsize)) - 1
        inverted = np.subtract(largest, pixels, dtype=pixels.dtype)
    else:
        inverted = np.negative(pixels) if pixels.dtype.kind == "f" else np.invert(pixels)
    return np.asarray(inverted)


def _scene(path: Path, header: pydicom.Dataset, frames: _Frames, name: str) -> Scene:
    if header.get("SOPClassUID") == _WHOLE_SLIDE and "TotalPixelMatrixColumns" in header:
        array, axes = _slide(path, header, frames)
    else:
        array, axes = _planes(frames, header)
    scale, unit, step = _sizes(header)
    steps: dict[str, Step] = {}
    if "Z" in axes and step is not None:
        steps["Z"] = step
    time = known_step(header.get("FrameTime"), "ms", time=True)
    if "T" in axes and time is not None:
        steps["T"] = time[0] / 1000, "second"
    return Scene(name, axes, array, scale, unit, steps, (), len(frames.shape) == 3, _remarks(path, header))


def _remarks(path: Path, header: pydicom.Dataset) -> tuple[str, ...]:
    slope, intercept = header.get("RescaleSlope"), header.get("RescaleIntercept")
    if slope is None or (float(slope) == 1 and not intercept):
        return ()
    remark = Sentence(
        "{file}: intensities are the numbers that are stored; its values are {slope} times these, and {intercept}.",
        file=path.name,
        slope=f"{float(slope):g}",
        intercept=f"{float(intercept or 0):+g}",
    )
    return (remark,)


def _planes(frames: _Frames, header: pydicom.Dataset) -> tuple[LazyArray, str]:
    """Return frames as planes, along an axis of which the file says what it is."""
    letter = "N"
    if header.get("FrameTime"):
        letter = "T"
    elif _step_between(header) is not None or _positions_differ(header):
        letter = "Z"

    def read(box: tuple[slice, ...]) -> NDArray[Any]:
        return np.stack([frames.read(frame)[box[1:]] for frame in range(box[0].start, box[0].stop)])

    array = LazyArray(read, (frames.number, *frames.shape), frames.dtype, (1, *frames.shape))
    return array, letter + ("YXC" if len(frames.shape) == 3 else "YX")


def _slide(path: Path, header: pydicom.Dataset, frames: _Frames) -> tuple[LazyArray, str]:
    """Return a whole slide, whose frames are tiles in rows from the top left, plane after plane, channel after channel.

    Raises
    ------
    ImageError
        If its tiles lie elsewhere.
    """
    rows, columns = int(header.TotalPixelMatrixRows), int(header.TotalPixelMatrixColumns)
    height, width = frames.shape[:2]
    down, across = -(-rows // height), -(-columns // width)
    focal = int(header.get("TotalPixelMatrixFocalPlanes") or 1)
    paths = int(header.get("NumberOfOpticalPaths") or 1)
    is_full = header.get("DimensionOrganizationType", "TILED_FULL") == "TILED_FULL"
    if not is_full or frames.number != down * across * focal * paths or (paths > 1 and len(frames.shape) == 3):
        raise ImageError(
            Sentence(
                "{path}: the tiles of the slide do not lie one beside the other, which is not read; save it as "
                "TILED_FULL, or as a pyramidal TIFF.",
                path=path,
            )
        )

    def read(box: tuple[slice, ...]) -> NDArray[Any]:
        # (channels, planes, Y, X) and colours, if there are any.
        found = np.empty([part.stop - part.start for part in box], frames.dtype)
        top, left = box[2].start, box[3].start
        for channel, plane in np.ndindex(found.shape[:2]):
            base = ((box[0].start + channel) * focal + box[1].start + plane) * down * across
            for row in range(top // height, -(-box[2].stop // height)):
                for column in range(left // width, -(-box[3].stop // width)):
                    tile = frames.read(base + row * across + column)
                    y, x = row * height, column * width
                    ys = slice(max(top, y), min(box[2].stop, y + height))
                    xs = slice(max(left, x), min(box[3].stop, x + width))
                    part = tile[(slice(ys.start - y, ys.stop - y), slice(xs.start - x, xs.stop - x), *box[4:])]
                    found[channel, plane, ys.start - top : ys.stop - top, xs.start - left : xs.stop - left] = part
        return found

    colours = frames.shape[2:]
    array = LazyArray(read, (paths, focal, rows, columns, *colours), frames.dtype, (1, 1, height, width, *colours))
    return (array[0], "ZYXC") if colours else (array.swapaxes(0, 1), "ZCYX")


def _groups(header: pydicom.Dataset) -> list[pydicom.Dataset]:
    """Return where files of many frames say what concerns all of them, and what concerns the first."""
    found = []
    for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        found.extend(list(header.get(name) or [])[:1])
    return found


def _measures(header: pydicom.Dataset) -> list[pydicom.Dataset]:
    return [header, *(part for group in _groups(header) for part in group.get("PixelMeasuresSequence") or [])]


def _sizes(header: pydicom.Dataset) -> tuple[tuple[float, float] | None, str | None, Step | None]:
    """Return pixel size, unit, and the step between planes; sizes are those of the object, not of the detector."""
    for said in _measures(header):
        for name in ("PixelSpacing", "NominalScannedPixelSpacing", "ImagerPixelSpacing"):
            # Between rows first, which is along Y.
            values = said.get(name)
            if values is None or len(values) != 2:
                continue
            scale, unit = known_size(list(values), ["millimeter", "millimeter"])
            if scale is None:
                continue
            step = _step_between(header)
            if max(scale) >= _FINE:
                return scale, unit, None if step is None else (step, "millimeter")
            fine = None if step is None else (step * 1000, "micrometer")
            return (scale[0] * 1000, scale[1] * 1000), "micrometer", fine
    return None, None, None


def _step_between(header: pydicom.Dataset) -> float | None:
    for said in _measures(header):
        for name in ("SpacingBetweenSlices", "SliceThickness"):
            if (step := length(said.get(name))) is not None:
                return step
    offsets = header.get("GridFrameOffsetVector")
    return length(offsets[1] - offsets[0]) if isinstance(offsets, Sequence) and len(offsets) > 1 else None


def _positions_differ(header: pydicom.Dataset) -> bool:
    positions = [
        tuple(part.ImagePositionPatient)
        for frame in list(header.get("PerFrameFunctionalGroupsSequence") or [])[:2]
        for part in frame.get("PlanePositionSequence") or []
        if "ImagePositionPatient" in part
    ]
    return len(set(positions)) > 1
