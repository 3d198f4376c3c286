"""Labels of a dask array as another one, for those who have a graph of their own."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.blockwise.grid import BLOCK_SIDE
from napari_unetseg.blockwise.job import BlockSource
from napari_unetseg.errors import ParameterError
from napari_unetseg.image import Image
from napari_unetseg.io import read_image
from napari_unetseg.language import Sentence
from napari_unetseg.segment_options import SegmentOptions

if TYPE_CHECKING:
    import dask.array
    import zarr

    from napari_unetseg.blockwise.run import Executor
    from napari_unetseg.service.service import SegmentationService

_CHUNK = 512
_LABELS = "objects"
_PRIMARY = ("FF0000", "00FF00", "0000FF")

_temporary: list["TemporaryDirectory[str]"] = []
"""Folders that last as long as this process, since arrays that were returned read from them."""


@dataclass(frozen=True)
class _Place:
    """Where image and labels of an array are kept, and what the image is.

    Attributes
    ----------
    folder
        That all processes see.
    axes
        Letters of the image as it is kept: channels before Y and X.
    shape
        Of these axes.
    dtype
        Of the pixels.
    rgb
        Whether the channels are the colours of a picture.
    """

    folder: Path
    axes: str
    shape: tuple[int, ...]
    dtype: str
    rgb: bool

    @property
    def image(self) -> Path:
        """The store of the image."""
        return self.folder / "image.ome.zarr"

    @property
    def labels(self) -> Path:
        """The store of the labels."""
        return self.folder / "labels.ome.zarr"


def map_blocks(
    service: "SegmentationService",
    array: "dask.array.Array",
    folder: str | Path | None,
    axes: str | None,
    executor: "Executor | None",
    options: SegmentOptions,
) -> "dask.array.Array":
    """Return the labels of an array, not yet computed; `SegmentationService.map_blocks` explains the rest."""
    import dask.array as da
    from dask.delayed import delayed

    if not isinstance(array, da.Array):
        raise ParameterError(
            Sentence("This takes a dask array, not {kind}; use dask.array.from_array.", kind=type(array).__name__)
        )
    pixels: Any = array  # which an `Image` leaves as it is
    image = Image.of(pixels) if axes is None else Image(pixels, axes)
    pixels, axes = image.array, image.axes
    if axes.endswith("C"):
        pixels, axes = da.moveaxis(pixels, -1, -3), f"{axes[:-3]}CYX"
    shape = tuple(map(int, pixels.shape))
    place = _Place(_folder(folder), axes, shape, str(pixels.dtype), image.rgb)
    begun = delayed(_begin, pure=False)(place)
    # Each piece has whole chunks of the store for itself, so that no two tasks write into one file.
    pieces = pixels.rechunk([BLOCK_SIDE if axis in "YX" else 1 for axis in axes])
    corners = _corners(pieces.chunks)
    written = [
        delayed(_write, pure=False)(begun, start, piece)
        for start, piece in zip(corners, pieces.to_delayed().ravel(), strict=True)
    ]
    done = delayed(_lead, pure=False)(service, executor, place, options, written)
    labels = da.zeros(
        tuple(length for axis, length in zip(axes, shape, strict=True) if axis != "C"),
        chunks=tuple(BLOCK_SIDE if axis in "YX" else 1 for axis in axes if axis != "C"),
        dtype=np.int32,
    )
    mapped: da.Array = labels.map_blocks(_read, done, dtype=np.int32, meta=np.empty((0,) * labels.ndim, np.int32))
    return mapped


def _folder(folder: str | Path | None) -> Path:
    if folder is not None:
        return Path(folder).absolute()
    _temporary.append(TemporaryDirectory(prefix="unetseg-blocks-", ignore_cleanup_errors=True))
    return Path(_temporary[-1].name)


def _corners(chunks: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """Return where each piece of an array begins, in their order."""
    starts = [np.cumsum([0, *lengths[:-1]]) for lengths in chunks]
    return [
        tuple(int(along[at]) for along, at in zip(starts, index, strict=True))
        for index in np.ndindex(*map(len, chunks))
    ]


def _begin(place: _Place) -> "zarr.Array[Any]":
    """Make the store of the image, without a pixel in it."""
    import zarr

    types = {"C": "channel", "T": "time"}
    axes = [{"name": axis.lower(), "type": types.get(axis, "space")} for axis in place.axes]
    whole = {"type": "scale", "scale": [1.0] * len(axes)}
    said: dict[str, Any] = {
        "version": "0.5",
        "multiscales": [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": [whole]}]}],
    }
    if place.rgb:
        said["omero"] = {"channels": [{"color": colour, "active": True} for colour in _PRIMARY]}
    if place.image.exists():
        shutil.rmtree(place.image)
    group = zarr.open_group(place.image, mode="w-", zarr_format=3, attributes={"ome": said})
    sizes = zip(place.axes, place.shape, strict=True)
    chunks = tuple(min(_CHUNK, length) if axis in "YX" else 1 for axis, length in sizes)
    return group.create_array("0", shape=place.shape, dtype=place.dtype, chunks=chunks)


def _write(store: "zarr.Array[Any]", start: tuple[int, ...], piece: NDArray[Any]) -> None:
    store[tuple(slice(at, at + length) for at, length in zip(start, piece.shape, strict=True))] = piece


def _lead(
    service: "SegmentationService",
    executor: "Executor | None",
    place: _Place,
    options: SegmentOptions,
    written: Sequence[None],
) -> "zarr.Array[Any]":
    """Segment the image that was written, and return where its labels are."""
    from napari_unetseg.io.ome_zarr.label_creation import create_label_store
    from napari_unetseg.io.ome_zarr.labels import open_labels

    source = BlockSource(path=str(place.image), axes=place.axes)
    image = read_image(**source.model_dump())
    job = place.folder / "job"
    if job.exists():  # a process that led was lost: what is done of the labels stays
        labels = open_labels(place.labels / "labels" / _LABELS, writable=True)
    else:
        labels = create_label_store(place.labels, _LABELS, image, block_side=BLOCK_SIDE, replace=True)
    service.segment_blocks(
        image,
        job,
        labels,
        executor=executor,
        source=source,
        conclude=lambda result: None,
        **options.model_dump(exclude_unset=True),
    )
    return labels.arrays[0]


def _read(block: NDArray[np.int32], labels: "zarr.Array[Any]", block_info: Any = None) -> NDArray[np.int32]:
    """Return the labels of a block, of which nothing but the place is looked at."""
    where = block_info[0]["array-location"]
    return np.asarray(labels[tuple(slice(*ends) for ends in where)], np.int32)
