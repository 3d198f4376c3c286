"""From a segmentation to the data of the layers that show it, for the window and notebooks alike; without napari."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from napari_unetseg import layer_style
from napari_unetseg.postprocessing.blocks import strips
from napari_unetseg.postprocessing.numbering import object_sizes
from napari_unetseg.postprocessing.stacks import planes_of

if TYPE_CHECKING:
    import pandas as pd

    from napari_unetseg.postprocessing.confidence import Confidence
    from napari_unetseg.postprocessing.contours import Contour
    from napari_unetseg.postprocessing.measurements import Table

Output = Literal["labels", "contours", "confidence", "agreement"]
OUTPUTS: tuple[Output, ...] = ("labels", "contours", "confidence", "agreement")

LayerData = tuple[Any, dict[str, Any], str]
"""Data, keyword arguments and type of a layer, as napari hands them about."""


class SegmentedImage(Protocol):
    """What is shown of a `Segmentation`, which explains each part."""

    @property
    def labels(self) -> NDArray[np.int32]:
        """Label image."""

    @property
    def foreground(self) -> NDArray[np.float32]:
        """Foreground probability."""

    @property
    def agreement(self) -> NDArray[np.float32] | None:
        """How far flips and turns agree; None where the network ran once."""

    @property
    def confidence(self) -> "Confidence | None":
        """How sure the network was of each object; None if not wanted."""

    @property
    def plane_contours(self) -> "Mapping[tuple[int, ...], Sequence[Contour]]":
        """Outlines by the index of their plane."""

    @property
    def measurements(self) -> "Table":
        """One row for each object of each plane."""


@dataclass(frozen=True)
class Placement:
    """How results lie among the dimensions of their layer and in the world.

    Attributes
    ----------
    ndim
        Dimensions of the layer, colour channels not counted.
    plane_axes
        The two of them that a plane spans, ascending.
    transform
        Keyword arguments every result layer gets: scale, translate, rotate, shear, affine, units,
        axis_labels. `translate` includes the position of the first pixel among all of the layer.
    stack_axes
        The axes of planes, ascending; along all others results have length 1.
    """

    ndim: int
    plane_axes: tuple[int, int]
    transform: Mapping[str, Any]
    stack_axes: tuple[int, ...] = ()

    def expand(self, array: NDArray[Any]) -> NDArray[Any]:
        """Give an array (..., Y, X) with the axes of the stack the dimensions of the layer; a view."""
        axes = (*self.stack_axes, *self.plane_axes)
        others = tuple(axis for axis in range(self.ndim) if axis not in axes)
        return np.expand_dims(array.transpose(np.argsort(axes)), others)

    def vertices(self, points: NDArray[Any], index: tuple[int, ...] = ()) -> NDArray[np.float64]:
        """Give (N, 2) points in the plane at an index of the stack the coordinates of the layer, (N, ndim)."""
        placed = np.zeros((len(points), self.ndim))
        placed[:, list(self.plane_axes)] = points
        placed[:, list(self.stack_axes)] = index
        return placed


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


def make_layer_data(
    result: SegmentedImage, outputs: Collection[Output], placement: Placement, record: Mapping[str, Any]
) -> dict[Output, LayerData]:
    """Turn a segmentation into the data of its layers, in the order they are stacked.

    Slow for many objects: call it in a worker.

    Parameters
    ----------
    result
        The segmentation.
    outputs
        Which layers to make.
    placement
        Where they lie.
    record
        How they came about, for their metadata.

    Returns
    -------
    dict
        For each output asked for its data, still without a name. Contours are a Shapes layer, or above
        `layer_style.MAX_CONTOURS` rings a Labels layer of outlines. There is no agreement where the network ran once.
    """
    common = {"metadata": {layer_style.METADATA_KEY: record}, **placement.transform}
    made: dict[Output, LayerData] = {}
    if "confidence" in outputs:
        made["confidence"] = (placement.expand(result.foreground), {**common, **layer_style.PROBABILITIES}, "image")
    if "agreement" in outputs and result.agreement is not None:
        made["agreement"] = (placement.expand(result.agreement), {**common, **layer_style.PROBABILITIES}, "image")
    if "labels" in outputs:
        # Users paint on the array of a layer, and the segmentation must not change by that.
        labels = result.labels.copy() if result.labels.ndim == 2 else result.labels
        arguments = {**common, **layer_style.LABELS, "features": label_features(result)}
        made["labels"] = (placement.expand(labels), arguments, "labels")
    if "contours" in outputs:
        made["contours"] = _contours_data(result, placement, common)
    return made


def _contours_data(result: SegmentedImage, placement: Placement, common: Mapping[str, Any]) -> LayerData:
    rings = outlines(result, placement)
    if rings is None:
        arguments = {**common, **layer_style.OUTLINES_AS_LABELS}
        return placement.expand(outline_labels(result.labels)), arguments, "labels"
    metadata = common["metadata"] | outline_record(rings.polygons, rings.features)
    arguments = {**common, "metadata": metadata, **layer_style.CONTOURS, "edge_width": edge_width(result)}
    if not rings.polygons:
        return None, {**arguments, "ndim": placement.ndim}, "shapes"
    return rings.polygons, {**arguments, "shape_type": "polygon", "features": rings.features}, "shapes"


def edge_width(result: SegmentedImage) -> float:
    """Width of an outline in pixels: a twentieth of a typical object, between half a pixel and four."""
    counts = np.concatenate([object_sizes(plane)[1:] for _, plane in planes_of(result.labels)])
    areas = counts[counts > 0]
    typical = float(np.sqrt(np.median(areas))) if areas.size else 0.0
    return float(np.clip(typical / 20, 0.5, 4.0))


def outlines(result: SegmentedImage, placement: Placement) -> Outlines | None:
    """Trace the contours of a segmentation; None if they are more than a Shapes layer can show."""
    import pandas as pd

    areas = {index: object_sizes(plane) for index, plane in planes_of(result.labels)}
    # There is a ring at least for each object of each plane, which is known sooner than the rings.
    if sum(np.count_nonzero(counts[1:]) for counts in areas.values()) > layer_style.MAX_CONTOURS:
        return None
    rings = [
        (contour.label, kind, ring, index)
        for index, contours in result.plane_contours.items()
        for contour in contours
        for kind, ring in [("exterior", contour.exterior), *(("hole", hole) for hole in contour.holes)]
    ]
    if len(rings) > layer_style.MAX_CONTOURS:
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
    if result.confidence is not None:
        features["confidence"] = result.confidence.objects[labels - 1]
    return Outlines([placement.vertices(ring, index) for _, _, ring, index in rings], features)


def outline_record(polygons: Sequence[NDArray[Any]], features: "pd.DataFrame") -> dict[str, Any]:
    """Record for the metadata of a Shapes layer of which outlines the numbers in its table are."""
    numbers = [str(name) for name in features.select_dtypes("number").columns if name != "label"]
    if "label" not in features or not numbers:
        return {}
    sums = outline_sums(polygons, features["label"].tolist())
    return {layer_style.OUTLINES_KEY: {"columns": numbers, "outlines": sums}}


def outline_sums(polygons: Sequence[NDArray[Any]], labels: Sequence[Any]) -> dict[int, int]:
    """Return a check sum of the outlines of each label, whatever their order; without a label they have none."""
    sums: dict[int, int] = {}
    for vertices, label in zip(polygons, labels, strict=True):
        if isinstance(label, int | float) and label > 0:
            # napari may keep single precision.
            outline = np.ascontiguousarray(vertices, dtype=np.float32)
            sums[int(label)] = sums.get(int(label), 0) ^ crc32(outline.tobytes())
    return sums


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


def label_features(result: SegmentedImage) -> "pd.DataFrame":
    """Return the measurements of a result as a Labels layer wants them; see `table_features`."""
    return table_features(result.measurements)


def table_features(table: Mapping[str, NDArray[Any]]) -> "pd.DataFrame":
    """Return measurements as a Labels layer wants them: the label in a column ``index``.

    What people look for first comes first, since a status bar cuts the rest off; the positions come last.
    """
    import pandas as pd

    features = pd.DataFrame(dict(table)).rename(columns={"label": "index"})
    return features[sorted(features.columns, key=_rank)]


def _rank(column: str) -> int:
    first = ("index", "area", "confidence", "agreement", "mean_intensity", "equivalent_diameter", "perimeter")
    if column.startswith(("centroid", "bbox")):
        return len(first) + 1
    return next((rank for rank, start in enumerate(first) if column.startswith(start)), len(first))
