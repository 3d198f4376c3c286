"""What was done to the wells of a plate: a table that people write, and the copy that a folder of results keeps."""

import codecs
import csv
import io
import locale
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from napari_unetseg.batch.object_columns import read_columns
from napari_unetseg.batch.output_files import FieldPlace
from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.language import Sentence

if TYPE_CHECKING:
    from napari_unetseg.batch.folder_journal import FolderJournal

CONDITIONS = "segmentation_conditions.csv"


def read_conditions(path: Path) -> dict[str, str]:
    """Read a table with the columns ``well`` and ``condition``, in any order and among any others.

    Returns
    -------
    dict
        Conditions by well, such as ``"B03"``.

    Raises
    ------
    UnetsegError
        If it cannot be read, lacks a column, or names a well twice with different conditions.
    """
    try:
        columns = _columns(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if missing := [name for name in ("well", "condition") if name not in columns]:
        raise UnetsegError(
            Sentence(
                "{path}: has no column {column}. A table of conditions has the columns well and condition.",
                path=path,
                column=missing[0],
            )
        )
    conditions: dict[str, str] = {}
    for well, condition in zip(columns["well"], columns["condition"], strict=True):
        name, condition = _well_name(well), condition.strip()
        if name and conditions.setdefault(name, condition) != condition:
            raise UnetsegError(
                Sentence("{path}: well {well} has two conditions. Leave one of the rows out.", path=path, well=name)
            )
    return conditions


def keep_conditions(journal: "FolderJournal", conditions: Mapping[str, str], places: Iterable[FieldPlace]) -> None:
    """Note conditions in a folder of results, whose tables have them from now on.

    Parameters
    ----------
    journal
        Of the folder.
    conditions
        By well; an empty one takes away what was noted. Those of wells that are not named stay as they are.
    places
        Fields of the plates that they are about.

    Raises
    ------
    UnetsegError
        If the copy in the folder cannot be read or written.
    """
    known = kept_conditions(journal.folder)
    wells = {(journal.key(place.plate), place.well) for place in places}
    now = known | {(plate, well): conditions[well] for plate, well in sorted(wells) if well in conditions}
    if now == known:
        return
    path = journal.folder / CONDITIONS
    journal.folder.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["plate", "well", "condition"])
        writer.writerows((plate, well, condition) for (plate, well), condition in now.items() if condition)


def kept_conditions(folder: Path) -> dict[tuple[str, str], str]:
    """Return the conditions that a folder of results has, by plate, as its journal names it, and well.

    Raises
    ------
    UnetsegError
        If they cannot be read.
    """
    path = folder / CONDITIONS
    try:
        columns = read_columns(path)
        rows = zip(columns["plate"], columns["well"], columns["condition"], strict=True)
        return {(plate, well): condition for plate, well, condition in rows}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except KeyError as error:
        raise _unreadable(path, f"no column {error.args[0]}") from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _columns(path: Path) -> dict[str, list[str]]:
    """Read a table as spreadsheet programs save it: where decimals have commas, semicolons or tabs divide cells."""
    text = _decoded(path.read_bytes())
    header, _, _ = text.partition("\n")
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count)) if row]
    if any(len(row) != len(rows[0]) for row in rows):
        raise ValueError("rows differ in length")
    names = [name.strip().casefold() for name in rows[0]] if rows else []
    return {name: [row[at] for row in rows[1:]] for at, name in enumerate(names)}


def _decoded(content: bytes) -> str:
    """Return the text of a file that a spreadsheet program saved, which says of the encoding no more than a mark.

    Excel saves "CSV UTF-8" with a mark, "Unicode text" as UTF-16 with one, and plain CSV as the machine writes
    letters, which is Windows-1252 in western Europe and the Americas.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        own = locale.getencoding()
        return content.decode("cp1252" if codecs.lookup(own).name in ("utf-8", "ascii") else own)


def _well_name(text: str) -> str:
    from napari_unetseg.io.ome_zarr.plate_layout import well_name  # which loads zarr

    return well_name(text) or text.strip()


def _unreadable(path: Path, reason: object) -> UnetsegError:
    return UnetsegError(
        Sentence(
            "{path}: cannot be read as a table of conditions ({reason}). Save it as CSV with the columns well and "
            "condition.",
            path=path,
            reason=reason,
        )
    )
