"""In which order the tiles of many images are computed.

The first image that is not finished comes first. Its batch is filled with tiles of the same shape of
the images after it that are augmented as it is, and which are taken in only as long as the batch has room: while
a batch is full, no image waits half done for another. Results are given in the order of the images.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from napari_unetseg.inference.image_task import ImageTask
from napari_unetseg.inference.prediction import PredictRequest

MAX_PIXELS_UNDER_WAY = 4096 * 4096
"""Pixels of images under way beyond which no further image is taken in."""

IMAGES_PER_TILE = 2
"""Images that may be under way at once, for each tile of a batch: shapes differ, so some do not match."""

TileBatch = list[tuple[ImageTask, int]]
"""Tiles of one shape: each an image, and the tile's place in its division."""


class Schedule:
    """Images under way, in the order in which their results are due.

    Parameters
    ----------
    requests
        Drawn from one at a time. An exception in the place of an image is its result.
    prepare
        Makes tasks of requests, or exceptions, which are then the results of these images; other exceptions it hands
        through.
    together
        Whether to prepare several images at once, where a batch has room for them.
    """

    def __init__(
        self,
        requests: Iterable[PredictRequest | Exception],
        prepare: Callable[[Sequence[PredictRequest | Exception]], Sequence[ImageTask | Exception]],
        *,
        together: bool = False,
    ) -> None:
        self._source = iter(requests)
        self._prepare = prepare
        self._together = together
        self._usual_tiles = 1
        self._under_way: list[ImageTask | Exception] = []
        self._passes_given = 0

    def due(self) -> Iterator[ImageTask | Exception]:
        """Give the results whose turn it is: settled tasks, and exceptions of images that never became one."""
        while self._under_way:
            first = self._under_way[0]
            if isinstance(first, ImageTask):
                if not first.is_settled:
                    return
                self._passes_given += first.passes_done
            yield self._under_way.pop(0)

    def next_batch(self, size_of: Callable[[ImageTask], int]) -> TileBatch:
        """Take tiles of one shape.

        Parameters
        ----------
        size_of
            Says how many there may be, by a task that they are of.

        Returns
        -------
        TileBatch
            Empty if a result is due, if all that is left is being computed, or if all is done.
        """
        batch: TileBatch = []
        index, size, most_images = 0, 1, IMAGES_PER_TILE
        while index < len(self._under_way) or self._take_in(most_images, size - len(batch)):
            task = self._under_way[index]
            index += 1
            if not isinstance(task, ImageTask) or task.is_settled:
                continue
            most_images = max(most_images, IMAGES_PER_TILE * size_of(task))
            if not batch:
                size = size_of(task)
            if not batch or _match(task, batch[0][0]):
                batch += [(task, tile) for tile in task.take(size - len(batch))]
            if len(batch) == size or task.alone:
                break
        return batch

    def _take_in(self, most_images: int, missing_tiles: int) -> bool:
        """Take in another image, or as many as seem to be missing where they are prepared together."""
        wanted = max(missing_tiles // self._usual_tiles, 1) if self._together else 1
        requests: list[PredictRequest | Exception] = []
        while len(requests) < wanted and self._has_room(most_images, requests):
            try:
                requests.append(next(self._source))
            except StopIteration:
                break
        tasks = self._prepare(requests)
        self._under_way += tasks
        for task in tasks:
            if isinstance(task, ImageTask):
                self._usual_tiles = task.total or 1
        return bool(tasks)

    def _has_room(self, most_images: int, requests: list[PredictRequest | Exception]) -> bool:
        under_way = [*self._under_way, *requests]
        pixels = sum(one.image.shape[0] * one.image.shape[1] for one in under_way if not isinstance(one, Exception))
        return len(under_way) < most_images and pixels < MAX_PIXELS_UNDER_WAY

    @property
    def is_empty(self) -> bool:
        """Whether no image is under way."""
        return not self._under_way

    @property
    def unsettled(self) -> list[ImageTask]:
        """The tasks that are neither finished nor failed."""
        return [task for task in self._under_way if isinstance(task, ImageTask) and not task.is_settled]

    @property
    def progress(self) -> tuple[int, int]:
        """Passes of the network over tiles that are done, and all of the images taken in so far."""
        tasks = [task for task in self._under_way if isinstance(task, ImageTask)]
        done, total = sum(task.passes_done for task in tasks), sum(task.passes for task in tasks)
        return self._passes_given + done, self._passes_given + total


def _match(task: ImageTask, first: ImageTask) -> bool:
    alike = task.window_shape == first.window_shape and task.request.augment == first.request.augment
    return alike and not task.alone
