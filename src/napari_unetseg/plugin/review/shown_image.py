"""The image under review in the viewer: with its labels, and a box around each doubtful object."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer, Shapes
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_unetseg.layer_style import EDGE_COLOUR
from napari_unetseg.plugin.layers.file_layers import FILE_KEY, read_layers
from napari_unetseg.plugin.layers.world import world_place
from napari_unetseg.plugin.workers.background import Task
from napari_unetseg.plugin.workers.latest_worker import LatestWorker

if TYPE_CHECKING:
    import napari.viewer

    from napari_unetseg.batch.doubt import DoubtfulObject
    from napari_unetseg.batch.folder_review import ReviewItem

_MOST_BOXES = 100
_BOX_MARGIN = 3  # pixels between an object and its box
_MISSING_COLOUR = "#40c4ff"  # of places where an object may be missing
_OBJECTS_ACROSS = 10  # as many times the width of an object fit into the canvas when it is shown
_EDITS = ("labels_update", "paint", "data")


class ShownImage(QObject):
    """Shows one image at a time, and reads the next one ahead, both in a worker.

    Parameters
    ----------
    viewer
        Gets the layers.
    parent
        Owner.

    Attributes
    ----------
    shown
        An image is there, with its labels.
    failed
        One could not be read: the image, and the exception.
    lost
        The labels on display were removed from the viewer by somebody else.
    """

    shown = Signal(object)
    failed = Signal(object, object)
    lost = Signal()

    def __init__(self, viewer: "napari.viewer.Viewer", parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._reader: LatestWorker[ReviewItem, list[Layer]] = LatestWorker(_prepare, 0, self)
        self._ahead: LatestWorker[ReviewItem, list[Layer]] = LatestWorker(_prepare, 0, self)
        self._next: ReviewItem | None = None
        self._kept: tuple[object, list[Layer]] | None = None
        self._layers: list[Layer] = []
        self._zoom = 1.0
        self.item: ReviewItem | None = None
        self.changed = False
        self._reader.answered.connect(self._add)
        self._reader.failed.connect(self.failed)
        self._ahead.answered.connect(self._keep)
        self._ahead.failed.connect(lambda item, error: None)  # told when it is its turn
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def busy(self) -> bool:
        """Whether an image is being read."""
        return self._reader.busy or self._ahead.busy

    @property
    def labels(self) -> Labels | None:
        """The labels on display; None if there are none."""
        found = [layer for layer in self._layers if isinstance(layer, Labels)]
        return found[0] if found and self.item is not None else None

    def show(self, item: "ReviewItem", following: "ReviewItem | None") -> None:
        """Show an image in place of the one before, and read the one that will follow."""
        self._reader.stop()
        self._next, self.item, self.changed = following, None, False
        if self._kept is not None and self._kept[0] == _identity(item):
            self._add(item, self._kept[1])
            return
        for layer in self._layers:
            layer.visible = False  # until the other one is read
        self._reader.ask(item, at_once=True)

    def clear(self) -> None:
        """Take the image on display out of the viewer."""
        self._reader.stop()
        layers, self._layers, self.item, self.changed = self._layers, [], None, False
        for layer in layers:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    def stop(self) -> None:
        """Take all away for good, but labels that were changed and not saved."""
        if self.changed:
            self._layers = []
        self.clear()
        self._ahead.stop()
        self._kept = None
        self._viewer.layers.events.removed.disconnect(self._on_removed)

    def allow_edits(self, allowed: bool) -> None:
        """Let the labels be painted on, or not."""
        labels = self.labels
        if labels is not None:
            if not allowed:
                labels.mode = "pan_zoom"
            labels.editable = allowed
            self._viewer.layers.selection.active = labels

    def saved(self, item: "ReviewItem") -> None:
        """Take the labels on display for those of the disk, as they were just written."""
        self.item, self.changed = item, False

    def remove_object(self, one: "DoubtfulObject") -> None:
        """Remove an object from the labels, as a step that napari can undo."""
        labels = self.labels
        if labels is None or not one.label:
            return
        top, left, bottom, right = one.bbox
        inside = np.asarray(labels.data[(*one.plane, slice(top, bottom), slice(left, right))]) == one.label
        rows, columns = np.nonzero(inside)
        if rows.size:
            plane = tuple(np.full(rows.size, index) for index in one.plane)
            labels.data_setitem((*plane, rows + top, columns + left), 0)

    def go_to(self, one: "DoubtfulObject") -> None:
        """Move the view to an object, near enough to judge its outline."""
        labels = self.labels
        if labels is None:
            return
        dims, (top, left, bottom, right) = self._viewer.dims, one.bbox
        middle = (*one.plane, (top + bottom - 1) / 2, (left + right - 1) / 2)
        world = world_place(labels, middle, dims)
        ends = [world_place(labels, (*one.plane, *corner), dims) for corner in ((top, left), (bottom, right))]
        whole = [world_place(labels, (*one.plane, *corner), dims) for corner in ((0, 0), labels.data.shape[-2:])]
        offset = dims.ndim - len(world)
        shown = [axis - offset for axis in dims.displayed if axis >= offset]
        for axis in set(range(len(world))) - set(shown):
            dims.set_point(axis + offset, world[axis])
        size, all_of_it = (float(np.abs(last - first).max()) for first, last in (ends, whole))
        camera = self._camera()
        camera.center = tuple(world[shown])
        camera.zoom = self._zoom * max(1.0, all_of_it / (_OBJECTS_ACROSS * max(size, all_of_it / 1000)))
        if one.label and not self.changed:
            labels.selected_label = one.label

    def show_all(self) -> None:
        """Show all of the image."""
        self._viewer.reset_view()
        self._zoom = float(self._camera().zoom)

    def _add(self, item: "ReviewItem", layers: list[Layer]) -> None:
        self._kept = None
        self._take_over(layers)
        self.item, self.changed = item, False
        labels = self.labels
        if labels is not None:
            labels.editable = False  # which forgets, too, what could be undone
            self._viewer.layers.selection.active = labels
        self.show_all()
        self.shown.emit(item)
        if self._next is not None:
            self._ahead.ask(self._next, at_once=True)

    def _take_over(self, layers: list[Layer]) -> None:
        """Give the layers that there are what the new ones show, which is several times as fast as to replace them.

        Those of another kind are replaced.
        """
        before = [layer for layer in self._layers if layer in self._viewer.layers]
        self._layers = []  # so that nothing below counts as the end of the labels
        own = []
        for place, layer in enumerate(layers):
            old = before[place] if place < len(before) else None
            if old is not None and _kind(old) == _kind(layer):
                _become(old, layer)
                own.append(old)
                continue
            if old is None:
                self._viewer.add_layer(layer)
            else:
                self._viewer.layers.insert(self._viewer.layers.index(old), layer)
                self._viewer.layers.remove(old)
            self._watch(layer)
            own.append(layer)
        for rest in before[len(layers) :]:
            rest.visible = False
        self._layers = [*own, *before[len(layers) :]]

    def _watch(self, layer: Layer) -> None:
        if isinstance(layer, Labels):
            for name in _EDITS:
                getattr(layer.events, name).connect(self._on_edit)

    def _keep(self, item: "ReviewItem", layers: list[Layer]) -> None:
        self._kept = (_identity(item), layers)

    def _on_edit(self, event: Any = None) -> None:
        labels = self.labels
        if labels is not None and labels.editable:
            self.changed = True

    def _on_removed(self, event: Any) -> None:
        layer = getattr(event.value, "__wrapped__", event.value)
        if any(layer is one for one in self._layers if isinstance(one, Labels)):
            self.clear()
            self.lost.emit()

    def _camera(self) -> Any:
        # napari has moved its camera to a scene in 0.9.
        return getattr(self._viewer, "scene", self._viewer).camera


def _kind(layer: Layer) -> object:
    return type(layer), layer.ndim, getattr(layer, "rgb", None)


def _become(layer: Layer, other: Layer) -> None:
    """Let a layer show what another one of its kind shows, as that one does but for its colours."""
    if isinstance(layer, Shapes):
        layer.data = []
        layer.add(other.data, shape_type="polygon", edge_color=other.edge_color, edge_width=other.edge_width)
    else:
        layer.data = other.data
    if isinstance(layer, ImageLayer) and not layer.rgb:
        layer.contrast_limits_range = other.contrast_limits_range
        layer.contrast_limits = other.contrast_limits
    if isinstance(layer, Labels):
        layer.features = other.features
        layer.selected_label = 1
    layer.scale, layer.units = other.scale, other.units
    layer.name, layer.metadata = other.name, other.metadata
    layer.visible = True


def _identity(item: "ReviewItem") -> object:
    return item.file, item.labels


def _prepare(item: "ReviewItem") -> Callable[[Task[list[Layer]]], list[Layer]]:
    return lambda _: review_layers(item)


def review_layers(item: "ReviewItem") -> list[Layer]:
    """Make the layers of an image under review; call it in a worker.

    Returns
    -------
    list of Layer
        The image, its labels, and where there are doubtful objects Shapes with a box around each of the first 100.

    Raises
    ------
    UnetsegError
        If a file cannot be read.
    """
    layers = read_layers(item.file, item.target, item.record.decided_by.get("reading", {}))
    labels = layers[-1]
    if isinstance(labels, Labels) and item.objects:
        layers.append(_boxes(item.objects[:_MOST_BOXES], labels, f"{item.file.stem} doubtful"))
    return layers


def _boxes(objects: Sequence["DoubtfulObject"], labels: Labels, name: str) -> Shapes:
    return Shapes(
        [_box(one) for one in objects],
        shape_type="polygon",
        name=name,
        edge_color=[EDGE_COLOUR if one.label else _MISSING_COLOUR for one in objects],
        face_color="transparent",
        edge_width=max(1.0, max(labels.data.shape[-2:]) / 400),
        opacity=0.9,
        scale=labels.scale,
        units=labels.units,
        metadata={FILE_KEY: f"{labels.metadata[FILE_KEY]}#doubtful"},
    )


def _box(one: "DoubtfulObject") -> NDArray[np.float64]:
    top, left, bottom, right = (edge - 0.5 for edge in one.bbox)
    top, left, bottom, right = top - _BOX_MARGIN, left - _BOX_MARGIN, bottom + _BOX_MARGIN, right + _BOX_MARGIN
    corners = [(top, left), (top, right), (bottom, right), (bottom, left)]
    return np.array([(*one.plane, *corner) for corner in corners], np.float64)
