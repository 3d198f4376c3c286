"""What the buttons and keys of a review do."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from napari.utils.key_bindings import coerce_keybinding
from napari.utils.theme import get_theme
from qtpy.QtCore import QObject, QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_unetseg.language import tr
from napari_unetseg.plugin.parts.words import describe_error
from napari_unetseg.plugin.review import review_words
from napari_unetseg.plugin.review.in_order import InOrder
from napari_unetseg.plugin.review.review_panel import ReviewPanel
from napari_unetseg.plugin.review.shown_image import ShownImage
from napari_unetseg.plugin.workers.background import Task, start

if TYPE_CHECKING:
    import napari.viewer

    from napari_unetseg.batch.doubt import DoubtfulObject
    from napari_unetseg.batch.folder_journal import Verdict
    from napari_unetseg.batch.folder_review import Review, ReviewItem
    from napari_unetseg.batch.training_export import TrainingSet

TRAINING_SET = "training_set"
"""Folder, within that of the results, of what a model is improved with."""

ChooseResults = Callable[[QWidget | None, str], Path | None]


def choose_results(parent: QWidget | None, start: str) -> Path | None:
    """Ask for a folder; None if nothing was chosen."""
    name = QFileDialog.getExistingDirectory(parent, tr("Choose a folder"), start)
    return Path(name) if name else None


@dataclass(frozen=True)
class _Step:
    """What was done, so that it can be taken back."""

    file: Path
    before: "Verdict | None"
    corrected: bool


class ReviewSession(QObject):
    """A review in its panel and the viewer.

    Nothing is decided about an image that is not on display, and no labels are lost: whoever has changed some saves or
    discards them first.

    Parameters
    ----------
    viewer
        Shows the images.
    panel
        Shows the list.
    choose
        Asks for a folder.
    parent
        Owner.

    Attributes
    ----------
    improve_requested
        A model is to be improved on the training set in this folder (as str): and the model's name.
    """

    improve_requested = Signal(str, str)

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        panel: ReviewPanel,
        choose: ChooseResults = choose_results,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self.panel, self._choose = viewer, panel, choose
        self.image = ShownImage(viewer, self)
        self.work = InOrder(self)
        self.review: Review | None = None
        self.fixing = False
        self._opening: Task[Review] | None = None
        self._history: list[_Step] = []
        self._bound: dict[str, Callable[..., None]] = {}
        self._connect()
        self._bind_keys()
        self._on_theme()
        self._allow()
        panel.message.show_message(tr(review_words.NO_FOLDER))

    @property
    def busy(self) -> bool:
        """Whether anything is under way in the background."""
        return self._opening is not None or self.work.busy or self.image.busy or self.panel.thumbnails.busy

    def open(self, folder: Path) -> None:
        """Review the results of a folder, in place of another one."""
        if self._keep_corrections():
            return
        if self._opening is not None:
            self._opening.quit()
        self._end_fixing()
        self.image.clear()
        self.review = None
        self._history.clear()
        panel = self.panel
        panel.thumbnails.forget()
        panel.queue.queue.show_items([])
        panel.objects.show_objects([])
        panel.show_folder(str(folder))
        panel.show_counts(None)
        panel.bar.setRange(0, 0)
        panel.message.show_message(tr(review_words.OPENING))
        self._opening = task = Task(lambda task: _open(folder, task))
        task.reports.progressed.connect(self._on_progress)

        def end() -> None:
            if self._opening is task:
                self._opening = None
            self._allow()

        start(
            task,
            returned=lambda review: self._on_opened(review, folder) if self._opening is task else None,
            errored=lambda error: self._on_not_opened(error) if self._opening is task else None,
            finished=end,
        )
        self._allow()

    def decide(self, verdict: "Verdict") -> None:
        """Accept or reject the image on display, and go on to the next."""
        review, item = self.review, self.image.item
        if review is None or item is None or self.fixing or not self.panel.accept.isEnabled():
            return
        before = review.item(item.file)
        step = _Step(item.file, before.decision, corrected=False)
        self._history.append(step)
        self.work.do(
            lambda: [review.decide(before, verdict), *review.refresh()], self._show_changes, lambda: self._forget(step)
        )
        self._go_on(item)

    def fix_or_save(self) -> None:
        """Begin to correct the labels on display; save them if that has begun."""
        if not self.panel.fix.isEnabled():
            return
        if self.fixing:
            self.save()
        elif self.image.labels is not None:
            self.fixing = True
            self.image.allow_edits(True)
            self._say_fixing()
            self._allow()

    def save(self) -> None:
        """Write the corrected labels, and go on to the next image."""
        review, item, labels = self.review, self.image.item, self.image.labels
        if review is None or item is None or labels is None or not self.fixing:
            return
        if not self.image.changed:
            self._end_fixing()
            self.panel.message.show_message(tr(review_words.UNCHANGED), "warning")
            return
        before = review.item(item.file)
        step = _Step(item.file, before.decision, corrected=True)
        pixels = labels.data
        self.image.allow_edits(False)
        self.fixing = False
        self.panel.show_fixing(False)
        for button in (self.panel.accept, self.panel.fix, self.panel.reject):
            button.setEnabled(False)
        self.panel.message.show_message(tr(review_words.SAVING).format(image=item.file.name), "busy")

        def write() -> "list[ReviewItem]":
            changed = [review.fix(before, pixels), *review.refresh()]
            review.write_summaries()
            return changed

        def saved(changed: "list[ReviewItem]") -> None:
            self._history.append(step)
            self.image.saved(changed[0])
            self.panel.thumbnails.forget(item.file)
            self._allow()
            self._show_changes(changed)
            self._go_on(changed[0])
            self.panel.message.show_message(review_words.corrected(changed[0]), "good")

        def not_saved() -> None:
            self.fixing = True
            self.image.allow_edits(True)
            self.panel.show_fixing(True)
            self._allow()

        self.work.do(write, saved, not_saved)

    def discard(self) -> None:
        """Show the labels as they are on the disk, and leave them so."""
        item = self.image.item
        self._end_fixing()
        if item is not None:
            self._show(item)

    def undo(self) -> None:
        """Take the last decision back, and go to its image."""
        review = self.review
        if review is None or not self._history or not self.panel.undo.isEnabled():
            return
        step = self._history.pop()

        def take_back() -> "list[ReviewItem]":
            item = review.item(step.file)
            if step.corrected:
                item = review.restore(item)
                review.write_summaries()
            if not step.corrected or step.before is not None:
                item = review.decide(item, step.before)
            return [item, *review.refresh()]

        def taken_back(changed: "list[ReviewItem]") -> None:
            self.panel.thumbnails.forget(step.file)
            self._show_changes(changed)
            if self.panel.queue.queue.row_of(step.file) is None:
                self.panel.show_box.setCurrentIndex(0)
            self.panel.queue.choose(step.file)
            self._show(changed[0])

        self.work.do(take_back, taken_back, lambda: self._history.append(step))
        self._allow()

    def go_on(self) -> None:
        """Go to the next image that nobody has decided about."""
        if not self._keep_corrections():
            self._go_on(self.image.item or self.panel.queue.current())

    def go_back(self) -> None:
        """Go to the image above in the list."""
        queue = self.panel.queue
        item = queue.queue.item_at(queue.currentIndex().row() - 1)
        if item is not None and not self._keep_corrections():
            queue.choose(item.file)
            self._show(item)

    def next_object(self) -> None:
        """Go to the next doubtful object of the image, after the last one to the first."""
        self.panel.objects.go_on(1)

    def previous_object(self) -> None:
        """Go to the doubtful object before."""
        self.panel.objects.go_on(-1)

    def write_report(self) -> None:
        """Write the report, and open it in the browser."""
        review = self.review
        if review is None:
            return
        self.panel.message.show_message(tr(review_words.REPORTING), "busy")

        def show(path: Path) -> None:
            self.panel.message.show_message(tr("The report is {file}.").format(file=path), "good")
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))

        self.work.do(review.report, show)

    def export(self) -> None:
        """Ask for a folder, and write the training set there."""
        review = self.review
        if review is None:
            return
        folder = self._choose(self.panel, str(review.folder))
        if folder is not None:
            self._export(folder, lambda: None)

    def improve(self) -> None:
        """Write the training set beside the results, and ask for the model to be improved with it."""
        review = self.review
        if review is not None:
            folder = review.folder / TRAINING_SET
            model = _model_of(review)
            self._export(folder, lambda: self.improve_requested.emit(str(folder), model))

    def stop(self) -> None:
        """Take all away, but labels that were changed and not saved; what was decided is still written down."""
        for key, press in self._bound.items():
            if self._viewer.keymap.get(coerce_keybinding(key)) is press:
                self._viewer.bind_key(key, None)
        self._bound.clear()
        if self._opening is not None:
            self._opening.quit()
        self.image.stop()
        self.panel.thumbnails.forget()
        self.review = None
        self.work.fall_silent()
        self._viewer.events.theme.disconnect(self._on_theme)

    def _export(self, folder: Path, done: Callable[[], object]) -> None:
        review = self.review
        if review is None:
            return
        self.panel.message.show_message(tr(review_words.EXPORTING), "busy")
        for button in (self.panel.export, self.panel.improve):
            button.setEnabled(False)

        def told(exported: "TrainingSet") -> None:
            self.panel.message.show_message(review_words.exported(exported), "warning" if exported.left_out else "good")
            self._allow()
            done()

        self.work.do(lambda: review.export(folder), told, self._allow)

    def _go_on(self, item: "ReviewItem | None") -> None:
        """Go to the next image without a decision, in the order of the list; after its end from its beginning."""
        following = self._following(item)
        if following is None:
            self.panel.message.show_message(tr(review_words.ALL_DONE), "good")
            return
        self.panel.queue.choose(following.file)
        self._show(following)

    def _following(self, item: "ReviewItem | None") -> "ReviewItem | None":
        if self.review is None:
            return None
        items = self.review.items
        pending = {step.file for step in self._history} if self.work.busy else set()
        at = next((place for place, one in enumerate(items) if item is not None and one.file == item.file), -1)
        for one in (*items[at + 1 :], *items[: max(at, 0)]):
            if one.decision is None and one.file not in pending:
                return one
        return None

    def _show(self, item: "ReviewItem") -> None:
        self.panel.objects.show_objects(item.objects)
        self.panel.message.show_message(review_words.reasons(item.reasons))
        self.image.show(item, self._following(item))
        self._allow()

    def _on_chosen(self, item: "ReviewItem") -> None:
        shown = self.image.item
        if shown is not None and item.file == shown.file:
            return
        if self._keep_corrections():
            self.panel.queue.choose(shown.file if shown is not None else None)
            return
        self._show(item)

    def _on_shown(self, item: "ReviewItem") -> None:
        self._allow()

    def _on_unreadable(self, item: "ReviewItem", error: Exception) -> None:
        self.panel.message.show_failure(describe_error(error))
        self._allow()

    def _on_lost(self) -> None:
        self._end_fixing()
        self._allow()

    def _on_object(self, one: "DoubtfulObject") -> None:
        self.image.go_to(one)
        if not self.fixing:
            self.panel.message.show_message(review_words.object_line(one.label, one.reasons))

    def _on_delete(self, one: "DoubtfulObject") -> None:
        if not self.fixing:
            self.fix_or_save()
        if self.fixing:
            self.image.remove_object(one)

    def _keep_corrections(self) -> bool:
        """Whether labels on display were changed and not saved; then say so. An idle correction just ends."""
        item = self.image.item
        if not self.fixing or item is None or not self.image.changed:
            self._end_fixing()
            return False
        self.panel.message.show_message(
            tr(review_words.SAVE_FIRST).format(image=item.file.name),
            "warning",
            action=(tr("Discard"), tr(review_words.DISCARD_TIP), self.discard),
        )
        return True

    def _say_fixing(self) -> None:
        self.panel.show_fixing(True)
        discard = (tr("Discard"), tr(review_words.DISCARD_TIP), self.discard)
        self.panel.message.show_message(tr(review_words.FIXING), action=discard)

    def _end_fixing(self) -> None:
        if self.fixing:
            self.fixing = False
            self.image.allow_edits(False)
            self.panel.show_fixing(False)
            self._allow()

    def _forget(self, step: _Step) -> None:
        if step in self._history:
            self._history.remove(step)

    def _show_changes(self, changed: "list[ReviewItem]") -> None:
        if self.review is None:
            return
        name = self.panel.show_box.currentData()
        if name == "all":
            for item in changed:
                self.panel.queue.queue.replace(item)
        else:
            self._show_list()
        self.panel.show_counts(self.review.counts)
        self._allow()

    def _show_list(self) -> None:
        if self.review is None:
            return
        name = self.panel.show_box.currentData()
        wanted = None if name == "open" else name
        items = [item for item in self.review.items if name == "all" or item.decision == wanted]
        chosen = self.panel.queue.current()
        self.panel.queue.queue.show_items(items)
        shown = self.image.item or chosen
        self.panel.queue.choose(None if shown is None else shown.file)

    def _on_progress(self, done: int, total: int) -> None:
        self.panel.bar.setRange(0, total)
        self.panel.bar.setValue(done)
        self.panel.bar.setFormat(f"{done} / {total}")

    def _on_opened(self, review: "Review", folder: Path) -> None:
        self.review = review
        self.panel.show_folder(str(review.folder))
        self.panel.show_counts(review.counts)
        self._show_list()
        self._allow()
        if not review.items:
            self.panel.message.show_message(tr(review_words.NOTHING), "warning")
            return
        first = self._following(None)
        if first is None:
            self.panel.queue.choose(review.items[0].file)
            self._show(review.items[0])
            self.panel.message.show_message(tr(review_words.ALL_DONE), "good")
        else:
            self._go_on(None)

    def _on_not_opened(self, error: Exception) -> None:
        self.panel.show_counts(None)
        self.panel.message.show_failure(describe_error(error))

    def _on_failed(self, error: Exception) -> None:
        if self.review is not None:
            self.panel.show_counts(self.review.counts)
        self.panel.message.show_failure(describe_error(error))
        self._allow()

    def _ask_folder(self) -> None:
        before = "" if self.review is None else str(self.review.folder)
        folder = self._choose(self.panel, before)
        if folder is not None:
            self.open(folder)

    def _allow(self) -> None:
        panel, review = self.panel, self.review
        shown = review is not None and self.image.item is not None
        for button in (panel.accept, panel.reject):
            button.setEnabled(shown and not self.fixing)
        panel.fix.setEnabled(shown and self.image.labels is not None)
        panel.undo.setEnabled(bool(self._history) and not self.fixing)
        for button in (panel.previous, panel.next, panel.report):
            button.setEnabled(review is not None)
        panel.object.setEnabled(shown and panel.objects.count() > 0)
        counts = review.counts if review is not None else None
        for button in (panel.export, panel.improve):
            button.setEnabled(counts is not None and counts.accepted + counts.fixed > 0)

    def _on_theme(self, event: Any = None) -> None:
        self.panel.use_theme(get_theme(self._viewer.theme))

    def _accept(self) -> None:
        self.decide("accepted")

    def _reject(self) -> None:
        self.decide("rejected")

    def _connect(self) -> None:
        panel = self.panel
        panel.choose.clicked.connect(self._ask_folder)
        panel.show_box.currentIndexChanged.connect(self._show_list)
        panel.queue.chosen.connect(self._on_chosen)
        panel.objects.chosen.connect(self._on_object)
        panel.objects.deleted.connect(self._on_delete)
        panel.accept.clicked.connect(self._accept)
        panel.reject.clicked.connect(self._reject)
        panel.fix.clicked.connect(self.fix_or_save)
        panel.undo.clicked.connect(self.undo)
        panel.next.clicked.connect(self.go_on)
        panel.previous.clicked.connect(self.go_back)
        panel.object.clicked.connect(self.next_object)
        panel.report.clicked.connect(self.write_report)
        panel.export.clicked.connect(self.export)
        panel.improve.clicked.connect(self.improve)
        self.image.shown.connect(self._on_shown)
        self.image.failed.connect(self._on_unreadable)
        self.image.lost.connect(self._on_lost)
        self.work.failed.connect(self._on_failed)
        self._viewer.events.theme.connect(self._on_theme)

    def _bind_keys(self) -> None:
        keys: dict[str, Callable[[], object]] = {
            review_words.ACCEPT: self._accept,
            review_words.FIX: self.fix_or_save,
            review_words.REJECT: self._reject,
            review_words.UNDO: self.undo,
            review_words.NEXT: self.go_on,
            review_words.PREVIOUS: self.go_back,
            review_words.NEXT_OBJECT: self.next_object,
            review_words.PREVIOUS_OBJECT: self.previous_object,
        }
        for key, method in keys.items():
            self._bound[key] = press = _pressing(method)
            self._viewer.bind_key(key, press, overwrite=True)


def _pressing(method: Callable[[], object]) -> Callable[..., None]:
    """Return what a key of the viewer calls: a bound method, for as long as its object lives."""
    reference = WeakMethod(method)

    def press(viewer: object) -> None:
        alive = reference()
        if alive is not None:
            alive()

    return press


def _model_of(review: "Review") -> str:
    """Name the model that made most of the results."""
    models = Counter(str(item.record.decided_by.get("model", "")) for item in review.items)
    return models.most_common(1)[0][0] if models else ""


def _open(folder: Path, task: "Task[Review]") -> "Review":
    # Imports what reads result files, which takes a moment.
    from napari_unetseg.batch.folder_review import open_review

    return open_review(folder, progress=task.reports.progressed.emit, cancel=task.cancelled)
