"""The sliders act on a result: off the GUI thread, and the latest position wins."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Layer, Shapes
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.errors import Cancelled
from napari_unetseg.plugin.layers.editing import Drawing, can_edit, mark_edited, merge_edits, with_drawn
from napari_unetseg.plugin.layers.following import Followed, follow_edits
from napari_unetseg.plugin.layers.outputs import build_layers, result_metadata
from napari_unetseg.plugin.layers.plane import Plane
from napari_unetseg.plugin.layers.result_layers import ShownResult
from napari_unetseg.plugin.parts.result_summary import Summary, summarise
from napari_unetseg.plugin.workers.background import Task
from napari_unetseg.plugin.workers.latest_worker import LatestWorker
from napari_unetseg.postprocessing.edits import Edits, relabel_around
from napari_unetseg.postprocessing.layer_data import (
    Outlines,
    Output,
    label_features,
    make_layer_data,
    outline_labels,
    outlines,
)
from napari_unetseg.postprocessing.parameters import DecodeParameters

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
    edits, names
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


@dataclass(frozen=True, eq=False)
class _Reading:
    """What the layers of a result show, but for what was drawn on them since."""

    segmentation: "Segmentation"
    edits: Edits | None = None
    names: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Make:
    """Layers are wanted of what is shown."""


Question = _Relabel | Relabelled | _Make
Answer = Relabelled | Details | Mapping[Output, Layer]


class RelabelController(QObject):
    """Re-label a result as parameters change, and make layers of it that were not there.

    Labels follow every movement that the worker can keep up with. Measurements and contours follow
    once no newer position waits, because drawing many contours costs the window time. Until then
    `stale` has said True. A stack or a large plane, which takes long, is left as soon as a newer position comes.
    """

    relabelled = Signal(object)
    detailed = Signal(object)
    made = Signal(object)
    failed = Signal(object)
    stale = Signal(bool)
    followed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._base: Segmentation | None = None
        self._reading: _Reading | None = None
        self._result: ShownResult | None = None
        self._outlines_as_labels = False
        self._requested: DecodeParameters | None = None
        self._relabel_waits = False
        self._renewing = False
        self._followed_from: NDArray[np.int32] | None = None
        self._worker: LatestWorker[Question, Answer] = LatestWorker(self._prepare, PAUSE_MS, self)
        self._worker.answered.connect(self._on_answered)
        self._worker.failed.connect(self._on_failed)
        self._counter: LatestWorker[int, int] = LatestWorker(self._prepare_count, PAUSE_MS, self)
        self._counter.answered.connect(self._on_counted)
        self._counter.failed.connect(self._on_failed)
        self._follower: LatestWorker[int, Followed] = LatestWorker(self._prepare_follow, 0, self)
        self._follower.answered.connect(self._on_followed)
        self._follower.failed.connect(self._on_failed)

    def follow(self, segmentation: "Segmentation", result: ShownResult, *, outlines_as_labels: bool) -> None:
        """Act on this result from now on; what is under way for another one is dropped."""
        self.stop()
        self._base, self._result, self._outlines_as_labels = segmentation, result, outlines_as_labels
        self._reading, self._requested = _Reading(segmentation), segmentation.parameters
        result.on_touch = self._on_touch

    def stop(self) -> None:
        """Act on nothing and free the result."""
        for worker in (self._worker, self._counter, self._follower):
            worker.stop()
        if self._result is not None:
            self._set_stale(False)
            self._result.on_touch = lambda: None
        self._base = self._result = self._reading = self._requested = None
        self._relabel_waits = self._renewing = False

    def request(self, parameters: Mapping[str, Any]) -> None:
        """Ask for labels with these parameters of `Segmentation.relabel`; replaces what still waits."""
        if self._base is not None:
            self._requested = self._base.parameters.override(parameters)
            self._ask_relabel(_Relabel(parameters), replace=_takes_long(self._base))
            self._set_stale(True)

    def make(self, outputs: Collection[Output]) -> None:
        """Ask for the layers of outputs that the result does not have, as it is shown."""
        if self._result is not None:
            self._result.wanted |= set(outputs)
            if not self._relabel_waits:
                self._worker.ask(_Make(), replace=False, at_once=True)

    @property
    def parameters(self) -> DecodeParameters | None:
        """Those that the labels have, or will have in a moment; None if there is no result."""
        return self._requested

    @property
    def segmentation(self) -> "Segmentation | None":
        """What the layers show, but for what was drawn on them since; None if there is no result."""
        return None if self._reading is None else self._reading.segmentation

    @property
    def busy(self) -> bool:
        """Whether an update is waiting or under way."""
        return self._worker.busy or self._counter.busy or self._follower.busy

    def _ask_relabel(self, question: _Relabel, *, replace: bool, at_once: bool = False) -> None:
        self._relabel_waits = self._renewing = True
        self._worker.ask(question, replace=replace, at_once=at_once)

    def _prepare(self, question: Question) -> Callable[[Task[Answer]], Answer]:
        """Read off the layers, in the GUI thread, what the worker has to know."""
        base, result, reading, as_labels = self._base, self._result, self._reading, self._outlines_as_labels
        if base is None or result is None or reading is None:
            raise RuntimeError("There is no result to read again.")
        plane, edits = result.plane, reading.edits
        if isinstance(question, _Make):
            outputs = tuple(result.wanted)
            return lambda task: _new_layers(reading, plane, outputs)
        if isinstance(question, Relabelled):
            return lambda task: _detail(question, plane, as_labels, task.cancelled)
        self._relabel_waits = False
        drawing, serial = result.drawing() if can_edit(base) else None, result.serial
        return lambda task: _relabel(base, question.parameters, plane, edits, drawing, serial, task.cancelled)

    def _on_answered(self, question: Question, update: Answer) -> None:
        if isinstance(update, Relabelled):
            self._on_relabelled(question, update)
        elif isinstance(update, Details):
            if not self._relabel_waits:
                self._renewing = False
                self._set_stale(False)
                self.detailed.emit(update)
                self._make_wanted()
                self._ask_follow()
        elif self._result is not None:
            for output, layer in update.items():
                if output in self._result.wanted:
                    self._result.add(output, layer)
            self._result.wanted -= set(update) | {"agreement"}
            self.made.emit(update)
            if self._result.follows:
                self._result.describe_again()
                self._ask_follow()
            self._make_wanted()

    def _on_relabelled(self, question: Question, update: Relabelled) -> None:
        if self._result is not None and update.serial != self._result.serial and isinstance(question, _Relabel):
            # Somebody went on drawing meanwhile: labels that do not know of it must not replace theirs.
            if not self._relabel_waits:
                self._ask_relabel(question, replace=False, at_once=True)
        else:
            self._reading = _Reading(update.segmentation, update.edits, update.names)
            if not self._relabel_waits:
                self._worker.ask(update, replace=False, at_once=True)
            self.relabelled.emit(update)

    def _make_wanted(self) -> None:
        if self._result is not None and self._result.wanted and not self._relabel_waits:
            self._worker.ask(_Make(), replace=False, at_once=True)

    def _on_failed(self, question: Question | int, error: Exception) -> None:
        if self._reading is not None and self._result is not None and not self._relabel_waits:
            self._requested = self._reading.segmentation.parameters
            self._result.wanted.clear()
            self._renewing = False
        if not isinstance(error, Cancelled):
            self._set_stale(False)
            self.failed.emit(error)

    def _set_stale(self, stale: bool) -> None:
        if self._result is not None:
            self._result.dim(stale)
        self.stale.emit(stale)

    def _on_touch(self) -> None:
        # Of a stack, which users paint on itself, nothing tells what it was before: its record says that it was edited.
        if self._result is not None and self._base is not None and can_edit(self._base):
            self._counter.ask(self._result.serial)
            self._ask_follow()

    def _prepare_count(self, serial: int) -> Callable[[Task[int]], int]:
        result, reading = self._result, self._reading
        if result is None or reading is None:
            raise RuntimeError("There is no result whose edits could be counted.")
        edits, drawing = reading.edits, result.drawing()
        return lambda task: _count_edited(edits, drawing)

    def _on_counted(self, serial: int, count: int) -> None:
        # Labels that are on their way bring a count of their own.
        if self._result is not None and serial == self._result.serial and not self._worker.busy:
            self._result.count_edited(count)

    def _ask_follow(self) -> None:
        """Bring contours and table in line with edits, unless labels that will bring theirs are on their way."""
        result = self._result
        if result is not None and result.follows and not (self._renewing or result.in_line):
            self._follower.ask(result.serial, replace=False)

    def _prepare_follow(self, serial: int) -> Callable[[Task[Followed]], Followed]:
        result, reading = self._result, self._reading
        if result is None or reading is None:
            raise RuntimeError("There is no result whose edits could be followed.")
        described, plane, as_pixels = result.described, result.plane, result.contours_are_pixels
        labels, features = result.as_it_is, result.features
        kept = np.array(sorted(reading.names.values()), np.int32)
        segmentation, self._followed_from = reading.segmentation, described

        def follow(task: Task[Followed]) -> Followed:
            if labels is None or features is None:
                raise Cancelled("The labels were removed before their edits were followed.")
            return follow_edits(segmentation, plane, described, features, labels, kept, as_pixels=as_pixels)

        return follow

    def _on_followed(self, serial: int, update: Followed) -> None:
        # Labels that came, or are on their way, bring contours and table of their own.
        if self._result is None or self._result.described is not self._followed_from or self._renewing:
            return
        self._result.show_followed(update, serial)
        self.followed.emit(update)
        self._ask_follow()


def _takes_long(segmentation: "Segmentation") -> bool:
    image = segmentation.image
    return bool(image.stack_axes) or prod(image.shape) > LARGE_PLANE


def _count_edited(edits: Edits | None, drawing: Drawing | None) -> int:
    every = edits if drawing is None else merge_edits(edits, drawing)
    return 0 if every is None else every.count


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


def _new_layers(reading: _Reading, plane: Plane, outputs: Collection[Output]) -> Mapping[Output, Layer]:
    """Make layers of what is shown, round what was edited by hand."""
    segmentation, edits = reading.segmentation, reading.edits
    record = result_metadata(segmentation, plane)
    layers = build_layers(make_layer_data(segmentation, outputs, plane.placement, record))
    labels, contours = layers.get("labels"), layers.get("contours")
    if edits is not None and isinstance(labels, Labels):
        labels.features = mark_edited(label_features(segmentation), sorted(reading.names.values()))
    if edits is not None and isinstance(contours, Shapes):
        traced = outlines(segmentation, plane.placement)
        if traced is not None:
            traced = with_drawn(traced, edits, reading.names, plane.placement)
            contours.data, contours.features = traced.polygons, traced.features
    return layers
