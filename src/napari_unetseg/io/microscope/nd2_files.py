"""ND2 files of Nikon, read by nd2: positions, and loops over time, depth and whatever else was acquired."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any, Self

import nd2
import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError
from napari_unetseg.io.axis_order import FREE_LETTERS
from napari_unetseg.io.microscope.location import unique_names
from napari_unetseg.io.microscope.planes import missing_planes, planes_in_box
from napari_unetseg.io.microscope.scene import Scene
from napari_unetseg.io.physical_size import Step, known_size, known_step
from napari_unetseg.io.readable import unreadable_says
from napari_unetseg.language import Sentence
from napari_unetseg.lazy_array import LazyArray

_LETTERS = {"TimeLoop": "T", "NETimeLoop": "T", "XYPosLoop": "P", "ZStackLoop": "Z"}
_POSITION = "P"
# Along which there are pictures, where channels are such.
_PICTURES = "A"
_COLOURS = 3

# How a file of the newer kind ends: with the place of a list of its parts, each of which has a head.
_END = struct.Struct("<32sQ")
_END_NAME = b"ND2 CHUNK MAP SIGNATURE 0000001!"
_HEAD = struct.Struct("<IIQ")
_PLACE = struct.Struct("<QQ")
_FRAME = b"ImageDataSeq|"
_FRAME_HEAD = 4096


@dataclass(frozen=True)
class _Loop:
    """An axis along which frames were acquired."""

    letter: str
    count: int
    recorded: Any


def open_nd2(path: Path) -> "Nd2File":
    """Open an ND2 file.

    Raises
    ------
    ImageError
        If its pixels are compressed in a way that is not read, or lie outside it.
    Exception
        Whatever nd2 raises where it is damaged.
    """
    return Nd2File(path)


class Nd2File:
    """An ND2 file, with nothing but its metadata read. It is open only while something is read."""

    def __init__(self, path: Path) -> None:
        self._frames = _Frames(path)
        with self._frames.open() as file:
            attributes = file.attributes
            if attributes.compressionType == "lossy" and not file.is_legacy:
                raise ImageError(
                    Sentence(
                        "{path}: its pixels are compressed with loss, which is not read. Save it without compression.",
                        path=path,
                    )
                )
            self._loops = _loops(file, int(attributes.sequenceCount))
            self._channels = list(getattr(file.metadata, "channels", None) or [])
            self._dtype = file.dtype
        names = [None] * self._positions
        if (loop := self._position_loop) is not None:
            names = [point.name for point in loop.recorded.parameters.points[: loop.count]]
            names += [None] * (loop.count - len(names))
        self.scene_names = unique_names(names, "Position")

    @property
    def _position_loop(self) -> _Loop | None:
        return next((loop for loop in self._loops if loop.letter == _POSITION), None)

    @property
    def _positions(self) -> int:
        return 1 if self._position_loop is None else self._position_loop.count

    def scene(self, number: int) -> Scene:
        """Return a position as a scene; see `MicroscopeFile`."""
        height, width, channels, components = self._frames.shape
        rgb = components == _COLOURS
        along = [loop for loop in self._loops if loop.letter != _POSITION]
        pixels = _Pixels(self._frames, self._loops, number, self._dtype, rgb)
        if rgb:
            # Channels that are pictures themselves are planes along another axis.
            letters, stack, samples = f"{_PICTURES}YXC", [channels], components
        else:
            letters, stack, samples = "CYX", [], channels * components
        array = LazyArray(pixels.read, (*pixels.counts, *stack, height, width, samples), self._dtype, pixels.chunks)
        scale, unit, steps, remarks = self._sizes(along)
        remarks += missing_planes(pixels.missing, prod(pixels.counts))
        names = tuple(channel.channel.name or f"C{at}" for at, channel in enumerate(self._channels))
        named = len(names) == samples and not rgb and any(channel.channel.name for channel in self._channels)
        return Scene(
            self.scene_names[number],
            "".join(loop.letter for loop in along) + letters,
            array if rgb else array.transpose((*range(len(along)), -1, -3, -2)),
            scale,
            unit,
            steps,
            names if named else (),
            rgb,
            remarks,
        )

    def close(self) -> None:
        """Do nothing, as the file is closed already; see `MicroscopeFile`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _sizes(
        self, along: list[_Loop]
    ) -> tuple[tuple[float, float] | None, str | None, dict[str, Step], tuple[Sentence, ...]]:
        """Return the size of a pixel, its unit, other steps, and what could not be used."""
        scale, unit = None, None
        if self._channels and all(self._channels[0].volume.axesCalibrated[:2]):
            columns, rows, _ = self._channels[0].volume.axesCalibration
            scale, unit = known_size([rows, columns], ["micrometer"] * 2)
        steps, remarks = {}, []
        for loop in along:
            if loop.letter == "Z" and (step := known_step(loop.recorded.parameters.stepUm, "micrometer")) is not None:
                steps["Z"] = step
            elif loop.letter == "T":
                periods = _periods(loop.recorded)
                if len(set(periods)) > 1:
                    remarks.append(Sentence("Its time points are not the same time apart, which is left out."))
                elif periods and (step := known_step(periods[0] / 1000, "second", time=True)) is not None:
                    steps["T"] = step
        return scale, unit, steps, tuple(remarks)


class _Pixels:
    """Reads boxes of one position: along its loops, of colour pictures along these, then rows, columns and samples."""

    def __init__(self, frames: "_Frames", loops: list[_Loop], position: int, dtype: np.dtype[Any], rgb: bool) -> None:
        self._frames, self._dtype, self._rgb = frames, dtype, rgb
        self.counts = tuple(loop.count for loop in loops if loop.letter != _POSITION)
        shape = [loop.count for loop in loops]
        numbers = np.arange(prod(shape)).reshape(shape)
        place = next((at for at, loop in enumerate(loops) if loop.letter == _POSITION), None)
        self._numbers: NDArray[np.intp] = numbers if place is None else np.asarray(numbers.take(position, place))
        height, width, channels, components = frames.shape
        samples = (1, height, width, components) if rgb else (height, width, channels * components)
        self.chunks = (*(1,) * len(self.counts), *samples)

    def read(self, box: tuple[slice, ...]) -> NDArray[Any]:
        """Read a box, from a slice of step 1 for each axis."""
        with unreadable_says(self._frames.path):
            return planes_in_box(self._plane, box, len(self.counts) + self._rgb, self._dtype)

    @property
    def missing(self) -> int:
        """How many frames were never recorded: nd2 gives zeros for them."""
        places = self._frames.places
        return 0 if places is None else sum(int(number) not in places for number in self._numbers.flat)

    def _plane(self, index: tuple[int, ...], part: tuple[slice, ...]) -> NDArray[Any]:
        if self._rgb:
            return self._frames.picture(int(self._numbers[index[:-1]]), index[-1], part)
        return self._frames.samples(int(self._numbers[index]), part)


class _Frames:
    """Reads frames, each of which holds all channels of a place.

    The file is opened for each, so that what was read of it, which nd2 maps, does not count as the memory of this
    process, and so that nobody is kept from moving it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()  # on what nd2 opens and closes
        self._file = nd2.ND2File(path)
        try:
            attributes = self._file.attributes
            channels = attributes.channelCount or 1
            components = attributes.componentCount // channels
            width = 1 if attributes.widthPx is None else int(attributes.widthPx)
            self.shape = int(attributes.heightPx), width, channels, components
            self._dtype = self._file.dtype
            is_packed = attributes.compressionType is not None
            row_bytes = int(attributes.widthBytes or 0)
            self.places = None
            if not self._file.is_legacy:
                self.places = _recorded_frames(path, 0 if is_packed else self.shape[0] * row_bytes)
            self._row_bytes = prod(self.shape[1:]) * self._dtype.itemsize
            self._is_plain = not is_packed and row_bytes == self._row_bytes
        finally:
            self._file.close()

    @contextmanager
    def open(self) -> Iterator[nd2.ND2File]:
        """Give the file to one thread at a time, open."""
        with self._lock:
            self._file.open()
            try:
                yield self._file
            except BaseException:
                # What failed may still hold a part of what is mapped, which is let go with it.
                with suppress(BufferError):
                    self._file.close()
                raise
            self._file.close()

    def samples(self, frame: int, part: tuple[slice, ...]) -> NDArray[Any]:
        """Return rows, columns and channels of a frame."""
        _, width, channels, colours = self.shape
        whole_rows = [along.stop - along.start for along in part[1:]] == [width, channels * colours]
        if whole_rows and self._is_plain and self.places is not None and frame in self.places:
            return self._rows(self.places[frame], part[0])
        with self.open() as file:
            return _copied(file, frame, self.shape, part)

    def picture(self, frame: int, channel: int, part: tuple[slice, ...]) -> NDArray[Any]:
        """Return rows, columns and colours of one channel of a frame."""
        rows, columns, colours = part
        # Nikon's files have blue first, whatever nd2 calls it.
        turned = slice(_COLOURS - colours.stop, _COLOURS - colours.start)
        if self.shape[2] == 1:
            return self.samples(frame, (rows, columns, turned))[..., ::-1]
        with self.open() as file:
            return _copied(file, frame, self.shape, (rows, columns, channel, turned))[..., ::-1]

    def _rows(self, place: int, rows: slice) -> NDArray[Any]:
        """Read rows as they are stored: to copy them from a map of the file takes twice the memory."""
        pixels = np.empty((rows.stop - rows.start, self.shape[1], prod(self.shape[2:])), self._dtype)
        with self.path.open("rb", buffering=0) as file:
            file.seek(place + rows.start * self._row_bytes)
            if file.readinto(pixels.data) != pixels.nbytes:
                raise ValueError("the file ended early")
        return pixels


def _copied(
    file: nd2.ND2File, frame: int, shape: tuple[int, int, int, int], part: tuple[slice | int, ...]
) -> NDArray[Any]:
    """Return a part of a frame, nothing of which is mapped any more.

    Parameters
    ----------
    file
        Open.
    frame
        Its number.
    shape
        Of each frame: rows, columns, channels and colours.
    part
        Of all four, or of rows, columns, and channels and colours in one.
    """
    height, width, channels, colours = shape
    # nd2 leaves out what is one long, and has channels before rows.
    pixels: NDArray[Any] = file.read_frame(frame).reshape(channels, height, width, colours).transpose(1, 2, 0, 3)
    if len(part) < pixels.ndim:
        pixels = pixels.reshape(height, width, channels * colours)
    return np.array(pixels[part], order="C")


def _loops(file: nd2.ND2File, frames: int) -> list[_Loop]:
    """Return along what frames lie, the slowest first, each with a letter of its own."""
    found: list[_Loop] = []
    for loop in file.experiment:
        taken = {one.letter for one in found} | {"C"}
        free = (letter for letter in FREE_LETTERS if letter not in (_PICTURES, _POSITION) and letter not in taken)
        letter = _LETTERS.get(loop.type)
        found.append(_Loop(letter if letter is not None and letter not in taken else next(free), loop.count, loop))
    if not found and frames > 1:
        found.append(_Loop(FREE_LETTERS[1], frames, None))  # the first is that of pictures
    return found


def _periods(loop: Any) -> list[float]:
    """Return milliseconds between time points: as they came out where that was recorded, else as they were meant."""
    phases = loop.parameters.periods if loop.type == "NETimeLoop" else [loop.parameters]
    found = []
    for phase in phases:
        average = getattr(phase.periodDiff, "avg", None)
        found.append(float(average if average and average > 0 else phase.periodMs or 0))
    return found


def _recorded_frames(path: Path, least: int) -> dict[int, int]:
    """Return where the pixels of each frame begin that the file holds, by the list of its parts.

    Parameters
    ----------
    path
        The file.
    least
        Bytes that the pixels of a frame have at least.

    Raises
    ------
    ImageError
        If a frame does not lie in the file: nd2 would give zeros for it.
    """
    found = {}
    with path.open("rb") as stream:
        size = stream.seek(-_END.size, 2) + _END.size
        name, start = _END.unpack(stream.read(_END.size))
        if name != _END_NAME:
            raise ValueError("the list of its parts is missing")
        stream.seek(start)
        _, head, length = _HEAD.unpack(stream.read(_HEAD.size))
        stream.seek(head, 1)
        parts = stream.read(length)
    at = 0
    while not parts.startswith(_END_NAME, at):
        end = parts.index(b"!", at) + 1
        place, _ = _PLACE.unpack_from(parts, end)
        if parts.startswith(_FRAME, at):
            if place + _FRAME_HEAD + least > size:
                raise ImageError(Sentence("{path}: a part of its pixels is missing; copy the file again.", path=path))
            found[int(parts[at + len(_FRAME) : end - 1])] = place + _FRAME_HEAD
        at = end + _PLACE.size
    return found
