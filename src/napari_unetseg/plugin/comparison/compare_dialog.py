"""The window of a comparison: which model, and what came of it."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QPoint, Qt, Signal
from qtpy.QtGui import QCloseEvent, QColor, QPixmap
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_unetseg.language import grouped, tr
from napari_unetseg.plugin.comparison import comparison_words as words
from napari_unetseg.plugin.comparison.comparison_job import Compared
from napari_unetseg.plugin.comparison.comparison_words import KINDS
from napari_unetseg.plugin.parts.card_text import model_title
from napari_unetseg.plugin.parts.form import form_grid
from napari_unetseg.plugin.parts.messages import MessageArea
from napari_unetseg.postprocessing.label_differences import Difference
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari.utils.theme import Theme

_WIDTH = 324
_SWATCH = 14
_TOP = 24  # pixels below the top of the main window
_NOTHING = "\N{EN DASH}"


class CompareDialog(QDialog):
    """Asks for the second model and shows figures. Closing the window cancels what runs.

    Attributes
    ----------
    compare_requested, cancel_requested
        A button was pressed.
    beside_changed
        With whether layers shall lie side by side.
    next_requested
        With the kind of difference of which a place is to be shown.
    """

    compare_requested = Signal()
    cancel_requested = Signal()
    beside_changed = Signal(bool)
    next_requested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr(words.TITLE))
        self.first = QLabel()
        self.model, self.settings, self.truth = QComboBox(), QComboBox(), QComboBox()
        self.compare, self.cancel = QPushButton(tr("Compare")), QPushButton(tr("Cancel"))
        self.bar = QProgressBar()
        self.beside = QCheckBox(tr(words.BESIDE))
        self.message = MessageArea()
        self.figures: dict[str, tuple[QLabel, QLabel]] = {}
        self.agreement = QLabel(_NOTHING)
        self.counts: dict[Difference, QLabel] = {}
        self.next: dict[Difference, QPushButton] = {}
        self._titles = QLabel(), QLabel()
        self._arrange()
        self.compare.clicked.connect(self.compare_requested)
        self.cancel.clicked.connect(self.cancel_requested)
        self.beside.toggled.connect(self.beside_changed)
        self.model.activated.connect(lambda _: self._clear())

    def offer(self, packages: Sequence[ModelPackage], preferred: int) -> None:
        """Offer models; the one that is chosen stays so if it is among them."""
        before = self.package()
        names = [package.path for package in packages]
        self.model.clear()
        for package in packages:
            self.model.addItem(model_title(package.card), package)
        at = names.index(before.path) if before is not None and before.path in names else preferred
        self.model.setCurrentIndex(at)

    def offer_truth(self, layers: Sequence[Any], preferred: Any) -> None:
        """Offer layers of true objects; what is chosen stays so if it is among them."""
        before = self.truth.currentData()
        self.truth.clear()
        self.truth.addItem(tr(words.NO_TRUTH), None)
        for layer in layers:
            self.truth.addItem(str(layer.name), layer)
        chosen = before if before in layers else preferred
        self.truth.setCurrentIndex(0 if chosen is None else 1 + list(layers).index(chosen))

    def package(self) -> ModelPackage | None:
        """Return the second model; None if there is none."""
        package = self.model.currentData()
        return package if isinstance(package, ModelPackage) else None

    def show_first(self, title: str, *, possible: bool) -> None:
        """Say what the first result is."""
        self.first.setText(title)
        self.first.setToolTip(title)
        self.compare.setEnabled(possible)

    def show_running(self, running: bool) -> None:
        """Lock the choices during a run."""
        for box in (self.model, self.settings, self.truth, self.compare):
            box.setEnabled(not running)
        self.cancel.setEnabled(running)
        self.bar.setRange(0, 0 if running else 1)
        self.bar.reset()

    def show_progress(self, done: int, total: int) -> None:
        """Show how far the run is."""
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    def show_compared(self, first: str, compared: Compared) -> None:
        """Show the figures of a comparison."""
        found = compared.differences
        for label, title in zip(self._titles, (first, tr(compared.job.package.card.display_name)), strict=True):
            label.setText(title)
        scores = compared.scores or (None, None)
        texts = {
            "objects": [grouped(found.first), grouped(found.second)],
            "ap50": [_figure(None if score is None else score.average_precision) for score in scores],
            "dice": [_figure(None if score is None else score.dice) for score in scores],
        }
        for name, pair in texts.items():
            for label, text in zip(self.figures[name], pair, strict=True):
                label.setText(text)
        self.agreement.setText(_figure(found.average_precision))
        for kind, label in self.counts.items():
            label.setText(grouped(found.counts[kind]))
            self.next[kind].setEnabled(bool(compared.places[kind]))

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        self.message.badge.use_theme(theme)

    def show_beside(self, window: QWidget) -> None:
        """Show this at the left of a window, rather than over the canvas in its middle."""
        if not self.isVisible():
            self.move(window.mapToGlobal(QPoint(0, _TOP)))
        self.show()
        self.raise_()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Cancel what runs."""
        self.cancel_requested.emit()
        super().closeEvent(event)

    def reject(self) -> None:
        """Close, as the Escape key asks."""
        self.cancel_requested.emit()
        super().reject()

    def _clear(self) -> None:
        """Show no figures: they would be those of another model."""
        every = [*self._titles, self.agreement, *self.counts.values(), *sum(self.figures.values(), ())]
        for label in every:
            label.setText(_NOTHING)
        for button in self.next.values():
            button.setEnabled(False)

    def _arrange(self) -> None:
        explanation = QLabel(tr(words.EXPLANATION))
        for label in (explanation, self.first):
            label.setWordWrap(True)
        self.settings.addItem(tr(words.OWN_SETTINGS), False)
        self.settings.addItem(tr(words.FIRST_SETTINGS), True)
        self.truth.addItem(tr(words.NO_TRUTH), None)
        tips: dict[QWidget, str] = {
            self.model: words.MODEL_TIP,
            self.settings: words.SETTINGS_TIP,
            self.truth: words.TRUTH_TIP,
        }
        tips |= {self.compare: words.COMPARE_TIP, self.cancel: words.CANCEL_TIP, self.beside: words.BESIDE_TIP}
        for widget, tip in tips.items():
            widget.setToolTip(tr(tip))
        self.beside.setChecked(True)
        form = form_grid(None, 4)
        boxes = {tr("Second model"): self.model, tr("Its settings"): self.settings, tr("True objects"): self.truth}
        form.addWidget(QLabel(tr("First")), 0, 0)
        form.addWidget(self.first, 0, 1)
        for row, (title, box) in enumerate(boxes.items(), 1):
            label = QLabel(title)
            label.setBuddy(box)
            label.setToolTip(box.toolTip())
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            form.addWidget(label, row, 0)
            form.addWidget(box, row, 1)
        buttons = QHBoxLayout()
        buttons.addWidget(self.bar, 1)
        for button in (self.compare, self.cancel):
            button.setAutoDefault(False)
            buttons.addWidget(button)
        self.bar.setTextVisible(False)
        column = QVBoxLayout(self)
        column.setSpacing(8)
        column.addWidget(explanation)
        column.addLayout(form)
        column.addLayout(buttons)
        column.addLayout(self._figure_rows())
        column.addSpacing(4)
        column.addLayout(self._kind_rows())
        column.addWidget(self.beside)
        last = QHBoxLayout()
        last.addWidget(self.message, 1)
        last.addWidget(self.message.buttons)
        column.addLayout(last)
        column.addStretch(1)
        self.resize(_WIDTH, self.sizeHint().height())
        self.show_running(False)
        self._clear()

    def _figure_rows(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setColumnStretch(0, 1)
        for column, label in enumerate(self._titles, 1):
            label.setAlignment(Qt.AlignmentFlag.AlignRight)
            grid.addWidget(label, 0, column)
        rows = {
            "objects": (tr("Objects"), tr("How many objects each result has.")),
            "ap50": ("AP@0.5", tr(words.AP_TIP)),
            "dice": ("Dice", tr(words.DICE_TIP)),
        }
        for row, (name, (words_of_row, tip)) in enumerate(rows.items(), 1):
            self.figures[name] = QLabel(), QLabel()
            for column, label in enumerate((QLabel(words_of_row), *self.figures[name])):
                label.setToolTip(tip)
                if column:
                    label.setAlignment(Qt.AlignmentFlag.AlignRight)
                grid.addWidget(label, row, column)
        title = QLabel(tr(words.AGREEMENT))
        self.agreement.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        for label in (title, self.agreement):
            label.setToolTip(tr(words.AGREEMENT_TIP))
        grid.addWidget(title, 4, 0)
        grid.addWidget(self.agreement, 4, 1, 1, 2)
        return grid

    def _kind_rows(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setVerticalSpacing(2)
        grid.setHorizontalSpacing(8)
        grid.setColumnStretch(1, 1)
        for row, (kind, look) in enumerate(KINDS.items()):
            swatch, count, button = QLabel(), QLabel(), QPushButton(tr(words.NEXT))
            patch = QPixmap(_SWATCH, _SWATCH)
            patch.fill(QColor(look.colour))
            swatch.setPixmap(patch)
            button.setAutoDefault(False)
            button.setToolTip(tr(words.NEXT_TIP))
            button.clicked.connect(partial(self.next_requested.emit, kind))
            title = QLabel(tr(look.words))
            count.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            for column, widget in enumerate((swatch, title, count, button)):
                if widget is not button:
                    widget.setToolTip(tr(look.tip))
                grid.addWidget(widget, row, column)
            self.counts[kind], self.next[kind] = count, button
        return grid


def _figure(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.2f}"
