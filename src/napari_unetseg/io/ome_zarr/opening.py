"""Open groups and arrays of OME-Zarr, in folders, archives and behind URLs, and say in words what cannot be opened."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import Store
from zarr.errors import (
    ArrayNotFoundError,
    ContainsArrayError,
    ContainsGroupError,
    GroupNotFoundError,
    NodeNotFoundError,
)
from zarr.storage import FsspecStore, LocalStore, ZipStore

from napari_unetseg.errors import ImageError, UnetsegError
from napari_unetseg.io.ome_zarr.location import Location, archive_root, is_url
from napari_unetseg.io.ome_zarr.metadata import check_version, ome_attributes
from napari_unetseg.language import Sentence, error_sentence
from napari_unetseg.lazy_array import LazyArray

_LONGEST_REASON = 300
# How often pixels behind a URL are asked for: connections break.
_TRIES = 3
# What fsspec needs for addresses of other kinds than http.
_LIBRARIES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
_NO_GROUP = (GroupNotFoundError, NodeNotFoundError, ContainsArrayError, FileNotFoundError)
_NO_ARRAY = (ArrayNotFoundError, NodeNotFoundError, ContainsGroupError, FileNotFoundError)


@dataclass(frozen=True)
class OmeGroup:
    """An open group, of which nothing but its metadata was read.

    Attributes
    ----------
    location
        Where it is.
    group
        As zarr opens it; what its consolidated metadata say is not used, as they may be older than what is there.
    """

    location: Location
    group: zarr.Group

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.location.address

    @property
    def zarr_format(self) -> int:
        """Version of zarr: 2 of OME-Zarr 0.4 and older, 3 of 0.5."""
        return int(self.group.metadata.zarr_format)

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        """All that is said of the group."""
        return dict(self.group.attrs)

    @cached_property
    def ome(self) -> Mapping[str, Any]:
        """What is said of it in the terms of OME-Zarr."""
        return ome_attributes(self.attributes)

    def child(self, path: str) -> "OmeGroup | None":
        """Open a group within it; None if there is none."""
        try:
            group = zarr.open_group(
                self.group.store, path=_joined(self.group.path, path), mode="r", use_consolidated=False
            )
        except _NO_GROUP:
            return None
        return OmeGroup(self.location.at(path), group)

    def array(self, path: str) -> zarr.Array[Any]:
        """Open an array within it.

        Raises
        ------
        ImageError
            If there is none, or if it cannot be opened.
        """
        with _unopened_says(f"{self.label}/{path}"):
            try:
                return zarr.open_array(self.group.store, path=_joined(self.group.path, path), mode="r")
            except _NO_ARRAY as error:
                raise ImageError(
                    Sentence(
                        "{path}: its metadata name the array {array}, which is missing. Copy the image again, or write "
                        "it again with the program that it came from.",
                        path=self.label,
                        array=path,
                    )
                ) from error


def open_group(location: Location) -> OmeGroup:
    """Open a group of OME-Zarr.

    Raises
    ------
    ImageError
        If there is none, if a library is missing that a URL needs, or if its version is newer than what is known.
    """
    with _unopened_says(location.address):
        store, path = _store(location)
        try:
            group = zarr.open_group(store, path=path, mode="r", use_consolidated=False)
        except _NO_GROUP as error:
            if _is_array(store, path):
                raise ImageError(
                    Sentence(
                        "{path}: is one array of an OME-Zarr; name the folder that holds it, whose metadata say what "
                        "its axes are.",
                        path=location.address,
                    )
                ) from error
            raise ImageError(
                Sentence(
                    "{path}: there is no OME-Zarr; check the name, and that it was copied as a whole.",
                    path=location.address,
                )
            ) from error
    found = OmeGroup(location, group)
    check_version(found.ome, found.label)
    return found


def lazy_array(array: zarr.Array[Any], label: str) -> LazyArray:
    """Leave an array where it is, to be read in the byte order of this machine, from any thread.

    Parameters
    ----------
    array
        As zarr opens it.
    label
        Where it lies, for messages.
    """
    tries = _TRIES if is_url(label) else 1

    def read(box: tuple[slice, ...]) -> NDArray[Any]:
        with _unread_says(label, box):
            for _ in range(tries - 1):
                try:
                    return np.asarray(array[box])
                except OSError:
                    continue
            return np.asarray(array[box])

    stored = array.shards or array.chunks
    chunks = tuple(max(min(length, side), 1) for length, side in zip(array.shape, stored, strict=True))
    return LazyArray(read, array.shape, array.dtype.newbyteorder("="), chunks)


def _store(location: Location) -> tuple[Store, str]:
    if location.is_zip:
        root = archive_root(location.store)
        if root is None:
            raise ImageError(
                Sentence("{path}: there is no OME-Zarr in this archive; pack its folder again.", path=location.store)
            )
        inner = location.inner
        # A path leads from what the archive holds, whether or not it names the folder in which that lies.
        if root and inner != root and not inner.startswith(f"{root}/"):
            inner = _joined(root, inner)
        return ZipStore(location.store, mode="r"), inner
    if not is_url(location.store):
        # Wherever the process goes meanwhile.
        return LocalStore(Path(location.store).absolute(), read_only=True), ""
    try:
        return FsspecStore.from_url(location.store, read_only=True), ""
    except ImportError as error:
        raise ImageError(
            Sentence(
                "{path}: what reads from such an address is not installed ({reason}). Install it with {command}.",
                path=location.store,
                reason=_reason(error),
                command=f'pip install "{_LIBRARIES.get(location.store.partition(":")[0], "napari-unetseg[url]")}"',
            )
        ) from error


def _is_array(store: Store, path: str) -> bool:
    try:
        zarr.open_array(store, path=path, mode="r")
    except _NO_ARRAY:
        return False
    return True


def _joined(*parts: str) -> str:
    return "/".join(part.strip("/") for part in parts if part.strip("/"))


@contextmanager
def _unopened_says(label: str) -> Iterator[None]:
    """Say what could not be opened, and why: what zarr and file systems raise is of any kind."""
    try:
        yield
    except (UnetsegError, MemoryError):
        raise
    except Exception as error:
        raise ImageError(
            Sentence(
                "{path}: cannot be opened as OME-Zarr ({reason}). Check that you may read it, and that it was copied "
                "as a whole.",
                path=label,
                reason=_reason(error),
            )
        ) from error


@contextmanager
def _unread_says(label: str, box: tuple[slice, ...]) -> Iterator[None]:
    """Say which pixels could not be read, and why: what codecs and file systems raise is of any kind."""
    try:
        yield
    except (UnetsegError, MemoryError):
        raise
    except Exception as error:
        raise ImageError(
            Sentence(
                "{path}: its pixels at {region} cannot be read ({reason}). They may be damaged; copy the image again.",
                path=label,
                region=", ".join(f"{side.start}:{side.stop}" for side in box),
                reason=_reason(error),
            )
        ) from error


def _reason(error: Exception) -> str:
    said = error_sentence(error) or type(error).__name__
    return said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON]}…"
