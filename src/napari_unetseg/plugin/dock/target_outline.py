"""Shows on the canvas which image a run would be on."""

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget

from napari_unetseg.plugin.layers.napari_types import ImageLike

_LOOK = {"visible": True, "points": False, "line_color": "cyan", "line_thickness": 2.0}


class TargetOutline(QObject):
    """Draws napari's bounding box around images while the pointer is on one of some widgets, and never longer.

    Parameters
    ----------
    targets
        Gives the images.
    widgets
        Where the pointer has to be.
    parent
        Owner.
    """

    def __init__(
        self, targets: Callable[[], Sequence[ImageLike]], widgets: Sequence[QWidget], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._targets = targets
        self._before: list[tuple[Any, dict[str, Any]]] = []
        for widget in widgets:
            widget.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 (Qt's name)
        """Hear where the pointer is; nothing is kept from the widgets."""
        kind = None if event is None else event.type()
        if kind == QEvent.Type.Enter:
            self.show()
        elif kind in (QEvent.Type.Leave, QEvent.Type.Hide):
            self.hide()
        return False

    def show(self) -> None:
        """Outline the images that a run would be on now; a box that the user shows stays as it looks."""
        self.hide()
        for layer in self._targets():
            box = layer.bounding_box
            if not box.visible:
                self._before.append((box, {name: getattr(box, name) for name in _LOOK}))
                for name, value in _LOOK.items():
                    setattr(box, name, value)

    def hide(self) -> None:
        """Take the outlines away."""
        for box, look in self._before:
            for name, value in look.items():
                setattr(box, name, value)
        self._before = []
