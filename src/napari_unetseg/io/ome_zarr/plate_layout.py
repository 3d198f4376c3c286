"""Plates of OME-Zarr: which wells there are, and which fields were imaged in each."""

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from napari_unetseg.errors import ImageError
from napari_unetseg.io.ome_zarr.location import Location, is_ome_zarr, is_url, plain_stem
from napari_unetseg.io.ome_zarr.metadata import PlateInfo, PlateWell, WellInfo, parse
from napari_unetseg.language import Sentence

if TYPE_CHECKING:
    from napari_unetseg.io.ome_zarr.opening import OmeGroup

# Wells whose metadata are read at a time, which behind a URL is nothing but waiting.
_AT_ONCE = 8
_WELL = re.compile(r"([A-Za-z]+)[\s/_-]*0*(\d+)")


@dataclass(frozen=True)
class Field:
    """An image of a well.

    Attributes
    ----------
    path
        What `read_image` reads.
    name
        Of its group in the well, such as ``"0"``.
    acquisition
        Number of the round in which it was taken; None where that is not stated.
    """

    path: str
    name: str
    acquisition: int | None = None


@dataclass(frozen=True)
class Well:
    """A well of a plate.

    Attributes
    ----------
    row, column
        As the plate names them, such as ``"B"`` and ``"3"``.
    place
        Row and column, counted from 0.
    fields
        In their order; empty where nothing was imaged, or nothing is there.
    missing
        Sentences on what the plate names and is not there.
    """

    row: str
    column: str
    place: tuple[int, int]
    fields: tuple[Field, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Row and column in a way that sorts, such as ``"B03"``."""
        return well_name(f"{self.row}{self.column}") or f"{self.row}{self.column}"


@dataclass(frozen=True)
class Plate:
    """A plate of OME-Zarr.

    Attributes
    ----------
    path
        Where it is.
    name
        As it is called, else the name of its folder without suffixes.
    rows, columns
        Names of all of its rows and columns, such as ``"A"`` to ``"H"`` and ``"1"`` to ``"12"``.
    wells
        Those that it names, by rows.
    acquisitions
        Numbers and names of the rounds in which images were taken.
    """

    path: str
    name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    wells: tuple[Well, ...]
    acquisitions: tuple[tuple[int, str], ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Sentences on what it names and is not there."""
        return tuple(sentence for well in self.wells for sentence in well.missing)

    def chosen(self, patterns: Iterable[str] = ()) -> tuple[Well, ...]:
        """Return the wells that any of some patterns names, such as ``"B3"``, ``"B*"`` or ``"*12"``; all for none.

        Raises
        ------
        ImageError
            If a pattern names no well. The message says which there are.
        """
        wanted = [pattern.strip() for pattern in patterns if pattern.strip()]
        if not wanted:
            return self.wells
        found = {pattern: [well for well in self.wells if _fits(well, pattern)] for pattern in wanted}
        for pattern, wells in found.items():
            if not wells:
                raise ImageError(
                    Sentence(
                        "{path}: no well is named {name}; there are {first} to {last}.",
                        path=self.path,
                        name=pattern,
                        first=self.wells[0].name,
                        last=self.wells[-1].name,
                    )
                )
        places = {well.place for wells in found.values() for well in wells}
        return tuple(well for well in self.wells if well.place in places)


def well_name(text: str) -> str | None:
    """Return the one name of a well that people write in many ways: ``"B03"`` of ``"b3"``, ``"B-03"`` and ``"B/3"``."""
    found = _WELL.fullmatch(text.strip())
    return f"{found[1].upper()}{int(found[2]):02d}" if found else None


def is_plate(path: str | Path) -> bool:
    """Whether something that is there is a plate.

    Raises
    ------
    ImageError
        If it is OME-Zarr by its name and cannot be opened.
    """
    if not is_ome_zarr(path):
        return False
    from napari_unetseg.io.ome_zarr.opening import open_group  # which loads zarr

    return "plate" in open_group(Location.of(path)).ome


def open_plate(path: str | Path) -> Plate:
    """Read which wells and fields a plate has; no pixel is read.

    Wells and fields that the plate names and that are not there are told by `Plate.missing`.

    Parameters
    ----------
    path
        Of a folder, an archive or a URL.

    Raises
    ------
    ImageError
        If it is no plate, or its metadata are damaged. The message names file and field.
    """
    from napari_unetseg.io.ome_zarr.opening import open_group  # which loads zarr

    group = open_group(Location.of(path))
    if "plate" not in group.ome:
        raise ImageError(Sentence("{path}: is no plate of OME-Zarr; its metadata name no wells.", path=group.label))
    info = parse(PlateInfo, group.ome["plate"], group.label, "plate")
    if not info.wells:
        raise ImageError(Sentence("{path}: is a plate without wells.", path=group.label))
    names = _names_in_paths(group, info)
    rows = _with_unlisted((row.name for row in info.rows), (row for row, _ in names))
    columns = _with_unlisted((column.name for column in info.columns), (column for _, column in names))
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        found = threads.map(lambda well: _fields(group, well), info.wells)
        wells = [
            Well(row, column, (rows.index(row), columns.index(column)), fields, missing)
            for (row, column), (fields, missing) in zip(names, found, strict=True)
        ]
    return Plate(
        group.label,
        info.name or plain_stem(path),
        rows,
        columns,
        tuple(sorted(wells, key=lambda well: well.place)),
        tuple((one.id, one.name or str(one.id)) for one in info.acquisitions),
    )


def _names_in_paths(group: "OmeGroup", info: PlateInfo) -> list[tuple[str, str]]:
    """Return the names of row and column that the path of each well is made of."""
    found = []
    for well in info.wells:
        row, _, column = well.path.strip("/").partition("/")
        if not row or not column or "/" in column:
            raise ImageError(
                Sentence(
                    "{path}: its metadata are damaged or of another kind: {field}: {reason}. Write the image again "
                    "with the program that it came from.",
                    path=group.label,
                    field="plate.wells",
                    reason=Sentence("{well} names no row and column", well=repr(well.path)),
                )
            )
        found.append((row, column))
    return found


def _with_unlisted(listed: Iterable[str], used: Iterable[str]) -> tuple[str, ...]:
    """Return the names of rows or columns, after those that are listed the others that wells have."""
    names = list(listed)
    unlisted = sorted(set(used) - set(names), key=lambda name: (len(name), name))
    return (*names, *unlisted)


def _fields(plate: "OmeGroup", well: PlateWell) -> tuple[tuple[Field, ...], tuple[str, ...]]:
    """Return the fields of a well that are there, and sentences on those that are not."""
    group = plate.child(well.path)
    if group is None:
        return (), (Sentence("{path}: the well {well} is missing.", path=plate.label, well=well.path),)
    images = parse(WellInfo, group.ome.get("well") or {}, group.label, "well").images
    fields: list[Field] = []
    missing: list[str] = []
    for image in images:
        if not _is_there(group, image.path):
            missing.append(Sentence("{path}: the field {field} is missing.", path=group.label, field=image.path))
        else:
            fields.append(Field(group.location.at(image.path).address, image.path, image.acquisition))
    return tuple(fields), tuple(missing)


def _is_there(group: "OmeGroup", path: str) -> bool:
    """Whether a field is there; of an address that is found out when it is read, as each question takes its time."""
    place = group.location.at(path)
    if is_url(place.store):
        return True
    return group.child(path) is not None if place.is_zip else Path(place.store).is_dir()


def _fits(well: Well, pattern: str) -> bool:
    names: Sequence[str] = (well.name, f"{well.row}{well.column}".upper(), f"{well.row}/{well.column}".upper())
    return well_name(pattern) == well.name or any(fnmatchcase(name, pattern.upper()) for name in names)
