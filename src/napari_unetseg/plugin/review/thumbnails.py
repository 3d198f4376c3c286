"""Small pictures of images with their outlines, made in the background for what is in sight."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_unetseg.plugin.workers.background import Task, start

if TYPE_CHECKING:
    from napari_unetseg.batch.folder_review import ReviewItem

SIDE = 168
"""Most pixels of a picture along each axis."""

_MOST_KEPT = 2000  # pictures, of 85 kB each


class Thumbnails(QObject):
    """Makes the pictures that are wanted, one after the other; a wish is replaced by a newer one.

    Attributes
    ----------
    made
        There is a picture of this file now.
    """

    made = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pictures: OrderedDict[Path, NDArray[np.uint8] | None] = OrderedDict()
        self._wanted: list[ReviewItem] = []
        self._task: Task[NDArray[np.uint8]] | None = None

    @property
    def busy(self) -> bool:
        """Whether a picture is being made."""
        return self._task is not None

    def picture(self, file: Path) -> NDArray[np.uint8] | None:
        """Return the picture of a file, uint8 (Y, X, 3); None if it was not made yet, or cannot be."""
        return self._pictures.get(file)

    def want(self, items: Sequence["ReviewItem"]) -> None:
        """Make pictures of these, and of nothing that was wanted before."""
        self._wanted = [item for item in items if item.file not in self._pictures]
        self._start_next()

    def forget(self, file: Path | None = None) -> None:
        """Let go of the picture of a file, whose labels have changed; of all if None."""
        if file is None:
            self._wanted = []
            self._pictures.clear()
        else:
            self._pictures.pop(file, None)

    def _start_next(self) -> None:
        if self._task is not None or not self._wanted:
            return
        item = self._wanted.pop(0)
        self._task = Task(lambda _: make_picture(item))

        def keep(picture: NDArray[np.uint8] | None) -> None:
            self._pictures[item.file] = picture
            while len(self._pictures) > _MOST_KEPT:
                self._pictures.popitem(last=False)
            self.made.emit(item.file)

        # Why a file cannot be read is told when it is opened.
        start(self._task, returned=keep, errored=lambda _: keep(None), finished=self._end)

    def _end(self) -> None:
        self._task = None
        self._start_next()


def make_picture(item: "ReviewItem") -> NDArray[np.uint8]:
    """Draw an image with the outlines of its objects, uint8 (Y, X, 3) of at most `SIDE` pixels; of a stack its middle.

    Raises
    ------
    UnetsegError
        If a file cannot be read.
    """
    from napari_unetseg.batch.corrected_results import read_reviewed_image
    from napari_unetseg.batch.result_thumbnail import read_thumbnail

    return read_thumbnail(read_reviewed_image(item.file, item.record), item.labels_path, SIDE)
