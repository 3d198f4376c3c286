"""From a segmentation to layers: their data, names and looks."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from napari_unetseg.plugin.layers.plane import Placement, Plane
from napari_unetseg.postprocessing.blocks import strips
from napari_unetseg.postprocessing.numbering import object_sizes
from napari_unetseg.postprocessing.stacks import planes_of

if TYPE_CHECKING:
    import pandas as pd

    from napari_unetseg.service import Segmentation

Output = Literal["labels", "contours", "confidence", "agreement"]
OUTPUTS: tuple[Output, ...] = ("labels", "contours", "confidence", "agreement")
METADATA_KEY = "napari_unetseg"

# Adding 5,000 outlines costs the window 0.4 s, 20,000 cost it seconds and a slow canvas ever after.
MAX_CONTOURS = 5000
# Readable on black fluorescence, white brightfield and pink histology, and by colour-blind eyes.
EDGE_COLOUR = "#ff8c1a"

LayerData = tuple[Any, dict[str, Any], str]


@dataclass(frozen=True)
class Outlines:
    """What a Shapes layer of contours shows: one polygon a ring.

    Attributes
    ----------
    polygons
        float64 (N, ndim) vertices in the coordinates of the layer.
    features
        One row a polygon: label, ring (``"exterior"`` or ``"hole"``), area in pixels of the object in this plane,
        and mean confidence of the whole object.
    """

    polygons: list[NDArray[np.float64]]
    features: "pd.DataFrame"


def outlines(segmentation: "Segmentation", placement: Placement) -> Outlines | None:
    """Trace the contours of a segmentation; None if they are more than a Shapes layer can show."""
    import pandas as pd

    areas = {index: object_sizes(plane) for index, plane in planes_of(segmentation.labels)}
    # There is a ring at least for each object of each plane, which is known sooner than the rings.
    if sum(np.count_nonzero(counts[1:]) for counts in areas.values()) > MAX_CONTOURS:
        return None
    rings = [
        (contour.label, kind, ring, index)
        for index, contours in segmentation.plane_contours.items()
        for contour in contours
        for kind, ring in [("exterior", contour.exterior), *(("hole", hole) for hole in contour.holes)]
    ]
    if len(rings) > MAX_CONTOURS:
        return None
    labels = np.array([label for label, _, _, _ in rings], dtype=int)
    features = pd.DataFrame(
        {
            "label": labels,
            # Without the type, pandas takes a column without rows for numbers.
            "ring": pd.Series([kind for _, kind, _, _ in rings], dtype=str),
            "area": np.array([areas[index][label] for label, _, _, index in rings], dtype=int),
        }
    )
    if segmentation.confidence is not None:
        features["confidence"] = segmentation.confidence.objects[labels - 1]
    return Outlines([placement.vertices(ring, index) for _, _, ring, index in rings], features)


def outline_labels(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Keep of every object the pixels that touch another one or the background in their plane, int32 (..., Y, X)."""
    edges = np.empty_like(labels)
    for index, plane in planes_of(labels):
        # In strips, each with a row more on either side: all at once would take three times the memory of the labels.
        for rows in strips(plane.shape):
            first = max(rows.start - 1, 0)
            seen = _plane_edges(plane[first : rows.stop + 1])
            edges[index][rows] = seen[rows.start - first :][: rows.stop - rows.start]
    return edges


def _plane_edges(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    framed = np.pad(labels, 1, mode="edge")
    middle = framed[1:-1, 1:-1]
    inner = np.ones(labels.shape, dtype=bool)
    for neighbour in (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:]):
        inner &= neighbour == middle
    return np.where(inner, 0, labels)


def label_features(segmentation: "Segmentation") -> "pd.DataFrame":
    """Return the measurements as a Labels layer wants them: the label in a column ``index``.

    What people look for first comes first, since a status bar cuts the rest off; the positions come last.
    """
    import pandas as pd

    table = pd.DataFrame(dict(segmentation.measurements)).rename(columns={"label": "index"})
    return table[sorted(table.columns, key=_rank)]


def _rank(column: str) -> int:
    first = ("index", "area", "confidence", "agreement", "mean_intensity", "equivalent_diameter", "perimeter")
    if column.startswith(("centroid", "bbox")):
        return len(first) + 1
    return next((rank for rank, start in enumerate(first) if column.startswith(start)), len(first))


def layer_data(segmentation: "Segmentation", plane: Plane, outputs: Collection[Output]) -> dict[Output, LayerData]:
    """Turn a segmentation into the data of its layers, in the order they are stacked.

    Slow for many objects: call it in a worker.

    Returns
    -------
    dict
        For each output asked for ``(data, keyword arguments, layer type)``, still without a name.
        Contours are a Shapes layer, or a Labels layer of outlines above `MAX_CONTOURS` rings. There is no
        agreement where the network ran once.
    """
    placement = plane.placement
    common = {"metadata": {METADATA_KEY: metadata(segmentation, plane)}, **placement.transform}
    made: dict[Output, LayerData] = {}
    look = {"colormap": "magma", "contrast_limits": (0.0, 1.0), "blending": "translucent", "opacity": 0.6}
    if "confidence" in outputs:
        made["confidence"] = (placement.expand(segmentation.foreground), {**common, **look}, "image")
    if "agreement" in outputs and segmentation.agreement is not None:
        made["agreement"] = (placement.expand(segmentation.agreement), {**common, **look}, "image")
    if "labels" in outputs:
        made["labels"] = (
            # Users paint on the array of a layer, and the segmentation must not change by that.
            placement.expand(segmentation.labels.copy() if segmentation.labels.ndim == 2 else segmentation.labels),
            {**common, "features": label_features(segmentation), "opacity": 0.5},
            "labels",
        )
    if "contours" in outputs:
        made["contours"] = _contours_data(segmentation, placement, common)
    return made


def _contours_data(segmentation: "Segmentation", placement: Placement, common: Mapping[str, Any]) -> LayerData:
    rings = outlines(segmentation, placement)
    if rings is None:
        return placement.expand(outline_labels(segmentation.labels)), {**common, "opacity": 1.0}, "labels"
    look = {"edge_color": EDGE_COLOUR, "face_color": "transparent", "edge_width": edge_width(segmentation)}
    if not rings.polygons:
        return None, {**common, **look, "ndim": placement.ndim}, "shapes"
    return rings.polygons, {**common, **look, "shape_type": "polygon", "features": rings.features}, "shapes"


def edge_width(segmentation: "Segmentation") -> float:
    """Width of an outline in pixels: a twentieth of a typical object, between half a pixel and four."""
    counts = np.concatenate([object_sizes(plane)[1:] for _, plane in planes_of(segmentation.labels)])
    areas = counts[counts > 0]
    typical = float(np.sqrt(np.median(areas))) if areas.size else 0.0
    return float(np.clip(typical / 20, 0.5, 4.0))


def metadata(segmentation: "Segmentation", plane: Plane) -> dict[str, Any]:
    """Record how a result came about, and of which plane, or which window of it."""
    region = {} if plane.window is None else {"region": [list(span) for span in plane.window]}
    return segmentation.provenance.as_dict() | {"plane": dict(plane.index)} | region


def fresh_names(image: str, outputs: Collection[Output], taken: Collection[str]) -> dict[Output, str]:
    """Name the layers of a run: ``<image> labels``, then ``<image> labels [2]``, all with one number.

    Parameters
    ----------
    image
        Name of the image layer.
    outputs
        Layers to name.
    taken
        Names that layers have already.
    """
    number = 1
    while True:
        suffix = f" [{number}]" if number > 1 else ""
        names = {output: f"{image} {output}{suffix}" for output in outputs}
        if not set(names.values()) & set(taken):
            return names
        number += 1


def build_layers(data: Mapping[Output, LayerData]) -> dict[Output, Layer]:
    """Construct the layers, which takes long for many outlines: call it in a worker."""
    return {output: Layer.create(*one) for output, one in data.items()}


def named(data: LayerData, name: str) -> LayerData:
    """Return layer data with a name."""
    values, arguments, kind = data
    return values, arguments | {"name": name}, kind
