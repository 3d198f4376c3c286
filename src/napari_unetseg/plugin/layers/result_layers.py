"""The layers of one run in the viewer, and what may still be done to them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Layer, Shapes
from numpy.typing import NDArray

from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.layers.editing import Drawing, new_areas
from napari_unetseg.plugin.layers.fix_record import FIXES_KEY, FixRecord
from napari_unetseg.plugin.layers.following import Followed, with_changed
from napari_unetseg.plugin.layers.outline_changes import part_of_layer
from napari_unetseg.plugin.layers.outputs import fresh_names, result_metadata
from napari_unetseg.plugin.layers.plane import Plane
from napari_unetseg.plugin.layers.shown_contours import ShownContours, forget_history
from napari_unetseg.postprocessing.layer_data import OUTPUTS, Outlines, Output

if TYPE_CHECKING:
    import pandas as pd
    from napari.components import ViewerModel

    from napari_unetseg.postprocessing.fixes import Fix, Patch
    from napari_unetseg.service import Segmentation

EDITED_KEY = "edited_objects"
"""Under which a record has how many objects were edited, drawn or deleted by hand; 1 for any number in a stack."""


class ShownResult:
    """Result layers that follow the sliders; objects that were edited by hand stay as they are.

    A layer the user removed is not made again unless it is wanted again. A copy of a layer does not belong to the
    result, though its metadata say the same.

    Parameters
    ----------
    viewer
        Gets the layers; existing ones keep their names and data.
    plane
        What was segmented.
    layers
        New layers by output, in the order they are stacked.
    labels
        What the layers show: int32, (Y, X) or a stack of planes. It must not be the array of the Labels layer, on
        which users paint.
    on_edit
        Called with the name of a layer when somebody changed it by hand.
    fixes
        What was fixed already, as by a run that is repeated.

    Attributes
    ----------
    edited
        Name of the layer that was changed by hand since it was last shown, if any.
    serial
        Goes up with every change by hand, undoing included.
    wanted
        Outputs of which layers are to be made.
    on_touch
        Called after every change by hand, undoing included.
    on_outputs
        Called after a layer was shown or hidden.
    on_history
        Called after anything happened to the labels that may be undone, undoing included.
    fixes
        What was fixed by clicks.
    follows
        Whether contours and table follow edits by hand at once, rather than when that is asked for.
    """

    def __init__(
        self,
        viewer: "ViewerModel",
        plane: Plane,
        layers: Mapping[Output, Layer],
        labels: NDArray[np.int32],
        on_edit: Callable[[str], None] = lambda name: None,
        fixes: "Sequence[Fix]" = (),
    ) -> None:
        self.plane = plane
        self.edited: str | None = None
        self.serial = 0
        self.wanted: set[Output] = set()
        self.on_touch: Callable[[], None] = lambda: None
        self.on_outputs: Callable[[], None] = lambda: None
        self.on_history: Callable[[], None] = lambda: None
        self.fixes = FixRecord(fixes)
        self.follows = False
        self._viewer = viewer
        self._layers: dict[Output, Layer] = {}
        self._put_away: set[Output] = set()
        self._shown = self._described = labels
        self._followed: int | None = None
        self._whole = plane.placement.expand(labels).shape
        self._on_edit = on_edit
        self._painted = self._redrawn = False
        self._updating = False
        self._contours = ShownContours(viewer, plane.placement, lambda: self.layer("contours"))
        self._names = fresh_names(plane.name, OUTPUTS, {str(layer.name) for layer in viewer.layers})
        for output, layer in layers.items():
            self.add(output, layer)
        if "labels" in layers:
            # The status bar tells what the pointer is on for the active layer only.
            viewer.layers.selection.active = layers["labels"]

    def add(self, output: Output, layer: Layer) -> None:
        """Add the layer of an output to the viewer; labels go below contours."""
        layer.name = self._names[output]
        for other in self.layers[:1]:
            layer.metadata[METADATA_KEY] = other.metadata.get(METADATA_KEY, {})
        self._layers[output] = layer
        self.wanted.discard(output)
        self._put_away.discard(output)
        contours = self.layer("contours")
        active = self._viewer.layers.selection.active
        self._viewer.add_layer(layer)
        if output != "contours" and contours is not None:
            layers = self._viewer.layers
            layers.move(layers.index(layer), layers.index(contours))
            layers.selection.active = active
        layer.events.visible.connect(self._on_visible)
        if output == "labels" or isinstance(layer, Shapes):
            layer.events.data.connect(self._note_edit)
        if output == "labels":
            layer.events.paint.connect(self._note_edit)
            # A stroke of the brush is told of when it ends; undoing by nothing but that the layer is drawn anew.
            layer.events.labels_update.connect(self._note_stroke)
            layer.events.set_data.connect(self._note_undo)
        if isinstance(layer, Shapes):
            new_areas(layer)
            self._contours.rings = self._contours.read()

    @property
    def refuses(self) -> str | None:
        """Name of the layer whose edits by hand would be lost by new labels: one of a stack."""
        return self.edited if self._shown.ndim > 2 else None

    def layer(self, output: Output) -> Layer | None:
        """Return the layer of an output, if there was one and it still is in the viewer."""
        layer = self._layers.get(output)
        return layer if layer is not None and layer in self._viewer.layers else None

    @property
    def layers(self) -> list[Layer]:
        """All layers of the result that still are in the viewer."""
        pixels = self._contours.pixels
        every = [*self._layers.values(), *([] if pixels is None else [pixels])]
        return [layer for layer in every if layer in self._viewer.layers]

    @property
    def name(self) -> str:
        """What to call the result by: the name of its labels or, without these, of another layer."""
        layers = self.layers
        labels = self.layer("labels")
        return str((labels or layers[0]).name) if layers else self.plane.name

    def owns(self, layer: Layer | None) -> bool:
        """Whether a layer is one of the result, and no copy of it."""
        own = unwrapped(layer)
        return own is not None and any(own is unwrapped(one) for one in (*self._layers.values(), self._contours.pixels))

    def has(self, output: Output) -> bool:
        """Whether there is a layer of an output that was not put away, be it hidden for a while."""
        layer = self.layer(output)
        return layer is not None and (output not in self._put_away or any(one.visible for one in self._seen(output)))

    def put_away(self, output: Output) -> None:
        """Hide the layer of an output; what was drawn on it is not lost."""
        self.wanted.discard(output)
        self._put_away.add(output)
        for layer in self._seen(output):
            layer.visible = False

    def bring_back(self, output: Output) -> bool:
        """Show the layer of an output again; False if there is none."""
        self._put_away.discard(output)
        for layer in self._seen(output):
            layer.visible = True
        return self.layer(output) is not None

    def hide(self) -> None:
        """Hide all layers, as the eye of the layer list does."""
        for layer in self.layers:
            layer.visible = False

    def remove_if_empty(self) -> None:
        """Take the layers away again where they show no object and nobody drew one, to make room for the next try."""
        if self.edited is None and not self._shown.any():
            for layer in self.layers:
                self._viewer.layers.remove(layer)

    def drawing(self) -> Drawing | None:
        """Take a picture of what was changed by hand since the layers were last shown; None if nothing was."""
        if self.edited is None:
            return None
        labels, contours = self.layer("labels"), self.layer("contours")
        painted = self._collapse(labels.data) if self._painted and labels is not None else None
        redrawn = self._redrawn and isinstance(contours, Shapes)
        now = self._contours.read() if redrawn else None
        return Drawing(self._shown, painted, self._contours.rings, now, self.fixes.objects)

    @property
    def as_it_is(self) -> NDArray[np.integer] | None:
        """The plane (Y, X) of the Labels layer now, a view on which somebody may paint; None if the layer is gone."""
        labels = self.layer("labels")
        return None if labels is None else self._plane_of(labels.data)

    @property
    def features(self) -> "pd.DataFrame | None":
        """Measurements of `described`; None if there are none."""
        labels = self.layer("labels")
        return labels.features if labels is not None and "bbox_min_y_px" in labels.features else None

    @property
    def described(self) -> NDArray[np.int32]:
        """The labels, int32 (Y, X), of which measurements and contours are."""
        return self._described

    def describe_again(self) -> None:
        """Take contours and table for those of the labels before edits by hand: a new layer came, which shows these."""
        self._described, self._followed = self._shown, None

    @property
    def in_line(self) -> bool:
        """Whether labels, contours and table show the same objects."""
        return self.edited is None or self._followed == self.serial

    def fix(self, fix: "Fix", patch: "Patch") -> None:
        """Change the labels as a fix does: one step of the layer's own undo.

        Parameters
        ----------
        fix
            What was done.
        patch
            What it changes, found on the labels as they are.
        """
        labels = self.layer("labels")
        if not isinstance(labels, Labels):
            return
        at = part_of_layer((patch.rows, patch.columns), self.plane.placement)
        after = self.plane.placement.expand(patch.after)
        different = np.nonzero(labels.data[at] != after)
        pixels = tuple(axis + span.start for axis, span in zip(different, at, strict=True))
        self.follows = True
        before = self.serial
        labels.data_setitem(pixels, after[different])
        if self.serial != before:
            self.fixes.add(fix, labels, patch.objects)
            self._record_fixes()

    def on_removed(self, layer: Layer | None) -> None:
        """Forget what only a layer had that somebody removed."""
        if layer is not None and unwrapped(layer) is unwrapped(self._layers.get("labels")):
            self.fixes.forget()
            self._record_fixes()

    def dim(self, stale: bool) -> None:
        """Show the contours faintly while they are of before; the user may still set their opacity."""
        self._contours.dim(stale)

    def show_labels(self, segmentation: "Segmentation", data: NDArray[np.int32], edited: int = 0) -> None:
        """Replace the labels; measurements of the old ones go until `show_details`.

        Parameters
        ----------
        segmentation
            The new result.
        data
            A copy of its labels for the layer, with the dimensions of the layer.
        edited
            How many of its objects were edited, drawn or deleted by hand.
        """
        with self._own_change():
            for layer in self.layers:
                layer.metadata[METADATA_KEY] = result_metadata(segmentation, self.plane)
            self.count_edited(edited)
            labels = self.layer("labels")
            if labels is not None:
                labels.data = data
                labels.features = {}
                if self._painted:
                    forget_history(labels)
        self.fixes.settle()
        self._record_fixes()
        self._shown = self._described = segmentation.labels
        self.edited, self._painted, self._redrawn = None, False, False

    def count_edited(self, count: int) -> None:
        """Record on every layer how many objects were edited, drawn or deleted by hand."""
        self._record(EDITED_KEY, count)

    def show_details(self, features: "pd.DataFrame", outlines: Outlines | NDArray[np.int32]) -> None:
        """Replace the measurements and the contours; where they are pixels, a Labels layer shows them."""
        labels = self.layer("labels")
        self.dim(False)
        with self._own_change():
            if labels is not None:
                labels.features = features
            self._contours.show(outlines)

    def show_followed(self, followed: Followed, serial: int) -> None:
        """Replace the measurements and contours of objects that were changed by hand.

        Parameters
        ----------
        followed
            What they are now.
        serial
            `serial` when the labels were read for it.
        """
        labels = self.layer("labels")
        if followed.changed.size:
            with self._own_change():
                if labels is not None:
                    labels.features = with_changed(labels.features, followed)
                self._contours.change(followed)
        self._described, self._followed = followed.labels, serial

    @property
    def contours_are_pixels(self) -> bool:
        """Whether contours are shown as pixels, since they are too many."""
        return self._contours.as_pixels

    def _seen(self, output: Output) -> list[Layer]:
        """Return what shows an output: contours may be pixels for a while."""
        layer = self._contours.seen if output == "contours" else self.layer(output)
        return [] if layer is None else [layer]

    def _collapse(self, data: NDArray[np.integer]) -> NDArray[np.int32]:
        """Copy the plane (Y, X) of a layer's data."""
        return np.array(self._plane_of(data), dtype=np.int32)

    def _plane_of(self, data: NDArray[np.integer]) -> NDArray[np.integer]:
        axes = self.plane.placement.plane_axes
        return data[tuple(slice(None) if axis in axes else 0 for axis in range(data.ndim))]

    def _note_edit(self, event: Any) -> None:
        # Contours of before are replaced in a moment; what is drawn on them until then has no object to belong to.
        if self._updating or (self._contours.stale and isinstance(event.source, Shapes)):
            return
        if isinstance(event.source, Labels) and event.source.data.shape != self._whole:
            self._let_go_of_labels(event.source)
            return
        self._on_touched(event)
        self._on_edit(str(event.source.name))

    def _let_go_of_labels(self, layer: Labels) -> None:
        """Leave a layer that somebody gave pixels which are no labels of this plane to them."""
        events = layer.events
        for emitter in (events.data, events.paint):
            emitter.disconnect(self._note_edit)
        events.labels_update.disconnect(self._note_stroke)
        events.set_data.disconnect(self._note_undo)
        events.visible.disconnect(self._on_visible)
        del self._layers["labels"]
        layer.metadata[METADATA_KEY] = {**layer.metadata.get(METADATA_KEY, {}), EDITED_KEY: 1}
        self.on_outputs()

    def _note_stroke(self, event: Any) -> None:
        if not self._updating:
            self._on_touched(event)

    def _note_undo(self, event: Any) -> None:
        # Without an edit since the labels were shown there is nothing to undo.
        if self.edited is not None and not self._updating:
            self.serial += 1
            self._follow_history(event.source)
            self.on_touch()

    def _on_touched(self, event: Any) -> None:
        self._painted |= isinstance(event.source, Labels)
        self._redrawn |= isinstance(event.source, Shapes)
        self.serial += 1
        self.edited = str(event.source.name)
        if not any(EDITED_KEY in layer.metadata.get(METADATA_KEY, {}) for layer in self.layers):
            self.count_edited(1)  # until they are counted, which those of a stack are not
        if isinstance(event.source, Labels):
            self._follow_history(event.source)
        self.on_touch()

    def _follow_history(self, labels: Labels) -> None:
        """Find out which fixes are undone or made again."""
        if self.fixes.follow(labels):
            self._record_fixes()
        self.on_history()

    def _record_fixes(self) -> None:
        """Record on every layer what was fixed by clicks."""
        self._record(FIXES_KEY, [fix.model_dump(mode="json") for fix in self.fixes.fixes])
        self.on_history()

    def _record(self, key: str, value: Any) -> None:
        """Write on every layer what is true of the result; what is nothing is left out."""
        for layer in self.layers:
            # Never in place: a copy of the layer has the same record.
            known = layer.metadata.get(METADATA_KEY, {})
            record = {name: known[name] for name in known if name != key}
            layer.metadata[METADATA_KEY] = record | ({key: value} if value else {})

    def _on_visible(self, event: Any) -> None:
        self._put_away = {output for output in self._put_away if not any(one.visible for one in self._seen(output))}
        self.on_outputs()

    @contextmanager
    def _own_change(self) -> Iterator[None]:
        self._updating = True
        try:
            yield
        finally:
            self._updating = False


def unwrapped(layer: Layer | None) -> Layer | None:
    """Return a layer itself: napari hands plugins proxies, which no layer is the same as."""
    return getattr(layer, "__wrapped__", layer)


def lies_over(one: Plane, other: Plane) -> bool:
    """Whether what was segmented of two planes covers, in part, the same pixels of one image."""
    if unwrapped(one.source) is not unwrapped(other.source):
        return False
    if any(other.index.get(axis, at) != at for axis, at in one.index.items()):
        return False
    if one.region is None or other.region is None or one.placement.plane_axes != other.placement.plane_axes:
        return True
    pairs = zip(one.region, other.region, strict=True)
    return all(first[0] < second[1] and second[0] < first[1] for first, second in pairs)
