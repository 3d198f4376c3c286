"""Reviewed results as images and masks, from which a model learns."""

import csv
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetseg.batch.corrected_results import read_segmented_image
from napari_unetseg.batch.folder_journal import LeftOut, WrittenFile
from napari_unetseg.batch.object_columns import read_columns
from napari_unetseg.callbacks import CancelFlag, Progress
from napari_unetseg.errors import Cancelled, ImageError, UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.io.microscope.location import is_microscope_path
from napari_unetseg.io.physical_size import length, length_symbol
from napari_unetseg.language import Sentence, error_sentence
from napari_unetseg.printable import printable

if TYPE_CHECKING:
    from napari_unetseg.batch.folder_review import ReviewItem

EXPORT_TABLE = "training_set.csv"
"""What lies beside the images: where each comes from."""

_COLUMNS = ("name", "image", "image_file", "mask_file", "decision", "by", "decided", "objects", "model")
_FILES = ("image_file", "mask_file")


@dataclass(frozen=True)
class TrainingSet:
    """Images and masks that were exported.

    Attributes
    ----------
    folder
        Where they are: in its folders ``images`` and ``masks``, a mask with the name of its image.
    images
        How many.
    left_out
        Accepted or fixed images that could not be exported.
    """

    folder: Path
    images: int
    left_out: tuple[LeftOut, ...]


def export_items(items: "Sequence[ReviewItem]", folder: Path, *, progress: Progress, cancel: CancelFlag) -> TrainingSet:
    """Copy images and label images into a folder, as training takes them.

    What an earlier export into the folder wrote and is not among `items` is removed; other files stay. An image is
    copied as it is; where one of its channels was segmented, or its axes were named, what the network saw is written.

    Parameters
    ----------
    items
        Images whose label images are right.
    folder
        Made if needed.
    progress
        Called with the images that are there and all of them.
    cancel
        Polled before each image.

    Raises
    ------
    UnetsegError
        If the folder holds another file under a name that is needed, or cannot be written.
    Cancelled
        If `cancel` returned True.
    """
    earlier = _own_files(folder)
    rows = [_row(item) for item in items]
    wanted = {row[column]: row for row in rows for column in _FILES}
    for name in wanted.keys() - earlier:
        if (folder / name).exists():
            raise UnetsegError(
                Sentence(
                    "{path}: is no file of an earlier export and would be replaced. Choose an empty folder.",
                    path=folder / name,
                )
            )
    # First what is going to be there, so that an export after one that was killed knows its files.
    _write_table(folder, [*rows, *({"name": "", _FILES[0]: name} for name in sorted(earlier - wanted.keys()))])
    written, left_out = [], []
    for done, (item, row) in enumerate(zip(items, rows, strict=True)):
        if cancel():
            raise Cancelled(Sentence("The export was cancelled."))
        progress(done, len(items))
        try:
            _export(item, *(folder / row[column] for column in _FILES))
            written.append(row)
        except UnetsegError as error:
            left_out.append(LeftOut(item.file, error_sentence(error)))
    for name in (earlier | wanted.keys()) - {row[column] for row in written for column in _FILES}:
        (folder / name).unlink(missing_ok=True)
    _write_table(folder, written)
    progress(len(items), len(items))
    return TrainingSet(folder, len(written), tuple(left_out))


def _row(item: "ReviewItem") -> dict[str, Any]:
    name, decided = item.target.stem, item.decided
    suffix = item.file.suffix if _is_copied(item) else ".tif"
    return {
        "name": name,
        "image_file": f"images/{name}{suffix}",
        "mask_file": f"masks/{name}.tif",
        "image": printable(str(item.file)),
        "decision": item.decision or "",
        "by": decided.by if decided else "",
        "decided": decided.decided if decided else "",
        "objects": item.count,
        "model": item.record.decided_by.get("model", ""),
    }


def _is_copied(item: "ReviewItem") -> bool:
    """Whether the file alone says how it is read, by a program that has no library for microscopes' files."""
    decided_by = item.record.decided_by
    if is_microscope_path(item.file) or decided_by.get("reading"):
        return False
    parameters = decided_by.get("parameters", {})
    return all(parameters.get(name) is None for name in ("channel", "channels"))


def _export(item: "ReviewItem", image_file: Path, mask_file: Path) -> None:
    image = read_segmented_image(item.file, item.record)
    if image.stack_axes:
        raise ImageError(
            Sentence(
                "{image}: is a stack ({axes}), and training takes single planes.", image=image.name, axes=image.axes
            )
        )
    _copy(item.labels_path, mask_file)
    if WrittenFile.of(mask_file) != item.labels:
        raise UnetsegError(
            Sentence("{path}: was changed since the review was opened. Open it again.", path=item.labels_path)
        )
    if _is_copied(item):
        _copy(item.file, image_file)
    else:
        _write_plane(image_file, image)


def _copy(source: Path, path: Path) -> None:
    with whole_file(path) as temporary:
        shutil.copyfile(source, temporary)


def _write_plane(path: Path, image: Image) -> None:
    """Write what the network saw as OME-TIFF, with its pixel size."""
    import tifffile

    planes = np.asarray(image.channels_first)
    # OME knows no type for these.
    planes = planes.astype(
        {"bool": "uint8", "float16": "float32", "int64": "float64", "uint64": "float64"}.get(
            str(planes.dtype), planes.dtype
        )
    )
    metadata: dict[str, Any] = {"axes": "YXS" if image.rgb else "CYX"}
    symbol = length_symbol(image.unit)
    for axis, step in zip("YX", image.scale or (), strict=False):
        if symbol is not None and (size := length(step)) is not None:
            metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": symbol}
    pixels = np.moveaxis(planes, 0, -1) if image.rgb else planes
    with whole_file(path) as temporary:
        tifffile.imwrite(
            temporary,
            pixels,
            ome=True,
            compression="zlib",
            photometric="rgb" if image.rgb else "minisblack",
            metadata=metadata,
        )


def _own_files(folder: Path) -> set[str]:
    """Return the files that an earlier export wrote, as paths within the folder."""
    try:
        columns = read_columns(folder / EXPORT_TABLE)
    except FileNotFoundError:
        return set()
    except (OSError, ValueError) as error:
        raise UnetsegError(
            Sentence(
                "{path}: cannot be read ({reason}). It says which files are of an earlier export; choose an empty "
                "folder.",
                path=folder / EXPORT_TABLE,
                reason=error,
            )
        ) from error
    named = {name for column in _FILES for name in columns.get(column, ()) if name}
    # A table is a text that anybody may edit, so no file elsewhere is removed for it.
    return {name for name in named if Path(name).parts[:-1] in (("images",), ("masks",))}


def _write_table(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with whole_file(folder / EXPORT_TABLE) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
