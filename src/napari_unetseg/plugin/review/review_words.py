"""What the window of a review says."""

from typing import TYPE_CHECKING

from napari_unetseg.batch.places import short_name
from napari_unetseg.language import grouped, mark, tr, tr_count, translated
from napari_unetseg.plugin.parts.badge import GLYPHS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unetseg.batch.folder_journal import LeftOut, Verdict
    from napari_unetseg.batch.folder_review import ReviewCounts, ReviewItem
    from napari_unetseg.batch.training_export import TrainingSet

ACCEPT, FIX, REJECT, UNDO = "Q", "W", "H", "U"
NEXT, PREVIOUS, NEXT_OBJECT, PREVIOUS_OBJECT = "PageDown", "PageUp", "Down", "Up"
"""Keys of the window, while it is open. Neither napari nor the tools that fix objects have any of them."""

TITLE = mark("Review")
FOLDER_TIP = mark("The folder whose results are reviewed.")
CHOOSE_TIP = mark("Review the results of another folder.")
SHOW_TIP = mark("Which images the list shows. The most doubtful one is first.")
LIST_TIP = mark("Click an image to see it with its labels.")
OBJECTS_TIP = mark("Doubtful objects of this image, the most doubtful one first. Click one to go there.")
OBJECTS_EDIT_TIP = mark("Delete removes the object from the labels.")
PROGRESS_TIP = mark("How many images somebody has decided about.")
ACCEPT_TIP = mark("The labels are right as they are.")
FIX_TIP = mark(
    "Correct the labels with napari's tools: paint, erase, fill. Delete removes the object that is chosen in the list."
)
SAVE_TIP = mark("Write the corrected labels, with the table and all other results of this image.")
REJECT_TIP = mark("The result is of no use: it is left out of the export.")
UNDO_TIP = mark("Take the last decision back; of a correction also its labels.")
NEXT_TIP = mark("Go to the next image that nobody has decided about.")
PREVIOUS_TIP = mark("Go to the image above in the list.")
OBJECT_TIP = mark("Go to the next doubtful object of this image.")
DISCARD_TIP = mark("Put the labels back as they are on the disk.")
REPORT_TIP = mark(
    "Write a page with pictures, counts, reasons and what was changed into the folder, and open it in the browser."
)
EXPORT_TIP = mark("Write the accepted and corrected images with their labels as a training set.")
IMPROVE_TIP = mark("Export the training set, and improve the model with it.")

NO_FOLDER = mark("Choose a folder of results: one with a segmentation journal.")
OPENING = mark("Looking at the results...")
NOTHING = mark("There is no result in this folder to review.")
ALL_DONE = mark("Every image has been decided about. Export the training set, or improve the model with it.")
FIXING = mark("Correct the labels, then save. Delete removes the object that is chosen in the list.")
UNCHANGED = mark("Nothing was changed. Correct the labels, or accept them.")
SAVE_FIRST = mark("Save the corrections of '{image}' first, or discard them.")
SAVING = mark("Writing the corrections of '{image}'...")
EXPORTING = mark("Writing the training set...")
REPORTING = mark("Writing the report...")

FILTERS: dict[str, str] = {
    "all": mark("All images"),
    "open": mark("To review"),
    "accepted": mark("Accepted"),
    "fixed": mark("Corrected"),
    "rejected": mark("Rejected"),
}

DECISIONS: dict["Verdict", str] = {
    "accepted": mark("accepted"),
    "fixed": mark("corrected"),
    "rejected": mark("rejected"),
}
SIGNS: dict["Verdict", str] = {"accepted": GLYPHS["good"], "fixed": "✎", "rejected": GLYPHS["error"]}


def doubt(value: float) -> str:
    """Return ``"doubt 42 %"``."""
    return tr("doubt {percent} %").format(percent=f"{100 * value:.0f}")


def object_line(label: int, reasons: tuple[str, ...]) -> str:
    """Return what is said of a doubtful object: ``"Object 12. Low confidence: 0.52, where 0.50 is the least."``."""
    said = " ".join(translated(reason) for reason in reasons)
    return f"{tr('Object {label}.').format(label=label)} {said}" if label else said


def reasons(item: "ReviewItem") -> str:
    """Say why an image is doubtful, and whether what was decided about it counts no more."""
    said = [translated(reason) for reason in item.reasons] or [tr("Nothing is conspicuous.")]
    if item.voided is not None and item.voided.decision is not None:
        void = tr("It was {decision} before its result changed; decide again.")
        said.insert(0, void.format(decision=tr(DECISIONS[item.voided.decision])))
    return " ".join(said)


def left_out(images: "Sequence[LeftOut]") -> str:
    """Say which images cannot be reviewed, and why."""
    text = tr_count("{n} image cannot be reviewed.", "{n} images cannot be reviewed.", len(images))
    named = [f"{short_name(image.file)}: {translated(image.reason)}" for image in images]
    return " ".join([text.format(n=grouped(len(images))), *named])


def progress(decided: int, total: int) -> str:
    """Return ``"12 of 96 reviewed"``."""
    return tr("{decided} of {total} reviewed").format(decided=grouped(decided), total=grouped(total))


def counts(numbers: "ReviewCounts") -> str:
    """Return ``"9 accepted · 2 corrected · 1 rejected"``."""
    return " · ".join(f"{grouped(number)} {tr(DECISIONS[verdict])}" for verdict, number in _of(numbers).items())


def short_counts(numbers: "ReviewCounts") -> str:
    """Return ``"✓ 9   ✎ 2   ✕ 1"``."""
    return "   ".join(f"{SIGNS[verdict]} {grouped(number)}" for verdict, number in _of(numbers).items())


def _of(numbers: "ReviewCounts") -> "dict[Verdict, int]":
    return {"accepted": numbers.accepted, "fixed": numbers.fixed, "rejected": numbers.rejected}


def exported(training_set: "TrainingSet") -> str:
    """Say that a training set was written, and what could not be."""
    number = training_set.images
    text = tr_count(
        "{n} image with its labels is in {folder}.", "{n} images with their labels are in {folder}.", number
    )
    said = [text.format(n=grouped(number), folder=training_set.folder)]
    said += [f"{short_name(left.file)}: {translated(left.reason)}" for left in training_set.left_out]
    return " ".join(said)


def doubtful(number: int) -> str:
    """Return ``"3 doubtful objects"``."""
    return tr_count("{n} doubtful object", "{n} doubtful objects", number).format(n=grouped(number))


def corrected(item: "ReviewItem") -> str:
    """Say what was changed by hand."""
    changes = None if item.decided is None else item.decided.changes
    if changes is None:
        return tr("'{image}' is corrected.").format(image=short_name(item.file))
    said = tr("'{image}' is corrected: {added} added, {removed} removed, {altered} changed.")
    numbers = {name: grouped(getattr(changes, name)) for name in ("added", "removed", "altered")}
    return said.format(image=short_name(item.file), **numbers)
