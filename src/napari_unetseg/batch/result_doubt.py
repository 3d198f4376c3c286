"""How much of a result on the disk is to be doubted, by its table and its confidence map.

Of one that was corrected it is what the model had found that is judged, so that the order of a folder stays.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_unetseg.batch.corrected_results import original_file
from napari_unetseg.batch.doubt import ImageDoubt, Typical, doubt_image
from napari_unetseg.batch.folder_journal import Record, WrittenFile
from napari_unetseg.batch.missed_objects import read_missed
from napari_unetseg.batch.object_columns import ObjectColumns, read_object_columns
from napari_unetseg.batch.output_files import ENDINGS, ResultKind, Target
from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import Sentence


@dataclass(frozen=True)
class ResultOnDisk:
    """What was read of an image's results.

    Attributes
    ----------
    file
        The image.
    target
        Where the results lie.
    record
        What was made of the image.
    labels
        What the label image holds.
    table
        The objects that the model found.
    """

    file: Path
    target: Target
    record: Record
    labels: WrittenFile
    table: ObjectColumns


def look_at_result(file: Path, target: Target, record: Record) -> ResultOnDisk:
    """Read the table of an image's results, and what its label image is.

    Raises
    ------
    UnetsegError
        If one of them cannot be read; the message names it.
    """
    path = target.path(ENDINGS[ResultKind.LABELS])
    labels = look_at_file(path)
    axes, shape = _planes_of(path)
    table = read_object_columns(_found(target, ResultKind.TABLE, record), axes, shape)
    return ResultOnDisk(file, target, record, labels, table)


def look_at_file(path: Path) -> WrittenFile:
    """Return what a result file holds.

    Raises
    ------
    UnetsegError
        If it cannot be read.
    """
    try:
        return WrittenFile.of(path)
    except OSError as error:
        raise UnetsegError(
            Sentence(
                "{path}: cannot be read ({reason}). Segment the image again.", path=path, reason=error.strerror or error
            )
        ) from error


def _found(target: Target, kind: ResultKind, record: Record) -> Path:
    """Return the file of what the model found: where it was corrected, the one that is kept of before."""
    return original_file(target, kind, record) or target.path(ENDINGS[kind])


def _planes_of(path: Path) -> tuple[str, tuple[int, int]]:
    """Return the letters of a stack's axes, and the shape of its planes, as a label image states them."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            height, width = series.shape[-2:]
            return "".join(axis for axis in series.axes if axis not in "YX"), (int(height), int(width))
    except Exception as error:  # tifffile raises many kinds for damaged files
        raise UnetsegError(
            Sentence(
                "{path}: cannot be read as a label image ({reason}). Segment the image again.", path=path, reason=error
            )
        ) from error


def judge_result(seen: ResultOnDisk, typical: Typical) -> ImageDoubt:
    """Judge an image by its objects, by what is typical of its folder, and by its confidence map if there is one."""
    parameters = seen.record.decided_by.get("parameters", {})
    threshold = float(parameters.get("threshold", 0.5))
    area = float(np.median(seen.table.area)) if len(seen.table) else typical.area or 0.0
    labels = _found(seen.target, ResultKind.LABELS, seen.record)
    confidence = seen.target.path(ENDINGS[ResultKind.CONFIDENCE])
    unread = None
    try:
        missed = read_missed(labels, confidence, threshold=threshold, area=area) if confidence.is_file() else []
    except UnetsegError:
        missed, unread = [], Sentence("Its confidence map cannot be read: {path}.", path=confidence)
    judged = doubt_image(
        seen.table,
        typical,
        lowest_confidence=max(threshold, float(parameters.get("min_confidence", 0.0))),
        missed=missed,
        unlike=_unlike(seen.record),
    )
    return judged if unread is None else replace(judged, reasons=(*judged.reasons, unread))


def _unlike(record: Record) -> Sentence | None:
    from napari_unetseg.postprocessing.fit import unlike_warning

    before, after = unlike_warning("\n").split("\n")
    _, found, rest = record.message.partition(before)
    model, ended, _ = rest.partition(after)
    return unlike_warning(model) if found and ended else None
