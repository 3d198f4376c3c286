"""Label images on disk, of which only the parts that changed are written again."""

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.atomic import sync, whole_file
from napari_unetseg.io.json_text import json_text
from napari_unetseg.language import Sentence

INDEX = "index.json"
_VERSION = 1
_SIDE = 512  # of a part, in pixels
_SLACK = 4 << 20  # bytes of parts of before from which on the file is written anew

Part = tuple[int, ...]
"""Which part of an array: its place along each axis, counted in parts."""


class EditsTooLarge(UnetsegError):
    """A label image would take more room on the disk than it may."""


@dataclass(frozen=True)
class _Place:
    """Where the pixels of a part are in the file, and what they are."""

    start: int
    length: int
    digest: bytes


class EditFile:
    """A label image in a folder of its own; after every `write` the last one is on the disk, whole.

    New parts are appended to a file of parts. Then the index, which says which of them count, is replaced in one step.
    So a process that is killed leaves either the image of before or the new one. Parts that hold no object are in no
    file.

    Parameters
    ----------
    folder
        Made when it is first written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places: dict[Part, _Place] = {}
        # What is there already counts until a new index is written.
        self._file = _next_file(folder)
        self._size = 0
        self._written: dict[str, Any] | None = None
        self._shape: dict[str, Any] = {}

    def write(self, labels: NDArray[Any], description: Mapping[str, Any], limit: int) -> None:
        """Bring the folder in line with an array, which others may change meanwhile: a part is read in one go.

        Parameters
        ----------
        labels
            Any integers, of any number of dimensions.
        description
            What else to keep: lists, mappings, texts and numbers.
        limit
            Most bytes that the folder may take.

        Raises
        ------
        EditsTooLarge
            If it would take more; the folder stays as it was.
        UnetsegError
            If the operating system refuses.
        """
        shape = {"shape": list(labels.shape), "dtype": labels.dtype.str}
        about = {"version": _VERSION, **shape, "description": description}
        if shape != self._shape:
            self._places, self._shape, self._written = {}, shape, None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            places = self._append(labels, limit)
        except OSError as error:
            raise _cannot_write(self.folder, error) from error
        if places == self._places and about == self._written:
            return
        self._write_index(about, places)
        self._places, self._written = places, about
        try:
            if self._size > 2 * sum(place.length for place in places.values()) + _SLACK:
                self._pack(about)
            for file in _files(self.folder):
                if file != self._file:
                    file.unlink()
        except OSError as error:
            raise _cannot_write(self.folder, error) from error

    def _append(self, labels: NDArray[Any], limit: int) -> dict[Part, _Place]:
        """Append the parts that changed to the file; return where all of them are."""
        places: dict[Part, _Place] = {}
        start = self._size
        with self._file.open("r+b" if self._file.exists() else "w+b") as file:
            # What a write that failed left behind is written over.
            file.seek(start)
            for part, span in _parts(labels.shape):
                pixels = np.ascontiguousarray(labels[span])
                if not pixels.any():
                    continue
                digest = hashlib.blake2b(pixels.data, digest_size=16).digest()
                known = self._places.get(part)
                if known is not None and known.digest == digest:
                    places[part] = known
                    continue
                content = zlib.compress(pixels.data, level=1)
                if start + len(content) > limit:
                    raise EditsTooLarge(
                        Sentence("{folder}: the edits take more room than they may.", folder=self.folder)
                    )
                file.write(content)
                places[part] = _Place(start, len(content), digest)
                start += len(content)
        if start != self._size:
            sync(self._file)
        self._size = start
        return places

    def _pack(self, about: Mapping[str, Any]) -> None:
        """Copy the parts that count to a new file."""
        new, places, start = _next_file(self.folder), dict[Part, _Place](), 0
        with self._file.open("rb") as source, new.open("wb") as target:
            for part, place in self._places.items():
                source.seek(place.start)
                target.write(source.read(place.length))
                places[part] = _Place(start, place.length, place.digest)
                start += place.length
        sync(new)
        before, self._file = self._file, new
        try:
            self._write_index(about, places)
        except UnetsegError:
            self._file = before
            raise
        self._places, self._size = places, start

    def _write_index(self, about: Mapping[str, Any], places: Mapping[Part, _Place]) -> None:
        parts = [[*part, place.start, place.length] for part, place in places.items()]
        with whole_file(self.folder / INDEX) as path:
            path.write_text(json_text({**about, "file": self._file.name, "parts": parts}), encoding="utf-8")


def read_description(folder: Path) -> dict[str, Any]:
    """Return what was kept beside a label image.

    Raises
    ------
    UnetsegError
        If the folder holds none.
    """
    description: dict[str, Any] = _read_index(folder)["description"]
    return description


def read_edit(folder: Path) -> tuple[NDArray[Any], dict[str, Any]]:
    """Read a label image and what was kept beside it.

    Raises
    ------
    UnetsegError
        If the folder holds none, or a part of it is damaged.
    """
    index = _read_index(folder)
    try:
        shape = tuple(int(length) for length in index["shape"])
        labels = np.zeros(shape, np.dtype(index["dtype"]))
        spans = dict(_parts(shape))
        with (folder / index["file"]).open("rb") as file:
            for *part, start, length in index["parts"]:
                target = labels[spans[tuple(part)]]
                file.seek(start)
                content = zlib.decompress(file.read(length))
                target[...] = np.frombuffer(content, labels.dtype).reshape(target.shape)
    except (OSError, ValueError, KeyError, TypeError, zlib.error) as error:
        raise _damaged(folder, error) from error
    return labels, index["description"]


def _read_index(folder: Path) -> dict[str, Any]:
    try:
        index: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if index["version"] != _VERSION:
            raise ValueError(f"version {index['version']}")
        if not isinstance(index["description"], dict):
            raise TypeError("no description")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, error) from error
    return index


def _files(folder: Path) -> list[Path]:
    """Return the files of parts, in the order in which they were begun."""
    return sorted(folder.glob("labels-*.bin"), key=lambda file: int(file.stem.rpartition("-")[2]))


def _next_file(folder: Path) -> Path:
    number = max((int(file.stem.rpartition("-")[2]) for file in _files(folder)), default=-1) + 1
    return folder / f"labels-{number}.bin"


def _parts(shape: tuple[int, ...]) -> Iterator[tuple[Part, tuple[slice, ...]]]:
    """Divide an array: its two longest axes into spans, the others into single places."""
    longest = sorted(range(len(shape)), key=lambda axis: shape[axis], reverse=True)[:2]
    sides = [_SIDE if axis in longest else 1 for axis in range(len(shape))]
    counts = [-(-length // side) for length, side in zip(shape, sides, strict=True)]
    for part in np.ndindex(*counts):
        yield part, tuple(slice(at * side, (at + 1) * side) for at, side in zip(part, sides, strict=True))


def _cannot_write(folder: Path, error: OSError) -> UnetsegError:
    return UnetsegError(
        Sentence(
            "{path}: cannot be written ({reason}). Choose another folder or make room on the disk.",
            path=folder,
            reason=error.strerror or error,
        )
    )


def _damaged(folder: Path, error: Exception) -> UnetsegError:
    return UnetsegError(
        Sentence("{folder}: the edits that were kept here cannot be read ({reason}).", folder=folder, reason=error)
    )
