"""The table of all objects: measured block by block, written in the order of their numbers."""

import csv
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.blockwise.basins_stage import block_units
from napari_unetseg.blockwise.job import BlockJob
from napari_unetseg.blockwise.job_folder import load_arrays, save_arrays
from napari_unetseg.blockwise.linking_stage import in_stack
from napari_unetseg.blockwise.objects_stage import objects_of_block
from napari_unetseg.blockwise.stages import Unit
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.io.table import write_rows
from napari_unetseg.postprocessing.blocks import Block, grow_block
from napari_unetseg.postprocessing.large_objects import ObjectSource, measure_large
from napari_unetseg.postprocessing.measurements import Table, measure

NEAR = 256
"""Pixels round a block in which its objects are measured together; those that reach further are measured one by one."""

LARGE = 2**24
"""Pixels of the box of an object from which it is measured strip by strip, which takes longer but no more memory."""

STRIP = 2**21
"""Pixels of such a strip."""

ROWS_AT_ONCE = 100_000
"""Rows of the table that are in memory at the same time."""


class TableStage:
    """Measures each object once, in the block of its first pixel."""

    name = "table"

    def units(self, job: BlockJob) -> Iterable[Unit]:
        """Return the blocks of all planes."""
        return block_units(job)

    def is_done(self, job: BlockJob, unit: Unit) -> bool:
        """Whether a block's file is there."""
        return job.folder.unit_file(self.name, unit).exists()

    def do(self, job: BlockJob, unit: Unit) -> None:
        """Measure the objects that begin in a block."""
        objects = objects_of_block(job, unit.plane, unit.number)
        boxes = objects.box
        near = grow_block(job.grid.block(unit.number), NEAR, job.grid.shape)
        ends = np.array([side.stop for side in near])
        starts = np.array([side.start for side in near])
        is_near = (boxes[:, :2] >= starts).all(axis=1) & (boxes[:, 2:] <= ends).all(axis=1)
        labels = in_stack(job, unit.plane, objects.number)
        groups = [is_near, *(np.arange(len(labels)) == far for far in np.flatnonzero(~is_near))]
        tables = [
            _measured(job, unit.plane, labels[group], boxes[group], objects.confidence[group]) for group in groups
        ]
        table = {name: np.concatenate([part[name] for part in tables]) for name in tables[0]}
        save_table(job.folder.unit_file(self.name, unit), table)

    def conclude(self, job: BlockJob) -> None:
        """Write all rows into one file, plane after plane, in the order of the objects' numbers."""
        path = table_file(job)
        if path.exists():
            return
        with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            for number, table in enumerate(table_parts(job)):
                if number == 0:
                    csv.writer(file).writerow(table)
                write_rows(file, table)


def table_file(job: BlockJob) -> Path:
    """Return the file of the whole table."""
    return job.folder.stage_file(TableStage.name, ".csv")


def table_parts(job: BlockJob) -> Iterator[Table]:
    """Yield the table in parts of a bounded number of rows, in the order of all; one part at least."""
    for plane, place in enumerate(job.planes):
        files = [job.folder.unit_file(TableStage.name, Unit(plane, number)) for number in range(len(job.grid))]
        labels = [_column(file, 0) for file in files]
        rising = np.sort(np.concatenate(labels))
        for start in range(0, max(len(rising), 1), ROWS_AT_ONCE):
            span = rising[start : start + ROWS_AT_ONCE]
            parts = [
                {name: column[is_wanted] for name, column in load_table(file).items()}
                for file, own in zip(files, labels, strict=True)
                for is_wanted in [np.isin(own, span, assume_unique=True)]
                if is_wanted.any()
            ] or [load_table(files[0])]
            order = np.argsort(np.concatenate([part["label"] for part in parts]))
            table = {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}
            places = zip(job.image.stack_axes, place, strict=True)
            axes = {axis.lower(): np.full(len(order), at) for axis, at in places}
            yield {"label": table["label"], **axes, **table}


def save_table(path: Path, table: Table) -> None:
    """Write the columns of a block into a file."""
    columns: dict[str, NDArray[Any]] = {f"column_{at}": column for at, column in enumerate(table.values())}
    save_arrays(path, names=np.array(list(table)), **columns)


def load_table(path: Path) -> Table:
    """Read the columns of a block."""
    arrays = load_arrays(path)
    return {str(name): arrays[f"column_{at}"] for at, name in enumerate(arrays["names"])}


def _column(path: Path, at: int) -> NDArray[Any]:
    name = f"column_{at}"
    return load_arrays(path, name)[name]


def _measured(
    job: BlockJob,
    plane: int,
    labels: NDArray[np.int32],
    boxes: NDArray[np.int32],
    confidence: NDArray[np.float32],
) -> Table:
    """Measure some objects of a plane in the box that holds all of them; without any the table is empty."""
    region: Block = (slice(0, 1), slice(0, 1))
    if len(labels):
        first, last = boxes[:, :2].min(axis=0).tolist(), boxes[:, 2:].max(axis=0).tolist()
        region = tuple(slice(start, stop) for start, stop in zip(first, last, strict=True))
    if len(labels) == 1 and (region[0].stop - region[0].start) * (region[1].stop - region[1].start) > LARGE:
        return _measured_large(job, plane, int(labels[0]), region)
    order = np.argsort(labels)
    rising = labels[order]
    seen = job.target.read(job.planes[plane], region)
    # Numbers without gaps, in the same order: tables of numbers are short then.
    own = np.zeros(seen.shape, np.int32)
    if len(rising):
        before, after = int(rising[0]) - 1, int(rising[-1]) + 1
        place = np.zeros(after - before + 1, np.int32)
        place[rising - before] = np.arange(1, len(rising) + 1)
        seen = np.clip(seen, before, after)
        seen -= before
        own = np.take(place, seen, mode="clip")
    image, maps = job.plane_image(plane), job.maps(plane)
    table = measure(
        own,
        foreground=None,
        agreement=maps["agreement"][region] if "agreement" in maps else None,
        intensity=np.asarray(image.channels_first[:, *region]),
        scale=image.scale,
        unit=image.unit,
        origin=(image.origin[0] + region[0].start, image.origin[1] + region[1].start),
        confidence=confidence[order] if job.spec.with_confidence else None,
    )
    # As numpy counts labels of a whole plane.
    return {**table, "label": rising.astype(table["label"].dtype)}


def _measured_large(job: BlockJob, plane: int, label: int, box: Block) -> Table:
    image, maps = job.plane_image(plane), job.maps(plane)
    columns = {"confidence": "foreground", "agreement": "agreement"}
    source = ObjectSource(
        box=box,
        mask=lambda region: job.target.read(job.planes[plane], region) == label,
        intensity=lambda region: np.asarray(image.channels_first[:, *region]),
        means={column: partial(_read, maps[name]) for column, name in columns.items() if name in maps},
    )
    table = measure_large(source, scale=image.scale, unit=image.unit, origin=image.origin, strip=STRIP)
    return {**table, "label": np.array([label], table["label"].dtype)}


def _read(plane: Any, region: Block) -> NDArray[np.float32]:
    pixels: NDArray[np.float32] = plane[region]
    return pixels
