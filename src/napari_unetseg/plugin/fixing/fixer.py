"""Makes fixes one after the other, in workers, on the labels as they are when the turn of each comes."""

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_unetseg.errors import FixError
from napari_unetseg.language import Sentence
from napari_unetseg.plugin.layers.current_result import CurrentResult, FindResult
from napari_unetseg.plugin.workers.background import Task, start

if TYPE_CHECKING:
    from napari_unetseg.postprocessing.fixes import Fix, FixKind, Patch
    from napari_unetseg.service import Segmentation

Points = tuple[tuple[float, float], ...]
"""(y, x) in pixels of the plane of a result."""


@dataclass(frozen=True, eq=False)
class _Wanted:
    result: CurrentResult
    kind: "FixKind"
    points: Points


class Fixer(QObject):
    """Changes the labels of results as fixes do.

    Of two quick clicks the second acts on what the first has made, and one that meets labels on which somebody has
    drawn meanwhile, or that a slider has brought, begins anew.

    Parameters
    ----------
    find_result
        Gives the selected result, as it was read last.
    parent
        Owner.

    Attributes
    ----------
    done
        With a fix that was made.
    failed
        With the reason why one was not.
    """

    done = Signal(object)
    failed = Signal(object)

    def __init__(self, find_result: FindResult, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._find_result = find_result
        self._waiting: deque[_Wanted] = deque()
        self._task: Task[tuple[Fix, Patch]] | None = None

    @property
    def busy(self) -> bool:
        """Whether a fix waits or is on its way."""
        return self._task is not None or bool(self._waiting)

    def ask(self, result: CurrentResult, kind: "FixKind", points: Points) -> None:
        """Make a fix once those before it are made."""
        self._waiting.append(_Wanted(result, kind, points))
        self._start_next()

    def stop(self) -> None:
        """Make none of the fixes that wait, nor the one that is on its way."""
        self._waiting.clear()
        if self._task is not None:
            self._task.quit()

    def _start_next(self) -> None:
        if self._task is not None or not self._waiting:
            return
        wanted = self._waiting.popleft()
        shown, labels = wanted.result.shown, wanted.result.shown.as_it_is
        if labels is None:  # The layer was removed meanwhile.
            self._start_next()
            return
        serial = shown.serial
        selected = self._find_result()
        result = selected if selected is not None and selected.shown is shown else wanted.result
        segmentation = result.segmentation

        def put(found: "tuple[Fix, Patch]") -> None:
            if task.cancelled():
                return
            now = shown.as_it_is
            if now is None:
                return
            if shown.serial != serial or not np.may_share_memory(now, labels):
                self._waiting.appendleft(wanted)
            else:
                shown.fix(*found)
                self.done.emit(found[0])

        task = self._task = Task(lambda _: _find(segmentation, wanted, labels))
        start(task, returned=put, errored=self.failed.emit, finished=self._on_finished)

    def _on_finished(self) -> None:
        self._task = None
        self._start_next()


def _find(segmentation: "Segmentation", wanted: _Wanted, labels: NDArray[np.integer]) -> "tuple[Fix, Patch]":
    """Find what a fix changes. Call it in a worker."""
    from napari_unetseg.postprocessing.fixes import Fix, apply_fix

    fix = Fix(kind=wanted.kind, points=wanted.points, parameters=segmentation.parameters)
    patch = apply_fix(fix, np.asarray(labels, np.int32), segmentation.probability, segmentation.heads)
    if patch.after.max(initial=0) > np.iinfo(labels.dtype).max:
        raise FixError(
            Sentence(
                "The labels of '{result}' are of a type that has no number left for another object. Convert the layer "
                "to int32 with the right mouse button.",
                result=wanted.result.shown.name,
            )
        )
    return fix, patch
