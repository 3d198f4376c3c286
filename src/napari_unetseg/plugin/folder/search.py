"""Looking for images and results, off the GUI thread."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_unetseg.batch.find_images import find_images
from napari_unetseg.batch.folder_journal import JOURNAL_FILE
from napari_unetseg.plugin.workers.background import Task


@dataclass(frozen=True)
class Search:
    """Which images are meant."""

    folder: Path
    pattern: str
    recursive: bool


def prepare_search(search: Search) -> Callable[[Task[list[Path]]], list[Path]]:
    """Return what finds the images that are meant, in a worker."""
    return lambda task: find_images(search.folder, search.pattern, recursive=search.recursive)


def prepare_look(output: Path) -> Callable[[Task[bool]], bool]:
    """Return what tells whether a folder holds results, in a worker."""
    return lambda task: (output / JOURNAL_FILE).is_file()
