"""The sliders act on the last result: off the GUI thread, and the latest position wins."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.errors import Cancelled
from napari_unetseg.plugin.layers.editing import Drawing, can_edit, mark_edited, merge_edits, with_drawn
from napari_unetseg.plugin.layers.plane import Plane
from napari_unetseg.plugin.layers.result_layers import ShownResult
from napari_unetseg.plugin.parts.result_summary import Summary, summarise
from napari_unetseg.plugin.workers.background import Task
from napari_unetseg.plugin.workers.latest_worker import LatestWorker
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


@dataclass(frozen=True, eq=False)
class _Relabel:
    """Labels are wanted with these parameters of `Segmentation.relabel`."""

    parameters: Mapping[str, Any]


class RelabelController(QObject):
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
        self._worker: LatestWorker[_Relabel | Relabelled, Relabelled | Details] = LatestWorker(
            self._prepare, PAUSE_MS, self
        )
        self._worker.answered.connect(self._on_answered)
        self._worker.failed.connect(self._on_failed)

    def follow(self, segmentation: "Segmentation", result: ShownResult, *, outlines_as_labels: bool) -> None:
        """Act on this result from now on; what is under way for another one is dropped."""
        self.stop()
        self._base, self._result, self._outlines_as_labels = segmentation, result, outlines_as_labels

    def stop(self) -> None:
        """Act on nothing and free the result."""
        self._worker.stop()
        if self._result is not None:
            self._set_stale(False)
        self._base = self._result = self._edits = None

    def request(self, parameters: Mapping[str, Any]) -> None:
        """Ask for labels with these parameters of `Segmentation.relabel`; replaces what still waits."""
        if self._base is not None:
            self._worker.ask(_Relabel(parameters), replace=_takes_long(self._base))
            self._set_stale(True)

    @property
    def busy(self) -> bool:
        """Whether an update is waiting or under way."""
        return self._worker.busy

    def _prepare(self, question: _Relabel | Relabelled) -> Callable[[Task[Relabelled | Details]], Relabelled | Details]:
        """Read off the layers, in the GUI thread, what the worker has to know."""
        base, result, edits, as_labels = self._base, self._result, self._edits, self._outlines_as_labels
        if base is None or result is None:
            raise RuntimeError("There is no result to read again.")
        plane = result.plane
        if isinstance(question, Relabelled):
            return lambda task: _detail(question, plane, as_labels, task.cancelled)
        drawing, serial = result.drawing() if can_edit(base) else None, result.serial
        return lambda task: _relabel(base, question.parameters, plane, edits, drawing, serial, task.cancelled)

    def _on_answered(self, question: _Relabel | Relabelled, update: Relabelled | Details) -> None:
        if isinstance(update, Details):
            if not self._worker.waiting:
                self._set_stale(False)
                self.detailed.emit(update)
        elif self._result is not None and update.serial != self._result.serial:
            # Somebody went on drawing meanwhile: labels that do not know of it must not replace theirs.
            if not self._worker.waiting:
                self._worker.ask(question, replace=False, at_once=True)
        else:
            self._edits = update.edits
            if not self._worker.waiting:
                self._worker.ask(update, replace=False, at_once=True)
            self.relabelled.emit(update)

    def _on_failed(self, question: _Relabel | Relabelled, error: Exception) -> None:
        if not isinstance(error, Cancelled):
            self._set_stale(False)
            self.failed.emit(error)

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
    cancel: CancelFlag,
) -> Relabelled:
    segmentation = base.relabel(**parameters, cancel=cancel)
    names: dict[int, int] = {}
    if drawing is not None:
        edits = merge_edits(edits, drawing)
    if edits is not None:
        labels, names = relabel_around(edits, segmentation.labels, segmentation.parameters.min_size)
        segmentation = replace(segmentation, labels=labels)
    # A stack is not edited and may lie on disk.
    data = segmentation.labels.copy() if can_edit(segmentation) else segmentation.labels
    summary = summarise(segmentation, cancel)
    return Relabelled(segmentation, summary, plane.placement.expand(data), edits, names, serial)


def _detail(update: Relabelled, plane: Plane, as_labels: bool, cancel: CancelFlag) -> Details:
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
