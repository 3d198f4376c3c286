"""Where the table stands, and what it has to do with the image."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np
from napari.layers import Labels, Shapes
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QMainWindow

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import tr
from napari_unetseg.layer_style import AXES_KEY, METADATA_KEY
from napari_unetseg.plugin.layers.result_layers import ShownResult
from napari_unetseg.plugin.layers.world import ViewerDims, own_place, world_place
from napari_unetseg.plugin.table.objects_table import ObjectTable
from napari_unetseg.plugin.table.removal import Pixels, Removal, check_removable, find_pixels, outlines_of
from napari_unetseg.plugin.workers.background import Task, start

if TYPE_CHECKING:
    import napari.viewer


class TableDock(QObject):
    """A table of objects below the image, as long as its box is ticked.

    It shows the selected result, or whichever measured Labels layer the user makes the active one. The objects of the
    selected rows are highlighted among the contours of their result, and those selected there select their rows. A
    double click on a row goes to its object, and a click on an object in the image selects its row.

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
        self._results: WeakSet[ShownResult] = WeakSet()
        self._search: Task[NDArray[np.float64] | None] | None = None
        self._removals: list[Removal] = []
        self._highlighting = False
        box.toggled.connect(self._show)
        self.table.closed.connect(self._on_closed)
        self.table.failed.connect(self.failed)
        self.table.centred.connect(self._centre)
        self.table.picked.connect(self._highlight)
        self.table.removal_requested.connect(self._remove)
        self.table.watch.undone.connect(self._on_undone)
        viewer.layers.selection.events.active.connect(self.follow_active)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)
        for layer in viewer.layers:
            self._watch(layer)

    def follow(self, result: ShownResult) -> None:
        """Show the objects of a result."""
        self._result = result
        self._results.add(result)
        labels = result.layer("labels")
        if isinstance(labels, Labels):
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
            self.follow_active()
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

    def follow_active(self, event: Any = None) -> None:
        """Show the objects of the active layer, if it has a table of them."""
        active = self._viewer.layers.selection.active
        # napari hands plugins proxies, which no layer is the same as.
        active = getattr(active, "__wrapped__", active)
        if isinstance(active, Labels) and "index" in active.features:
            self.table.follow(active)

    def _on_inserted(self, event: Any) -> None:
        self._watch(event.value)

    def _on_removed(self, event: Any) -> None:
        if event.value is self.table.layer:
            self.table.follow(None)
        self._removals = [removal for removal in self._removals if removal.layer is not event.value]

    def _watch(self, layer: Any) -> None:
        layer = getattr(layer, "__wrapped__", layer)
        if isinstance(layer, Labels):
            self.table.watch.watch(layer)
            layer.mouse_drag_callbacks.append(partial(pick, dims=self._viewer.dims))
            layer.events.selected_label.connect(self._on_object)
            layer.events.data.connect(self._on_replaced)
        elif isinstance(layer, Shapes):
            layer.events.highlight.connect(self._on_outlines)

    def _on_object(self, event: Any) -> None:
        layer, selected = event.source, [event.source.selected_label]
        labels = self.table.selected_labels() if layer is self.table.layer else np.empty(0, int)
        self._select_outlines(layer, labels if np.isin(selected, labels).all() else np.array(selected))

    def _highlight(self, labels: NDArray[np.integer]) -> None:
        if self.table.layer is not None:
            self._select_outlines(self.table.layer, labels)

    def _select_outlines(self, layer: Labels, labels: NDArray[np.integer]) -> None:
        """Select the outlines of objects, if their result has some, unless the user is just selecting them."""
        if self._highlighting:
            return
        with self._own_selection():
            for outlines in outlines_of(layer, self._viewer.layers, self._results):
                if isinstance(outlines, Shapes) and "label" in outlines.features:
                    rows = np.flatnonzero(outlines.features["label"].isin(labels))
                    outlines.selected_data = set(rows.tolist())

    def _on_outlines(self, event: Any) -> None:
        """Select the rows of the objects whose outlines the user has selected in the image."""
        outlines, layer = event.source, self.table.layer
        if self._highlighting or layer is None or not outlines.selected_data or "label" not in outlines.features:
            return
        if outlines_of(layer, [outlines], self._results):
            with self._own_selection():
                self.table.select(outlines.features["label"].to_numpy()[sorted(outlines.selected_data)])

    @contextmanager
    def _own_selection(self) -> Iterator[None]:
        self._highlighting = True
        try:
            yield
        finally:
            self._highlighting = False

    def _remove(self, labels: NDArray[np.integer]) -> None:
        """Find the pixels of objects in a worker, and remove them."""
        layer = self.table.layer
        if layer is None or not len(labels):
            return
        try:
            check_removable(layer)
        except UnetsegError as error:
            self.failed.emit(error)
            return
        outlines = outlines_of(layer, self._viewer.layers, self._results)
        arrays = [layer.data, *(one.data for one in outlines if isinstance(one, Labels))]

        def remove(pixels: list[Pixels]) -> None:
            # The layer may have got other labels meanwhile.
            if layer in self._viewer.layers and layer.data is arrays[0] and pixels[0][0].size:
                outdated = self.table.watch.is_outdated(layer)
                self._removals.append(Removal.of(layer, labels, outlines, pixels))
                self.table.watch.set_outdated(layer, outdated)

        start(
            Task(lambda _: [find_pixels(array, labels) for array in arrays]),
            returned=remove,
            errored=self.failed.emit,
            finished=lambda: None,
        )

    def _on_undone(self, layer: Labels) -> None:
        for removal in reversed(self._removals):
            if removal.layer is layer and removal.follow_undo():
                self.table.watch.set_outdated(layer, False)

    def _on_replaced(self, event: Any) -> None:
        """Forget what was removed from labels that are there no more."""
        self._removals = [removal for removal in self._removals if removal.layer is not event.source]

    def _centre(self, label: int, place: Mapping[str, int]) -> None:
        """Find an object in a worker, and go to its plane and place, at the zoom there is.

        Of labels that are not in memory the table says where it is: to look for it would be to read them all.
        """
        layer = self.table.layer
        if layer is None:
            return
        if self._search is not None:
            self._search.quit()
        data, plane = layer.data, plane_of(layer, place)
        if layer.multiscale:
            self._look_at(layer, measured_middle(layer, label, place))
            return
        self._search = Task(lambda _: middle_of(data, label, plane))
        start(
            self._search,
            returned=lambda middle: self._look_at(layer, middle),
            errored=self.failed.emit,
            finished=lambda: None,
        )

    def _look_at(self, layer: Labels, middle: NDArray[np.float64] | None) -> None:
        if middle is None or layer not in self._viewer.layers:
            return
        world = world_place(layer, middle, self._viewer.dims)
        dims = self._viewer.dims
        offset = dims.ndim - len(world)
        shown = [axis - offset for axis in dims.displayed]
        for axis in set(range(len(world))) - set(shown):
            dims.set_point(axis + offset, world[axis])
        # napari has moved its camera to a scene in 0.9.
        getattr(self._viewer, "scene", self._viewer).camera.center = tuple(world[shown])


def plane_of(layer: Labels, place: Mapping[str, int]) -> dict[int, int]:
    """Return the index of a row's plane by axis of the layer, from that by letters.

    Axes of which the layer does not say what they mean are those before the plane, in their order.
    """
    roles = [str(role).lower() for role in layer.metadata.get(METADATA_KEY, {}).get(AXES_KEY, ())]
    if len(roles) != layer.ndim or not set(place) <= set(roles):
        roles = [*place, *("" for _ in range(layer.ndim - len(place)))]
    return {roles.index(letter): index for letter, index in place.items()} if len(place) <= layer.ndim - 2 else {}


def measured_middle(layer: Labels, label: int, place: Mapping[str, int]) -> NDArray[np.float64] | None:
    """Return the position of an object's centre as it was measured, (ndim,); None where it was not.

    Parameters
    ----------
    layer
        Labels, (..., Y, X), from the first pixel of which positions are counted.
    label
        The object.
    place
        The plane of its row, by letter; empty where there is a row for each object.
    """
    table = layer.features
    if not {"index", "centroid_y_px", "centroid_x_px", *place} <= set(table.columns):
        return None
    rows = table["index"] == label
    for letter, index in place.items():
        rows &= table[letter] == index
    if not rows.any():
        return None
    plane, row = plane_of(layer, place), table[rows].iloc[0]
    first = [float(plane.get(axis, 0)) for axis in range(layer.ndim - 2)]
    return np.array([*first, row["centroid_y_px"], row["centroid_x_px"]], np.float64)


def middle_of(data: Any, label: int, plane: Mapping[int, int] = MappingProxyType({})) -> NDArray[np.float64] | None:
    """Return the mean position of an object's pixels, (ndim,), or None if it has none; slow for large arrays.

    Parameters
    ----------
    data
        Labels, (..., Y, X).
    label
        The object.
    plane
        Index by axis of the part that is looked at; all is where it is empty.
    """
    key = tuple(slice(plane[axis], plane[axis] + 1) if axis in plane else slice(None) for axis in range(data.ndim))
    places = np.argwhere(np.asarray(data[key]) == label)
    first = np.array([plane.get(axis, 0) for axis in range(data.ndim)])
    return places.mean(axis=0) + first if len(places) else None


def pick(layer: Labels, event: Any, *, dims: ViewerDims) -> Iterator[None]:
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
    # A layer takes any place for one in its own units.
    place = own_place(layer, event.position, dims)
    value = layer.get_value(place, view_direction=event.view_direction, dims_displayed=event.dims_displayed, world=True)
    if isinstance(value, tuple):  # of a multiscale layer, after the level that is shown
        value = value[1]
    if value:
        layer.selected_label = int(value)
