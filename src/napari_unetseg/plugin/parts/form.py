"""The grid in which rows of labels and boxes stand, and the foot of small windows, the same everywhere."""

from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QDialogButtonBox, QGridLayout, QWidget

from napari_unetseg.language import tr

LABEL_WIDTH = 84
"""Least width of the column of labels in pixels, so that the boxes of all rows begin at one line."""


def form_grid(owner: QWidget | None, spacing: int) -> QGridLayout:
    """Make a grid of labels and boxes; the boxes take what width there is.

    Parameters
    ----------
    owner
        The widget that the grid fills; None where it becomes a part of another layout.
    spacing
        Pixels between rows.
    """
    grid = QGridLayout() if owner is None else QGridLayout(owner)
    if owner is not None:
        grid.setContentsMargins(0, 0, 0, 0)
    grid.setVerticalSpacing(spacing)
    grid.setColumnMinimumWidth(0, LABEL_WIDTH)
    grid.setColumnStretch(1, 1)
    return grid


def ok_and_cancel() -> QDialogButtonBox:
    """Make the two buttons of a small window, in plain words and without icons.

    Some styles draw a red cross and a green arrow there, which look like a verdict.
    """
    kinds = QDialogButtonBox.StandardButton
    buttons = QDialogButtonBox(kinds.Ok | kinds.Cancel)
    for kind, words in ((kinds.Ok, tr("OK")), (kinds.Cancel, tr("Cancel"))):
        if (button := buttons.button(kind)) is not None:
            button.setIcon(QIcon())
            button.setText(words)
    return buttons
