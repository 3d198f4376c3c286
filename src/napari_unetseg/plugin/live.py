"""The sliders act on the last result: off the GUI thread, and the latest position wins."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_unetseg.plugin.background import Task, start
from napari_unetseg.plugin.layers import Plane
from napari_unetseg.plugin.outputs import Outlines, label_features, outline_labels, outlines
from napari_unetseg.plugin.summary import Summary, summarise

if TYPE_CHECKING:
    from napari_unetseg.service import Segmentation

PAUSE_MS = 50


@dataclass(frozen=True)
class Relabelled:
    """A result read again off the kept probabilities."""

    segmentation: "Segmentation"
    summary: Summary


@dataclass(frozen=True)
class Details:
    """What takes longer than labels.

    Attributes
    ----------
    features
        Measurements for the Labels layer.
    outlines
        For a Shapes layer polygons, None where there are too many; for a Labels layer its n-D data.
    """

    features: pd.DataFrame
    outlines: Outlines | NDArray[np.int32] | None


class LiveController(QObject):
    """Re-label a result as parameters change.

    Labels follow every movement that the worker can keep up with. Measurements and contours follow
    once no newer position waits, because drawing many contours costs the window time.
    """

    relabelled = Signal(object)
    detailed = Signal(object)
    failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._base: Segmentation | None = None
        self._plane: Plane | None = None
        self._outlines_as_labels = False
        self._wanted: Mapping[str, Any] | None = None
        self._unfinished: Segmentation | None = None
        self._task: Task[Relabelled | Details] | None = None
        self._working_on: Segmentation | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self._next)

    def follow(self, segmentation: "Segmentation", plane: Plane, *, outlines_as_labels: bool) -> None:
        """Act on this result from now on; what is under way for another one is dropped."""
        self.stop()
        self._base, self._plane, self._outlines_as_labels = segmentation, plane, outlines_as_labels

    def stop(self) -> None:
        """Act on nothing and free the result."""
        self._base = self._plane = self._wanted = self._unfinished = None
        self._timer.stop()

    def request(self, parameters: Mapping[str, Any]) -> None:
        """Ask for labels with these parameters of `Segmentation.relabel`; replaces what still waits."""
        if self._base is not None:
            self._wanted, self._unfinished = parameters, None
            self._timer.start()

    @property
    def busy(self) -> bool:
        """Whether an update is waiting or under way."""
        return self._task is not None or self._timer.isActive()

    def _next(self) -> None:
        base, plane = self._base, self._plane
        if self._task is not None or base is None or plane is None:
            return
        if self._wanted is not None:
            parameters, self._wanted = self._wanted, None
            self._start(base, lambda _: _relabel(base, parameters))
        elif self._unfinished is not None:
            segmentation, self._unfinished = self._unfinished, None
            as_labels = self._outlines_as_labels
            self._start(base, lambda _: _detail(segmentation, plane, as_labels))

    def _start(
        self, base: "Segmentation", function: Callable[[Task[Relabelled | Details]], Relabelled | Details]
    ) -> None:
        self._task, self._working_on = Task(function), base
        start(self._task, returned=self._pass_on, errored=self._report, finished=self._end)

    def _pass_on(self, result: Relabelled | Details) -> None:
        if self._working_on is not self._base:
            return
        if isinstance(result, Relabelled):
            self._unfinished = result.segmentation
            self.relabelled.emit(result)
        elif self._wanted is None:
            self.detailed.emit(result)

    def _report(self, error: Exception) -> None:
        if self._working_on is self._base:
            self.failed.emit(error)

    def _end(self) -> None:
        self._task = self._working_on = None
        if not self._timer.isActive():
            self._next()


def _relabel(base: "Segmentation", parameters: Mapping[str, Any]) -> Relabelled:
    segmentation = base.relabel(**parameters)
    return Relabelled(segmentation, summarise(segmentation))


def _detail(segmentation: "Segmentation", plane: Plane, as_labels: bool) -> Details:
    features = label_features(segmentation)
    if as_labels:
        return Details(features, plane.placement.expand(outline_labels(segmentation.labels)))
    return Details(features, outlines(segmentation, plane.placement))
