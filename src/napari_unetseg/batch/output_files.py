"""Which results are kept as files, and under which names."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

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


ENDINGS = {
    ResultKind.LABELS: "labels.tif",
    ResultKind.CONTOURS: "contours.geojson",
    ResultKind.ROIS: "rois.zip",
    ResultKind.OME_TIFF: "labels.ome.tif",
    ResultKind.CONFIDENCE: "confidence.tif",
    ResultKind.TABLE: "table.csv",
    ResultKind.OVERLAY: "overlay.png",
}

PARTS: Mapping[ResultKind, "Part"] = {
    ResultKind.CONTOURS: "contours",
    ResultKind.ROIS: "contours",
    ResultKind.TABLE: "measurements",
}
"""What of a segmentation a kind of result is written from, besides labels and probabilities."""

ALWAYS = (ResultKind.LABELS, ResultKind.TABLE)
"""Kept of every image: the labels to look at, and the table that the summary of all objects is made of."""


def with_always(wanted: Sequence[ResultKind]) -> tuple[ResultKind, ...]:
    """Return the wanted results and those that are always kept, each once, in the order of `ResultKind`."""
    return tuple(result for result in ResultKind if result in ALWAYS or result in wanted)


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
        wanted = (wanted | known) - {"all"}
    if wanted - known:
        raise ValueError(f"{', '.join(sorted(wanted - known))}: not among {', '.join(ResultKind)}, all")
    return with_always([ResultKind(word) for word in wanted])


@dataclass(frozen=True)
class Target:
    """Where the results of an image go: ``folder / f"{stem}_labels.tif"`` and so on."""

    folder: Path
    stem: str

    def path(self, ending: str) -> Path:
        """Return the file of one result, such as ``"labels.tif"``."""
        return self.folder / f"{self.stem}_{ending}"

    def holds(self, result: ResultKind) -> bool:
        """Whether the file of a result is there."""
        return self.path(ENDINGS[result]).is_file()


def output_folder(path: Path, output: Path | None) -> Path:
    """Return the folder of an image's results: `output`, or where None one beside the image."""
    return output or path.parent / DEFAULT_FOLDER


def plan_targets(
    paths: Sequence[Path], output: Path | None, kept: Mapping[Path, Target] | None = None
) -> dict[Path, Target]:
    """Give each image a place for its results that no other image has.

    Results carry the image's stem. Where several images would share one (``a.tif`` and ``a.png``, or ``a.tif`` of two
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
    """
    known = {_identity(path): target for path, target in (kept or {}).items()}
    inputs = {_identity(path) for path in paths}
    used = {_key(target.folder, target.stem) for target in known.values()}
    others = {_key(target.folder, target.stem) for path, target in known.items() if path not in inputs}
    folders = {path: output_folder(path, output) for path in paths}
    stems = {path: result_stem(path) for path in paths}
    # Those that keep their place take part, so that a run that goes on names the rest as it would have done.
    for rename in (_with_suffix, _with_folder, _with_both):
        taken = Counter(_key(folders[path], stems[path]) for path in paths)
        taken.update(others)
        clashing = [path for path in paths if taken[_key(folders[path], stems[path])] > 1]
        stems |= {path: rename(path) for path in clashing}
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
    """Return what the results of an image begin with: its name without ``.tif``, ``.ome.tif`` and the like."""
    return printable(path.stem.removesuffix(".ome"))


def _identity(path: Path) -> str:
    """Tell images apart by the name that a journal can hold."""
    return printable(str(path.resolve()))


def _key(folder: Path, stem: str) -> tuple[Path, str]:
    """Tell places apart as macOS and Windows do, to which case says nothing."""
    return folder, stem.casefold()


def _with_suffix(path: Path) -> str:
    return printable(path.name).replace(".", "_")


def _with_folder(path: Path) -> str:
    return f"{printable(path.absolute().parent.name)}_{result_stem(path)}"


def _with_both(path: Path) -> str:
    return f"{printable(path.absolute().parent.name)}_{_with_suffix(path)}"
