"""Tables over all files of a folder of results: its objects, its files, and, of plates, its wells."""

import csv
import math
import os
import re
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from napari_unetseg.batch.collected import write_collected
from napari_unetseg.batch.conditions import kept_conditions
from napari_unetseg.batch.folder_journal import Decision, FolderJournal, Record
from napari_unetseg.batch.output_files import ENDINGS, ResultKind, Target, result_stem
from napari_unetseg.batch.places import as_path, is_url
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.io.microscope.location import split_scene_path
from napari_unetseg.io.table import cell_text
from napari_unetseg.printable import printable

OBJECTS = "segmentation_objects.csv"
FILES = "segmentation_files.csv"
WELLS = "segmentation_wells.csv"
_COLUMNS = ("status", "objects", "seconds", "message", "results", "model", "sha256", "finished", "review")
_OF_PLATES = ("plate", "well", "field", "condition")
_PLACES = ("centroid", "bbox")
_NUMBER = re.compile(r"([0-9]+)")


def write_summaries(journal: FolderJournal, waiting: Iterable[Path] = ()) -> None:
    """Write the tables of a folder anew, from its journal and the tables of its images.

    Files are named by their path below the folder that holds them all. A row of the first table is an object; its
    columns are those of all tables together, empty where an image has no such column (intensities of colour images,
    physical sizes). Rows are copied from file to file, so any number of objects takes little memory.

    What other programs keep of all images together is written, too.

    Where images are scenes of microscopes' files, rows name the file and the scene. Where they are fields of plates,
    rows name plate, well, field and condition, and a third table has a row for each well: its fields and objects, and
    mean and median of what was measured of these.

    Parameters
    ----------
    journal
        Of the folder.
    waiting
        Files without a record that belong here, too: a cancelled run did not reach them.

    Raises
    ------
    UnetsegError
        If a file cannot be written, or the conditions of wells not be read.
    """
    conditions = kept_conditions(journal.folder)
    scenes = {journal.key(path): split_scene_path(path)[1] for path in waiting}
    scenes |= {record.file: record.scene or "" for record in journal.records.values()}
    first, names = _first_columns(scenes, journal.folder)
    in_order = sorted(scenes, key=lambda key: _in_reading_order(names[key]))
    records = [journal.records[key] for key in in_order if key in journal.records]
    _write_files(journal, first, records, [key for key in in_order if key not in journal.records], names)
    places = _places(records, journal.folder, conditions)
    _write_objects(journal.folder, first, records, names, places)
    if places:
        _write_wells(journal.folder, records, places)
    write_collected(journal.folder, records)


def _first_columns(scenes: Mapping[str, str], folder: Path) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Return what the first columns are called, and what they say of each image: file, and scene if any has one.

    Parameters
    ----------
    scenes
        Of each image, by the key of the journal; empty where it is the whole file.
    """
    files = {key: key.removesuffix(f"/{scene}") if scene else key for key, scene in scenes.items()}
    names = _names(set(files.values()), folder)
    if not any(scenes.values()):
        return ("file",), {key: (names[file],) for key, file in files.items()}
    return ("file", "scene"), {key: (names[file], scenes[key]) for key, file in files.items()}


def _in_reading_order(name: tuple[str, ...]) -> tuple[object, ...]:
    """Let ``Series 10`` come after ``Series 2``, and leave files in the order of their names."""
    file, *scene = name
    return file, *((int(part) if part.isdecimal() else part) for text in scene for part in _NUMBER.split(text))


def _names(keys: Collection[str], folder: Path) -> dict[str, str]:
    """Name files by their path below the folder that holds them all, and what is behind a URL by that."""
    urls = {key: key for key in keys if is_url(as_path(key))}
    paths = {key: Path(os.path.normpath(folder.resolve() / key)) for key in keys if key not in urls}
    if not paths:
        return urls
    try:
        above = Path(os.path.commonpath([path.parent for path in paths.values()]))
    except ValueError:  # Windows: on several drives
        return urls | {key: printable(path.as_posix()) for key, path in paths.items()}
    return urls | {key: printable(path.relative_to(above).as_posix()) for key, path in paths.items()}


def _write_files(
    journal: FolderJournal,
    first: tuple[str, ...],
    records: list[Record],
    waiting: list[str],
    names: dict[str, tuple[str, ...]],
) -> None:
    with whole_file(journal.folder / FILES) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*first, *_COLUMNS])
        writer.writerows((*names[record.file], *_cells(record, journal)) for record in records)
        writer.writerows((*names[key], "waiting", *("" for _ in _COLUMNS[1:])) for key in waiting)


def _cells(record: Record, journal: FolderJournal) -> tuple[Any, ...]:
    decision = _decision(record, journal)
    objects = "" if record.objects is None else record.objects
    if decision is not None and decision.changes is not None:
        objects = decision.changes.after
    review = "" if decision is None else decision.decision
    results = "; ".join(record.results) if record.status == "done" else ""
    model = record.decided_by.get("model", "")
    figures = (objects, f"{record.seconds:.3f}", record.message)
    return record.status, *figures, results, model, record.sha256, record.finished, review


def _decision(record: Record, journal: FolderJournal) -> Decision | None:
    try:
        return journal.decision(record)
    except OSError:
        return None  # without a label image nothing is decided about it


def _write_objects(
    folder: Path,
    first: tuple[str, ...],
    records: list[Record],
    names: dict[str, tuple[str, ...]],
    places: dict[str, tuple[str, ...]],
) -> None:
    tables = [(record, table) for record in records if (table := _table(folder, record))]
    columns = list(dict.fromkeys(column for _, table in tables for column in _header(table)))
    before = _OF_PLATES if places else ()
    with whole_file(folder / OBJECTS) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*first, *before, *columns])
        for record, table in tables:
            whose = [*names[record.file], *places.get(record.file, ("",) * len(before))]
            writer.writerows([*whose, *(row.get(column) or "" for column in columns)] for row in _rows(table))


def _places(
    records: list[Record], folder: Path, conditions: Mapping[tuple[str, str], str]
) -> dict[str, tuple[str, ...]]:
    """Return plate, well, field and condition of those images that are fields of plates.

    Plates that share a name are called by their path.
    """
    plates = {record.plate for record in records if record.plate is not None}
    titles, paths = {plate: result_stem(as_path(plate)) for plate in plates}, _names(plates, folder)
    shared = Counter(titles.values())
    return {
        record.file: (
            paths[record.plate] if shared[titles[record.plate]] > 1 else titles[record.plate],
            record.well,
            record.field or "",
            conditions.get((record.plate, record.well), ""),
        )
        for record in records
        if record.plate is not None and record.well is not None
    }


def _table(folder: Path, record: Record) -> Path | None:
    target = Target(folder, record.stem)
    is_there = record.status == "done" and target.holds(ResultKind.TABLE)
    return target.path(ENDINGS[ResultKind.TABLE]) if is_there else None


def _write_wells(folder: Path, records: list[Record], places: dict[str, tuple[str, ...]]) -> None:
    wells: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.plate is not None and record.well is not None:
            wells.setdefault((record.plate, record.well), []).append(record)
    tables = [table for group in wells.values() for record in group if (table := _table(folder, record))]
    columns = [
        column
        for column in dict.fromkeys(column for table in tables for column in _header(table))
        if len(column) > 1 and column != "label" and not column.startswith(_PLACES)  # one letter: an axis of a stack
    ]
    with whole_file(folder / WELLS) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        figures = [f"{figure}_{column}" for column in columns for figure in ("mean", "median")]
        writer.writerow(["plate", "well", "condition", "fields", "failed", "objects", *figures])
        for key in sorted(wells, key=lambda key: (key[0], _in_order(key[1]))):
            group = wells[key]
            done = [record for record in group if record.status == "done"]
            plate, well, _, condition = places[group[0].file]
            counts = (len(done), len(group) - len(done), sum(record.objects or 0 for record in done))
            writer.writerow((plate, well, condition, *counts, *_figures(folder, done, columns)))


def _in_order(well: str) -> tuple[int, str]:
    """Let row AA come after row Z."""
    letters = well.rstrip("0123456789")
    return len(letters), well


def _figures(folder: Path, records: list[Record], columns: list[str]) -> list[str]:
    """Return mean and median of each column over the objects of some images."""
    values: dict[str, array[float]] = {column: array("d") for column in columns}
    for record in records:
        if (table := _table(folder, record)) is not None:
            for row in _rows(table):
                for column in columns:
                    try:
                        values[column].append(float(row.get(column) or "nan"))
                    except ValueError:
                        continue  # somebody wrote words into the table
    return [cell_text(figure) for column in columns for figure in _mean_and_median(values[column])]


def _mean_and_median(values: "array[float]") -> tuple[float, float]:
    known = np.frombuffer(values, np.float64) if values else np.empty(0)
    known = known[np.isfinite(known)]
    return (float(known.mean()), float(np.median(known))) if known.size else (math.nan, math.nan)


def _header(table: Path) -> list[str]:
    with _open(table) as file:
        return next(csv.reader(file), [])


def _rows(table: Path) -> Iterator[dict[str, str]]:
    with _open(table) as file:
        yield from csv.DictReader(file)


def _open(table: Path) -> TextIO:
    """Open a table, also one that a spreadsheet program saved with a mark at its beginning."""
    return table.open(newline="", encoding="utf-8-sig", errors="replace")
