"""What is decided about the images of a folder: written down in the background, and taken back again."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_unetseg.plugin.review.in_order import InOrder

if TYPE_CHECKING:
    from napari_unetseg.batch.folder_journal import Verdict
    from napari_unetseg.batch.folder_review import Review, ReviewItem
    from napari_unetseg.batch.training_export import TrainingSet


@dataclass(frozen=True)
class _Step:
    """What was done, so that it can be taken back."""

    file: Path
    before: "Verdict | None"
    corrected: bool


class Decisions(QObject):
    """The decisions of one person about one folder after another.

    Attributes
    ----------
    changed
        Images that stand otherwise than before, with those that others decided about meanwhile.
    """

    changed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.work = InOrder(self)
        self.review: Review | None = None
        self._history: list[_Step] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to take back."""
        return bool(self._history)

    def begin(self, review: "Review | None") -> None:
        """Decide about another folder from now on; None about none."""
        self.review = review
        self._history.clear()

    def following(self, item: "ReviewItem | None") -> "ReviewItem | None":
        """Return the next image without a decision after one, in the order of the list, else before it; if any."""
        items = self.review.items if self.review is not None else ()
        on_the_way = {step.file for step in self._history} if self.work.busy else set()
        at = next((place for place, one in enumerate(items) if item is not None and one.file == item.file), -1)
        for one in (*items[at + 1 :], *items[: max(at, 0)]):
            if one.decision is None and one.file not in on_the_way:
                return one
        return None

    def decide(self, item: "ReviewItem", verdict: "Verdict") -> None:
        """Accept or reject an image, as `item` says that it was shown."""
        if (review := self.review) is None:
            return
        step = _Step(item.file, review.item(item.file).decision, corrected=False)
        self._history.append(step)

        def forget() -> None:
            if step in self._history:
                self._history.remove(step)

        self.work.do(lambda _: [review.decide(item, verdict), *review.refresh()], self.changed.emit, forget)

    def correct(
        self, item: "ReviewItem", labels: Any, saved: Callable[["ReviewItem"], object], failed: Callable[[], object]
    ) -> None:
        """Write corrected labels, (..., Y, X), with all other results of their image.

        Parameters
        ----------
        item
            The image, as it was shown.
        labels
            Of the shape of its label image. They must not change meanwhile.
        saved, failed
            Called at the end.
        """
        if (review := self.review) is None:
            return
        before = review.item(item.file).decision

        def write(_: object) -> "list[ReviewItem]":
            changed = [review.fix(item, labels), *review.refresh()]
            review.write_summaries()
            return changed

        def done(changed: "list[ReviewItem]") -> None:
            self._history.append(_Step(item.file, before, corrected=True))
            self.changed.emit(changed)
            saved(changed[0])

        self.work.do(write, done, failed)

    def take_back(self, done: Callable[["ReviewItem"], object]) -> None:
        """Take the last decision back, of a correction also its labels, and call `done` with its image."""
        review = self.review
        if review is None or not self._history:
            return
        step = self._history.pop()

        def restore(_: object) -> "list[ReviewItem]":
            item = review.item(step.file)
            if step.corrected:
                item = review.restore(item)
                review.write_summaries()
            if not step.corrected or step.before is not None:
                item = review.decide(item, step.before)
            return [item, *review.refresh()]

        def restored(changed: "list[ReviewItem]") -> None:
            self.changed.emit(changed)
            done(changed[0])

        self.work.do(restore, restored, lambda: self._history.append(step))

    def write_report(self, done: Callable[[Path], object]) -> None:
        """Write the report, and call `done` with its file."""
        if (review := self.review) is not None:
            self.work.do(lambda task: review.report(progress=task.reports.progressed.emit, cancel=task.cancelled), done)

    def export(self, folder: Path, done: Callable[["TrainingSet"], object]) -> None:
        """Write the training set into a folder."""
        if (review := self.review) is not None:
            self.work.do(
                lambda task: review.export(folder, progress=task.reports.progressed.emit, cancel=task.cancelled), done
            )

    def model(self) -> str:
        """Name the model that made most of the results."""
        items = self.review.items if self.review is not None else ()
        models = Counter(str(item.record.decided_by.get("model", "")) for item in items)
        return models.most_common(1)[0][0] if models else ""

    def stop(self) -> None:
        """Write down what was decided so far, and tell nobody any more."""
        self.begin(None)
        self.work.fall_silent()
