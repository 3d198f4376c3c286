"""Checks masks, and writes mended copies of them, in a worker."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.callbacks import Progress
from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import Sentence
from napari_unetseg.plugin.learning.check_table import PairRow
from napari_unetseg.plugin.workers.background import Task
from napari_unetseg.training.data_check import CheckedPair
from napari_unetseg.training.mask_folder import (
    CheckedMask,
    FileRepair,
    MendedMask,
    check_masks,
    find_masks,
    mend_masks,
)
from napari_unetseg.training.mask_reading import read_numbers

MOST_ROWS = 200
"""Most masks that are listed; those without faults are left out first."""
_MOST_PICTURES = 60


@dataclass(frozen=True)
class MaskQuestion:
    """What to do: check the masks of a folder, or write mended copies of those that were checked.

    Attributes
    ----------
    masks, images
        Folders; the images of the same names may be missing.
    checked, repairs, output
        What was found, what of it to mend, and the new folder; None: the masks are to be checked.
    """

    masks: Path
    images: Path | None
    checked: Sequence[CheckedMask] = ()
    repairs: Sequence[FileRepair] = ()
    output: Path | None = None


@dataclass(frozen=True, eq=False)
class MaskAnswer:
    """What was found with the rows to show of it, or what was mended."""

    checked: Sequence[CheckedMask]
    rows: Sequence[PairRow] = ()
    mended: Sequence[MendedMask] = ()


def prepare_masks(progressed: Progress) -> Callable[[MaskQuestion], Callable[[Task[MaskAnswer]], MaskAnswer]]:
    """Return what does it, and tells how many of how many masks are done."""

    def prepare(question: MaskQuestion) -> Callable[[Task[MaskAnswer]], MaskAnswer]:
        if question.output is None:
            return lambda task: _check(question, task, progressed)
        return lambda task: _mend(question, task, progressed)

    return prepare


def prepare_opening(mask: CheckedMask) -> Callable[[Task[NDArray[np.int64]]], NDArray[np.int64]]:
    """Return what reads the numbers of a mask, int64 (Y, X)."""
    return lambda task: read_numbers(mask.file)


def _check(question: MaskQuestion, task: Task[MaskAnswer], progressed: Progress) -> MaskAnswer:
    files = find_masks(question.masks)
    if not files:
        raise UnetsegError(Sentence("{path}: there are no masks in this folder.", path=question.masks))
    checked = check_masks(files, question.images, progressed, task.cancelled)
    listed = sorted(checked, key=_gravity)[:MOST_ROWS]
    rows = [
        PairRow(_as_pair(mask), _picture(mask) if at < _MOST_PICTURES and not task.cancelled() else _nothing())
        for at, mask in enumerate(listed)
    ]
    return MaskAnswer(checked, rows)


def _mend(question: MaskQuestion, task: Task[MaskAnswer], progressed: Progress) -> MaskAnswer:
    """Write mended masks into ``masks`` of the new folder and, so that it can be trained on, images into ``images``."""
    output = question.output or question.masks
    mended = mend_masks(question.checked, question.repairs, output / "masks", progressed, task.cancelled)
    if question.images is not None:
        (output / "images").mkdir(exist_ok=True)
        stems = {mask.source.stem for mask in mended}
        for image in find_masks(question.images):
            if image.stem in stems and not task.cancelled():
                shutil.copy2(image, output / "images")
    return MaskAnswer(question.checked, mended=mended)


def _gravity(mask: CheckedMask) -> tuple[bool, int]:
    return not mask.unreadable, -sum(fault.pixels or 1 for fault in mask.faults)


def _as_pair(mask: CheckedMask) -> CheckedPair:
    remarks = (mask.unreadable,) if mask.unreadable else tuple(fault.text for fault in mask.faults)
    return CheckedPair(
        name=mask.file.name,
        image=None,
        mask=mask.file,
        status="unusable" if mask.unreadable else "doubtful" if mask.faults else "good",
        shape=mask.shape,
        objects=mask.objects,
        diameter=mask.diameter,
        remarks=remarks,
    )


def _picture(mask: CheckedMask) -> NDArray[np.uint8]:
    from napari_unetseg.training.fault_picture import fault_picture

    return fault_picture(mask)


def _nothing() -> NDArray[np.uint8]:
    return np.zeros((0, 0, 3), np.uint8)
