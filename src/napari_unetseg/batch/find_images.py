"""Which files of a folder are images to segment."""

import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from napari_unetseg.batch.contents import pixel_folders
from napari_unetseg.batch.folder_journal import JOURNAL_FILE
from napari_unetseg.batch.output_files import ENDINGS, result_stem
from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.ome_zarr.location import is_ome_zarr
from napari_unetseg.io.suffixes import IMAGE_SUFFIXES
from napari_unetseg.language import Sentence

ALL = "*"


def find_images(folder: Path, pattern: str = ALL, *, recursive: bool = False) -> list[Path]:
    """Find the image files of a folder, sorted.

    A folder that is OME-Zarr is an image, and not looked into. What earlier runs made is left out: sub-folders in which
    a run keeps its journal, and results beside their image. Hidden files and folders are left out, too, and those in
    which a microscope keeps the pixels of a file beside it. A file counts once, however many scenes it holds.

    Parameters
    ----------
    folder
        Where to look.
    pattern
        Names that fit, such as ``*.tif``; several are separated by semicolons or commas, and case does not count.
        A pattern with a slash is compared with the path inside the folder.
    recursive
        Whether to look into sub-folders.

    Raises
    ------
    UnetsegError
        If there is no such folder or it cannot be read.
    """
    if not folder.is_dir():
        raise UnetsegError(Sentence("{folder}: there is no such folder. Choose one that holds images.", folder=folder))
    patterns = [part.strip().casefold() for part in pattern.replace(",", ";").split(";") if part.strip()] or [ALL]
    found = (path for path in _files(folder, recursive) if _fits(path.relative_to(folder), patterns))
    return images_among(found)


def images_among(paths: Iterable[Path]) -> list[Path]:
    """Keep the image files, sorted, without the results that an earlier run left beside their image.

    Of a Leica project, whose files it names, the project alone is kept, which holds all of their series.
    """
    found = sorted(
        path for path in paths if not path.name.startswith(".") and (_is_image_file(path) or is_ome_zarr(path))
    )
    results = {path.with_name(f"{result_stem(path)}_{ending}") for path in found for ending in ENDINGS.values()}
    projects = {path.parent for path in found if path.suffix.lower() == ".xlef"}
    return [path for path in found if path not in results and not (_is_of_project(path) and projects & {*path.parents})]


def _is_of_project(path: Path) -> bool:
    return path.suffix.lower() in (".xlif", ".lof")


def _is_image_file(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def _files(folder: Path, recursive: bool) -> Iterator[Path]:
    for current, folders, names in os.walk(folder, onerror=_refuse):
        here = Path(current)
        yield from (here / name for name in names)
        images = {name for name in folders if is_ome_zarr(here / name)}
        yield from (here / name for name in images)
        inner = {folder.name for name in names for folder in pixel_folders(here / name)}
        wanted = [
            name
            for name in folders
            if not name.startswith(".") and name not in images | inner and not (here / name / JOURNAL_FILE).exists()
        ]
        folders[:] = sorted(wanted) if recursive else []


def _refuse(error: OSError) -> None:
    raise UnetsegError(
        Sentence("{folder}: the folder cannot be read ({reason}).", folder=error.filename, reason=error.strerror)
    ) from error


def _fits(path: Path, patterns: list[str]) -> bool:
    inside, name = path.as_posix().casefold(), path.name.casefold()
    return any(fnmatchcase(inside if "/" in pattern else name, pattern) for pattern in patterns)
