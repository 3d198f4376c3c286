"""How the fields and wells of a plate stand, in plain values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_unetseg.batch.events import Event, Status
from napari_unetseg.batch.output_files import FieldPlace
from napari_unetseg.io.ome_zarr.plate_layout import Plate, Well

_DONE: frozenset[Status] = frozenset({"done", "skipped"})


@dataclass(frozen=True)
class WellFacts:
    """How a well stands.

    Attributes
    ----------
    well
        Which.
    events
        How its fields stand, in their order.
    condition
        What was done to it; empty where that is not known.
    """

    well: Well
    events: tuple[Event, ...]
    condition: str = ""

    @property
    def status(self) -> Status | None:
        """Where it stands: running if one of its fields is, else failed if one did, else waiting if one is; or done.

        None where it has no field.
        """
        found = {event.status for event in self.events}
        if not found:
            return None
        for status in ("running", "failed", "waiting"):
            if status in found:
                return status
        return "done"

    @property
    def done(self) -> int:
        """Fields that are done."""
        return sum(event.status in _DONE for event in self.events)

    @property
    def share_done(self) -> float:
        """Which share of its fields is done, parts of those that run among them, 0 to 1."""
        parts = (1.0 if event.status in _DONE else event.fraction for event in self.events)
        return sum(parts) / len(self.events) if self.events else 0.0

    @property
    def objects(self) -> int | None:
        """Objects of all fields that are done; None while none is."""
        counts = self._counts
        return sum(counts) if counts else None

    @property
    def objects_a_field(self) -> float | None:
        """Mean number of objects of the fields that are done, which wells with more fields have no more of."""
        counts = self._counts
        return sum(counts) / len(counts) if counts else None

    @property
    def _counts(self) -> list[int]:
        return [event.objects for event in self.events if event.status in _DONE and event.objects is not None]


class PlateFacts:
    """How all fields of a plate stand, by what was read and what is reported.

    Parameters
    ----------
    plate
        Which.
    places
        Its fields, as `plate_fields` gives them.
    """

    def __init__(self, plate: Plate, places: Mapping[Path, FieldPlace]) -> None:
        self.plate = plate
        self.places = dict(places)
        self.conditions: dict[str, str] = {}
        self._events = {file: Event(file, "waiting") for file in places}
        self._files: dict[str, list[Path]] = {well.name: [] for well in plate.wells}
        for file, place in places.items():
            self._files[place.well].append(file)

    def take(self, events: Iterable[Event]) -> None:
        """Take note of how fields stand now; those of other files are left out."""
        self._events |= {event.file: event for event in events if event.file in self._events}

    def well(self, number: int) -> WellFacts:
        """Return how a well stands, by its number among those of the plate."""
        well = self.plate.wells[number]
        events = tuple(self._events[file] for file in self._files[well.name])
        return WellFacts(well, events, self.conditions.get(well.name, ""))

    def wells(self) -> list[WellFacts]:
        """Return how all wells stand."""
        return [self.well(number) for number in range(len(self.plate.wells))]

    def number_of(self, file: Path) -> int | None:
        """Return the number of the well that a field is of; None if it is of none."""
        place = self.places.get(file)
        if place is None:
            return None
        return next(at for at, well in enumerate(self.plate.wells) if well.name == place.well)

    def files_of(self, numbers: Iterable[int], fields: Iterable[str] | None) -> tuple[Path, ...]:
        """Return the fields of some wells, all or those with certain names."""
        wanted = None if fields is None else set(fields)
        files = (file for number in numbers for file in self._files[self.plate.wells[number].name])
        return tuple(file for file in files if wanted is None or self.places[file].field in wanted)
