"""Whether a result file is still what was written: damaged ones are made again, those a user changed are kept."""

import csv
import os
from enum import Enum
from pathlib import Path
from struct import unpack

import tifffile

from napari_unetseg.batch.folder_journal import WrittenFile
from napari_unetseg.batch.output_files import FOLDERS, ResultKind, Target
from napari_unetseg.io import read_geojson, read_image, read_rois
from napari_unetseg.io.exchange.cellpose_seg import read_seg
from napari_unetseg.io.exchange.coco import read_coco
from napari_unetseg.io.exchange.yolo import read_yolo
from napari_unetseg.io.hashing import hash_file

_LINES = (ResultKind.TABLE, ResultKind.YOLO)
"""Kinds of which a part is as legal as the whole."""


class FileState(Enum):
    """What has become of a result file."""

    SAME = "same"
    CHANGED = "changed"
    """Whole, but with other content: somebody saved it again."""
    DAMAGED = "damaged"
    """Missing, empty, cut short, or with other content of the same length."""


def check_result(
    target: Target, kind: ResultKind, written: WrittenFile | None, corrected: WrittenFile | None = None
) -> FileState:
    """Compare a result file with what was written: its size first, and only then its content.

    Parameters
    ----------
    target
        Where it lies.
    kind
        Which one.
    written
        What it held; None if an earlier version wrote it, of which nothing but whether it can be read is known.
    corrected
        What it held when it was corrected in a review; None if it was not.
    """
    path = target.result(kind)
    if kind in FOLDERS:
        return _check_folder(path, kind, written)
    try:
        size = path.stat().st_size
        if corrected is not None and size == corrected.size and hash_file(path) == corrected.sha256:
            return FileState.CHANGED
        if written is None:
            return FileState.SAME if is_readable(path, kind) else FileState.DAMAGED
        if size == written.size:
            return FileState.SAME if hash_file(path) == written.sha256 else FileState.DAMAGED
    except OSError:
        return FileState.DAMAGED
    # Lines that were cut short can be read, too.
    is_cut = kind in _LINES and size < written.size
    return FileState.CHANGED if not is_cut and is_readable(path, kind) else FileState.DAMAGED


def _check_folder(path: Path, kind: ResultKind, written: WrittenFile | None) -> FileState:
    if not is_readable(path, kind):
        return FileState.DAMAGED
    now = WrittenFile.of(path)
    if written is None or now == written:
        return FileState.SAME
    # A chunk that is missing is background to whoever reads it.
    return FileState.DAMAGED if now.size < written.size else FileState.CHANGED


def set_aside_if_changed(target: Target, kind: ResultKind, written: WrittenFile | None) -> Path | None:
    """Rename a file that is not what was written but can be read, so that nobody's corrections are replaced.

    Labels as OME-Zarr say themselves what was written, whoever wrote them: where they do, `written` does not count.

    Returns
    -------
    Path or None
        Where it is now; None if there was nothing to keep.

    Raises
    ------
    OSError
        If it cannot be renamed.
    """
    path = target.result(kind)
    if _may_be_replaced(target, kind, written) or not is_readable(path, kind):
        return None
    number = 1
    while (aside := path.with_name(f"{path.name}.changed{number if number > 1 else ''}")).exists():
        number += 1
    return path.rename(aside)


def _may_be_replaced(target: Target, kind: ResultKind, written: WrittenFile | None) -> bool:
    path = target.result(kind)
    if kind is ResultKind.OME_ZARR and path.is_dir():
        from napari_unetseg.io.ome_zarr.stamp import is_as_written

        is_ours = is_as_written(path)
        if is_ours is not None or written is None:
            return bool(is_ours)
    return written is None or check_result(target, kind, written) is FileState.SAME


def is_readable(path: Path, kind: ResultKind) -> bool:
    """Whether a file can be read from beginning to end as the kind of result that it is."""
    try:
        if kind is ResultKind.CONTOURS:
            read_geojson(path)
        elif kind is ResultKind.ROIS:
            read_rois(path)
        elif kind is ResultKind.TABLE:
            return _is_table(path)
        elif kind is ResultKind.OVERLAY:
            read_image(path)
        elif kind is ResultKind.PARQUET:
            return _is_parquet(path)
        elif kind is ResultKind.COCO:
            return len(list(read_coco(path))) == 1
        elif kind is ResultKind.YOLO:
            read_yolo(path, (1, 1))
        elif kind is ResultKind.CELLPOSE:
            read_seg(path)
        elif kind in FOLDERS:
            return _is_finished(path, kind)
        else:
            return _is_tiff(path)
    except Exception:  # libraries raise many kinds for damaged files
        return False
    return True


def _is_table(path: Path) -> bool:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        columns = next(rows, [])
        return "label" in columns and all(len(row) == len(columns) for row in rows)


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        begins = file.read(4)
        file.seek(-4, os.SEEK_END)
        return begins == file.read(4) == b"PAR1"


def _is_finished(folder: Path, kind: ResultKind) -> bool:
    """Whether OME-Zarr says what is in it: of labels that is written last."""
    from napari_unetseg.io.ome_zarr.labels import labels_in, open_labels
    from napari_unetseg.io.ome_zarr.location import Location
    from napari_unetseg.io.ome_zarr.opening import open_group

    if kind is ResultKind.MAPS:
        return "multiscales" in open_group(Location.of(folder)).ome
    return bool(labels_in(folder)) or open_labels(folder).is_finished


def _is_tiff(path: Path) -> bool:
    with tifffile.TiffFile(path) as file:
        for page in file.pages:
            # What a page says of itself beyond the end of the file, tifffile leaves out without an error.
            file.filehandle.seek(page.offset)
            (tags,) = unpack(file.tiff.tagnoformat, file.filehandle.read(file.tiff.tagnosize))
            if isinstance(page, tifffile.TiffPage) and len(page.tags) != tags:
                return False
        return bool(file.asarray().size)
