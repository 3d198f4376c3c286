"""What the window that checks masks says. Constants and pure functions."""

from collections.abc import Mapping, Sequence

from napari_unetseg.language import mark, tr, tr_count
from napari_unetseg.training.mask_folder import CheckedMask, FileRepair, MendedMask

FOLDER_TIP = mark("A folder of masks, each of which numbers its objects. It stays as it is.")
OUTPUT_TIP = mark(
    "A new folder. Mended masks go into 'masks' in it, and copies of their images into 'images', so that it can be\n"
    "trained on as it is."
)
TABLE_TIP = mark("What is wrong with each mask. Double-click a row to open the mask at its first fault.")
MEND_TIP = mark("Write copies of all masks, in which the ticked faults are mended. The others are copied as they are.")
CANCEL_TIP = mark("Stop checking or writing.")
NO_FOLDER = mark("Choose a folder of masks.")
CHECKING = mark("Looking at the masks...")
MENDING = mark("Writing mended masks...")
SOUND = mark("No fault was found.")
TICK = mark("Tick what to mend.")
NO_OUTPUT = mark("Name a new folder for the mended masks.")
TRAIN_ON = mark("Train on these")
TRAIN_ON_TIP = mark("Takes the new folder as what the model is to be trained on.")

REPAIRS: Mapping[FileRepair, tuple[str, str]] = {
    "colours": (mark("Colours to numbers"), mark("Each colour of a picture becomes a number; black is background.")),
    "palette": (mark("Remove palettes"), mark("Numbers stay, and the colours that some programs read go.")),
    "edges": (
        mark("Sharpen blended edges"),
        mark("What is at least half of the largest value is an object, and each piece of it gets a number."),
    ),
    "background": (mark("Background to 0"), mark("The number that the background has becomes 0.")),
    "unnumbered": (mark("Number objects"), mark("Each piece of a mask of one number gets a number of its own.")),
    "specks": (
        mark("Remove specks"),
        mark("Small extra pieces go to the object that surrounds them, or else to the background."),
    ),
    "pieces": (
        mark("Divide pieces"),
        mark("Further pieces of an object become objects. Leave it out where objects are cut by others in front."),
    ),
    "tiny": (mark("Remove tiny objects"), mark("Objects far smaller than the others of their mask go.")),
    "holes": (mark("Fill holes"), mark("Background within one object becomes part of it.")),
    "numbers": (mark("Number anew"), mark("Numbers are counted anew from 1, in their order.")),
}
"""What each box says, and its tooltip."""


def checked_line(checked: Sequence[CheckedMask]) -> str:
    """Sum up what was found."""
    sound = sum(not mask.faults and not mask.unreadable for mask in checked)
    line = tr_count("{count} mask looked at", "{count} masks looked at", len(checked)).format(count=len(checked))
    return f"{line}, " + tr("{count} without a fault.").format(count=sound)


def mended_line(mended: Sequence[MendedMask]) -> str:
    """Sum up what was written."""
    changed = sum(bool(mask.pixels) for mask in mended)
    pixels = sum(sum(mask.pixels.values()) for mask in mended)
    return tr("{changed} of {count} masks mended, {pixels} pixels in all. The others were copied as they are.").format(
        changed=changed, count=len(mended), pixels=pixels
    )
