"""Results of a batch as OME-Zarr: labels, in their image or in a store of their own, and probability maps."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetseg.batch.output_files import ResultKind, Target
from napari_unetseg.batch.places import address, labels_within
from napari_unetseg.blockwise.grid import BLOCK_SIDE, BlockGrid
from napari_unetseg.errors import ImageError
from napari_unetseg.image import Image
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.blocks import Block

if TYPE_CHECKING:
    from napari_unetseg.io.ome_zarr.labels import LabelPyramid
    from napari_unetseg.io.ome_zarr.maps import MapPyramid
    from napari_unetseg.postprocessing.measurements import Table
    from napari_unetseg.service import Segmentation
    from napari_unetseg.service.block_segmentation import BlockResult

_MOST_KEPT = 100_000
"""Objects up to which labels keep the table of their measurements; of more they name its file."""


def job_folder(target: Target) -> Path:
    """Return where an image that is done block by block keeps what is not finished: beside its labels."""
    labels = target.result(ResultKind.OME_ZARR)
    return labels.parent / f".unetseg-job-{labels.name}"


def check_replaceable(target: Target, image: str) -> None:
    """Refuse to replace labels within an image that this program did not make.

    Raises
    ------
    ImageError
        The message says what to do.
    """
    if target.labels is None or not target.labels.exists():
        return
    from napari_unetseg.io.ome_zarr.labels import is_made_here

    if not is_made_here(target.labels):
        raise ImageError(
            Sentence(
                "{image}: has labels called {name} that another program made. Choose another name for the new ones "
                "(--label-name), or write them beside the image (--beside).",
                image=image,
                name=target.labels.name,
            )
        )


@dataclass(frozen=True)
class ZarrLabels:
    """How a batch writes labels as OME-Zarr.

    Attributes
    ----------
    name
        What they are called.
    beside
        Whether they go beside the other results even where they could go into the image.
    level
        Of the image's pyramid that is segmented, as `read_image` takes it.
    """

    name: str
    beside: bool = False
    level: int | str = 0

    def place(self, file: Path) -> Path | None:
        """Return where in an image its labels go; None where they go beside the other results."""
        return None if self.beside else labels_within(file, self.name)

    def create(self, image: Image, file: Path, target: Target) -> "LabelPyramid":
        """Make a label image without a pixel in it, in place of an earlier one; readers do not know of it yet.

        Parameters
        ----------
        image
            What is segmented.
        file
            Where it was read.
        target
            Where its results go.

        Raises
        ------
        UnetsegError
            If it cannot be written there.
        """
        from napari_unetseg.io.ome_zarr.label_creation import create_label_store, create_labels

        if target.labels is None:
            path = target.result(ResultKind.OME_ZARR)
            return create_label_store(path, self.name, image, block_side=BLOCK_SIDE, replace=True)
        level = self._number(image, file)
        return create_labels(file, self.name, image, block_side=BLOCK_SIDE, level=level, replace=True)

    def check_fits(self, image: Image, file: Path, target: Target) -> None:
        """Refuse an image in which its labels have no place.

        Raises
        ------
        UnetsegError
            The message says what to do.
        """
        from napari_unetseg.io.ome_zarr.label_creation import check_fits

        if target.labels is not None:
            check_fits(file, self.name, image, block_side=BLOCK_SIDE, level=self._number(image, file))

    def _number(self, image: Image, file: Path) -> int:
        """Return the number of the level that is segmented."""
        from napari_unetseg.io.levels import level_number
        from napari_unetseg.io.ome_zarr.images import open_image

        return level_number(self.level, open_image(address(file)).pyramid, image.name) if self.level else 0

    def open_begun(self, image: Image, file: Path, target: Target) -> "LabelPyramid":
        """Return the labels that a run left unfinished whose blocks are kept, else new ones; see `create`.

        Raises
        ------
        UnetsegError
            If they cannot be written there.
        """
        from napari_unetseg.io.ome_zarr.labels import open_labels

        if job_folder(target).is_dir():
            try:
                begun = open_labels(
                    target.labels or target.result(ResultKind.OME_ZARR) / "labels" / self.name, writable=True
                )
            except ImageError:
                return self.create(image, file, target)  # it was killed before there were any
            if not begun.is_finished:
                return begun
        return self.create(image, file, target)

    def write(self, segmentation: "Segmentation", file: Path, target: Target) -> None:
        """Write labels that are in memory, with their measurements and how they came about.

        Raises
        ------
        UnetsegError
            If they cannot be written.
        """
        labels = self.create(segmentation.image, file, target)
        for plane, block in _blocks(segmentation.image):
            labels.write_block(plane, block, segmentation.labels[plane][block])
        _finish(labels, segmentation.measurements, segmentation.count, target, segmentation.provenance.as_dict())


def write_maps(path: Path, segmentation: "Segmentation") -> None:
    """Write probability maps that are in memory, float16.

    Raises
    ------
    UnetsegError
        If they cannot be written, or there is something else.
    """
    maps = _new_maps(path, segmentation.heads, segmentation)
    for plane, block in _blocks(segmentation.image):
        index: tuple[Any, ...] = (slice(None), *plane, *block)
        maps.write_block(plane, block, segmentation.probability[index])


def write_block_maps(path: Path, result: "BlockResult") -> None:
    """Write the probability maps of an image that was done block by block, float16, while what is kept of it is there.

    Raises
    ------
    UnetsegError
        If they cannot be written, or there is something else.
    """
    first = result.maps((0,) * len(result.image.stack_axes))
    maps = _new_maps(path, tuple(first), result)
    for plane in np.ndindex(result.image.stack_shape):
        said = result.maps(plane)
        for block in _plane_blocks(result.image):
            maps.write_block(plane, block, np.stack([head[block] for head in said.values()]))


def _new_maps(path: Path, heads: tuple[str, ...], result: "Segmentation | BlockResult") -> "MapPyramid":
    from napari_unetseg.io.ome_zarr.maps import create_maps

    said = result.provenance.as_dict()
    return create_maps(path, heads, result.image, block_side=BLOCK_SIDE, provenance=said, replace=True)


def _blocks(image: Image) -> Iterator[tuple[tuple[int, ...], Block]]:
    return product(np.ndindex(image.stack_shape), _plane_blocks(image))


def _plane_blocks(image: Image) -> Iterator[Block]:
    grid = BlockGrid(image.shape, BLOCK_SIDE)
    return map(grid.block, range(len(grid)))


def finish_blocks(result: "BlockResult", labels: "LabelPyramid", target: Target) -> None:
    """Let readers know of labels that were written block by block, once the table is at its place.

    Raises
    ------
    UnetsegError
        If they cannot be written.
    """
    table = None
    if result.count <= _MOST_KEPT:
        table = read_numbers(target.result(ResultKind.TABLE))
    _finish(labels, table, result.count, target, result.provenance.as_dict())


def _finish(
    labels: "LabelPyramid", table: "Table | None", count: int, target: Target, provenance: dict[str, object]
) -> None:
    if table is not None and count <= _MOST_KEPT:
        labels.finish(table=table, provenance=provenance)
    else:
        labels.finish(table_file=target.result(ResultKind.TABLE), provenance=provenance)


def read_numbers(path: Path) -> "Table":
    """Read a table of measurements as numbers: whole ones where all are, NaN where a cell is empty."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        names = next(csv.reader(file))
        rows = np.loadtxt(file, delimiter=",", ndmin=2, converters=lambda cell: float(cell or "nan"))
    columns = rows.T if rows.size else np.empty((len(names), 0))
    return {name: _whole(values) for name, values in zip(names, columns, strict=True)}


def _whole(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> "np.ndarray[tuple[int], np.dtype[np.generic]]":
    is_whole = np.isfinite(values).all() and (values == np.rint(values)).all()
    return values.astype(np.int64) if is_whole else values
