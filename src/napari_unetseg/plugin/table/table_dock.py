"""Where the table stands, and what it has to do with the image."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Shapes
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QMainWindow

from napari_unetseg.language import tr
from napari_unetseg.plugin.layers.result_layers import ShownResult
from napari_unetseg.plugin.table.objects_table import ObjectTable
from napari_unetseg.plugin.workers.background import Task, start

if TYPE_CHECKING:
    import napari.viewer


class TableDock(QObject):
    """A table of objects below the image, as long as its box is ticked.

    It shows the last result, or whichever measured Labels layer the user makes the active one. The object of the
    selected row is highlighted among the contours of the result, a double click on a row goes there, and a click on
    an object in the image selects its row.

    Parameters
    ----------
    viewer
        Where the table is docked.
    box
        Opens and closes it.
    parent
        Owner.
    """

    failed = Signal(object)

    def __init__(self, viewer: "napari.viewer.Viewer", box: QCheckBox, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.table = ObjectTable()
        self._viewer = viewer
        self._box = box
        self._dock: Any = None
        self._result: ShownResult | None = None
        self._search: Task[NDArray[np.float64] | None] | None = None
        box.toggled.connect(self._show)
        self.table.closed.connect(self._on_closed)
        self.table.failed.connect(self.failed)
        self.table.centred.connect(self._centre)
        viewer.layers.selection.events.active.connect(self._on_active)

    def follow(self, result: ShownResult) -> None:
        """Show the objects of a result."""
        self._result = result
        labels = result.layer("labels")
        if isinstance(labels, Labels):
            if pick not in labels.mouse_drag_callbacks:
                labels.mouse_drag_callbacks.append(pick)
            labels.events.selected_label.connect(self._highlight)
            self.table.follow(labels)

    def set_stale(self, stale: bool) -> None:
        """Grey the table out while its result is on its way to new labels."""
        if self._result is not None and self.table.layer is self._result.layer("labels"):
            self.table.set_stale(stale)

    def close(self) -> None:
        """Take the table away."""
        self._box.setChecked(False)

    def _show(self, wanted: bool) -> None:
        if wanted and self._dock is None:
            self._on_active()
            self._dock = self._viewer.window.add_dock_widget(self.table, name=tr("Objects"), area="bottom")
            self.table.show()
            window = self.table.window()
            if isinstance(window, QMainWindow):
                # Below the image alone: columns at the side keep their height, and the window needs no more of it.
                window.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        elif not wanted and self._dock is not None:
            self._dock = None
            self._viewer.window.remove_dock_widget(self.table)

    def _on_closed(self) -> None:
        """Untick the box when the dock is closed by its own button."""
        if self._dock is not None:
            self._dock = None
            self._box.setChecked(False)

    def _on_active(self, event: Any = None) -> None:
        active = self._viewer.layers.selection.active
        # napari hands plugins proxies, which no layer is the same as.
        active = getattr(active, "__wrapped__", active)
        if isinstance(active, Labels) and "index" in active.features:
            self.table.follow(active)

    def _highlight(self, event: Any) -> None:
        """Select the outlines of an object, if its result has some."""
        contours = self._result.layer("contours") if self._result is not None else None
        if not isinstance(contours, Shapes) or event.source is not self._result_labels():
            return
        if "label" in contours.features:
            rows = np.flatnonzero(contours.features["label"].to_numpy() == event.source.selected_label)
            contours.selected_data = set(rows.tolist())

    def _result_labels(self) -> Any:
        return self._result.layer("labels") if self._result is not None else None

    def _centre(self, label: int) -> None:
        """Find an object in a worker, and go to its plane and place, at the zoom there is."""
        layer = self.table.layer
        if layer is None:
            return
        if self._search is not None:
            self._search.quit()
        data = layer.data
        self._search = Task(lambda _: middle_of(data, label))
        start(
            self._search,
            returned=lambda middle: self._look_at(layer, middle),
            errored=self.failed.emit,
            finished=lambda: None,
        )

    def _look_at(self, layer: Labels, middle: NDArray[np.float64] | None) -> None:
        if middle is None or layer not in self._viewer.layers:
            return
        world = np.asarray(layer.data_to_world(middle))
        dims = self._viewer.dims
        offset = dims.ndim - len(world)
        shown = [axis - offset for axis in dims.displayed]
        for axis in set(range(len(world))) - set(shown):
            dims.set_point(axis + offset, world[axis])
        # napari has moved its camera to a scene in 0.9.
        getattr(self._viewer, "scene", self._viewer).camera.center = tuple(world[shown])


def middle_of(data: Any, label: int) -> NDArray[np.float64] | None:
    """Return the mean position of an object's pixels, (ndim,), or None if it has none; slow for large arrays."""
    places = np.argwhere(np.asarray(data) == label)
    return places.mean(axis=0) if len(places) else None


def pick(layer: Labels, event: Any) -> Iterator[None]:
    """Select the object that is clicked on, unless the mouse is dragged or has a tool; a napari mouse callback."""
    if layer.mode != "pan_zoom":
        return
    dragged = False
    yield
    while event.type == "mouse_move":
        dragged = True
        yield
    if dragged:
        return
    value = layer.get_value(
        event.position, view_direction=event.view_direction, dims_displayed=event.dims_displayed, world=True
    )
    if value:
        layer.selected_label = int(value)
