"""Holes filled, confidence added up and unsure objects dropped, block by block."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.blockwise.basins_stage import BasinsStage, block_units
from napari_unetseg.blockwise.block_labels import BlockLabels, open_array, open_part, save_array, save_parts
from napari_unetseg.blockwise.job import BlockJob
from napari_unetseg.blockwise.job_folder import load_arrays, load_json, save_arrays, save_json
from napari_unetseg.blockwise.joining import BlockEdges, Ints, edges_of, pixels_in_plane, starts_of
from napari_unetseg.blockwise.smoothing_stage import SmoothingStage
from napari_unetseg.blockwise.stages import Unit
from napari_unetseg.postprocessing.exact_sums import ExactSums
from napari_unetseg.postprocessing.holes import Gaps, find_gaps
from napari_unetseg.postprocessing.merging import connected_nodes
from napari_unetseg.postprocessing.numbering import compact_labels, count_objects

_SUMS = ("sizes", "high", "low", "unknown")
_NOT_YET = np.iinfo(np.int32).max


class ObjectsStage:
    """Fills holes, drops objects of low confidence, and numbers those of each plane in raster order."""

    name = "objects"

    def units(self, job: BlockJob) -> Iterable[Unit]:
        """Return the blocks of all planes."""
        return block_units(job)

    def is_done(self, job: BlockJob, unit: Unit) -> bool:
        """Whether a block's file is there."""
        return job.folder.unit_file(self.name, unit).exists()

    def do(self, job: BlockJob, unit: Unit) -> None:
        """Find the gaps in a block, and add up confidence in it."""
        from scipy import ndimage

        block = job.grid.block(unit.number)
        values, labels = compact_labels(labels_before(job, unit.plane).block(unit.number))
        found: dict[str, NDArray[Any]] = {"edges": values[edges_of(labels)]}
        gaps = find_gaps(labels) if job.parameters.fill_holes else Gaps.none(labels.shape)
        inner = np.flatnonzero(np.take(gaps.enclosed_by > 0, gaps.numbers))
        inner_label = gaps.enclosed_by[gaps.numbers.ravel()[inner]]
        found |= {"inner": inner.astype(np.int32), "inner_label": values[inner_label]}
        labels.ravel()[inner] = inner_label
        # Gaps that reach an edge go on in other blocks.
        count, edge_gaps = len(gaps.open), edges_of(gaps.numbers)
        position = np.zeros(len(gaps.least), np.int32)
        position[gaps.open] = np.arange(1, count + 1)
        least, greatest = gaps.least[gaps.open], gaps.greatest[gaps.open]
        found |= {
            "open": gaps.open,
            "gap_edges": position[edge_gaps],
            "least": np.where(greatest > 0, values[np.minimum(least, len(values) - 1)], _NOT_YET),
            "greatest": values[greatest],
            "is_outside": _reaches_the_end(gaps.numbers, position, job, block, count),
        }
        # After the objects, those of the open gaps, which are background until it is known what they are.
        owners = labels + np.take(np.where(position > 0, position + np.int32(len(values) - 1), 0), gaps.numbers)
        foreground = job.maps(unit.plane)["foreground"][block]
        sums = ExactSums.of(owners, foreground, len(values) + count, with_background=True)
        sums, gap_sums = sums.taken(slice(len(values))), sums.taken(slice(len(values), None))
        sums.add(gap_sums, np.zeros(count, np.int64))
        _, first = count_objects(labels)
        boxes = np.array(
            [[rows.start, columns.start, rows.stop, columns.stop] for rows, columns in ndimage.find_objects(labels)],
            np.int32,
        ).reshape(-1, 4)
        corner = [side.start for side in block]
        save_arrays(
            job.folder.unit_file(self.name, unit),
            label=values,
            first=pixels_in_plane(first, block, job.grid.shape),
            boxes=boxes + np.array(corner * 2, np.int32),
            **found,
            **{name: getattr(sums, name) for name in _SUMS},
            **{f"gap_{name}": getattr(gap_sums, name) for name in _SUMS},
        )

    def conclude(self, job: BlockJob) -> None:
        """Decide which gaps are filled and which objects are kept, and what of each block is measured."""
        for plane in range(len(job.planes)):
            if not _summary_file(job, plane).exists():
                _conclude_plane(job, plane)


@dataclass(frozen=True)
class PlaneSummary:
    """What is known of a plane's objects as a whole.

    Attributes
    ----------
    count
        Of the objects.
    everywhere, objects
        Pixels, and the sums of their foreground probability, of the plane and of its objects; one label each.
    """

    count: int
    everywhere: ExactSums
    objects: ExactSums


@dataclass(frozen=True)
class OwnedObjects:
    """Some objects of a plane.

    Attributes
    ----------
    number
        int32 (N,), within the plane.
    box
        int32 (N, 4): first row, first column, last row + 1, last column + 1.
    confidence
        float32 (N,), the mean foreground probability.
    """

    number: NDArray[np.int32]
    box: NDArray[np.int32]
    confidence: NDArray[np.float32]


def read_summary(job: BlockJob, plane: int) -> PlaneSummary:
    """Read what was found of a plane, once the stage is concluded."""
    values = load_json(_summary_file(job, plane))
    everywhere, objects = (
        ExactSums(**{name: np.array([values[part][name]]) for name in _SUMS}) for part in ("everywhere", "objects")
    )
    return PlaneSummary(values["count"], everywhere, objects)


def labels_before(job: BlockJob, plane: int) -> BlockLabels:
    """Return the labels in which gaps are looked for."""
    return BlockLabels(job, SmoothingStage.name if job.parameters.smoothing else BasinsStage.name, plane)


def plane_labels(job: BlockJob, plane: int, number: int) -> NDArray[np.int32]:
    """Return the objects of a block, numbered within their plane, int32 (height, width)."""
    labels = labels_before(job, plane).block(number)
    file = job.folder.unit_file(ObjectsStage.name, Unit(plane, number))
    filled = np.asarray(open_part(_file(job, plane, "fills"), number))
    if filled.any():
        gaps = find_gaps(labels)
        label = np.zeros(len(gaps.least), np.int32)
        label[load_arrays(file, "open")["open"]] = filled
        labels = gaps.filled_into(labels, label)
    found = load_arrays(file, "inner", "inner_label")
    labels.ravel()[found["inner"]] = found["inner_label"]
    numbers = open_array(_file(job, plane, "numbers"))
    return np.take(numbers, labels) if len(numbers) else labels


def plane_sizes(job: BlockJob, plane: int) -> Ints:
    """Return the pixels of each object of a plane by its number there, (N + 1,); 0 for the background."""
    sizes: Ints = np.asarray(open_array(_file(job, plane, "sizes")), np.int64)
    return sizes


def objects_of_block(job: BlockJob, plane: int, number: int) -> OwnedObjects:
    """Return the objects whose first pixel lies in a block, their numbers rising."""
    columns = (np.asarray(open_part(_file(job, plane, name), number)) for name in ("own", "boxes", "confidence"))
    return OwnedObjects(*columns)


def _file(job: BlockJob, plane: int, name: str) -> Path:
    return job.folder.plane_file(ObjectsStage.name, plane, f"-{name}.npy")


def _summary_file(job: BlockJob, plane: int) -> Path:
    return job.folder.plane_file(ObjectsStage.name, plane, ".json")


def _reaches_the_end(
    gaps: NDArray[np.int32], position: NDArray[np.int32], job: BlockJob, block: tuple[slice, ...], count: int
) -> NDArray[np.bool_]:
    """Mark the open gaps of a block that reach an end of the plane, bool (count,)."""
    reaches = np.zeros(count + 1, bool)
    for axis, (side, length) in enumerate(zip(block, job.grid.shape, strict=True)):
        lines = np.moveaxis(gaps, axis, 0)
        if side.start == 0:
            reaches[position[lines[0]]] = True
        if side.stop == length:
            reaches[position[lines[-1]]] = True
    return reaches[1:]


def _conclude_plane(job: BlockJob, plane: int) -> None:
    count = int(open_array(labels_before(job, plane).labels_file).max()) + 1
    sums, everywhere = ExactSums.none(count), ExactSums.none(1)
    first = np.full(count, np.iinfo(np.int64).max)
    boxes = np.full((count, 4), np.iinfo(np.int32).max, np.int32)
    boxes[:, 2:] = 0
    gaps = []
    for number in range(len(job.grid)):
        found = load_arrays(job.folder.unit_file(ObjectsStage.name, Unit(plane, number)))
        label = found.pop("label")
        del found["inner"], found["inner_label"]  # pixels, which only the block itself needs
        part = ExactSums(**{name: found.pop(name) for name in _SUMS})
        sums.add(part, label)
        everywhere = everywhere.plus(part.total())
        first[label] = np.minimum(first[label], found.pop("first"))
        own, box = label[1:], found.pop("boxes")
        boxes[own, :2] = np.minimum(boxes[own, :2], box[:, :2])
        boxes[own, 2:] = np.maximum(boxes[own, 2:], box[:, 2:])
        gaps.append(found)
    fills = _enclosing(job, gaps)
    for part_fills, found in zip(fills, gaps, strict=True):
        sums.add(ExactSums(**{name: found[f"gap_{name}"] for name in _SUMS}), part_fills)
    is_kept = np.ones(count, bool)
    if job.parameters.min_confidence:
        with np.errstate(invalid="ignore"):
            is_kept = sums.means >= np.float32(job.parameters.min_confidence)
    is_kept[0] = False
    numbers = np.zeros(count, np.int32)
    numbers[is_kept] = np.arange(1, np.count_nonzero(is_kept) + 1)
    save_parts(_file(job, plane, "fills"), fills)
    save_array(_file(job, plane, "numbers"), np.zeros(0, np.int32) if is_kept[1:].all() else numbers)
    save_array(_file(job, plane, "sizes"), np.append(0, sums.sizes[is_kept]))
    kept = sums.taken(is_kept)
    with np.errstate(invalid="ignore"):
        owned = OwnedObjects(numbers[is_kept], boxes[is_kept], kept.means)
    _save_owners(job, plane, first[is_kept], owned)
    of_objects = kept.total()
    summary = {"count": int(np.count_nonzero(is_kept))} | {
        place: {name: getattr(total, name)[0].item() for name in _SUMS}
        for place, total in (("everywhere", everywhere), ("objects", of_objects))
    }
    save_json(_summary_file(job, plane), summary)


def _enclosing(job: BlockJob, found: Sequence[dict[str, NDArray[Any]]]) -> list[NDArray[np.int32]]:
    """Return for each block the objects that alone enclose gaps that reach its edges; 0: there is none."""
    starts, edges = starts_of([len(part["open"]) for part in found]), BlockEdges(job.grid)
    least, greatest = (
        np.concatenate([part[name] for part in found]).astype(np.int64) for name in ("least", "greatest")
    )
    is_outside = np.concatenate([part["is_outside"] for part in found])
    number = np.concatenate([part["gap_edges"] for part in found]).astype(np.int64)
    gap = np.where(number > 0, starts[edges.blocks] + number - 1, -1)
    label = np.concatenate([part["edges"] for part in found]).astype(np.int64)
    one, other = edges.meetings(corners=False)
    for here, there in ((one, other), (other, one)):
        meets = (gap[here] >= 0) & (label[there] > 0)
        np.minimum.at(least, gap[here[meets]], label[there[meets]])
        np.maximum.at(greatest, gap[here[meets]], label[there[meets]])
    one, other = (gap[ends] for ends in edges.meetings(corners=True))
    both = (one >= 0) & (other >= 0)
    region = connected_nodes(len(least), one[both], other[both])
    count = int(region.max(initial=-1)) + 1
    least_of, greatest_of, outside = (
        np.full(count, _NOT_YET, np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, bool),
    )
    np.minimum.at(least_of, region, least)
    np.maximum.at(greatest_of, region, greatest)
    np.logical_or.at(outside, region, is_outside)
    enclosing = np.where((least_of == greatest_of) & ~outside, greatest_of, 0)[region].astype(np.int32)
    return np.split(enclosing, starts[1:-1])


def _save_owners(job: BlockJob, plane: int, first: Ints, objects: OwnedObjects) -> None:
    """Say which objects begin in which block, and what is known of them."""
    row, column = np.divmod(first, job.grid.shape[1])
    block = row // job.grid.side * job.grid.columns + column // job.grid.side
    order = np.argsort(block, kind="stable")
    ends = np.searchsorted(block[order], np.arange(1, len(job.grid)))
    for name, values in (("own", objects.number), ("boxes", objects.box), ("confidence", objects.confidence)):
        save_parts(_file(job, plane, name), np.split(values[order], ends))
