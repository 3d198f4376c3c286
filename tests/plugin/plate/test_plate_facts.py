"""How the fields and wells of a plate stand."""

from pathlib import Path

import pytest

from napari_unetseg.batch.events import Event, Status
from napari_unetseg.batch.output_files import FieldPlace
from napari_unetseg.io.ome_zarr.plate_layout import Field, Plate, Well
from napari_unetseg.plugin.plate import plate_words
from napari_unetseg.plugin.plate.plate_facts import PlateFacts, WellFacts

PLATE = Path("p.zarr")


def facts() -> PlateFacts:
    wells = (
        Well("A", "1", (0, 0), (Field("p.zarr/A/1/0", "0"), Field("p.zarr/A/1/1", "1"))),
        Well("B", "2", (1, 1), (Field("p.zarr/B/2/0", "0"),)),
        Well("B", "3", (1, 2), missing=("p.zarr: the well B/3 is missing.",)),
    )
    places = {
        Path(field.path): FieldPlace(plate=PLATE, well=well.name, field=field.name)
        for well in wells
        for field in well.fields
    }
    return PlateFacts(Plate("p.zarr", "screen", ("A", "B"), ("1", "2", "3"), wells), places)


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        ((), None),
        (("waiting", "waiting"), "waiting"),
        (("done", "skipped"), "done"),
        (("done", "waiting"), "waiting"),
        (("failed", "waiting"), "failed"),
        (("failed", "running"), "running"),
    ],
)
def test_a_well_stands_where_its_fields_do(statuses: tuple[Status, ...], status: Status | None) -> None:
    events = tuple(Event(Path(str(at)), one) for at, one in enumerate(statuses))
    assert WellFacts(Well("A", "1", (0, 0)), events).status == status


def test_objects_are_those_of_the_fields_that_are_done() -> None:
    plate = facts()
    assert plate.well(0).objects is None
    first, second = Path("p.zarr/A/1/0"), Path("p.zarr/A/1/1")
    plate.take([Event(first, "done", objects=10), Event(second, "running", fraction=0.5), Event(PLATE, "done")])
    well = plate.well(0)
    assert (well.objects, well.objects_a_field, well.done, well.share_done) == (10, 10.0, 1, 0.75)
    plate.take([Event(second, "skipped", objects=20)])
    well = plate.well(0)
    assert (well.objects, well.objects_a_field, well.done, well.share_done) == (30, 15.0, 2, 1.0)


def test_fields_are_found_by_wells_and_names() -> None:
    plate = facts()
    assert plate.files_of([0, 2], None) == (Path("p.zarr/A/1/0"), Path("p.zarr/A/1/1"))
    assert plate.files_of([0, 1], ["1"]) == (Path("p.zarr/A/1/1"),)
    assert (plate.number_of(Path("p.zarr/B/2/0")), plate.number_of(PLATE)) == (1, None)


def test_a_well_tells_what_is_known_of_it() -> None:
    plate = facts()
    plate.conditions = {"A01": "drug 1 µM"}
    plate.take([Event(Path("p.zarr/A/1/0"), "done", objects=7), Event(Path("p.zarr/A/1/1"), "failed")])
    told = plate_words.well_tip(plate.well(0)).splitlines()
    assert told[:4] == ["A01 · drug 1 µM", "1 of 2 fields done", "7 objects", "1 failed."]
    assert plate_words.well_tip(plate.well(2)).splitlines() == ["B03", "nothing was imaged here", "1 is missing"]
    assert plate_words.plate_line(plate) == "screen: 3 wells, 3 fields, 1 is missing"


def test_the_button_says_what_it_runs_on() -> None:
    assert [plate_words.run_button(*counts) for counts in ((0, 96), (96, 96), (1, 96), (12, 96))] == [
        "Run on all wells",
        "Run on all wells",
        "Run on 1 well",
        "Run on 12 wells",
    ]
