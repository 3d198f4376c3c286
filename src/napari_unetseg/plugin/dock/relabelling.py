"""The sliders act on the last result: off the GUI thread, and the latest position wins."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_unetseg.errors import Cancelled
from napari_unetseg.plugin.layers.editing import Drawing, can_edit, mark_edited, take_in, with_drawn
from napari_unetseg.plugin.layers.plane import Plane
from napari_unetseg.plugin.layers.result_layers import ShownResult
from napari_unetseg.plugin.parts.result_summary import Summary, summarise
from napari_unetseg.plugin.work.background import Task, start
from napari_unetseg.postprocessing.edits import Edits, relabel_around
from napari_unetseg.postprocessing.layer_data import Outlines, label_features, outline_labels, outlines

if TYPE_CHECKING:
    import pandas as pd

    from napari_unetseg.service import Segmentation

PAUSE_MS = 50

LARGE_PLANE = 4096**2
"""Pixels above which it takes seconds to read the objects of a plane again."""


@dataclass(frozen=True, eq=False)
class Relabelled:
    """A result read again off the kept probabilities, round what was edited by hand.

    Attributes
    ----------
    data
        A copy of its labels with the dimensions of the layer, for users to paint on.
    edits
        All edits so far, None if there were none, and the label of each edited object that is there.
    serial
        `ShownResult.serial` when the edits were read off the layers.
    """

    segmentation: "Segmentation"
    summary: Summary
    data: NDArray[np.int32]
    edits: Edits | None = None
    names: Mapping[int, int] = field(default_factory=dict)
    serial: int = 0


@dataclass(frozen=True, eq=False)
class Details:
    """What takes longer than labels.

    Attributes
    ----------
    features
        Measurements for the Labels layer.
    outlines
        Polygons for a Shapes layer; where they are too many, n-D data for a Labels layer.
    """

    features: "pd.DataFrame"
    outlines: Outlines | NDArray[np.int32]


class LiveController(QObject):
    """Re-label a result as parameters change.

    Labels follow every movement that the worker can keep up with. Measurements and contours follow
    once no newer position waits, because drawing many contours costs the window time. Until then
    `stale` has said True. A stack or a large plane, which takes long, is left as soon as a newer position comes.
    """

    relabelled = Signal(object)
    detailed = Signal(object)
    failed = Signal(object)
    stale = Signal(bool)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._base: Segmentation | None = None
        self._result: ShownResult | None = None
        self._outlines_as_labels = False
        self._edits: Edits | None = None
        self._wanted: Mapping[str, Any] | None = None
        self._asked: Mapping[str, Any] = {}
        self._unfinished: Relabelled | None = None
        self._task: Task[Relabelled | Details] | None = None
        self._working_on: Segmentation | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self._next)

    def follow(self, segmentation: "Segmentation", result: ShownResult, *, outlines_as_labels: bool) -> None:
        """Act on this result from now on; what is under way for another one is dropped."""
        self.stop()
        self._base, self._result, self._outlines_as_labels = segmentation, result, outlines_as_labels

    def stop(self) -> None:
        """Act on nothing and free the result."""
        if self._result is not None:
            self._set_stale(False)
        self._base = self._result = self._wanted = self._unfinished = self._edits = None
        self._timer.stop()
        if self._task is not None:
            self._task.quit()

    def request(self, parameters: Mapping[str, Any]) -> None:
        """Ask for labels with these parameters of `Segmentation.relabel`; replaces what still waits."""
        if self._base is not None:
            self._wanted, self._unfinished = parameters, None
            if self._task is not None and _takes_long(self._base):
                self._task.quit()
            self._timer.start()
            self._set_stale(True)

    @property
    def busy(self) -> bool:
        """Whether an update is waiting or under way."""
        return self._task is not None or self._timer.isActive()

    def _next(self) -> None:
        base, result, edits = self._base, self._result, self._edits
        if self._task is not None or base is None or result is None:
            return
        plane = result.plane
        if self._wanted is not None:
            parameters, self._wanted = self._wanted, None
            drawing, serial = result.drawing() if can_edit(base) else None, result.serial
            self._asked = parameters
            self._start(base, lambda task: _relabel(base, parameters, plane, edits, drawing, serial, task.cancelled))
        elif self._unfinished is not None:
            update, self._unfinished = self._unfinished, None
            as_labels = self._outlines_as_labels
            self._start(base, lambda task: _detail(update, plane, as_labels, task.cancelled))

    def _start(
        self, base: "Segmentation", function: Callable[[Task[Relabelled | Details]], Relabelled | Details]
    ) -> None:
        self._task, self._working_on = Task(function), base
        start(self._task, returned=self._pass_on, errored=self._report, finished=self._end)

    def _pass_on(self, update: Relabelled | Details) -> None:
        if self._working_on is not self._base or self._result is None:
            return
        if isinstance(update, Details):
            if self._wanted is None:
                self._set_stale(False)
                self.detailed.emit(update)
        elif update.serial != self._result.serial:
            # Somebody went on drawing meanwhile: labels that do not know of it must not replace theirs.
            self._wanted = self._wanted or self._asked
        else:
            self._unfinished, self._edits = update, update.edits
            self.relabelled.emit(update)

    def _report(self, error: Exception) -> None:
        if self._working_on is self._base and not isinstance(error, Cancelled):
            self._set_stale(False)
            self.failed.emit(error)

    def _end(self) -> None:
        self._task = self._working_on = None
        if not self._timer.isActive():
            self._next()

    def _set_stale(self, stale: bool) -> None:
        if self._result is not None:
            self._result.dim(stale)
        self.stale.emit(stale)


def _takes_long(segmentation: "Segmentation") -> bool:
    image = segmentation.image
    return bool(image.stack_axes) or prod(image.shape) > LARGE_PLANE


def _relabel(
    base: "Segmentation",
    parameters: Mapping[str, Any],
    plane: Plane,
    edits: Edits | None,
    drawing: Drawing | None,
    serial: int,
    cancel: Callable[[], bool],
) -> Relabelled:
    segmentation = base.relabel(**parameters, cancel=cancel)
    names: dict[int, int] = {}
    if drawing is not None:
        edits = take_in(edits, drawing)
    if edits is not None:
        labels, names = relabel_around(edits, segmentation.labels, segmentation.parameters.min_size)
        segmentation = replace(segmentation, labels=labels)
    # A stack is not edited and may lie on disk.
    data = segmentation.labels.copy() if can_edit(segmentation) else segmentation.labels
    summary = summarise(segmentation, cancel)
    return Relabelled(segmentation, summary, plane.placement.expand(data), edits, names, serial)


def _detail(update: Relabelled, plane: Plane, as_labels: bool, cancel: Callable[[], bool]) -> Details:
    segmentation = update.segmentation
    features = mark_edited(label_features(segmentation), sorted(update.names.values()))
    if cancel():
        raise Cancelled("A newer request came before the contours were traced.")
    traced = None if as_labels else outlines(segmentation, plane.placement)
    if traced is None:
        return Details(features, plane.placement.expand(outline_labels(segmentation.labels)))
    if update.edits is not None:
        traced = with_drawn(traced, update.edits, update.names, plane.placement)
    return Details(features, traced)
