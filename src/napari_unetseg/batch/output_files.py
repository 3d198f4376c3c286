"""Which results are kept as files, and under which names."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from napari_unetseg.batch.places import absolute, is_url, is_zarr
from napari_unetseg.io.microscope.location import split_scene_path
from napari_unetseg.printable import printable

if TYPE_CHECKING:
    from napari_unetseg.service.runner import Part

DEFAULT_FOLDER = "segmented"


class ResultKind(StrEnum):
    """A kind of result, by the name that --save uses."""

    LABELS = "labels"
    CONTOURS = "contours"
    ROIS = "rois"
    OME_TIFF = "ome-tiff"
    CONFIDENCE = "confidence"
    TABLE = "table"
    OVERLAY = "overlay"
    OME_ZARR = "ome-zarr"
    MAPS = "maps"
    PARQUET = "parquet"
    COCO = "coco"
    YOLO = "yolo"
    CELLPOSE = "cellpose"


ENDINGS = {
    ResultKind.LABELS: "labels.tif",
    ResultKind.CONTOURS: "contours.geojson",
    ResultKind.ROIS: "rois.zip",
    ResultKind.OME_TIFF: "labels.ome.tif",
    ResultKind.CONFIDENCE: "confidence.tif",
    ResultKind.TABLE: "table.csv",
    ResultKind.OVERLAY: "overlay.png",
    ResultKind.OME_ZARR: "labels.ome.zarr",
    ResultKind.MAPS: "maps.ome.zarr",
    ResultKind.PARQUET: "table.parquet",
    ResultKind.COCO: "coco.json",
    ResultKind.YOLO: "yolo.txt",
    ResultKind.CELLPOSE: "seg.npy",
}

YOLO_FOLDER = "yolo"
"""Folder of the data set that YOLO's outlines make up, in the folder of results."""

PARTS: Mapping[ResultKind, "Part"] = {
    ResultKind.CONTOURS: "contours",
    ResultKind.ROIS: "contours",
    ResultKind.TABLE: "measurements",
    ResultKind.PARQUET: "measurements",
    ResultKind.COCO: "measurements",
}
"""What of a segmentation a kind of result is written from, besides labels and probabilities."""

ALWAYS = (ResultKind.LABELS, ResultKind.TABLE)
"""Kept of every image: the labels to look at, and the table that the summary of all objects is made of."""

FOLDERS = (ResultKind.OME_ZARR, ResultKind.MAPS)
"""Kinds whose result is a folder of files rather than a file."""

OUT_OF_CORE = (ResultKind.OME_ZARR, ResultKind.TABLE, ResultKind.MAPS, ResultKind.PARQUET)
"""Kinds that an image beyond memory has."""

OTHER_PROGRAMS = (ResultKind.COCO, ResultKind.YOLO, ResultKind.CELLPOSE)
"""Kinds that are written as other programs keep objects, of single planes."""

ALL = tuple(kind for kind in ResultKind if kind not in (*FOLDERS, *OTHER_PROGRAMS, ResultKind.PARQUET))
"""Kinds that ``all`` stands for: those of images of everyday sizes, which need no further library or program."""


def with_always(wanted: Sequence[ResultKind]) -> tuple[ResultKind, ...]:
    """Return the wanted results and those that are always kept, each once, in the order of `ResultKind`.

    Labels are kept once: as OME-Zarr, where that is wanted, and else as TIFF.
    """
    left_out = {ResultKind.LABELS} if ResultKind.OME_ZARR in wanted else set()
    return tuple(result for result in ResultKind if result in {*ALWAYS, *wanted} - left_out)


def parse_results(words: str) -> tuple[ResultKind, ...]:
    """Read ``overlay,rois`` and the like; those that are always kept are among the results.

    Raises
    ------
    ValueError
        If a word names no result; the message names those there are.
    """
    wanted = {word.strip().lower() for word in words.split(",") if word.strip()}
    known = {str(result) for result in ResultKind}
    if "all" in wanted:
        wanted = (wanted | set(ALL)) - {"all"}
    if wanted - known:
        raise ValueError(f"{', '.join(sorted(wanted - known))}: not among {', '.join(ResultKind)}, all")
    return with_always([ResultKind(word) for word in wanted])


@dataclass(frozen=True)
class Target:
    """Where the results of an image go: ``folder / f"{stem}_labels.tif"`` and so on.

    Attributes
    ----------
    folder
        Of the results.
    stem
        What their names begin with.
    labels
        Where labels go as OME-Zarr, if not beside the other results: into the image.
    """

    folder: Path
    stem: str
    labels: Path | None = None

    def path(self, ending: str) -> Path:
        """Return the file of one result, such as ``"labels.tif"``."""
        if ending == ENDINGS[ResultKind.YOLO]:  # which finds the outlines of an image by its very name
            return self.folder / YOLO_FOLDER / "labels" / f"{self.stem}.txt"
        return self.folder / f"{self.stem}_{ending}"

    def result(self, kind: ResultKind) -> Path:
        """Return where a kind of result lies."""
        beside = self.path(ENDINGS[kind])
        return self.labels or beside if kind is ResultKind.OME_ZARR else beside

    def holds(self, result: ResultKind) -> bool:
        """Whether a result is there."""
        path = self.result(result)
        return path.is_dir() if result in FOLDERS else path.is_file()


class FieldPlace(BaseModel):
    """Where an image belongs in a plate.

    Attributes
    ----------
    plate
        Its folder, file or URL, as a path; see `napari_unetseg.batch.places`.
    well
        Such as ``"B03"``.
    field
        Of the well, as the plate names it.
    """

    model_config = ConfigDict(frozen=True)

    plate: Path
    well: str
    field: str

    @property
    def stem(self) -> str:
        """What the names of its results begin with."""
        return f"{result_stem(self.plate)}_{self.well}_{self.field}"


def output_folder(path: Path, output: Path | None, place: FieldPlace | None = None) -> Path:
    """Return the folder of an image's results: `output`, or where None one beside the image, or beside its plate.

    Of an image within a larger OME-Zarr, or within a microscope's file, it lies beside that, and of a URL in the folder
    that one is in.
    """
    whole = _outermost(path) if place is None else place.plate
    return output or (Path(DEFAULT_FOLDER) if is_url(whole) else whole.parent / DEFAULT_FOLDER)


def plan_targets(
    paths: Sequence[Path],
    output: Path | None,
    kept: Mapping[Path, Target] | None = None,
    places: Mapping[Path, FieldPlace] | None = None,
) -> dict[Path, Target]:
    """Give each image a place for its results that no other image has.

    Results carry the image's stem, and after it what leads to an image within a file: those of ``a.lif/Series 3`` are
    called ``a_Series 3``. Where several images would share one (``a.tif`` and ``a.png``, or ``a.tif`` of two
    folders), all of these carry their suffix, else their folder's name, else both; a number settles the rest.

    Parameters
    ----------
    paths
        Image files.
    output
        Folder of all results; None for a folder `DEFAULT_FOLDER` beside each image.
    kept
        Places that images have from an earlier run, by the image's absolute path. These images keep theirs,
        and those that are not among `paths` hold theirs against newcomers.
    places
        Of the fields of plates among the images, whose results are called ``plate_B03_0``.
    """
    places = places or {}
    known = {_identity(path): target for path, target in (kept or {}).items()}
    inputs = {_identity(path) for path in paths}
    used = {_key(target.folder, target.stem) for target in known.values()}
    others = {_key(target.folder, target.stem) for path, target in known.items() if path not in inputs}
    folders = {path: output_folder(path, output, places.get(path)) for path in paths}
    stems = {path: places[path].stem if path in places else stem_within(path) for path in paths}
    # Those that keep their place take part, so that a run that goes on names the rest as it would have done.
    for rename in (_with_suffix, _with_folder, _with_both):
        taken = Counter(_key(folders[path], stems[path]) for path in paths)
        taken.update(others)
        clashing = [path for path in paths if taken[_key(folders[path], stems[path])] > 1]
        stems |= {path: rename(path) if path not in places else _of_plate(rename, places[path]) for path in clashing}
    targets: dict[Path, Target] = {}
    for path in paths:
        if (target := known.get(_identity(path))) is None:
            stem, number = stems[path], 1
            while _key(folders[path], stem) in used:
                number += 1
                stem = f"{stems[path]}_{number}"
            used.add(_key(folders[path], stem))
            target = Target(folders[path], stem)
        targets[path] = target
    return targets


def result_stem(path: Path) -> str:
    """Return what the results of an image begin with: its name without ``.tif``, ``.ome.zarr`` and the like."""
    return printable(path.stem.removesuffix(".zarr").removesuffix(".ome"))


def stem_within(path: Path) -> str:
    """Return what the results of an image begin with: ``a_0`` for ``a.zarr/0``, ``a_Cells`` for ``a.lif/Cells``."""
    return _within(path, result_stem(_outermost(path)))


def _within(path: Path, whole: str) -> str:
    """Put what leads to an image within a larger one after what that is called."""
    return "_".join((whole, *map(printable, path.relative_to(_outermost(path)).parts)))


def _outermost(path: Path) -> Path:
    """Return the OME-Zarr, a folder or an archive, or the microscope's file in which an image lies; else itself."""
    within = [] if is_url(path) else [above for above in path.parents if above.name and _holds_zarr(above)]
    return within[-1] if within else split_scene_path(path)[0]


@lru_cache(maxsize=1024)
def _holds_zarr(folder: Path) -> bool:  # asked for each image in it, and disks of others are slow
    return is_zarr(folder)


def _identity(path: Path) -> str:
    """Tell images apart by the name that a journal can hold."""
    return printable(str(absolute(path)))


def _key(folder: Path, stem: str) -> tuple[Path, str]:
    """Tell places apart as macOS and Windows do, to which case says nothing."""
    return folder, stem.casefold()


def _with_suffix(path: Path) -> str:
    return _within(path, printable(_outermost(path).name).replace(".", "_"))


def _with_folder(path: Path) -> str:
    return f"{printable(_outermost(path).absolute().parent.name)}_{stem_within(path)}"


def _of_plate(rename: Callable[[Path], str], place: FieldPlace) -> str:
    return f"{rename(place.plate)}_{place.well}_{place.field}"


def _with_both(path: Path) -> str:
    return f"{printable(_outermost(path).absolute().parent.name)}_{_with_suffix(path)}"
