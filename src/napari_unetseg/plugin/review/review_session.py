"""What the buttons and keys of a review do."""

from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.theme import get_theme
from qtpy.QtCore import QObject, QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_unetseg.batch.places import short_name
from napari_unetseg.language import tr
from napari_unetseg.plugin.parts.words import describe_error
from napari_unetseg.plugin.review import review_words
from napari_unetseg.plugin.review.decisions import Decisions
from napari_unetseg.plugin.review.review_keys import ReviewKeys
from napari_unetseg.plugin.review.review_panel import ReviewPanel
from napari_unetseg.plugin.review.shown_image import ShownImage
from napari_unetseg.plugin.workers.background import Task
from napari_unetseg.plugin.workers.latest_worker import LatestWorker

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


class _State(Enum):
    """What the labels on display are for."""

    LOOKING = auto()
    FIXING = auto()
    SAVING = auto()


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
    settled
        This layer shows labels as they are on the disk.
    """

    improve_requested = Signal(str, str)
    settled = Signal(object)
    _looked_through = Signal(int, int)

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
        self.decisions = Decisions(self)
        self._state = _State.LOOKING
        self._opener: LatestWorker[Path, Review] = LatestWorker(self._prepare, 0, self)
        self._keys = ReviewKeys(viewer, self._methods())
        self._connect()
        self._on_theme()
        self._allow()
        panel.message.show_message(tr(review_words.NO_FOLDER))

    @property
    def busy(self) -> bool:
        """Whether anything is under way in the background."""
        work = self.decisions.work
        return self._opener.busy or work.busy or self.image.busy or self.panel.thumbnails.busy

    @property
    def review(self) -> "Review | None":
        """The review; None before a folder was opened."""
        return self.decisions.review

    @property
    def fixing(self) -> bool:
        """Whether the labels on display are being corrected."""
        return self._state is _State.FIXING

    def open(self, folder: Path) -> None:
        """Review the results of a folder, in place of another one."""
        if self._keep_corrections():
            return
        self.image.clear()
        self.decisions.begin(None)
        panel = self.panel
        panel.thumbnails.forget()
        panel.queue.queue.show_items([])
        panel.objects.show_objects([])
        panel.show_folder(str(folder))
        panel.show_counts(None)
        panel.bar.setRange(0, 0)
        panel.message.show_message(tr(review_words.OPENING))
        self._opener.ask(folder, at_once=True)
        self._allow()

    def decide(self, verdict: "Verdict") -> None:
        """Accept or reject the image on display, and go on to the next."""
        item = self.image.item
        if item is not None and self.panel.accept.isEnabled():
            self.decisions.decide(item, verdict)
            self._go_on(item)

    def fix_or_save(self) -> None:
        """Begin to correct the labels on display; save them if that has begun."""
        if not self.panel.fix.isEnabled():
            return
        if self.fixing:
            self.save()
        elif self.image.labels is not None:
            self._turn_to(_State.FIXING)
            discard = (tr("Discard"), tr(review_words.DISCARD_TIP), self.discard)
            self.panel.message.show_message(tr(review_words.FIXING), action=discard)

    def save(self) -> None:
        """Write the corrected labels, and go on to the next image."""
        item, labels = self.image.item, self.image.labels
        if item is None or labels is None or not self.fixing:
            return
        if not self.image.changed:
            self._turn_to(_State.LOOKING)
            self.panel.message.show_message(tr(review_words.UNCHANGED), "warning")
            return
        self._turn_to(_State.SAVING)
        self.panel.message.show_message(tr(review_words.SAVING).format(image=short_name(item.file)), "busy")
        self.decisions.correct(item, labels.data, self._on_saved, lambda: self._turn_to(_State.FIXING))

    def discard(self) -> None:
        """Show the labels as they are on the disk, and leave them so."""
        item = self.image.item
        if self.fixing and item is not None:
            self._turn_to(_State.LOOKING)
            self._show(item)

    def undo(self) -> None:
        """Take the last decision back, and go to its image."""
        if self.panel.undo.isEnabled():
            self.decisions.take_back(self._on_taken_back)
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
        if self.review is not None:
            self.panel.message.show_message(tr(review_words.REPORTING), "busy")
            self.decisions.write_report(self._on_report)

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
            folder, model = review.folder / TRAINING_SET, self.decisions.model()
            self._export(folder, lambda: self.improve_requested.emit(str(folder), model))

    def stop(self) -> None:
        """Take all away, but labels that were changed and not saved; what was decided is still written down."""
        self._keys.release()
        self._opener.stop()
        self.image.stop()
        self.panel.thumbnails.forget()
        self.decisions.stop()
        self._viewer.events.theme.disconnect(self._on_theme)

    def _export(self, folder: Path, done: Callable[[], object]) -> None:
        self.panel.message.show_message(tr(review_words.EXPORTING), "busy")

        def told(exported: "TrainingSet") -> None:
            self.panel.message.show_message(review_words.exported(exported), "warning" if exported.left_out else "good")
            self._show_counts()
            done()

        self.decisions.export(folder, told)

    def _on_report(self, file: Path) -> None:
        self.panel.message.show_message(tr("The report is {file}.").format(file=file), "good")
        self._show_counts()
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(file)))

    def _on_saved(self, item: "ReviewItem") -> None:
        self.panel.thumbnails.forget(item.file)
        self._turn_to(_State.LOOKING)
        if self.image.item is not None:
            self.image.saved(item)
            self._on_settled()
        self._go_on(item)
        self.panel.message.show_message(review_words.corrected(item), "good")

    def _on_settled(self, event: Any = None) -> None:
        if (labels := self.image.labels) is not None:
            self.settled.emit(labels)

    def _on_taken_back(self, item: "ReviewItem") -> None:
        self.panel.thumbnails.forget(item.file)
        if self.panel.queue.queue.row_of(item.file) is None:
            self.panel.show_box.setCurrentIndex(0)
        self.panel.queue.choose(item.file)
        self._show(item)

    def _go_on(self, item: "ReviewItem | None") -> None:
        """Go to the next image without a decision, in the order of the list; after its end from its beginning."""
        following = self.decisions.following(item)
        if following is None:
            self.panel.message.show_message(tr(review_words.ALL_DONE), "good")
            return
        self.panel.queue.choose(following.file)
        self._show(following)

    def _show(self, item: "ReviewItem") -> None:
        self.panel.objects.show_objects(item.objects)
        self.panel.message.show_message(review_words.reasons(item))
        self.image.show(item, self.decisions.following(item))
        self._allow()

    def _on_chosen(self, item: "ReviewItem") -> None:
        shown = self.image.item
        if shown is not None and item.file == shown.file:
            return
        if self._keep_corrections():
            self.panel.queue.choose(shown.file if shown is not None else None)
            return
        self._show(item)

    def _on_unreadable(self, item: "ReviewItem", error: Exception) -> None:
        self.panel.message.show_failure(describe_error(error))
        self._allow()

    def _on_lost(self) -> None:
        self._turn_to(_State.LOOKING)

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
        """Whether labels on display were changed and are not saved; then say so. An idle correction just ends."""
        item = self.image.item
        if self._state is _State.SAVING:
            return True
        if not self.fixing or item is None or not self.image.changed:
            self._turn_to(_State.LOOKING)
            return False
        self.panel.message.show_message(
            tr(review_words.SAVE_FIRST).format(image=short_name(item.file)),
            "warning",
            action=(tr("Discard"), tr(review_words.DISCARD_TIP), self.discard),
        )
        return True

    def _turn_to(self, state: _State) -> None:
        if state is not self._state:
            self._state = state
            self.image.allow_edits(state is _State.FIXING)
            self.panel.show_fixing(state is not _State.LOOKING)
        self._allow()

    def _show_changes(self, changed: "list[ReviewItem]") -> None:
        if self.review is None:
            return
        name = self.panel.show_box.currentData()
        if name == "all":
            for item in changed:
                self.panel.queue.queue.replace(item)
        else:
            self._show_list()
        self._show_counts()
        self._allow()
        shown, looking = self.image.item, self._state is _State.LOOKING
        for item in changed:
            # Somebody else corrected what is on display.
            if shown is not None and item.file == shown.file and item.labels != shown.labels and looking:
                self.panel.thumbnails.forget(item.file)
                self._show(item)

    def _show_counts(self) -> None:
        self.panel.show_counts(None if self.review is None else self.review.counts)

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

    def _prepare(self, folder: Path) -> "Callable[[Task[Review]], Review]":
        report = self._looked_through.emit
        return lambda task: _open(folder, report, task.cancelled)

    def _on_opened(self, folder: Path, review: "Review") -> None:
        self.decisions.begin(review)
        self.panel.show_folder(str(review.folder))
        self._show_counts()
        self._show_list()
        self._allow()
        if not review.items:
            self.panel.message.show_message(tr(review_words.NOTHING), "warning")
            return
        first = self.decisions.following(None)
        if first is None:
            self.panel.queue.choose(review.items[0].file)
            self._show(review.items[0])
            self.panel.message.show_message(tr(review_words.ALL_DONE), "good")
        else:
            self._go_on(None)
        if review.left_out:
            self.panel.message.show_message(review_words.left_out(review.left_out), "warning")

    def _on_not_opened(self, folder: Path, error: Exception) -> None:
        self._on_failed(error)

    def _on_failed(self, error: Exception) -> None:
        self._show_counts()
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
        looking = self._state is _State.LOOKING
        for button in (panel.accept, panel.reject):
            button.setEnabled(shown and looking)
        panel.fix.setEnabled(shown and self.image.labels is not None and self._state is not _State.SAVING)
        panel.undo.setEnabled(self.decisions.can_undo and looking)
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
        self._looked_through.connect(self._on_progress)
        self._opener.answered.connect(self._on_opened)
        self._opener.failed.connect(self._on_not_opened)
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
        self.decisions.changed.connect(self._show_changes)
        self.decisions.work.failed.connect(self._on_failed)
        self.decisions.work.progressed.connect(self._on_progress)
        self.image.shown.connect(self._on_settled)
        self.image.shown.connect(lambda item: self._allow())
        self.image.failed.connect(self._on_unreadable)
        self.image.lost.connect(self._on_lost)
        self._viewer.events.theme.connect(self._on_theme)

    def _methods(self) -> dict[str, Callable[[], object]]:
        return {
            review_words.ACCEPT: self._accept,
            review_words.FIX: self.fix_or_save,
            review_words.REJECT: self._reject,
            review_words.UNDO: self.undo,
            review_words.NEXT: self.go_on,
            review_words.PREVIOUS: self.go_back,
            review_words.NEXT_OBJECT: self.next_object,
            review_words.PREVIOUS_OBJECT: self.previous_object,
        }


def _open(folder: Path, report: Callable[[int, int], None], cancelled: Callable[[], bool]) -> "Review":
    # Imports what reads result files, which takes a moment.
    from napari_unetseg.batch.folder_review import open_review

    return open_review(folder, progress=report, cancel=cancelled)
