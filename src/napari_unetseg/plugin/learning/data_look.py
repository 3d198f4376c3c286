"""Looks at what a new model would be trained on, in a worker."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.callbacks import Progress
from napari_unetseg.plugin.learning.check_table import PairRow
from napari_unetseg.plugin.learning.training_request import Lesson, write_lessons
from napari_unetseg.plugin.workers.background import Task
from napari_unetseg.training.data_check import DataReport, check_data, thumbnail

if TYPE_CHECKING:
    from napari_unetseg.training.data_check import CheckedPair

MOST_ROWS = 200
"""Most pairs that are listed; those without remarks are left out first."""
_MOST_PICTURES = 60

_ORDER = {"unusable": 0, "doubtful": 1, "good": 2}


@dataclass(frozen=True)
class DataQuestion:
    """What to look at: a folder with ``images`` and ``masks``, else what of the viewer is ticked."""

    folder: Path | None
    lessons: Sequence[Lesson] = ()


@dataclass(frozen=True, eq=False)
class DataAnswer:
    """What was found, and the rows to show of it."""

    report: DataReport
    rows: Sequence[PairRow]


def prepare_look(progressed: Progress) -> Callable[[DataQuestion], Callable[[Task[DataAnswer]], DataAnswer]]:
    """Return what looks at data sets and tells how many of how many pairs were looked at."""

    def prepare(question: DataQuestion) -> Callable[[Task[DataAnswer]], DataAnswer]:
        return lambda task: _look(question, task, progressed)

    return prepare


def _look(question: DataQuestion, task: Task[DataAnswer], progressed: Progress) -> DataAnswer:
    if question.folder is not None:
        return _answer(question.folder, task, progressed)
    with TemporaryDirectory(prefix="unetseg-") as temporary:
        folder = Path(temporary)
        write_lessons(folder, question.lessons, task.cancelled)
        return _answer(folder, task, progressed)


def _answer(folder: Path, task: Task[DataAnswer], progressed: Progress) -> DataAnswer:
    report = check_data(folder / "images", folder / "masks", progressed, task.cancelled)
    listed = sorted(report.pairs, key=lambda pair: _ORDER[pair.status])[:MOST_ROWS]
    rows = []
    for at, pair in enumerate(listed):
        rows.append(PairRow(pair, _picture(pair) if at < _MOST_PICTURES and not task.cancelled() else _nothing()))
    return DataAnswer(report, rows)


def _picture(pair: "CheckedPair") -> NDArray[np.uint8]:
    return thumbnail(pair)


def _nothing() -> NDArray[np.uint8]:
    return np.zeros((1, 1, 3), np.uint8)
