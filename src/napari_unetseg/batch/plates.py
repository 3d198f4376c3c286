"""Plates as batches: their fields as images with a place, and how each stands in a folder of results.

A plate is segmented as any images are: `plate_fields` lists them, and a `BatchJob` of these with their places goes
through `segment_files`, which reports, is cancelled and goes on as ever. `plate_status` reads what is done already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_unetseg.batch.events import Status
from napari_unetseg.batch.folder_journal import FolderJournal, Record
from napari_unetseg.batch.output_files import FieldPlace, Target, output_folder
from napari_unetseg.batch.places import address, as_path, is_zarr
from napari_unetseg.batch.scenes import scenes_within
from napari_unetseg.errors import ImageError
from napari_unetseg.io.microscope.location import is_microscope_path
from napari_unetseg.language import Sentence

if TYPE_CHECKING:
    from napari_unetseg.io.ome_zarr.plate_layout import Plate


@dataclass(frozen=True)
class FieldStatus:
    """How a field stands in a folder of results.

    Attributes
    ----------
    status
        ``"done"``, ``"failed"`` or ``"waiting"``.
    objects
        How many were found; None if it is not done.
    message
        Why it failed, or warnings.
    target
        Where its results are; None where there are none.
    """

    status: Status
    objects: int | None = None
    message: str = ""
    target: Target | None = None


def images_within(
    file: Path, wells: str | None = None, fields: str | None = None, scenes: str | None = None
) -> dict[Path, FieldPlace | None]:
    """Return the images that something holds: fields of a plate, scenes of a microscope's file, else itself.

    Parameters
    ----------
    file
        A file, folder or URL, as `napari_unetseg.batch.places` has it.
    wells, fields
        Which ones of a plate; see `plate_fields`.
    scenes
        Which ones of a microscope's file; see `scenes_within`.

    Raises
    ------
    ImageError
        If OME-Zarr cannot be opened, or there are no such wells, fields or scenes.
    """
    if is_microscope_path(file):
        return dict.fromkeys(scenes_within(file, scenes))
    if not is_zarr(file):
        return {file: None}
    from napari_unetseg.io.ome_zarr.images import images_in  # which loads zarr
    from napari_unetseg.io.ome_zarr.plate_layout import is_plate, open_plate

    if is_plate(address(file)):
        return dict(plate_fields(open_plate(address(file)), wells, fields))
    return dict.fromkeys(map(as_path, images_in(address(file))))


def plate_fields(plate: "Plate", wells: str | None = None, fields: str | None = None) -> dict[Path, FieldPlace]:
    """Return the fields of a plate, as paths, with their places: the ``files`` and ``places`` of a `BatchJob`.

    Parameters
    ----------
    plate
        As `open_plate` gives it.
    wells
        Such as ``"A1,B*,*12"``; None: all.
    fields
        Names of fields in their wells, such as ``"0,2"``; None: all.

    Raises
    ------
    ImageError
        If there is no such well, or one of the fields is in no well.
    """
    wanted = None if fields is None else _words(fields)
    found = {
        as_path(field.path): FieldPlace(plate=as_path(plate.path), well=well.name, field=field.name)
        for well in plate.chosen(() if wells is None else _words(wells))
        for field in well.fields
        if wanted is None or field.name in wanted
    }
    names = {field.name for well in plate.wells for field in well.fields}
    if not found or set(wanted or ()) - names:
        raise ImageError(
            Sentence(
                "{path}: has no such fields. Its fields are called {names}.",
                path=plate.path,
                names=", ".join(sorted(names)) or "-",
            )
        )
    return found


def plate_folder(plate: Path, output: Path | None = None) -> Path:
    """Return where results of a plate go: `output`, or where None a folder beside the plate."""
    return output_folder(plate, output)


def plate_status(places: Mapping[Path, FieldPlace], folder: Path) -> dict[Path, FieldStatus]:
    """Return how each field of a plate stands in a folder of results, by what its journal says.

    It may be called while runs write into the folder. Whether results are out of date, a run finds out.

    Raises
    ------
    UnetsegError
        If there is a journal that cannot be read.
    """
    journal = FolderJournal(folder)
    return {file: _status(journal, journal.record(file)) for file in places}


def _status(journal: FolderJournal, record: Record | None) -> FieldStatus:
    if record is None:
        return FieldStatus("waiting")
    return FieldStatus(
        record.status, record.objects, record.message, journal.target(record) if record.results else None
    )


def _words(text: str) -> Sequence[str]:
    return [word.strip() for word in text.replace(";", ",").split(",") if word.strip()]
