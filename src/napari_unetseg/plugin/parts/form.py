"""The grid in which rows of labels and boxes stand, the same in every part of the window."""

from qtpy.QtWidgets import QGridLayout, QWidget

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
