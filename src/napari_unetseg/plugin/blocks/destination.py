"""Where the labels of a run go that are too large for the memory, and what is there already."""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.layers.plane import Plane
from napari_unetseg.plugin.workers.background import Task

JOB_PREFIX = ".unetseg-job-"
_STORE_SUFFIX = "_labels.ome.zarr"
_LABEL = "objects"
_MAPS = 3

_ON_THE_WEB = mark("The image is on the web, where nothing is written.")
_NO_FILE = mark("The image is in no file.")
_NOT_ZARR = mark("Only an OME-Zarr image holds labels.")
_ANOTHER_IMAGE = mark("The OME-Zarr file holds several images, or one of another size.")
_READ_ONLY = mark("The image may not be written.")


@dataclass(frozen=True)
class Destination:
    """Where labels go.

    Attributes
    ----------
    folder
        An OME-Zarr image that gets the labels, or a folder in which a label image of its own is made.
    into_image
        Which of the two.
    name
        Of the labels in the image; or what the name of the label image begins with.
    replace
        Whether labels that are there already give way.
    """

    folder: Path
    into_image: bool
    name: str
    replace: bool = False

    @property
    def store(self) -> Path:
        """The OME-Zarr file that holds the labels: the image, or one of their own."""
        return self.folder if self.into_image else self.folder / f"{self.name}{_STORE_SUFFIX}"

    @property
    def label(self) -> str:
        """What the labels are called in that file."""
        return self.name if self.into_image else _LABEL

    @property
    def group(self) -> Path:
        """The folder of the labels alone."""
        return self.store / "labels" / self.label

    @property
    def job_folder(self) -> Path:
        """What a run keeps beside them until it is done, hidden."""
        return (self.group.parent if self.into_image else self.folder) / f"{JOB_PREFIX}{self.name}"

    @property
    def table(self) -> Path:
        """The file of measurements."""
        if self.into_image:
            return self.folder.parent / f"{stem(self.folder.name)}_{self.name}_labels.csv"
        return self.folder / f"{self.name}_labels.csv"


@dataclass(frozen=True)
class Findings:
    """What is on the disk, as a dialog asks.

    Attributes
    ----------
    destination
        What was asked about.
    exists
        Whether there are finished labels of that name.
    unfinished
        Whether a run into them was stopped, which would go on.
    free_bytes
        Room on that disk; None where the folder cannot be looked at.
    problem
        Why nothing can be written there; None if it can.
    """

    destination: Destination
    exists: bool
    unfinished: bool
    free_bytes: int | None
    problem: str | None = None


@dataclass(frozen=True)
class ImageFile:
    """What the file of an image has to do with its labels.

    Attributes
    ----------
    store
        The OME-Zarr image that can hold them; None if there is none.
    why_not
        Why not.
    beside
        The folder in which the file lies, if it may be written.
    stem
        What names of results begin with.
    """

    store: Path | None
    why_not: str
    beside: Path | None
    stem: str


def look_at_image(plane: Plane) -> Callable[[Task[ImageFile]], ImageFile]:
    """Return what finds out where the labels of an image could go; for a worker."""
    path, name, size = plane.source.source.path, plane.name, plane.size

    def look(task: Task[ImageFile]) -> ImageFile:
        if not path:
            return ImageFile(None, tr(_NO_FILE), None, as_file_name(name))
        if len(urlsplit(path).scheme) > 1:  # of one letter it is a drive
            return ImageFile(None, tr(_ON_THE_WEB), None, as_file_name(stem(urlsplit(path).path.rpartition("/")[2])))
        file = Path(path).absolute()
        beside = file.parent if os.access(file.parent, os.W_OK) else None
        shape = _full_shape(file)
        if shape is None:
            why_not = tr(_NOT_ZARR)
        elif shape[-2:] != size:
            why_not = tr(_ANOTHER_IMAGE)
        elif not os.access(file, os.W_OK):
            why_not = tr(_READ_ONLY)
        else:
            why_not = ""
        return ImageFile(None if why_not else file, why_not, beside, stem(file.name))

    return look


def look_at_disk(destination: Destination) -> Callable[[Task[Findings]], Findings]:
    """Return what finds out what is where labels would go; for a worker."""

    def look(task: Task[Findings]) -> Findings:
        findings = Findings(
            destination,
            _metadata(destination.group) is not None and not destination.job_folder.is_dir(),
            destination.job_folder.is_dir(),
            None,
        )
        folder = next((one for one in (destination.folder, *destination.folder.parents) if one.exists()), None)
        if folder is None or not folder.is_dir() or not os.access(folder, os.W_OK):
            problem = tr("{folder} may not be written. Choose another folder.").format(folder=destination.folder)
            return replace(findings, problem=problem)
        return replace(findings, free_bytes=shutil.disk_usage(folder).free)

    return look


def as_file_name(words: str) -> str:
    """Return words as a name for files on every system."""
    return re.sub(r'[\x00-\x1f<>:"/\\|?*]+', "_", words).strip(" ._") or "image"


def needed_bytes(shape: tuple[int, int], planes: int) -> int:
    """Return about how much a run keeps on the disk until it is done: three maps of most models, and the labels."""
    return shape[0] * shape[1] * planes * (4 * _MAPS + 4)


def stem(name: str) -> str:
    """Return the name of an image file without what says its kind."""
    for ending in (".ome.zarr", ".zarr", ".ome.tiff", ".ome.tif"):
        if name.lower().endswith(ending):
            return name[: -len(ending)] or "image"
    return Path(name).stem


def _full_shape(folder: Path) -> tuple[int, ...] | None:
    """Return the shape at full resolution of an OME-Zarr image in a folder; None if it is none, or holds several."""
    metadata = _metadata(folder)
    if metadata is None:
        return None
    try:
        path = metadata["multiscales"][0]["datasets"][0]["path"]
        array = _json(folder / path / "zarr.json") or _json(folder / path / ".zarray") or {}
        return tuple(int(length) for length in array["shape"])
    except (KeyError, IndexError, TypeError, ValueError):
        return ()


def _metadata(folder: Path) -> dict[str, Any] | None:
    """Return what a folder says of the images in it; None if it is no OME-Zarr image."""
    newer, older = _json(folder / "zarr.json"), _json(folder / ".zattrs")
    attributes = newer.get("attributes") if newer else None
    found = attributes.get("ome") if isinstance(attributes, dict) else older
    return found if isinstance(found, dict) and "multiscales" in found else None


def _json(path: Path) -> dict[str, Any] | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # which is no OME-Zarr, whatever else it is
    return values if isinstance(values, dict) else None
