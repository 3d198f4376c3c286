"""The dock's widget: two tabs with forms, what was interrupted, and how the run stands."""

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QSize, Signal
from qtpy.QtWidgets import QSizePolicy, QTabWidget, QVBoxLayout, QWidget

from napari_unetseg.language import tr
from napari_unetseg.plugin.learning import learning_words as words
from napari_unetseg.plugin.learning.improve_form import ImproveForm
from napari_unetseg.plugin.learning.interrupted_row import InterruptedRow
from napari_unetseg.plugin.learning.run_view import RunView
from napari_unetseg.plugin.learning.train_form import ChooseFolder, TrainForm, choose_folder
from napari_unetseg.plugin.parts.scrolling import ScrollingColumn

if TYPE_CHECKING:
    from napari.utils.theme import Theme

WIDTH = 350


class LearningPanel(QWidget):
    """Puts the parts together, and says when its dock was closed.

    Parameters
    ----------
    choose
        Asks for a folder.
    parent
        Owner.
    """

    closed = Signal()

    def __init__(self, choose: ChooseFolder = choose_folder, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.improve, self.train = ImproveForm(), TrainForm(choose)
        self.interrupted = InterruptedRow()
        self.run = RunView()
        self.tabs = _Tabs()
        self.tabs.addTab(self.improve, tr(words.IMPROVE))
        self.tabs.addTab(self.train, tr(words.TRAIN))
        self.setMinimumWidth(WIDTH)
        self._column = column = ScrollingColumn()
        for widget in (self.interrupted, self.tabs, self.run):
            column.rows.addWidget(widget)
        column.rows.addStretch(1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(column)

    def look_at_run(self) -> None:
        """Scroll to how the run stands."""
        self._column.ensureWidgetVisible(self.run)

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        self.run.use_theme(theme)
        self.train.table.use_theme(theme)

    def event(self, event: QEvent | None) -> bool:
        """Emit `closed` when the dock around this widget is closed for good."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.closed.emit()
        return bool(super().event(event))


class _Tabs(QTabWidget):
    """Tabs as high as the page that is shown, which may be much lower than the other."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.currentChanged.connect(self.updateGeometry)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Return the size that the page that is shown needs."""
        hint, shown = super().sizeHint(), self.currentWidget()
        pages = [page for at in range(self.count()) if (page := self.widget(at)) is not None]
        if shown is not None:
            tallest = max(page.sizeHint().height() for page in pages)
            hint.setHeight(hint.height() - tallest + shown.sizeHint().height())
        return hint

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Return the same: the column around it scrolls."""
        return QSize(super().minimumSizeHint().width(), self.sizeHint().height())
