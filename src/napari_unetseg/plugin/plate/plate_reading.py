"""Plates and how they stand, read in workers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_unetseg.batch.events import Event
from napari_unetseg.batch.output_files import FieldPlace
from napari_unetseg.io.ome_zarr.plate_layout import Plate
from napari_unetseg.plugin.workers.background import Task


@dataclass(frozen=True)
class PlateQuestion:
    """Which plate, and where its results are; None: beside it."""

    path: str
    output: Path | None


@dataclass(frozen=True)
class PlateAnswer:
    """A plate as it is, with its fields and where its results are."""

    plate: Plate
    places: Mapping[Path, FieldPlace]
    output: Path
    standing: "Standing"


@dataclass(frozen=True)
class StandingQuestion:
    """Of which plate and fields to read how they stand, in which folder."""

    plate: Plate
    places: Mapping[Path, FieldPlace]
    output: Path


@dataclass(frozen=True)
class Standing:
    """How the fields of a plate stand in a folder of results, and what was done to its wells."""

    events: tuple[Event, ...]
    conditions: Mapping[str, str]


def prepare_plate(question: PlateQuestion) -> Callable[[Task[PlateAnswer]], PlateAnswer]:
    """Return what reads a plate, in a worker."""

    def read(task: Task[PlateAnswer]) -> PlateAnswer:
        from napari_unetseg.batch.places import as_path
        from napari_unetseg.batch.plates import plate_fields, plate_folder
        from napari_unetseg.io.ome_zarr.plate_layout import open_plate

        plate = open_plate(question.path)
        places = plate_fields(plate)
        output = plate_folder(as_path(plate.path), question.output)
        return PlateAnswer(plate, places, output, _standing(StandingQuestion(plate, places, output)))

    return read


def prepare_standing(question: StandingQuestion) -> Callable[[Task[Standing]], Standing]:
    """Return what reads how a plate stands, in a worker."""
    return lambda task: _standing(question)


def prepare_conditions(path: Path) -> Callable[[Task[dict[str, str]]], dict[str, str]]:
    """Return what reads a table of conditions, in a worker."""

    def read(task: Task[dict[str, str]]) -> dict[str, str]:
        from napari_unetseg.batch.conditions import read_conditions

        return read_conditions(path)

    return read


def _standing(question: StandingQuestion) -> Standing:
    from napari_unetseg.batch.conditions import kept_conditions
    from napari_unetseg.batch.folder_journal import FolderJournal
    from napari_unetseg.batch.places import as_path
    from napari_unetseg.batch.plates import plate_status

    found = plate_status(question.places, question.output)
    events = tuple(
        Event(file, one.status, objects=one.objects, message=one.message, target=one.target)
        for file, one in found.items()
    )
    key = FolderJournal(question.output).key(as_path(question.plate.path))
    kept = kept_conditions(question.output)
    return Standing(events, {well: condition for (plate, well), condition in kept.items() if plate == key})
