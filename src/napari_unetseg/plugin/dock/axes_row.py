"""How the axes of the image are read, in a line that can be pressed, and the small window it opens."""

from collections.abc import Callable, Sequence

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QKeyEvent, QMouseEvent
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.layers.axes import OTHER, ROLES, LayerAxes, is_complete
from napari_unetseg.plugin.parts.form import ok_and_cancel

_LINE_TIP = mark(
    "How the image is read: axes, positions, pixel type, pixel size, size. Click to change what an axis is."
)
_EXPLANATION = mark("What each axis of the image is, by its length:")
_FAULT = mark("One axis must be Y and one X; T, Z and channel at most one each.")
_TITLES = {
    "T": mark("T: time"),
    "Z": mark("Z: depth"),
    "C": mark("channel"),
    "Y": mark("Y: rows"),
    "X": mark("X: columns"),
    OTHER: mark("other planes"),
}
_PRESSING = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)


class AxesLine(QElidingLabel):
    """One line of text that is pressed like a button, with the mouse or the keyboard."""

    pressed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setElideMode(Qt.TextElideMode.ElideRight)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setObjectName("UnetsegAxes")
        self.setStyleSheet("#UnetsegAxes:focus { text-decoration: underline; }")
        self.show_axes("")

    def show_axes(self, text: str) -> None:
        """Say how the axes are read."""
        self.setText(text)
        self.setToolTip(f"{tr(_LINE_TIP)}\n\n{text}".strip())

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Return the size of one line, with text or without, in the font of the window."""
        return QSize(super().sizeHint().width(), self.fontMetrics().height() + 2)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Return the least size at which it can be read."""
        return QSize(super().minimumSizeHint().width(), self.sizeHint().height())

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Press."""
        if self.isEnabled() and self.text():
            self.pressed.emit()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Press with Return and Space."""
        if event is not None and event.key() in _PRESSING and self.text():
            self.pressed.emit()
        else:
            super().keyPressEvent(event)


class AxesDialog(QDialog):
    """Ask what each axis is.

    Parameters
    ----------
    layer_axes
        How they are read now.
    lengths
        Of each axis.
    choose
        Called with the roles that were chosen, or with None to have them guessed.
    parent
        Owner.
    """

    def __init__(
        self,
        layer_axes: LayerAxes,
        lengths: Sequence[int],
        choose: Callable[[tuple[str, ...] | None], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Axes of the image"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._choose = choose
        self.boxes: list[QComboBox] = []
        self.fault = QLabel(tr(_FAULT))
        self.fault.setWordWrap(True)
        self.buttons = ok_and_cancel()
        self.guess = self.buttons.addButton(tr("Guess"), QDialogButtonBox.ButtonRole.ResetRole)
        grid = QGridLayout()
        grid.setColumnStretch(1, 1)
        for axis, (role, length) in enumerate(zip(layer_axes.roles, lengths, strict=True)):
            box = QComboBox()
            for known in ROLES:
                box.addItem(tr(_TITLES[known]), known)
            box.setCurrentIndex(ROLES.index(role))
            box.currentIndexChanged.connect(self._check)
            name = QLabel(tr("axis {number}: {length}").format(number=axis, length=length))
            name.setBuddy(box)
            grid.addWidget(name, axis, 0)
            grid.addWidget(box, axis, 1)
            self.boxes.append(box)
        column = QVBoxLayout(self)
        column.addWidget(QLabel(tr(_EXPLANATION)))
        column.addLayout(grid)
        column.addWidget(self.fault)
        column.addWidget(self.buttons)
        self.buttons.accepted.connect(self._accept)
        self.buttons.rejected.connect(self.reject)
        if self.guess is not None:
            self.guess.setToolTip(tr("Back to what the image's labels, its metadata and its shape suggest."))
            self.guess.clicked.connect(self._forget)
        self._check()

    def roles(self) -> tuple[str, ...]:
        """Return the role of each axis."""
        return tuple(str(box.currentData()) for box in self.boxes)

    def _check(self) -> None:
        complete = is_complete(self.roles())
        # Keeps its place while it has nothing to say.
        self.fault.setText("" if complete else tr(_FAULT))
        self.fault.setMinimumHeight(2 * self.fault.fontMetrics().lineSpacing())
        if (ok := self.buttons.button(QDialogButtonBox.StandardButton.Ok)) is not None:
            ok.setEnabled(complete)

    def _accept(self) -> None:
        self._choose(self.roles())
        self.accept()

    def _forget(self) -> None:
        self._choose(None)
        self.accept()
