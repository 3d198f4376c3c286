"""Which results are kept as files, and under which names."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

DEFAULT_FOLDER = "segmented"


class Result(StrEnum):
    """A kind of result, by the name that --save uses."""

    LABELS = "labels"
    CONTOURS = "contours"
    ROIS = "rois"
    OME_TIFF = "ome-tiff"
    CONFIDENCE = "confidence"
    TABLE = "table"
    OVERLAY = "overlay"


ENDINGS = {
    Result.LABELS: "labels.tif",
    Result.CONTOURS: "contours.geojson",
    Result.ROIS: "rois.zip",
    Result.OME_TIFF: "labels.ome.tif",
    Result.CONFIDENCE: "confidence.tif",
    Result.TABLE: "table.csv",
    Result.OVERLAY: "overlay.png",
}


def parse_results(words: str) -> tuple[Result, ...]:
    """Read ``labels,table`` and the like; labels are always among the results.

    Raises
    ------
    ValueError
        If a word names no result; the message names those there are.
    """
    wanted = {word.strip().lower() for word in words.split(",") if word.strip()}
    known = {str(result) for result in Result}
    if "all" in wanted:
        wanted = (wanted | known) - {"all"}
    if wanted - known:
        raise ValueError(f"{', '.join(sorted(wanted - known))}: not among {', '.join(Result)}, all")
    return tuple(result for result in Result if result is Result.LABELS or str(result) in wanted)


@dataclass(frozen=True)
class Target:
    """Where the results of an image go: ``folder / f"{stem}_labels.tif"`` and so on."""

    folder: Path
    stem: str

    def path(self, ending: str) -> Path:
        """Return the file of one result, such as ``"labels.tif"``."""
        return self.folder / f"{self.stem}_{ending}"


def plan_targets(paths: Sequence[Path], output: Path | None) -> dict[Path, Target]:
    """Give each image a place for its results that no other image has.

    Results carry the image's stem. Where several images would share one (``a.tif`` and ``a.png``, or ``a.tif`` of two
    folders), all of these carry their suffix, else their folder's name, else both; a number settles the rest.

    Parameters
    ----------
    paths
        Image files.
    output
        Folder of all results; None for a folder `DEFAULT_FOLDER` beside each image.
    """
    folders = {path: output or path.parent / DEFAULT_FOLDER for path in paths}
    stems = {path: result_stem(path) for path in paths}
    for rename in (_with_suffix, _with_folder, _with_both):
        # Case does not tell files apart on macOS and Windows.
        taken = Counter((folders[path], stems[path].casefold()) for path in paths)
        clashing = [path for path in paths if taken[folders[path], stems[path].casefold()] > 1]
        stems |= {path: rename(path) for path in clashing}
    targets: dict[Path, Target] = {}
    used: set[tuple[Path, str]] = set()
    for path in paths:
        stem, number = stems[path], 1
        while (folders[path], stem.casefold()) in used:
            number += 1
            stem = f"{stems[path]}_{number}"
        used.add((folders[path], stem.casefold()))
        targets[path] = Target(folders[path], stem)
    return targets


def result_stem(path: Path) -> str:
    """Return what the results of an image begin with: its name without ``.tif``, ``.ome.tif`` and the like."""
    return path.stem.removesuffix(".ome")


def _with_suffix(path: Path) -> str:
    return path.name.replace(".", "_")


def _with_folder(path: Path) -> str:
    return f"{path.absolute().parent.name}_{result_stem(path)}"


def _with_both(path: Path) -> str:
    return f"{path.absolute().parent.name}_{_with_suffix(path)}"
