"""Two tables over all files of a folder of results: its objects, and its files."""

import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from napari_unetseg.batch.folder_journal import Decision, FolderJournal, Record
from napari_unetseg.batch.output_files import ENDINGS, ResultKind, Target
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.printable import printable

OBJECTS = "segmentation_objects.csv"
FILES = "segmentation_files.csv"
_COLUMNS = ("file", "status", "objects", "seconds", "message", "results", "model", "sha256", "finished", "review")


def write_summaries(journal: FolderJournal, waiting: Iterable[Path] = ()) -> None:
    """Write both tables of a folder anew, from its journal and the tables of its images.

    Files are named by their path below the folder that holds them all. A row of the first table is an object; its
    columns are those of all tables together, empty where an image has no such column (intensities of colour images,
    physical sizes). Rows are copied from file to file, so any number of objects takes little memory.

    Parameters
    ----------
    journal
        Of the folder.
    waiting
        Files without a record that belong here, too: a cancelled run did not reach them.

    Raises
    ------
    UnetsegError
        If a file cannot be written.
    """
    rest = {journal.key(path) for path in waiting} - set(journal.records)
    names = _names([*journal.records, *rest], journal.folder)
    records = sorted(journal.records.values(), key=lambda record: names[record.file])
    _write_files(journal, records, sorted(rest, key=names.__getitem__), names)
    _write_objects(journal.folder, records, names)


def _names(keys: Iterable[str], folder: Path) -> dict[str, str]:
    """Name files by their path below the folder that holds them all."""
    paths = {key: Path(os.path.normpath(folder.resolve() / key)) for key in keys}
    if not paths:
        return {}
    try:
        above = Path(os.path.commonpath([path.parent for path in paths.values()]))
    except ValueError:  # Windows: on several drives
        return {key: printable(path.as_posix()) for key, path in paths.items()}
    return {key: printable(path.relative_to(above).as_posix()) for key, path in paths.items()}


def _write_files(journal: FolderJournal, records: list[Record], waiting: list[str], names: dict[str, str]) -> None:
    with whole_file(journal.folder / FILES) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows((names[record.file], *_cells(record, journal)) for record in records)
        writer.writerows((names[key], "waiting", *("" for _ in _COLUMNS[2:])) for key in waiting)


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


def _write_objects(folder: Path, records: list[Record], names: dict[str, str]) -> None:
    tables = {
        names[record.file]: Target(folder, record.stem).path(ENDINGS[ResultKind.TABLE])
        for record in records
        if record.status == "done" and Target(folder, record.stem).holds(ResultKind.TABLE)
    }
    columns = list(dict.fromkeys(column for table in tables.values() for column in _header(table)))
    with whole_file(folder / OBJECTS) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", *columns])
        for name, table in tables.items():
            writer.writerows([name, *(row.get(column) or "" for column in columns)] for row in _rows(table))


def _header(table: Path) -> list[str]:
    with _open(table) as file:
        return next(csv.reader(file), [])


def _rows(table: Path) -> Iterator[dict[str, str]]:
    with _open(table) as file:
        yield from csv.DictReader(file)


def _open(table: Path) -> TextIO:
    """Open a table, also one that a spreadsheet program saved with a mark at its beginning."""
    return table.open(newline="", encoding="utf-8-sig", errors="replace")
