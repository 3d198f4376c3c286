"""The contours of a result in the viewer: polygons or, where they are too many, pixels."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels, Layer, Shapes
from numpy.typing import NDArray

from napari_unetseg.language import tr
from napari_unetseg.layer_style import METADATA_KEY, OUTLINES_AS_LABELS
from napari_unetseg.plugin.layers.editing import LabelledRing, new_areas, rings_of
from napari_unetseg.plugin.layers.outline_changes import change_outlines, change_rings, part_of_layer
from napari_unetseg.postprocessing.layer_data import Outlines, Placement, outline_record

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_unetseg.plugin.layers.following import Followed

FAINT = 0.3
"""Share of its opacity that a layer keeps while what it shows is of before."""


class ShownContours:
    """What shows the contours of a result.

    Parameters
    ----------
    viewer
        Has the layers.
    placement
        Where their plane lies.
    find
        Gives the layer that was made for them: Shapes, or Labels if they were too many from the start; None if there is
        none.

    Attributes
    ----------
    rings
        What the Shapes layer shows, so far as nobody has drawn on it since.
    pixels
        The Labels layer that shows contours which have become too many for the Shapes layer; None if they never were.
    stale
        Whether they are of before.
    """

    def __init__(self, viewer: "ViewerModel", placement: Placement, find: Callable[[], Layer | None]) -> None:
        self.rings: list[LabelledRing] = []
        self.pixels: Labels | None = None
        self.stale = False
        self._viewer, self._placement, self._find = viewer, placement, find
        self._in_pixels = False
        self._opacity: float | None = None

    @property
    def seen(self) -> Layer | None:
        """The layer that shows them now."""
        layer = self.pixels if self._in_pixels else self._find()
        return layer if layer is not None and layer in self._viewer.layers else None

    @property
    def as_pixels(self) -> bool:
        """Whether they are shown as pixels."""
        return isinstance(self.seen, Labels)

    def read(self) -> list[LabelledRing]:
        """Read the rings off the Shapes layer, with what was drawn on it."""
        contours = self._find()
        return rings_of(contours, self._placement) if isinstance(contours, Shapes) else []

    def dim(self, stale: bool) -> None:
        """Show them faintly while they are of before; the user may still set their opacity."""
        contours = self.seen
        self.stale = stale
        if contours is None:
            return
        if stale and self._opacity is None:
            self._opacity = float(contours.opacity)
            contours.opacity = self._opacity * FAINT
        elif not stale and self._opacity is not None:
            if np.isclose(contours.opacity, self._opacity * FAINT):
                contours.opacity = self._opacity
            self._opacity = None

    def show(self, outlines: Outlines | NDArray[np.int32]) -> None:
        """Replace them all."""
        contours = self._find()
        if isinstance(contours, Labels):
            contours.data = outlines
            forget_history(contours)
        elif isinstance(contours, Shapes):
            self._show_beside(contours, outlines)
        self.rings = self.read()

    def change(self, followed: "Followed") -> None:
        """Replace those of the objects that were changed by hand."""
        contours = self.seen
        if isinstance(contours, Shapes) and followed.outlines is not None:
            change_outlines(contours, followed.changed, followed.outlines)
            self.rings = change_rings(self.rings, followed.changed, followed.outlines, self._placement)
        elif isinstance(contours, Labels) and followed.box is not None and followed.pixels is not None:
            contours.data[part_of_layer(followed.box, self._placement)] = self._placement.expand(followed.pixels)
            contours.refresh()

    def _show_beside(self, contours: Shapes, outlines: Outlines | NDArray[np.int32]) -> None:
        if isinstance(outlines, Outlines):
            # With their kind: napari would take over those of the shapes before, such as an ellipse that was drawn.
            contours.data = [(polygon, "polygon") for polygon in outlines.polygons]
            contours.features = outlines.features
            contours.metadata.update(outline_record(outlines.polygons, outlines.features))
            new_areas(contours)
            if self.pixels is not None and self._in_pixels:
                contours.visible, self.pixels.visible = self.pixels.visible, False
            self._in_pixels = False
            return
        # The Shapes layer stays, empty, since it may be needed again: napari 0.9.2 does not survive adding a layer
        # right after one with many shapes was removed, on software OpenGL.
        contours.data = []
        contours.features = {}
        if self.pixels is None or self.pixels not in self._viewer.layers:
            name = tr("{contours} (pixels)").format(contours=contours.name)
            self.pixels = Labels(outlines, name=name, **OUTLINES_AS_LABELS, **self._placement.transform)
            self.pixels.metadata[METADATA_KEY] = contours.metadata[METADATA_KEY]
            self._viewer.layers.insert(self._viewer.layers.index(contours) + 1, self.pixels)
        else:
            self.pixels.data = outlines
            forget_history(self.pixels)
        if not self._in_pixels:
            self.pixels.visible = contours.visible
        self._in_pixels = True


def forget_history(labels: Labels) -> None:
    """Drop what Undo and Redo would bring back, since it belongs to labels that are no longer there."""
    mode = labels.mode
    # This is how napari drops it: what cannot be edited has no history.
    labels.editable = False
    labels.editable = True
    labels.mode = mode
