"""What the dock of a review looks like: the list, the objects, and buttons that say their keys."""

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QProgressBar, QPushButton, QSplitter, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_unetseg.language import tr
from napari_unetseg.plugin.parts.messages import MessageArea
from napari_unetseg.plugin.review import review_words
from napari_unetseg.plugin.review.objects_view import ObjectsView
from napari_unetseg.plugin.review.queue_view import QueueView
from napari_unetseg.plugin.review.thumbnails import Thumbnails

if TYPE_CHECKING:
    from napari.utils.theme import Theme

    from napari_unetseg.batch.folder_review import ReviewCounts

_WIDTH = 330
_SPLIT = (440, 96)


class ReviewPanel(QWidget):
    """Rows of a review, without what they do.

    Attributes
    ----------
    closed
        The dock around it was closed for good.
    """

    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumWidth(_WIDTH)
        self.folder = QElidingLabel(tr(review_words.NO_FOLDER))
        self.choose = QPushButton(tr("Choose..."))
        self.bar = QProgressBar()
        self.counts = QLabel()
        self.show_box = QComboBox()
        self.thumbnails = Thumbnails(self)
        self.queue = QueueView(self.thumbnails)
        self.objects = ObjectsView()
        self.message = MessageArea()
        self.accept, self.fix, self.reject = (QPushButton() for _ in range(3))
        self.undo, self.previous, self.next, self.object = (QPushButton() for _ in range(4))
        self.report, self.export = QPushButton(tr("Report")), QPushButton(tr("Export..."))
        self.improve = QPushButton(tr("Improve the model..."))
        for name, words in review_words.FILTERS.items():
            self.show_box.addItem(tr(words), name)
        self.show_fixing(False)
        self._arrange()
        self._explain()

    def show_fixing(self, fixing: bool) -> None:
        """Name the buttons for looking at a result, or for correcting it."""
        _name(self.fix, tr("Save") if fixing else tr("Fix"), review_words.FIX)
        tip = review_words.SAVE_TIP if fixing else review_words.FIX_TIP
        self.fix.setToolTip(_with_key(tr(tip), review_words.FIX))

    def show_counts(self, counts: "ReviewCounts | None") -> None:
        """Show how far the review has come; None where there is none."""
        decided, total = (0, 0) if counts is None else (counts.total - counts.waiting, counts.total)
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(decided)
        self.bar.setFormat(review_words.progress(decided, total) if counts else "")
        self.counts.setText(review_words.short_counts(counts) if counts else "")
        said = (review_words.counts(counts),) if counts else ()
        self.counts.setToolTip("\n".join((*said, tr(review_words.PROGRESS_TIP))))

    def show_folder(self, folder: str) -> None:
        """Name the folder under review."""
        self.folder.setText(folder)
        self.folder.setToolTip(f"{tr(review_words.FOLDER_TIP)}\n{folder}")

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        self.queue.use_theme(theme)
        self.message.badge.use_theme(theme)

    def event(self, event: QEvent | None) -> bool:
        """Emit `closed` when the dock around this widget is closed for good."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.closed.emit()
        return bool(super().event(event))

    def _explain(self) -> None:
        keys = (
            (self.accept, tr("Accept"), review_words.ACCEPT_TIP, review_words.ACCEPT),
            (self.reject, tr("Reject"), review_words.REJECT_TIP, review_words.REJECT),
            (self.undo, tr("Undo"), review_words.UNDO_TIP, review_words.UNDO),
        )
        for button, text, tip, key in keys:
            _name(button, text, key)
            button.setToolTip(_with_key(tr(tip), key))
        moves = (
            (self.previous, tr("Back"), review_words.PREVIOUS_TIP, review_words.PREVIOUS),
            (self.next, tr("Next"), review_words.NEXT_TIP, review_words.NEXT),
            (self.object, tr("Next object"), review_words.OBJECT_TIP, review_words.NEXT_OBJECT),
        )
        for button, text, tip, key in moves:
            button.setText(text)
            button.setToolTip(_with_key(tr(tip), key))
        self.choose.setToolTip(tr(review_words.CHOOSE_TIP))
        self.show_box.setToolTip(tr(review_words.SHOW_TIP))
        self.bar.setToolTip(tr(review_words.PROGRESS_TIP))
        self.counts.setToolTip(tr(review_words.PROGRESS_TIP))
        self.report.setToolTip(tr(review_words.REPORT_TIP))
        self.export.setToolTip(tr(review_words.EXPORT_TIP))
        self.improve.setToolTip(tr(review_words.IMPROVE_TIP))
        self.folder.setToolTip(tr(review_words.FOLDER_TIP))
        for widget in (*self.findChildren(QPushButton), self.show_box):
            # A click leaves the keyboard to the list and the viewer, whose keys decide.
            widget.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def _arrange(self) -> None:
        self.folder.setElideMode(Qt.TextElideMode.ElideMiddle)
        self.bar.setAlignment(Qt.AlignmentFlag.AlignCenter)
        lists = QSplitter(Qt.Orientation.Vertical)
        lists.setChildrenCollapsible(False)
        lists.addWidget(self.queue)
        lists.addWidget(self.objects)
        lists.setSizes(_SPLIT)
        lists.setStretchFactor(0, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 6, 9, 6)
        column.setSpacing(6)
        column.addLayout(_row((self.folder, 1), (self.choose, 0)))
        column.addWidget(self.bar)
        column.addLayout(_row((self.counts, 1), (self.show_box, 0)))
        column.addWidget(lists, 1)
        column.addWidget(self.message)
        column.addWidget(self.message.buttons)
        column.addLayout(_row((self.accept, 1), (self.fix, 1), (self.reject, 1)))
        column.addLayout(_row((self.undo, 1), (self.previous, 1), (self.next, 1), (self.object, 1)))
        column.addLayout(_row((self.report, 0), (self.export, 0), (self.improve, 1)))
        for button in (self.accept, self.fix, self.reject):
            button.setMinimumHeight(30)


def _row(*widgets: tuple[QWidget, int]) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(4)
    for widget, stretch in widgets:
        row.addWidget(widget, stretch)
    return row


def _name(button: QPushButton, text: str, key: str) -> None:
    button.setText(f"{text} ({key})")


def _with_key(tip: str, key: str) -> str:
    """Add a key to a tooltip, as this system writes it."""
    # napari names two keys otherwise than Qt does.
    return f"{tip}\n{QKeySequence(key.replace('Page', 'Pg')).toString(QKeySequence.SequenceFormat.NativeText)}"
