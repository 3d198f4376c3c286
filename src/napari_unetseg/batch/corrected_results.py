"""Result files of labels that somebody corrected, and the way back to what the batch had written."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.batch.folder_journal import Changes, Record, WrittenFile
from napari_unetseg.batch.output_files import ENDINGS, ResultKind, Target
from napari_unetseg.batch.saving import save_results
from napari_unetseg.errors import ImageError, UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.io.claims import Claims, claim_path
from napari_unetseg.io.hashing import hash_file
from napari_unetseg.io.table import write_table
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.service.provenance import Provenance

if TYPE_CHECKING:
    from napari_unetseg.service.segmentation import Segmentation

ORIGINAL = ".original"
"""What the name of a file that the batch had written ends in once it was corrected."""

LARGEST_NUMBER = 2**24
"""Of an object of corrected labels; tables by number would fill the memory."""

_TABLES = (ResultKind.TABLE, ResultKind.PARQUET)
_OF_THE_NETWORK = ("confidence", "agreement")


@dataclass(frozen=True)
class Correction:
    """What became of an image's results.

    Attributes
    ----------
    written
        What the files hold now, of each kind that was written.
    changes
        Against what the batch had written.
    """

    written: dict[ResultKind, WrittenFile]
    changes: Changes


@dataclass(frozen=True)
class _CorrectedByHand(Provenance):
    """How a result came about that was corrected afterwards."""

    corrected_by_hand: Mapping[str, int] | None = None


def read_reviewed_image(file: Path, record: Record) -> Image:
    """Read an image as the batch had read it: its axes, and the channels that were segmented.

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    from napari_unetseg.channel_selection import recorded_channels
    from napari_unetseg.io import read_image

    image = read_image(file, **record.decided_by.get("reading", {}))
    parameters = record.decided_by.get("parameters", {})
    return recorded_channels(image, parameters.get("channel"), parameters.get("channels"))


def read_segmented_image(file: Path, record: Record) -> Image:
    """Do what `read_reviewed_image` does for an image whose pixels the result has to fit.

    Raises
    ------
    ImageError
        If it cannot be read, or is not what was segmented.
    """
    image = read_reviewed_image(file, record)
    try:
        is_same = hash_file(file) == record.sha256
    except OSError:
        is_same = False
    if not is_same:
        raise ImageError(Sentence("{image}: was changed since it was segmented. Segment it again.", image=image.name))
    return image


def write_correction(file: Path, target: Target, record: Record, labels: NDArray[np.integer[Any]]) -> Correction:
    """Write all results of an image anew, of corrected labels; keep what the batch had written beside them.

    The confidence map stays, as it is the network's. Where there is none that can be read, objects that nobody changed
    keep the confidence that the table has.

    Parameters
    ----------
    file
        The image.
    target
        Where its results lie.
    record
        What was made of it.
    labels
        Corrected label image, of the shape of the one on the disk.

    Raises
    ------
    UnetsegError
        If the shape differs, a number is below 0 or too large, the image is not what was segmented, another process
        works on it, or a file cannot be read or written.
    """
    from napari_unetseg.io import read_label_image

    path = target.path(ENDINGS[ResultKind.LABELS])
    with _claimed(target):
        before = np.asarray(read_label_image(original_file(target, ResultKind.LABELS, record) or path).array)
        if labels.shape != before.shape:
            raise UnetsegError(
                Sentence(
                    "{path}: has the shape {shape}, the corrected labels {other}. They must agree.",
                    path=path,
                    shape=before.shape,
                    other=labels.shape,
                )
            )
        if labels.min(initial=0) < 0 or labels.max(initial=0) > LARGEST_NUMBER:
            raise UnetsegError(
                Sentence(
                    "{path}: labels have to be numbers from 0 to {largest}. Give the others numbers like these, or 0.",
                    path=path,
                    largest=LARGEST_NUMBER,
                )
            )
        changes, unaltered = compare_labels(before, labels)
        kinds = [kind for kind in record.results if target.holds(kind) and kind is not ResultKind.CONFIDENCE]
        segmentation = _segmentation(file, target, record, labels, changes)
        table = _table(segmentation, target, record, unaltered)
        for kind in kinds:
            _keep_original(target, kind, record)
        for of_tables in _TABLES:
            if of_tables in kinds:
                write_table(target.path(ENDINGS[of_tables]), table)
        save_results(segmentation, target, [kind for kind in kinds if kind not in _TABLES])
        return Correction({kind: WrittenFile.of(target.path(ENDINGS[kind])) for kind in kinds}, changes)


def restore_results(target: Target, record: Record) -> None:
    """Put back what the batch had written, of all kinds of results.

    Raises
    ------
    UnetsegError
        If what it had written is not there any more, or a file cannot be written.
    """
    with _claimed(target):
        originals = {kind: original for kind in record.results if (original := original_file(target, kind, record))}
        if ResultKind.LABELS not in originals:
            raise UnetsegError(
                Sentence(
                    "{path}: the label image that it was before is not kept. Segment the image again.",
                    path=target.path(ENDINGS[ResultKind.LABELS]),
                )
            )
        # The label image goes last, so that where it is the others are too.
        for kind in sorted(originals, key=lambda kind: kind is ResultKind.LABELS):
            path = target.path(ENDINGS[kind])
            try:
                originals[kind].replace(path)
            except OSError as error:
                raise UnetsegError(
                    Sentence("{path}: cannot be written ({reason}).", path=path, reason=error.strerror or error)
                ) from error


def compare_labels(before: NDArray[np.integer[Any]], after: NDArray[np.integer[Any]]) -> tuple[Changes, dict[int, int]]:
    """Count what was changed from one label image to another of the same shape.

    Returns
    -------
    changes
        In numbers of objects.
    unaltered
        For each object of `after` that has the very pixels of one in `before`, that one's number.
    """
    old_sizes, new_sizes = _sizes(before), _sizes(after)
    both = (before > 0) & (after > 0)
    pairs, shared = np.unique(np.stack([before[both], after[both]]).astype(np.int64), axis=1, return_counts=True)
    unaltered = {
        int(new): int(old)
        for (old, new), count in zip(pairs.T.tolist(), shared.tolist(), strict=True)
        if count == old_sizes[old] == new_sizes[new]
    }
    touched = set(pairs[1].tolist())
    changes = Changes(
        before=len(old_sizes),
        after=len(new_sizes),
        added=len(new_sizes.keys() - touched),
        removed=len(old_sizes.keys() - set(pairs[0].tolist())),
        altered=len(touched - unaltered.keys()),
    )
    return changes, unaltered


def _sizes(labels: NDArray[np.integer[Any]]) -> dict[int, int]:
    numbers, counts = np.unique(labels[labels > 0], return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))


@contextmanager
def _claimed(target: Target) -> Iterator[None]:
    """Hold an image's claim, as the batch does while it works on the image."""
    with Claims() as claims:
        if not claims.claim(claim_path(target.folder, target.stem)):
            raise UnetsegError(
                Sentence(
                    "{path}: another process works on this image. Try again in a moment.",
                    path=target.path(ENDINGS[ResultKind.LABELS]),
                )
            )
        yield


def _segmentation(
    file: Path, target: Target, record: Record, labels: NDArray[np.integer[Any]], changes: Changes
) -> "Segmentation":
    """Make of the files what the writers of results take."""
    from napari_unetseg.io import read_image
    from napari_unetseg.service.segmentation import Segmentation

    image = read_segmented_image(file, record)
    numbers = labels.astype(np.int32)
    confidence, is_known = np.zeros(numbers.shape, np.float32), False
    if target.holds(ResultKind.CONFIDENCE):
        with suppress(ImageError):  # a damaged one is as good as none
            read = np.asarray(read_image(target.path(ENDINGS[ResultKind.CONFIDENCE])).array, np.float32)
            if is_known := read.shape == numbers.shape:
                confidence = read
    parameters = record.decided_by.get("parameters", {})
    known = {name: parameters[name] for name in DecodeParameters.model_fields if name in parameters}
    return Segmentation(
        image=image,
        probability=confidence[np.newaxis],
        heads=("foreground",),
        parameters=DecodeParameters(**known),
        labels=numbers,
        provenance=_provenance(target, record, changes),
        with_confidence=is_known,
    )


def _provenance(target: Target, record: Record, changes: Changes) -> Provenance:
    """Read from the label image how it came about; what it does not say is None."""
    names = [field.name for field in fields(Provenance)]
    said = _said(target.path(ENDINGS[ResultKind.LABELS]))
    known: dict[str, Any] = dict.fromkeys(names) | {"model": record.decided_by.get("model", "")}
    known |= {name: said[name] for name in names if name in said}
    return _CorrectedByHand(**known, corrected_by_hand=changes.model_dump())


def _said(labels: Path) -> dict[str, Any]:
    """Return what a label image says of itself; nothing if another program saved it."""
    import tifffile

    with tifffile.TiffFile(labels) as file:
        text = (file.imagej_metadata or {}).get("Info") if file.is_imagej else None
        if text is None and file.is_ome and file.ome_metadata:
            image = tifffile.xml2dict(file.ome_metadata).get("OME", {}).get("Image", {})
            text = image.get("Description") if isinstance(image, dict) else None
    try:
        said = json.loads(str(text))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _table(
    segmentation: "Segmentation", target: Target, record: Record, unaltered: Mapping[int, int]
) -> dict[str, Any]:
    """Measure the corrected objects; what only the network knows is taken over for those that nobody changed."""
    from napari_unetseg.batch.object_columns import read_columns

    table: dict[str, Any] = dict(segmentation.measurements)
    path = original_file(target, ResultKind.TABLE, record) or target.path(ENDINGS[ResultKind.TABLE])
    earlier = read_columns(path)
    axes = [axis.lower() for axis in segmentation.image.stack_axes]
    for name in _OF_THE_NETWORK:
        if name in table or name not in earlier:
            continue
        keys = zip(*(earlier[key] for key in ("label", *axes)), strict=True)
        known = dict(zip(keys, earlier[name], strict=True))
        rows = zip(*(table[key].tolist() for key in ("label", *axes)), strict=True)
        table[name] = [
            known.get((str(unaltered.get(label, "")), *(str(place) for place in plane)), "") for label, *plane in rows
        ]
    return table


def _keep_original(target: Target, kind: ResultKind, record: Record) -> None:
    """Keep what the batch had written, unless it is kept already."""
    path = target.path(ENDINGS[kind])
    written = record.written.get(kind)
    if written is not None and original_file(target, kind, record) is None and WrittenFile.of(path) == written:
        with whole_file(path.with_name(path.name + ORIGINAL)) as temporary:
            shutil.copyfile(path, temporary)


def original_file(target: Target, kind: ResultKind, record: Record) -> Path | None:
    """Return what is kept of the file that the batch had written; None if it is not of this record."""
    path = target.path(ENDINGS[kind])
    kept = path.with_name(path.name + ORIGINAL)
    written = record.written.get(kind)
    return kept if written is not None and kept.is_file() and WrittenFile.of(kept) == written else None
