"""What belongs to the objects that were changed by hand, while the others stay as they are."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.plugin.layers.editing import mark_edited
from napari_unetseg.plugin.layers.plane import Plane
from napari_unetseg.postprocessing.layer_data import Outlines, label_features, outline_labels, outlines

if TYPE_CHECKING:
    import pandas as pd

    from napari_unetseg.service import Segmentation

Box = tuple[slice, slice]
"""Rows and columns of a part of a plane."""


@dataclass(frozen=True, eq=False)
class Followed:
    """The objects of a result that are otherwise than before.

    Attributes
    ----------
    labels
        int32 (Y, X): all labels as they are now.
    changed
        Those that gained or lost pixels, or are gone.
    edited
        Those that there are of what was edited by hand since the result was made.
    count
        Number of all objects.
    features
        Measurements of those changed ones that are there.
    outlines
        Their contours; None where contours are shown as pixels, and where nothing changed.
    box
        The smallest rectangle that has all pixels of the changed ones, before and now; None where nothing changed.
    pixels
        int32, the outlines of all objects in the box as pixels; None where contours are polygons.
    """

    labels: NDArray[np.int32]
    changed: NDArray[np.int32]
    edited: NDArray[np.int32]
    count: int
    features: "pd.DataFrame | None" = None
    outlines: Outlines | None = None
    box: Box | None = None
    pixels: NDArray[np.int32] | None = None


def follow_edits(
    segmentation: "Segmentation",
    plane: Plane,
    described: NDArray[np.int32],
    features: "pd.DataFrame",
    labels: NDArray[np.integer],
    kept: NDArray[np.int32],
    *,
    as_pixels: bool,
) -> Followed:
    """Measure and trace again what was changed by hand. Call it in a worker.

    Parameters
    ----------
    segmentation
        What the labels were before anybody changed them, with the maps.
    plane
        Where they lie.
    described, features
        int32 (Y, X): the labels of which contours are, and their measurements.
    labels
        (Y, X): those of the layer; somebody may paint on them meanwhile.
    kept
        Those among the labels of `segmentation` that were edited before.
    as_pixels
        Whether contours are shown as pixels.
    """
    now = np.array(labels, np.int32)
    changed, box = _touched(described, now)
    edited = np.union1d(changed if segmentation.labels is described else _touched(segmentation.labels, now)[0], kept)
    stay = features["index"][~features["index"].isin(changed)]
    if box is None:
        return Followed(now, changed, np.intersect1d(edited, stay), len(stay))
    box = _around(box, features[features["index"].isin(changed)], segmentation.image.origin)
    part, present = _only(segmentation, now, changed, box)
    measured = label_features(part)
    measured["index"] = present[measured["index"].to_numpy() - 1]
    traced = None if as_pixels else outlines(part, plane.placement)
    if traced is not None:
        origin = plane.placement.vertices(np.array([[box[0].start, box[1].start]], float))[0]
        table = traced.features.assign(label=present[traced.features["label"].to_numpy() - 1])
        traced = Outlines([polygon + origin for polygon in traced.polygons], table)
    pixels = _outline_pixels(now, box) if as_pixels else None
    edited = np.intersect1d(edited, np.union1d(stay, present))
    return Followed(now, changed, edited, len(stay) + len(present), measured, traced, box, pixels)


def with_changed(features: "pd.DataFrame", followed: Followed) -> "pd.DataFrame":
    """Put the measurements of changed objects among those of the others, in the order of rising label."""
    import pandas as pd

    rows = [features[~features["index"].isin(followed.changed)]] if "index" in features else []
    rows = [table for table in (*rows, followed.features) if table is not None and len(table)]
    table = pd.concat(rows, ignore_index=True).sort_values("index", ignore_index=True) if rows else features.iloc[:0]
    return mark_edited(table.drop(columns="edited", errors="ignore"), followed.edited.tolist())


def _touched(before: NDArray[np.int32], now: NDArray[np.int32]) -> tuple[NDArray[np.int32], Box | None]:
    """Return the labels of objects that gained or lost a pixel, and the rectangle of these pixels."""
    different = before != now
    rows = np.flatnonzero(different.any(axis=1))
    if not rows.size:
        return np.empty(0, np.int32), None
    columns = np.flatnonzero(different[rows[0] : rows[-1] + 1].any(axis=0))
    box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    part = different[box]
    labels = np.union1d(before[box][part], now[box][part]).astype(np.int32)
    return labels[labels > 0], box


def _around(box: Box, features: "pd.DataFrame", origin: tuple[int, int]) -> Box:
    """Widen a rectangle to that of objects by their measurements, which count from the first pixel of the image."""
    if not len(features):
        return box
    firsts, lasts = (
        features[["bbox_min_y_px", "bbox_min_x_px"]].min(),
        features[["bbox_max_y_px", "bbox_max_x_px"]].max(),
    )
    rows, columns = (
        slice(min(span.start, int(first) - start), max(span.stop, int(last) - start))
        for span, first, last, start in zip(box, firsts, lasts, origin, strict=True)
    )
    return rows, columns


def _only(
    segmentation: "Segmentation", now: NDArray[np.int32], changed: NDArray[np.int32], box: Box
) -> tuple["Segmentation", NDArray[np.int32]]:
    """Cut out objects, numbered from 1 without gaps; return what they are called otherwise, too, in that order."""
    own = np.where(np.isin(now[box], changed), now[box], 0)
    present = np.unique(own)
    present = present[present > 0]
    image = segmentation.image
    key = tuple({"Y": box[0], "X": box[1]}.get(axis, slice(None)) for axis in image.axes)
    origin = (image.origin[0] + box[0].start, image.origin[1] + box[1].start)
    agreement = segmentation.agreement
    part = replace(
        segmentation,
        image=replace(image, array=image.array[key], origin=origin),
        probability=segmentation.probability[:, *box],
        agreement=None if agreement is None else agreement[box],
        labels=np.where(own > 0, np.searchsorted(present, own) + 1, 0).astype(np.int32),
    )
    return part, present


def _outline_pixels(now: NDArray[np.int32], box: Box) -> NDArray[np.int32]:
    """Trace outlines as pixels in a rectangle, by what lies around it, too."""
    wide = tuple(slice(max(span.start - 1, 0), span.stop + 1) for span in box)
    inner = tuple(slice(span.start - one.start, span.stop - one.start) for span, one in zip(box, wide, strict=True))
    return outline_labels(np.ascontiguousarray(now[wide]))[inner]
