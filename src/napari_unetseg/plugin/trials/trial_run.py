"""Trials in a worker, one set of them at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.errors import Cancelled
from napari_unetseg.image import Image
from napari_unetseg.plugin.trials.sources import ChannelSource
from napari_unetseg.plugin.workers.background import Task, start
from napari_unetseg.plugin.workers.servers import cancellable_questions
from napari_unetseg.plugin.workers.services import ServiceFactory
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari_unetseg.service.segmentation import Segmentation
    from napari_unetseg.service.trials import ModelTrial

DRAWN_SIDE = 256
"""Most pixels along a side of a tile's picture."""


@dataclass(frozen=True)
class TrialJob:
    """Which models are tried on which channels, and on which device.

    Attributes
    ----------
    names
        What the channels are called where a model chooses among them.
    choices
        By the name of each model that wants several channels, those that it gets; see `ChannelChoice`.
    """

    packages: Sequence[ModelPackage]
    sources: Sequence[ChannelSource]
    device: str
    names: Sequence[str] = ()
    choices: Mapping[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many trials there are."""
        several = [package for package in self.packages if package.card.wants_channels]
        return len(several) + (len(self.packages) - len(several)) * len(self.sources)


@dataclass(frozen=True, eq=False)
class TrialTile:
    """A trial, ready to be shown.

    Attributes
    ----------
    picture
        uint8 (Y, X, 3): the outlines drawn over the image, or the image alone where the model failed.
    """

    trial: "ModelTrial"
    source: ChannelSource
    picture: NDArray[np.uint8]


class TrialController(QObject):
    """Start and cancel trials; one of `done` and `failed` ends each set, unless it was cancelled.

    Parameters
    ----------
    services
        Gives the service of a model and device, in the worker.
    parent
        Owner.
    """

    made = Signal(object)
    progressed = Signal(int, int)
    done = Signal()
    failed = Signal(object)
    cancelled = Signal()

    def __init__(self, services: ServiceFactory, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._task: Task[None] | None = None
        self._error: Exception | None = None

    @property
    def running(self) -> bool:
        """Whether trials are under way, be it for nobody any more."""
        return self._task is not None

    def start(self, job: TrialJob) -> None:
        """Start trials; nothing happens while others run."""
        if self.running:
            return
        self._error = None
        task = self._task = Task(partial(_run, job, self._services))
        task.reports.made.connect(self._on_made)
        task.reports.progressed.connect(self.progressed)
        start(task, returned=lambda _: None, errored=self._on_errored, finished=self._on_finished)

    def cancel(self) -> None:
        """Ask the trials to stop; `cancelled` follows when they did."""
        if self._task is not None:
            self._task.quit()

    def _on_made(self, tile: TrialTile) -> None:
        if self._task is not None and not self._task.cancelled():
            self.made.emit(tile)

    def _on_errored(self, error: Exception) -> None:
        self._error = error

    def _on_finished(self) -> None:
        if self._task is None:
            return
        cancelled = self._task.cancelled() or isinstance(self._error, Cancelled)
        error, self._task, self._error = self._error, None, None
        if cancelled:
            self.cancelled.emit()
        elif error is not None:
            self.failed.emit(error)
        else:
            self.done.emit()


def _run(job: TrialJob, services: ServiceFactory, task: Task[None]) -> None:
    with cancellable_questions(job.device, task.cancelled):
        service = services(str(job.packages[0].path), job.device)
    from napari_unetseg.service.rich_display import small_overlay
    from napari_unetseg.service.trials import Piece, run_trials

    pieces = {Piece(source.read(), source.place): source for source in job.sources}
    together = Piece(_joined([piece.image for piece in pieces], job.names))
    choices = {str(package.source): job.choices.get(package.name) for package in job.packages}

    def segment(image: Image, *, model: str, cancel: CancelFlag | None) -> "Segmentation":
        channels = choices[model] if image is together.image else None
        return service.segment(image, model=model, cancel=cancel, channels=channels)

    for trial in run_trials(
        segment, job.packages, tuple(pieces), task.reports.progressed.emit, task.cancelled, together=together
    ):
        image = trial.piece.image
        labels = np.zeros(image.shape, np.int32) if trial.labels is None else trial.labels
        said = choices[str(trial.package.source)] or ""
        source = pieces.get(trial.piece) or replace(job.sources[0], name=said.replace(",", ", "), axis=None, place=None)
        task.reports.made.emit(TrialTile(trial, source, small_overlay(image, labels, DRAWN_SIDE)))


def _joined(images: Sequence[Image], names: Sequence[str]) -> Image:
    """Put the channels of a plane together; one alone, which may be in colours, stays as it is."""
    if len(images) == 1:
        return images[0]
    pixels = np.stack([image.array for image in images])
    return Image(pixels, "CYX", name=images[0].name, channels=tuple(names) if len(names) == len(images) else ())
