"""Objects that are removed from the layers of a result, for as long as they can be brought back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Layer, Shapes
from numpy.typing import NDArray

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import Sentence
from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.layers.result_layers import ShownResult

if TYPE_CHECKING:
    import pandas as pd

Pixels = tuple[NDArray[np.intp], ...]
"""Indices of pixels, an array for each dimension, as NumPy takes them."""


def find_pixels(data: Any, labels: NDArray[np.integer]) -> Pixels:
    """Return where objects lie in an array of labels; slow for large ones."""
    return np.nonzero(np.isin(np.asarray(data), labels))


def outlines_of(labels: Labels, layers: Iterable[Layer], results: Iterable[ShownResult]) -> list[Layer]:
    """Return the layers that show the outlines of the result that a Labels layer belongs to.

    Parameters
    ----------
    labels
        The layer.
    layers
        Those to look through.
    results
        The results of the window. A copy of one of their layers has the same record and belongs to none of them; it
        goes with copies alone, as do layers of a result from a file with one another.
    """
    record = labels.metadata.get(METADATA_KEY)
    if record is None:
        return []
    owners = list(results)
    owner = next((result for result in owners if result.owns(labels)), None)
    others = [layer for layer in layers if layer is not labels and _may_be_outlines(layer)]
    if owner is not None:
        return [layer for layer in others if owner.owns(layer) and layer is not owner.layer("labels")]
    alike = [layer for layer in others if layer.metadata.get(METADATA_KEY) == record]
    return [layer for layer in alike if not any(result.owns(layer) for result in owners)]


def _may_be_outlines(layer: Layer) -> bool:
    """Tell outlines, drawn or in pixels, from labels, which have a table of their objects."""
    return isinstance(layer, Shapes) or (isinstance(layer, Labels) and "index" not in layer.features)


def check_removable(layer: Labels) -> None:
    """Refuse a layer whose pixels cannot be changed.

    Raises
    ------
    UnetsegError
        If its labels are no array in memory, or only to be read.
    """
    if layer.multiscale or not (isinstance(layer.data, np.ndarray) and layer.data.flags.writeable):
        raise UnetsegError(
            Sentence(
                "The labels of '{layer}' cannot be changed. Save the layer, open the file, and remove them there.",
                layer=layer.name,
            )
        )


@dataclass(eq=False)
class Removal:
    """Objects that were removed from a Labels layer, and what else went with them.

    Attributes
    ----------
    layer
        Had them. napari's undo brings their pixels back.
    features
        Its measurements before.
    removed
        Whether the objects are gone now.
    """

    layer: Labels
    features: "pd.DataFrame"
    labels: NDArray[np.integer]
    outlines: Sequence[Layer]
    pixels: Sequence[Pixels]
    removed: bool = False
    _probe: tuple[int, ...] = ()
    _kept: dict[Layer, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, layer: Labels, labels: NDArray[np.integer], outlines: Sequence[Layer], pixels: Sequence[Pixels]
    ) -> "Removal":
        """Remove objects.

        Parameters
        ----------
        layer, labels
            Where they are, and which.
        outlines
            Layers that show their outlines.
        pixels
            Where they lie in `layer` and, in their order, in those of `outlines` that are Labels.
        """
        removal = cls(layer, layer.features.copy(), labels, outlines, pixels)
        removal._probe = tuple(int(axis[0]) for axis in pixels[0])
        layer.data_setitem(pixels[0], 0)
        removal._hide()
        return removal

    def follow_undo(self) -> bool:
        """Show again what goes with objects that undo has brought back, or hide it where redo took them away.

        Returns
        -------
        bool
            Whether anything was shown or hidden.
        """
        there = bool(self.layer.data[self._probe])
        if there != self.removed:
            return False
        if there:
            self._show()
        else:
            self._hide()
        return True

    def _hide(self) -> None:
        self.removed = True
        pixels = iter(self.pixels[1:])
        for layer in self.outlines:
            if isinstance(layer, Labels):
                at = next(pixels)
                self._kept[layer] = at, layer.data[at].copy()
                layer.data[at] = 0
                layer.refresh()
            elif "label" in layer.features:
                self._kept[layer] = _take_out(layer, self.labels)
        self.layer.features = self.features[~self.features["index"].isin(self.labels)]

    def _show(self) -> None:
        self.removed = False
        for layer, kept in self._kept.items():
            if isinstance(layer, Labels):
                at, values = kept
                layer.data[at] = values
                layer.refresh()
            else:
                _put_back(layer, *kept)
        self.layer.features = self.features


def _take_out(layer: Shapes, labels: NDArray[np.integer]) -> tuple[list[NDArray[Any]], list[str], "pd.DataFrame"]:
    """Remove the outlines of objects; return their vertices, kinds and features."""
    rows = np.flatnonzero(layer.features["label"].isin(labels))
    taken = [layer.data[row] for row in rows], [layer.shape_type[row] for row in rows], layer.features.iloc[rows].copy()
    if rows.size:
        # Not an edit of the outlines: they follow the labels, as undo does.
        with layer.events.data.blocker():
            layer.selected_data = set(rows.tolist())
            layer.remove_selected()
    return taken


def _put_back(layer: Shapes, vertices: list[NDArray[Any]], kinds: list[str], features: "pd.DataFrame") -> None:
    """Add outlines that were taken out."""
    import pandas as pd

    if vertices:
        before = layer.features
        with layer.events.data.blocker():
            layer.add(vertices, shape_type=kinds)
        layer.features = pd.concat([before, features], ignore_index=True)
