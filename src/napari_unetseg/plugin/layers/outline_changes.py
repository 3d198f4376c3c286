"""The contours of a few objects among those of many others, which are too many to be drawn anew."""

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Shapes
from numpy.typing import NDArray

from napari_unetseg.layer_style import OUTLINES_KEY
from napari_unetseg.plugin.layers.editing import LabelledRing, new_areas, rings_among
from napari_unetseg.postprocessing.layer_data import Outlines, Placement, outline_record

if TYPE_CHECKING:
    from napari_unetseg.plugin.layers.following import Box


def change_outlines(layer: Shapes, changed: NDArray[np.integer], outlines: Outlines) -> None:
    """Replace the outlines of objects by others; what is selected among the other outlines stays selected.

    Parameters
    ----------
    layer
        Contours, each with its label among the features.
    changed
        Labels whose outlines go.
    outlines
        Those that come.
    """
    import pandas as pd

    rows = np.flatnonzero(layer.features["label"].isin(changed)) if "label" in layer.features else np.empty(0, int)
    stays = np.setdiff1d(np.arange(len(layer.data)), rows)
    selected = set(np.flatnonzero(np.isin(stays, list(layer.selected_data))).tolist())
    before = layer.features.iloc[stays]
    with layer.events.data.blocker(), layer.events.highlight.blocker():
        if rows.size:
            layer.selected_data = set(rows.tolist())
            layer.remove_selected()
        if outlines.polygons:
            layer.add(outlines.polygons, shape_type="polygon")
        tables = [table for table in (before, outlines.features) if len(table)]
        layer.features = pd.concat(tables, ignore_index=True) if tables else before
    layer.selected_data = selected
    _record(layer, changed, outlines)
    new_areas(layer)


def change_rings(
    rings: list[LabelledRing], changed: NDArray[np.integer], outlines: Outlines, placement: Placement
) -> list[LabelledRing]:
    """Return the rings that a layer shows after `change_outlines`."""
    gone = set(changed.tolist())
    return [(label, ring) for label, ring in rings if label not in gone] + rings_among(outlines, placement)


def part_of_layer(box: "Box", placement: Placement) -> tuple[Any, ...]:
    """Return where a part of a plane is among the dimensions of its layer, with all of them."""
    spans = dict(zip(placement.plane_axes, box, strict=True))
    return tuple(spans.get(axis, slice(0, 1)) for axis in range(placement.ndim))


def _record(layer: Shapes, changed: NDArray[np.integer], outlines: Outlines) -> None:
    """Keep the record of which outlines were measured, as `outline_record` makes it of all."""
    known = layer.metadata.get(OUTLINES_KEY)
    fresh = outline_record(outlines.polygons, outlines.features).get(OUTLINES_KEY, known)
    if known is None or fresh is None:
        return
    gone = set(changed.tolist())
    sums = {label: total for label, total in known["outlines"].items() if label not in gone}
    layer.metadata[OUTLINES_KEY] = {"columns": fresh["columns"], "outlines": sums | fresh["outlines"]}
