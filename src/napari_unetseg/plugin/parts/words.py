"""The sentences of the window. Pure functions, so that they can be read and tested without one."""

import math
import traceback
from dataclasses import dataclass

from napari_unetseg.errors import UnetsegError, is_out_of_memory
from napari_unetseg.inference.backends import device_kind
from napari_unetseg.language import grouped, mark, tr, tr_count, translated
from napari_unetseg.plugin.parts.result_summary import Summary
from napari_unetseg.postprocessing.parameters import DecodeParameters

NO_IMAGE = mark("Open an image, or try File > Open Sample > napari-unetseg.")
NO_MODEL = mark("No model can be used. Reinstall napari-unetseg, or put a model folder into the user's model folder.")
NO_OUTPUT = mark("Tick Labels, Contours or Confidence map first.")
READY = mark("Press Run to find the objects of the plane on display.")
READY_UNSEEN = mark("Press Run to segment it all the same.")
_DEVICE_NAMES = {"cpu": "CPU", "cuda": "NVIDIA GPU", "mps": "Apple GPU"}
DONE = mark("Move the sliders to adjust the result: its layers follow at once.")


@dataclass(frozen=True)
class FailureText:
    """An error in words for the user, and all of it for those who want to help."""

    sentence: str
    details: str


def describe_error(error: BaseException) -> FailureText:
    """Say what failed: the error's own words if they were written for users, else that it is a defect."""
    details = "".join(traceback.format_exception(error))
    if isinstance(error, UnetsegError):
        return FailureText(translated(error), details)
    if is_out_of_memory(error):
        return FailureText(tr("There was not enough memory. Close other images or programs, then run again."), details)
    sentence = tr("This should not have happened ({error}). Please report it with the details.")
    return FailureText(sentence.format(error=f"{type(error).__name__}: {error}"), details)


def device_words(device: str) -> str:
    """Return ``"NVIDIA GPU"``, or ``"NVIDIA GPU (cuda:1)"`` for one of several."""
    name = _DEVICE_NAMES.get(device_kind(device), device)
    return f"{name} ({device})" if device_kind(device) != device != name else name


def count(objects: int) -> str:
    """Return ``"1 object"``, ``"1,312 objects"``."""
    return tr_count("{n} object", "{n} objects", objects).format(n=grouped(objects))


def duration(seconds: float) -> str:
    """Return ``"4.1 s"``, ``"38 s"``, ``"3 min"``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def result_line(objects: int | None, seconds: float, place: str, image: str | None) -> str:
    """Return ``"24 objects · 4.1 s"``, ``"24 objects in 'cells', Z 4 of 5 · 4.1 s"``.

    Parameters
    ----------
    objects
        How many there are; None while they are being changed by hand.
    seconds
        How long the run took.
    place
        Which plane or part of the image they are in; empty where it is no more than that.
    image
        Name of the image, where it is not clear which one.
    """
    found = tr("Objects changed by hand") if objects is None else count(objects)
    where = ", ".join([*([f"'{image}'"] if image else []), *([place] if place else [])])
    if where:
        found = tr("{objects} in {place}").format(objects=found, place=where)
    return f"{found} · {duration(seconds)}"


def tile_progress(done: int, total: int, seconds: float) -> str:
    """Return ``"62 % · 3 s left"`` after `done` of `total` tiles in `seconds`."""
    left = seconds / done * (total - done)
    time = duration(max(1, round(left))).replace(".0 s", " s")
    return tr("{percent} % · {time} left").format(percent=100 * done // total, time=time)


def cancelled_at(percent: int | None) -> str:
    """Say how far a cancelled run had come; `percent` is None before its first tile."""
    if percent is None:
        return tr("Cancelled before the first tile. Nothing was added.")
    return tr("Cancelled at {percent} %. Nothing was added.").format(percent=percent)


def nothing_found(summary: Summary, parameters: DecodeParameters) -> str:
    """Say why no object was found."""
    if summary.highest is not None and summary.highest < parameters.threshold:
        none = tr("No objects above {threshold:.2f}. The highest confidence was {highest:.2f}.")
        return none.format(threshold=parameters.threshold, highest=summary.highest)
    if summary.surest is not None:
        unsure = tr("All objects were dropped: their mean confidence was at most {surest:.2f}. Lower '{slider}'.")
        # Rounded down, so that this value of the slider keeps one.
        return unsure.format(surest=math.floor(100 * summary.surest) / 100, slider=tr("Confidence ≥"))
    return tr(
        "No object of at least {min_size} px above {threshold:.2f}. Lower the minimum size or the threshold."
    ).format(min_size=parameters.min_size, threshold=parameters.threshold)


def edited(layer: str) -> str:
    """Say that the sliders spare what the user drew."""
    return tr("You changed '{layer}' by hand, so the sliders leave this result alone. Run again for a new one.").format(
        layer=layer
    )


def too_many_contours(limit: int) -> str:
    """Say why contours are drawn another way."""
    return tr("More than {limit} outlines: contours are drawn on a Labels layer, which stays fast.").format(
        limit=grouped(limit)
    )
