"""Looking for images and results, off the GUI thread."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_unetseg.batch.find_images import ALL, find_images
from napari_unetseg.batch.folder_journal import JOURNAL_FILE
from napari_unetseg.batch.scenes import scenes_within
from napari_unetseg.errors import ImageError
from napari_unetseg.io.microscope.location import is_microscope_path
from napari_unetseg.io.ome_zarr.location import is_ome_zarr
from napari_unetseg.plugin.workers.background import Task


@dataclass(frozen=True)
class Search:
    """Which images are meant; of microscopes' files these scenes, as `choose_scenes` has them."""

    folder: Path
    pattern: str
    recursive: bool
    scenes: str = ALL


@dataclass(frozen=True)
class Found:
    """What there is.

    Attributes
    ----------
    files
        The images; of a microscope's file each of its scenes.
    plate
        Whether the folder is a plate, whose fields are not looked for.
    """

    files: Sequence[Path]
    plate: bool = False


def prepare_search(search: Search) -> Callable[[Task[Found]], Found]:
    """Return what finds the images that are meant, in a worker."""

    def find(task: Task[Found]) -> Found:
        from napari_unetseg.io.ome_zarr.plate_layout import is_plate

        if is_ome_zarr(search.folder) and is_plate(search.folder):
            return Found((), plate=True)
        images: list[Path] = []
        for file in find_images(search.folder, search.pattern, recursive=search.recursive):
            if task.cancelled():
                break
            images += _scenes(file, search.scenes) if is_microscope_path(file) else [file]
        return Found(images)

    return find


def _scenes(file: Path, chosen: str) -> list[Path]:
    try:
        return scenes_within(file, chosen.strip() or ALL)
    except ImageError:
        return []  # as a file whose name does not fit: the list shows what is meant


def prepare_look(output: Path) -> Callable[[Task[bool]], bool]:
    """Return what tells whether a folder holds results, in a worker."""
    return lambda task: (output / JOURNAL_FILE).is_file()
