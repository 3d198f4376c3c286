"""The sentences of the window. Pure functions, so that they can be read and tested without one."""

import traceback
from dataclasses import dataclass

from napari_unetseg.errors import UnetsegError
from napari_unetseg.plugin.summary import Summary
from napari_unetseg.postprocessing.parameters import DecodeParameters

NO_IMAGE = "Open an image, or try File > Open Sample > napari-unetseg."
NO_MODEL = "No model can be used. Reinstall napari-unetseg, or put a model folder into the user's model folder."
READY = "Press Run to find the objects of the plane on display."
DONE = "Move the sliders to adjust the result: its layers follow at once."


@dataclass(frozen=True)
class Failure:
    """An error in words for the user, and all of it for those who want to help."""

    sentence: str
    details: str


def describe_error(error: BaseException) -> Failure:
    """Say what failed: the error's own words if they were written for users, else that it is a defect."""
    details = "".join(traceback.format_exception(error))
    if isinstance(error, UnetsegError):
        return Failure(str(error), details)
    if isinstance(error, MemoryError):
        return Failure("There was not enough memory. Close other images or programs, then run again.", details)
    return Failure(
        f"This should not have happened ({type(error).__name__}: {error}). Please report it with the details.",
        details,
    )


def count(objects: int) -> str:
    """Return ``"1 object"``, ``"1,312 objects"``."""
    return f"{objects:,} object{'' if objects == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return ``"4.1 s"``, ``"38 s"``, ``"3 min"``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def progress(done: int, total: int, seconds: float) -> str:
    """Return ``"62 % · 3 s left"`` after `done` of `total` tiles in `seconds`."""
    left = seconds / done * (total - done)
    return f"{100 * done // total} % · {duration(max(1, round(left)))} left".replace(".0 s", " s")


def cancelled(percent: int | None) -> str:
    """Say how far a cancelled run had come; `percent` is None before its first tile."""
    when = "before the first tile" if percent is None else f"at {percent} %"
    return f"Cancelled {when}. Nothing was added."


def nothing_found(summary: Summary, parameters: DecodeParameters) -> str:
    """Say why no object was found."""
    if summary.highest is not None and summary.highest < parameters.threshold:
        return f"No objects above {parameters.threshold:.2f}. The highest confidence was {summary.highest:.2f}."
    return (
        f"No object of at least {parameters.min_size} px above {parameters.threshold:.2f}. "
        "Lower the minimum size or the threshold."
    )


def edited(layer: str) -> str:
    """Say that the sliders spare what the user drew."""
    return f"You changed '{layer}' by hand, so the sliders leave this result alone. Run again for a new one."


def too_many_contours(limit: int) -> str:
    """Say why contours are drawn another way."""
    return f"More than {limit:,} outlines: contours are drawn on a Labels layer, which stays fast."


def contours_withheld(limit: int) -> str:
    """Say why the contours are gone for now."""
    return f"More than {limit:,} outlines: the contours are left empty. Raise the threshold or the minimum size."
