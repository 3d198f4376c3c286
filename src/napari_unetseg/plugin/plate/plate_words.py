"""What the window of plates says."""

from napari_unetseg.batch.events import Event
from napari_unetseg.language import grouped, mark, tr, tr_count
from napari_unetseg.plugin.parts.words import count
from napari_unetseg.plugin.plate.plate_facts import PlateFacts, WellFacts

TITLE = mark("Segment a plate")
NO_MODEL_CHOSEN = mark("Choose a model in the panel first.")
NO_PLATE = mark("Choose a plate: an OME-Zarr folder with wells, or type its address.")
OPENING = mark("Reading which wells and fields there are...")
READY = mark(
    "Press Run. What is done already is skipped; Cancel keeps what is finished. Double-click a well to look at it."
)
STARTING = mark("Preparing the model and looking for what is done already...")
CANCELLING = mark("Cancelling...")
NO_FIELDS = mark("None of these wells has such a field. Choose other wells, or leave Fields empty.")
WELL_TIP_HINT = mark("Double-click to open it.")
PLATE_TIP = mark("An OME-Zarr plate: its folder, a zip archive of it, or its address.")
OUTPUT_TIP = mark(
    "Folder of the tables and of a journal by which a later run knows what is done. It is made if needed."
)
FIELDS_TIP = mark("Which fields of each well to segment, such as 0,2; empty for all.")
BESIDE = mark("Leave the plate unchanged")
BESIDE_TIP = mark(
    "Labels are written into the results folder rather than into the plate beside the images that they belong to."
)
COLOURS_TIP = mark("Colour the wells by where they stand, or by how many objects were found in each.")
GRID_TIP = mark(
    "Click a well, or drag over several, to choose them; Ctrl adds. A letter chooses its row, a number its column.\n"
    "Double-click a well to open its image and labels."
)
FIELD_LIST_TIP = mark("The fields of the chosen wells. Double-click one to open its image with its labels in napari.")
CONDITION_TIP = mark(
    "What was done to the chosen wells, such as a drug and its dose. Tables of results have it as a column, once Run\n"
    "was pressed."
)
CONDITIONS_TIP = mark("Read the conditions of all wells from a CSV table with the columns well and condition.")
OPEN_TIP = mark("Open the image of the chosen field with its labels in napari.")
WITH_TIP = mark("Model, device and parameters are those of the panel when Run is pressed.")
REDO_TIP = mark("Segment also what was done with the same model and parameters.")
RUN_TIP = mark("Segment the chosen wells one field after the other, in the background; all wells where none is chosen.")
CANCEL_TIP = mark("Stop. What is finished is kept, and Run goes on from there.")
SHOW_TIP = mark("Opens the folder of the results in your file manager.")

FIELD_COLUMNS = (mark("Well"), mark("Field"), mark("Status"), mark("Objects"))


def well_count(number: int) -> str:
    """Return ``"1 well"``, ``"96 wells"``."""
    return tr_count("{n} well", "{n} wells", number).format(n=grouped(number))


def field_count(number: int) -> str:
    """Return ``"1 field"``, ``"384 fields"``."""
    return tr_count("{n} field", "{n} fields", number).format(n=grouped(number))


def run_button(chosen: int, wells: int) -> str:
    """Say what the Run button is about."""
    if not chosen or chosen == wells:
        return tr("Run on all wells")
    return tr("Run on {wells}").format(wells=well_count(chosen))


def plate_line(facts: PlateFacts) -> str:
    """Say how large a plate is, and what of it is missing."""
    parts = [
        tr("{name}: {wells}, {fields}").format(
            name=facts.plate.name,
            wells=well_count(len(facts.plate.wells)),
            fields=field_count(len(facts.places)),
        )
    ]
    if missing := len(facts.plate.missing):
        parts.append(tr_count("{n} is missing", "{n} are missing", missing).format(n=grouped(missing)))
    return ", ".join(parts)


def well_tip(facts: WellFacts) -> str:
    """Say all that is known of a well."""
    lines = [facts.well.name + (f" · {facts.condition}" if facts.condition else "")]
    if facts.status is None:
        lines.append(tr("nothing was imaged here"))
    else:
        lines.append(
            tr("{done} of {fields} done").format(done=grouped(facts.done), fields=field_count(len(facts.events)))
        )
    if facts.objects is not None:
        lines.append(count(facts.objects))
    if facts.done > 1 and facts.objects_a_field is not None:
        lines.append(tr("{n} objects a field").format(n=f"{facts.objects_a_field:.1f}"))
    failed = sum(event.status == "failed" for event in facts.events)
    if failed:
        lines.append(tr_count("{n} failed.", "{n} failed.", failed).format(n=grouped(failed)))
    if facts.well.missing:
        missing = len(facts.well.missing)
        lines.append(tr_count("{n} is missing", "{n} are missing", missing).format(n=grouped(missing)))
    if facts.events:
        lines.append(tr(WELL_TIP_HINT))
    return "\n".join(lines)


def segmenting(event: Event, facts: PlateFacts) -> str:
    """Say which field is at work."""
    place = facts.places.get(event.file)
    name = event.file.name if place is None else tr("{well}, field {field}").format(well=place.well, field=place.field)
    return tr("Segmenting {file}...").format(file=name)
