"""Labels to contours, contours to labels, and measuring again what was edited; for any layer, n-D ones plane by plane.

All functions are slow for many objects: call them in a worker.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from napari.layers import Image as ImageLayer
from napari.layers import Labels

from napari_unetseg import layer_style
from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.language import tr
from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.layers.axes import pixel_size
from napari_unetseg.plugin.layers.editing import areas_of
from napari_unetseg.plugin.layers.exports import FileAxes, read_axes, stack_of
from napari_unetseg.plugin.layers.measured import measure_planes
from napari_unetseg.plugin.layers.napari_types import ImageLike, LayerLike, LayerMeta, PixelLayer, ShapesLike
from napari_unetseg.plugin.layers.plane import full_resolution
from napari_unetseg.plugin.layers.sources import source_among
from napari_unetseg.plugin.layers.world import pixel_offset
from napari_unetseg.postprocessing.contours import trace_contours
from napari_unetseg.postprocessing.edits import DrawnRing, draw_rings
from napari_unetseg.postprocessing.layer_data import LayerData, Placement, outline_labels

_TRANSFORM = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")


def contours_from_labels(layer: PixelLayer) -> LayerData:
    """Trace the objects of a Labels layer.

    Returns
    -------
    LayerData
        Of a Shapes layer with one polygon a ring and the features ``label`` and ``ring``; above
        `layer_style.MAX_CONTOURS` rings of a Labels layer of outlines.

    Raises
    ------
    UnetsegError
        If there is no object.
    """
    meta = layer_attributes(layer)
    planes, axes = stack_of(layer.data, meta)
    placement = _placement(layer, axes)
    vertices, labels, kinds = [], [], []
    for index in np.ndindex(planes.shape[:-2]):
        for contour in trace_contours(np.asarray(planes[index])):
            for kind, ring in [("exterior", contour.exterior), *(("hole", hole) for hole in contour.holes)]:
                vertices.append(placement.vertices(ring, index))
                labels.append(contour.label)
                kinds.append(kind)
    if not vertices:
        raise UnetsegError(tr("'{layer}' has no object: all of its pixels are 0.").format(layer=layer.name))
    common = {"name": tr("{layer} as contours").format(layer=layer.name), **_transform(layer)}
    if len(vertices) > layer_style.MAX_CONTOURS:
        drawn = np.stack([outline_labels(np.asarray(planes[i])) for i in np.ndindex(planes.shape[:-2])])
        return placement.expand(drawn.reshape(planes.shape)), {**common, **layer_style.OUTLINES_AS_LABELS}, "labels"
    arguments = {**layer_style.CONTOURS, "edge_width": 0.5}
    features = pd.DataFrame({"label": labels, "ring": kinds})
    return vertices, {**common, **arguments, "shape_type": "polygon", "features": features}, "shapes"


def labels_from_contours(layer: ShapesLike, grid: PixelLayer) -> LayerData:
    """Draw the areas of a Shapes layer as objects.

    Polygons, rectangles and ellipses with the same feature ``label`` are one object, in each plane; those without
    one are objects of their own, numbered above the others. A later object lies on an earlier one.

    Parameters
    ----------
    layer
        The contours.
    grid
        A layer of the same pixels, which the labels get; the contours may be of a part of it, or in another unit.

    Raises
    ------
    UnetsegError
        If no area is among the shapes.
    """
    axes = read_axes(layer.ndim, layer_attributes(layer))
    placement = _placement(layer, axes)
    offset = np.array(pixel_offset(layer, grid) or (0,) * layer.ndim)
    shape = tuple(full_resolution(grid).shape[: layer.ndim])
    order = (*axes.stack, *axes.plane)
    labels = np.zeros([shape[axis] for axis in order], np.int32)
    found = areas_of(layer, placement)
    if not found:
        raise UnetsegError(tr("'{layer}' has no polygon, rectangle or ellipse.").format(layer=layer.name))
    planes: dict[tuple[int, ...], dict[int, list[DrawnRing]]] = {}
    number = max(label for _, label, _ in found)
    for row, label, ring in found:
        if label < 1:
            number += 1
        first = np.rint(np.asarray(layer.data[row])[0] + offset).astype(int)
        place = tuple(int(first[axis]) for axis in axes.stack)
        placed = replace(ring, vertices=ring.vertices + offset[list(axes.plane)])
        if all(0 <= i < n for i, n in zip(place, labels.shape, strict=False)):
            planes.setdefault(place, {}).setdefault(label if label > 0 else number, []).append(placed)
    for place, rings in planes.items():
        labels[place] = draw_rings(labels[place], rings)
    name = tr("{layer} as labels").format(layer=layer.name)
    # What lay in a part of the image now lies in all of it.
    like_grid = {**_transform(grid), "metadata": _transform(layer if not offset.any() else grid)["metadata"]}
    return placement.expand(labels), {"name": name, **layer_style.LABELS, **like_grid}, "labels"


def measured_again(layer: PixelLayer, image: ImageLike) -> pd.DataFrame:
    """Measure the objects of a Labels layer on the pixels of an image, as its features.

    Parameters
    ----------
    layer
        The labels: of the image, or of a plane or a region of it.
    image
        What `image_of` found. Positions count from its first pixel.

    Raises
    ------
    UnetsegError
        If the layer has too many axes.
    """
    meta = layer_attributes(layer)
    planes, axes = stack_of(layer.data, meta)
    offset = _offset_in(layer, image) or (0,) * layer.ndim
    lengths = [int(full_resolution(layer).shape[axis]) for axis in range(layer.ndim)]
    part = full_resolution(image)[tuple(slice(at, at + length) for at, length in zip(offset, lengths, strict=True))]
    pixels = np.moveaxis(np.asarray(part), (*axes.stack, *axes.plane), range(layer.ndim))
    scale, unit = pixel_size(meta, axes.plane)
    images = {
        index: Image(pixels[index], "YXC" if image.rgb else "YX", rgb=image.rgb).channels_first
        for index in np.ndindex(planes.shape[:-2])
    }
    start = [offset[axis] for axis in axes.stack]
    first, second = (offset[axis] for axis in axes.plane)
    table = measure_planes(planes, axes.letters, start, images=images, scale=scale, unit=unit, origin=(first, second))
    return table.rename(columns={"label": "index"})


def image_of(layer: PixelLayer, layers: Sequence[LayerLike]) -> ImageLike:
    """Find the image that a layer of labels belongs to: the one it was made of, else one that has the same pixels.

    Raises
    ------
    UnetsegError
        If there is none.
    """
    record = layer.metadata.get(METADATA_KEY) or {}
    images: list[ImageLike] = [
        one for one in layers if isinstance(one, ImageLayer) and METADATA_KEY not in one.metadata
    ]
    source = source_among(record, images)
    # By its name where the very image is not known.
    for image in sorted(images, key=lambda one: (one is not source, one.name != record.get("image"))):
        if _offset_in(layer, image) is not None:
            return image
    raise UnetsegError(tr("No image lies where '{layer}' does, with as many pixels.").format(layer=layer.name))


def reference_layer(layer: LayerLike, layers: Sequence[LayerLike]) -> PixelLayer:
    """Find the layer whose pixels labels get when they are drawn from contours.

    Those of which the contours are no part come first, and of them labels.

    Raises
    ------
    UnetsegError
        If no layer lies where the contours do.
    """
    candidates: list[PixelLayer] = [
        one for one in layers if isinstance(one, Labels | ImageLayer) and pixel_offset(layer, one) is not None
    ]
    if candidates:
        return min(candidates, key=lambda one: (any(pixel_offset(layer, one) or ()), not isinstance(one, Labels)))
    raise UnetsegError(tr("No image or labels lie where '{layer}' does.").format(layer=layer.name))


def has_same_transform(one: LayerLike, other: LayerLike) -> bool:
    """Whether two layers put the same pixel at the same place of the world."""
    return pixel_offset(one, other) == (0,) * one.ndim


def _offset_in(layer: PixelLayer, image: ImageLike) -> tuple[int, ...] | None:
    """Return which pixel of an image the first pixel of labels is; None if they do not lie within it.

    Labels that were moved away are still of the image that they were made of, where they were.
    """
    if layer.ndim != image.ndim:
        return None
    shape, whole = full_resolution(layer).shape, full_resolution(image).shape
    offsets = [pixel_offset(layer, image)]
    record = layer.metadata.get(METADATA_KEY) or {}
    if record.get("image") == image.name or source_among(record, [image]) is not None:
        axes = read_axes(layer.ndim, layer_attributes(layer))
        places = dict(zip((*axes.stack, *axes.plane), (*axes.start, *axes.origin), strict=True))
        offsets.append(tuple(places[axis] for axis in range(layer.ndim)))
    for offset in offsets:
        if offset is not None and all(
            at >= 0 and at + length <= every for at, length, every in zip(offset, shape, whole, strict=False)
        ):
            return offset
    return None


def layer_attributes(layer: LayerLike) -> LayerMeta:
    """Return the attributes of a layer as napari hands them to writers."""
    return layer.as_layer_data_tuple()[1]


def _transform(layer: LayerLike) -> LayerMeta:
    meta = layer_attributes(layer)
    record = {METADATA_KEY: layer.metadata[METADATA_KEY]} if METADATA_KEY in layer.metadata else {}
    return {key: meta[key] for key in _TRANSFORM if key in meta} | {"metadata": record}


def _placement(layer: LayerLike, axes: FileAxes) -> Placement:
    return Placement(layer.ndim, axes.plane, {}, axes.stack)
