"""Clicks and lines on the canvas, whichever layer is active, while a tool is in hand."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_unetseg.plugin.fixing.drawn_line import DrawnLine, canvas_of

if TYPE_CHECKING:
    import napari.viewer

Place = tuple[float, ...]
"""A place in the world of a viewer, one number for each of its axes."""

STILL = 4.0
"""Pixels of the screen within which a mouse that is pressed has not been moved."""


class Gestures(QObject):
    """Hears of the mouse while it is listened to, and keeps what it tells from napari's camera.

    Parameters
    ----------
    viewer
        Has the canvas.
    parent
        Owner.

    Attributes
    ----------
    clicked
        With the place that was clicked on.
    drawn
        With the places of a line that was drawn, two or more.
    hovered
        With the place that the pointer is at.
    dragged
        The mouse was dragged where a click was awaited, or clicked where a line was.
    """

    clicked = Signal(object)
    drawn = Signal(object)
    hovered = Signal(object)
    dragged = Signal()

    def __init__(self, viewer: "napari.viewer.Viewer", parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._draws = False
        self._listening = False
        self._line: DrawnLine | None = None
        self._drag: Callable[[Any, Any], Iterator[None] | None] = self._on_press
        self._hover: Callable[[Any, Any], None] = self._on_move
        self._double: Callable[[Any, Any], None] = self._on_double_click
        self._set_aside: list[Any] = []
        self._broken_off = False

    def listen(self, draws: bool, window: QWidget) -> None:
        """Take clicks from now on, or lines.

        Parameters
        ----------
        draws
            Whether lines are awaited rather than clicks.
        window
            The main window of the viewer.
        """
        self._draws = draws
        if self._listening:
            return
        self._listening = True
        canvas = canvas_of(window)
        self._line = None if canvas is None else DrawnLine(canvas)
        self._viewer.mouse_drag_callbacks.append(self._drag)
        self._viewer.mouse_move_callbacks.append(self._hover)
        # The second of two quick clicks is one, too, and not for napari to zoom.
        double = self._viewer.mouse_double_click_callbacks
        self._set_aside, double[:] = list(double), [self._double]

    def stop(self) -> None:
        """Leave the mouse to napari."""
        if not self._listening:
            return
        self._listening = False
        self.break_off()
        self._viewer.mouse_drag_callbacks.remove(self._drag)
        self._viewer.mouse_move_callbacks.remove(self._hover)
        double = self._viewer.mouse_double_click_callbacks
        double[:] = [*self._set_aside, *(one for one in double if one != self._double)]
        if self._line is not None:
            self._line.deleteLater()
            self._line = None

    def break_off(self) -> bool:
        """Forget the line that is being drawn; tell whether there was one."""
        was = self._line is not None and self._line.isVisible()
        self._broken_off = True
        self._show([])
        return was

    def _on_press(self, viewer: Any, event: Any) -> Iterator[None] | None:
        if event.button != 1 or event.modifiers or not self._listening:
            return None
        return self._draw(event) if self._draws else self._click(event)

    def _click(self, event: Any) -> Iterator[None]:
        place, first = tuple(event.position), np.array(event.pos)
        far = False
        yield
        while event.type == "mouse_move":
            far |= bool(np.abs(np.array(event.pos) - first).max() > STILL)
            yield
        if not far:
            self.clicked.emit(place)

    def _draw(self, event: Any) -> Iterator[None]:
        camera = getattr(self._viewer, "scene", self._viewer).camera
        self._broken_off = False
        before, camera.mouse_pan = camera.mouse_pan, False
        places, points = [tuple(event.position)], [tuple(event.pos)]
        event.handled = True
        try:
            yield
            while event.type == "mouse_move":
                event.handled = True
                if not self._broken_off and tuple(event.pos) != points[-1]:
                    places.append(tuple(event.position))
                    points.append(tuple(event.pos))
                    self._show(points)
                yield
            places.append(tuple(event.position))
            points.append(tuple(event.pos))
        finally:
            camera.mouse_pan = before
            self._show([])
        if self._broken_off:
            return
        if np.ptp(np.array(points), axis=0).max() > STILL:
            self.drawn.emit(places)
        else:
            self.dragged.emit()

    def _on_move(self, viewer: Any, event: Any) -> None:
        self.hovered.emit(tuple(event.position))

    def _on_double_click(self, viewer: Any, event: Any) -> None:
        if event.button == 1 and not event.modifiers and not self._draws:
            self.clicked.emit(tuple(event.position))

    def _show(self, points: list[tuple[float, float]]) -> None:
        if self._line is not None:
            self._line.show_points([(x, y) for x, y, *_ in points])
