"""The row that says what a run is on."""

from collections.abc import Callable

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QWidget

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.layers.run_areas import TIPS, TITLES, RunOn

_TIP = mark("What is segmented: the plane on display, all planes, a part of the plane, several layers, or files.")
_ALLOWED_ROLE = 255  # flags of a row of Qt's own model: 0 greys it out, None is the default


class RunOnBox(QComboBox):
    """A combo box whose rows are greyed, with the reason in their tooltip, where they do not apply.

    The last row is a command: it opens the section for folders and leaves the choice as it was. Only the open
    list gives it: wheel and arrow keys stop before it.

    Parameters
    ----------
    parent
        Owner.
    """

    chosen = Signal()
    folder_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setToolTip(tr(_TIP))
        self._why_not: Callable[[RunOn], str | None] = lambda choice: None
        self._before = 0
        for choice in RunOn:
            if choice is RunOn.FOLDER:
                self.insertSeparator(self.count())
            self.addItem(tr(TITLES[choice]), choice)
        self._allow(self.count() - 1, False, tr(TIPS[RunOn.FOLDER]))
        self.currentIndexChanged.connect(self._on_changed)
        self.activated.connect(self._on_activated)

    def choice(self) -> RunOn:
        """Return what is chosen; never the command."""
        return RunOn(self.currentData())

    def choose(self, choice: RunOn) -> None:
        """Choose a row, whether or not it applies now."""
        self.setCurrentIndex(self._row_of(choice))

    def refresh(self, why_not: Callable[[RunOn], str | None]) -> None:
        """Grey what does not apply, now and whenever the list is opened.

        Parameters
        ----------
        why_not
            Says why a choice does not apply; None where it does.
        """
        self._why_not = why_not
        for choice in RunOn:
            if choice is not RunOn.FOLDER:
                reason = why_not(choice)
                self._allow(self._row_of(choice), reason is None, reason or tr(TIPS[choice]))

    def showPopup(self) -> None:  # noqa: N802 (Qt's name)
        """Open the list, as things are now; the command can be given there."""
        self._before = self.currentIndex()
        self.refresh(self._why_not)
        self._allow(self.count() - 1, True, tr(TIPS[RunOn.FOLDER]))
        super().showPopup()

    def hidePopup(self) -> None:  # noqa: N802 (Qt's name)
        """Close the list."""
        super().hidePopup()
        self._allow(self.count() - 1, False, tr(TIPS[RunOn.FOLDER]))

    def _row_of(self, choice: RunOn) -> int:
        # Not findData: Qt keeps strings of an enumeration as plain strings.
        return next(row for row in range(self.count()) if self.itemData(row) == choice)

    def _allow(self, row: int, allowed: bool, tip: str) -> None:
        self.setItemData(row, None if allowed else 0, _ALLOWED_ROLE)
        self.setItemData(row, tip, Qt.ItemDataRole.ToolTipRole)

    def _on_changed(self, row: int) -> None:
        if row != self.count() - 1:
            self.chosen.emit()

    def _on_activated(self, row: int) -> None:
        if row == self.count() - 1:
            self.setCurrentIndex(self._before)
            self.folder_requested.emit()
