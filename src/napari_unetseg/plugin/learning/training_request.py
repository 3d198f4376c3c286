"""What a window asks to be learnt, and how it becomes a job on disk, in a worker."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.language import tr
from napari_unetseg.plugin.layers.plane import Plane, Region
from napari_unetseg.plugin.learning.labelled_planes import LabelledPlane
from napari_unetseg.plugin.learning.regions import MarkedRegion, RegionKind, annotated
from napari_unetseg.training.corrected_images import NOT_ANNOTATED, CorrectedImage, write_corrected_image
from napari_unetseg.training.job_folder import (
    JobFolder,
    NetworkSize,
    ObjectType,
    TrainingJob,
    free_model_folder,
    new_job_folder,
)

LARGE = 2048**2
"""Pixels above which only what is around the regions of a plane is written down."""
_AROUND = 256
"""Pixels around the regions of a large plane that are written, too, for what the network sees beside them."""
PREVIEW_SIDE = 1024
"""Most pixels along each axis of what is segmented after each validation."""
_PREVIEW_PLACE = "preview.json"


@dataclass(frozen=True, eq=False)
class Lesson:
    """A labelled plane that is learnt from, with the regions on it.

    Attributes
    ----------
    plane
        The labels and the image.
    regions
        What of it is annotated; without any, all of it.
    """

    plane: LabelledPlane
    regions: tuple[MarkedRegion, ...] = ()

    def part(self) -> Region:
        """Return which part is written: all, or of a large plane what is around the regions."""
        height, width = self.plane.size
        boxes = [region.box((height, width)) for region in self.regions if region.kind is RegionKind.CORRECTED]
        known = [box for box in boxes if box is not None]
        if height * width <= LARGE or not known:
            return (0, height), (0, width)
        corners = np.array(known)  # (N, 2, 2)
        first = np.maximum(corners[:, :, 0].min(axis=0) - _AROUND, 0)
        last = np.minimum(corners[:, :, 1].max(axis=0) + _AROUND, (height, width))
        return (int(first[0]), int(last[0])), (int(first[1]), int(last[1]))

    def read(self) -> CorrectedImage:
        """Read image and labels, in a worker; what is not annotated is -1."""
        part = self.part()
        (top, bottom), (left, right) = part
        image = self.plane.read_image(part)
        labels = self.plane.read_labels(part)
        labels[labels < 0] = NOT_ANNOTATED
        labels[~annotated(self.regions, (bottom - top, right - left), (top, left))] = NOT_ANNOTATED
        return CorrectedImage(self.plane.name, replace(image, name=self.plane.name), labels)


@dataclass(frozen=True, eq=False)
class Preview:
    """What is segmented after each validation: a plane, and its channel where one of several was chosen."""

    plane: Plane
    channel: int | None = None

    def read(self) -> Image:
        """Read its pixels, in a worker."""
        image = self.plane.read()
        return image if self.channel is None or "C" not in image.axes else image.take_channel(self.channel)


@dataclass(frozen=True)
class TrainingRequest:
    """What is to be learnt.

    Attributes
    ----------
    kind, title, minutes, model, objects, size
        As of `TrainingJob`.
    data
        Folder with ``images`` and ``masks``; None where `lessons` are written into the folder of the job.
    lessons
        What of the viewer is learnt from.
    preview
        What is segmented after each validation; None for nothing.
    """

    kind: str
    title: str
    minutes: float
    model: str | None = None
    objects: ObjectType = "touching"
    size: NetworkSize = "tiny"
    data: Path | None = None
    lessons: Sequence[Lesson] = ()
    preview: Preview | None = None


def make_job(request: TrainingRequest, cancelled: Callable[[], bool]) -> tuple[JobFolder, TrainingJob] | None:
    """Write the images of what is asked into a new folder, but not yet that it is asked; call it in a worker.

    Returns
    -------
    folder, job
        None if it was cancelled before it was whole, and nothing is left of it.

    Raises
    ------
    UnetsegError
        If there is nothing to learn from, or a file cannot be written.
    """
    if request.data is None and not request.lessons:
        raise UnetsegError(tr("There is nothing to learn from. Tick labels, or choose a folder."))
    folder = new_job_folder(request.title)
    try:
        write_lessons(folder.data, request.lessons, cancelled)
        preview = None if request.preview is None or cancelled() else _write_preview(folder, request.preview)
        job = TrainingJob(
            kind="improve" if request.kind == "improve" else "train",
            title=request.title,
            data=request.data or folder.data,
            output=free_model_folder(request.title),
            model=request.model,
            minutes=request.minutes,
            objects=request.objects,
            size=request.size,
            preview=preview,
        )
        if not cancelled():
            return folder, job
    except BaseException:
        folder.delete()
        raise
    folder.delete()
    return None


def write_lessons(folder: Path, lessons: Sequence[Lesson], cancelled: Callable[[], bool]) -> None:
    """Write what is learnt from as ``images`` and ``masks`` of a folder, until it is cancelled; call it in a worker."""
    for lesson in lessons:
        if cancelled():
            return
        write_corrected_image(folder, lesson.read())


def preview_part(plane: LabelledPlane, centre: tuple[float, float]) -> Region:
    """Return what of a plane is segmented after each validation: all, or so much of it around a place."""
    spans = []
    for length, middle in zip(plane.size, centre, strict=True):
        first = int(np.clip(middle - PREVIEW_SIDE / 2, 0, max(length - PREVIEW_SIDE, 0)))
        spans.append((first, min(first + PREVIEW_SIDE, length)))
    return spans[0], spans[1]


def preview_place(folder: JobFolder) -> tuple[str, Region] | None:
    """Return of which image layer the preview of a job is, and which part; None if it has none."""
    try:
        known = json.loads((folder.path / _PREVIEW_PLACE).read_text(encoding="utf-8"))
        (first, last), (left, right) = known["region"]
        return str(known["image"]), ((int(first), int(last)), (int(left), int(right)))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_preview(folder: JobFolder, preview: Preview) -> Path:
    image = preview.read()
    corrected = CorrectedImage("preview", image, np.zeros(image.shape, np.int32))
    path = write_corrected_image(folder.path / "preview", corrected)
    place = {"image": preview.plane.name, "region": preview.plane.region}
    (folder.path / _PREVIEW_PLACE).write_text(json.dumps(place), encoding="utf-8")
    return path
