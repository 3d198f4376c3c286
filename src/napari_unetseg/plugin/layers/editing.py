"""From what a user drew on the layers of a result to edits that stay when its objects are found again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.io.contour_file import ellipse, without_closing_vertex
from napari_unetseg.language import mark
from napari_unetseg.plugin.layers.napari_types import ShapesLike
from napari_unetseg.postprocessing.edits import DrawnRing, Edits, changed_rings, draw_rings
from napari_unetseg.postprocessing.layer_data import Outlines, Placement

if TYPE_CHECKING:
    import pandas as pd

    from napari_unetseg.service import Segmentation

EDITED = mark("You changed '{layer}' by hand. What you drew stays when you move the sliders.")
UPDATE_TIP = mark("Brings labels, contours and table in line with what you drew.")

LabelledRing = tuple[int, DrawnRing]


@dataclass(frozen=True, eq=False)
class Drawing:
    """The layers of a result as a user left them.

    Attributes
    ----------
    shown
        int32 (Y, X): the labels that the layers showed before.
    labels
        (Y, X): the Labels layer now; None if nobody painted on it.
    before, now
        Rings of the contours before and now; `now` is None if nobody changed them.
    fixed
        Labels that were fixed by clicks.
    """

    shown: NDArray[np.int32]
    labels: NDArray[np.integer] | None
    before: Sequence[LabelledRing]
    now: Sequence[LabelledRing] | None
    fixed: Sequence[int] = ()


def merge_edits(edits: Edits | None, drawing: Drawing) -> Edits | None:
    """Add what was drawn to the edits there are; None if there is no edit at all. Call it in a worker.

    Where both layers were changed, contours lie on labels.
    """
    shown = drawing.shown
    if drawing.labels is not None:
        edits = (edits or Edits.none(shown.shape)).note(shown, drawing.labels, fixed=drawing.fixed)
        shown = drawing.labels.astype(np.int32)
    if drawing.now is not None:
        changed = changed_rings(drawing.before, drawing.now, int(shown.max(initial=0)))
        outlines = {label: rings for label, rings in changed.items() if rings}
        edits = (edits or Edits.none(shown.shape)).note(shown, draw_rings(shown, changed), outlines)
    return edits


def rings_of(layer: ShapesLike, placement: Placement) -> list[LabelledRing]:
    """Read the areas of a Shapes layer of contours, in pixels of their planes; lines and paths are no areas."""
    return [(label, ring) for _, label, ring in areas_of(layer, placement)]


def rings_among(outlines: Outlines, placement: Placement) -> list[LabelledRing]:
    """Read what a layer has of outlines that are given to it as `rings_of` would."""
    found = []
    rows = zip(outlines.polygons, outlines.features["label"], outlines.features["ring"], strict=True)
    for polygon, label, kind in rows:
        # napari keeps single precision.
        ring = without_closing_vertex(np.asarray(polygon, np.float32).astype(float)[:, list(placement.plane_axes)])
        if ring is not None:
            found.append((int(label), DrawnRing(ring, kind == "hole")))
    return found


def areas_of(layer: ShapesLike, placement: Placement) -> list[tuple[int, int, DrawnRing]]:
    """Return position, label and ring of each shape that is an area; label 0 where it has none."""
    import pandas as pd

    features = layer.features
    count = len(layer.data)
    labels = features["label"] if "label" in features else pd.Series(np.zeros(count, int))
    kinds = features["ring"] if "ring" in features else pd.Series(["exterior"] * count)
    found = []
    rows = enumerate(zip(layer.data, layer.shape_type, labels, kinds, strict=True))
    for row, (vertices, shape, label, kind) in rows:
        points = np.asarray(vertices, dtype=np.float64)[:, list(placement.plane_axes)]
        if shape not in ("polygon", "rectangle", "ellipse"):
            continue
        ring = without_closing_vertex(ellipse(points) if shape == "ellipse" else points)
        if ring is not None:
            found.append((row, 0 if pd.isna(label) else int(label), DrawnRing(ring, kind == "hole")))
    return found


def new_areas(layer: ShapesLike) -> None:
    """See to it that what is drawn from now on has no label yet, rather than that of the last outline."""
    known = {"label": 0, "ring": "exterior", "area": 0, "confidence": np.nan}
    if set(layer.features.columns) <= set(known):
        layer.feature_defaults = {name: known[name] for name in layer.features.columns}


def with_drawn(traced: Outlines, edits: Edits, names: Mapping[int, int], placement: Placement) -> Outlines:
    """Show objects that were drawn as outlines by those very outlines, instead of along the edges of their pixels.

    Parameters
    ----------
    traced
        Outlines of all objects.
    edits
        What was drawn.
    names
        Which label each edited object has.
    placement
        Where the plane lies.
    """
    import pandas as pd

    drawn = {names[number]: rings for number, rings in edits.outlines.items() if number in names}
    if not drawn:
        return traced
    stays = ~traced.features["label"].isin(list(drawn)).to_numpy()
    polygons = [polygon for polygon, stay in zip(traced.polygons, stays, strict=True) if stay]
    rows = traced.features.drop_duplicates("label").set_index("label", drop=False)
    tables = [traced.features[stays]]
    for label, rings in drawn.items():
        polygons += [placement.vertices(ring.vertices) for ring in rings]
        repeated = pd.concat([rows.loc[[label]]] * len(rings))
        tables.append(repeated.assign(ring=["hole" if ring.is_hole else "exterior" for ring in rings]))
    return Outlines(polygons, pd.concat(tables, ignore_index=True))


def mark_edited(features: "pd.DataFrame", labels: Sequence[int]) -> "pd.DataFrame":
    """Say in a column which objects were edited by hand, if any were."""
    return features.assign(edited=features["index"].isin(labels)) if labels else features


def can_edit(segmentation: "Segmentation") -> bool:
    """Whether edits of a result are kept: of one plane, not of a stack."""
    return segmentation.labels.ndim == 2
