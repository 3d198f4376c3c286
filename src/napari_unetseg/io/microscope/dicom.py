"""DICOM files, by pydicom: slices, series of frames, volumes, and whole slides in tiles.

Numbers are those that are stored: rescale slope and intercept are left alone, since models look at the range of an
image and not at its unit. Greys that are stored inverted (MONOCHROME1) are turned round, palettes and YBR become RGB.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

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

# How the element of the pixels begins: with its tag, and with the type of its numbers where types are said.
_PIXELS_TAG = b"\xe0\x7f\x10\x00"
_TYPED_HEADER, _UNTYPED_HEADER = 12, 8
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
    with path.open("rb") as file:
        header = pydicom.dcmread(file, stop_before_pixels=True)
        start = _pixels_at(file, header)

    def scene(_: int, name: str) -> Scene:
        return _scene(path, header, _frames(path, header, start), name)

    return KeptScenes([path.stem], scene)


def _pixels_at(file: BinaryIO, header: pydicom.FileDataset) -> int:
    """Return where in a file that was read up to its pixels these begin; 0 where they do not lie there as they are."""
    syntax = header.file_meta.get("TransferSyntaxUID")
    is_plain = syntax is not None and not syntax.is_encapsulated and not syntax.is_deflated and syntax.is_little_endian
    at = file.tell()
    if not is_plain or file.read(len(_PIXELS_TAG)) != _PIXELS_TAG:
        return 0
    return at + (_UNTYPED_HEADER if syntax.is_implicit_VR else _TYPED_HEADER)


def _frames(path: Path, header: pydicom.FileDataset, start: int) -> _Frames:
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
    if start and kind in _GREY and samples == 1 and bits in (8, 16, 32):
        return _mapped_frames(path, header, start, (number, *shape), bits)

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
    path: Path, header: pydicom.FileDataset, start: int, shape: tuple[int, int, int], bits: int
) -> _Frames:
    """Return frames that lie in the file as they are, one after the other."""
    kind = "i" if int(header.get("PixelRepresentation", 0)) else "u"
    dtype = np.dtype(f"<{kind}{bits // 8}")
    refuse_cut_file(path, start + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)

    def read(frame: int) -> NDArray[Any]:
        pixels = np.fromfile(path, dtype, shape[1] * shape[2], offset=start + frame * shape[1] * shape[2] * bits // 8)
        return _as_it_looks(pixels.reshape(shape[1:]), header)

    return _Frames(shape[0], shape[1:], dtype.newbyteorder("="), read)


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


def _scene(path: Path, header: pydicom.FileDataset, frames: _Frames, name: str) -> Scene:
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
    channels: tuple[str, ...] = ()
    if "C" in axes and len(frames.shape) == 2:
        channels = tuple(
            str(part.get("OpticalPathDescription") or "") for part in header.get("OpticalPathSequence") or []
        )
    if not any(channels) or len(channels) != array.shape[axes.find("C")]:
        channels = ()
    return Scene(name, axes, array, scale, unit, steps, channels, len(frames.shape) == 3, _remarks(path, header))


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
        if box[0].stop - box[0].start == 1:  # as planes are read, without a second one in memory
            return frames.read(box[0].start)[(np.newaxis, *box[1:])]
        found = np.empty([part.stop - part.start for part in box], frames.dtype)
        for place, frame in enumerate(range(box[0].start, box[0].stop)):
            found[place] = frames.read(frame)[box[1:]]
        return found

    array = LazyArray(read, (frames.number, *frames.shape), frames.dtype, (1, *frames.shape))
    return array, letter + ("YXC" if len(frames.shape) == 3 else "YX")


def _slide(path: Path, header: pydicom.FileDataset, frames: _Frames) -> tuple[LazyArray, str]:
    """Return a whole slide, whose frames are tiles; where there is none, it is black, or white between colours.

    Raises
    ------
    ImageError
        If its tiles do not lie in rows and columns.
    """
    rows, columns = int(header.TotalPixelMatrixRows), int(header.TotalPixelMatrixColumns)
    height, width, *colours = frames.shape
    paths, focal, tiles = _tiles(header, height, width)
    if len(tiles) != frames.number or (paths > 1 and colours):
        raise ImageError(
            Sentence(
                "{path}: the tiles of the slide do not lie in rows and columns, which is not read; save it as a "
                "pyramidal TIFF.",
                path=path,
            )
        )

    def read(box: tuple[slice, ...]) -> NDArray[Any]:
        # (channels, planes, Y, X) and colours, if there are any.
        found = np.full([part.stop - part.start for part in box], 255 if colours else 0, frames.dtype)
        top, left = box[2].start, box[3].start
        for channel, plane in np.ndindex(found.shape[:2]):
            for row in range(top // height, -(-box[2].stop // height)):
                for column in range(left // width, -(-box[3].stop // width)):
                    frame = tiles.get((box[0].start + channel, box[1].start + plane, row, column))
                    if frame is None:
                        continue
                    y, x = row * height, column * width
                    ys = slice(max(top, y), min(box[2].stop, y + height))
                    xs = slice(max(left, x), min(box[3].stop, x + width))
                    part = slice(ys.start - y, ys.stop - y), slice(xs.start - x, xs.stop - x), *box[4:]
                    place = channel, plane, slice(ys.start - top, ys.stop - top), slice(xs.start - left, xs.stop - left)
                    found[place] = frames.read(frame)[part]
        return found

    array = LazyArray(read, (paths, focal, rows, columns, *colours), frames.dtype, (1, 1, height, width, *colours))
    return (array[0], "ZYXC") if colours else (array.swapaxes(0, 1), "ZCYX")


def _tiles(header: pydicom.FileDataset, height: int, width: int) -> tuple[int, int, dict[tuple[int, ...], int]]:
    """Return how many channels and planes a slide has, and which frame lies where: (channel, plane, row, column)."""
    places = [_tile_place(said) for said in header.get("PerFrameFunctionalGroupsSequence") or []]
    if header.get("DimensionOrganizationType") != "TILED_FULL" and places:
        channels = [part.OpticalPathIdentifier for part in header.get("OpticalPathSequence") or []]
        channels += sorted({place[0] for place in places} - set(channels))
        depths = sorted({place[1] for place in places})
        if any((row - 1) % height or (column - 1) % width for _, _, row, column in places):
            return 1, 1, {}
        return (
            len(channels),
            len(depths),
            {
                (channels.index(channel), depths.index(depth), row // height, column // width): frame
                for frame, (channel, depth, row, column) in enumerate(places)
            },
        )
    # In rows from the top left, plane after plane, channel after channel.
    paths = int(header.get("NumberOfOpticalPaths") or 1)
    focal = int(header.get("TotalPixelMatrixFocalPlanes") or 1)
    shape = -(-int(header.TotalPixelMatrixRows) // height), -(-int(header.TotalPixelMatrixColumns) // width)
    return paths, focal, {place: frame for frame, place in enumerate(np.ndindex(paths, focal, *shape))}


def _tile_place(said: pydicom.Dataset) -> tuple[str, float, int, int]:
    """Return the optical path of a tile, its depth, and row and column of its first pixel, counted from 1."""
    position = said.PlanePositionSlideSequence[0]
    optical = said.get("OpticalPathIdentificationSequence")
    return (
        str(optical[0].OpticalPathIdentifier) if optical else "",
        float(position.get("ZOffsetInSlideCoordinateSystem") or 0),
        int(position.RowPositionInTotalImagePixelMatrix),
        int(position.ColumnPositionInTotalImagePixelMatrix),
    )


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
