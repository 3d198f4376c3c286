"""Labels to contours, contours to labels, and measuring again what was edited; for any layer, n-D ones plane by plane.

All functions are slow for many objects: call them in a worker.
"""

from collections.abc import Sequence

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
from napari_unetseg.plugin.layers.napari_types import ImageLike, LayerLike, LayerMeta, PixelLayer, ShapesLike
from napari_unetseg.plugin.layers.plane import full_resolution
from napari_unetseg.postprocessing.contours import trace_contours
from napari_unetseg.postprocessing.edits import DrawnRing, draw_rings
from napari_unetseg.postprocessing.layer_data import LayerData, Placement, outline_labels
from napari_unetseg.postprocessing.measurements import Table, measure
from napari_unetseg.postprocessing.stacks import stack_tables

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
        A layer with the same transform, whose pixels the labels get.

    Raises
    ------
    UnetsegError
        If no area is among the shapes.
    """
    axes = read_axes(layer.ndim, layer_attributes(layer))
    placement = _placement(layer, axes)
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
        place = tuple(int(i) for i in np.rint(np.asarray(layer.data[row])[0, list(axes.stack)]))
        if all(0 <= i < n for i, n in zip(place, labels.shape, strict=False)):
            planes.setdefault(place, {}).setdefault(label if label > 0 else number, []).append(ring)
    for place, rings in planes.items():
        labels[place] = draw_rings(labels[place], rings)
    name = tr("{layer} as labels").format(layer=layer.name)
    return placement.expand(labels), {"name": name, **layer_style.LABELS, **_transform(layer)}, "labels"


def measured_again(layer: PixelLayer, image: ImageLike) -> pd.DataFrame:
    """Measure the objects of a Labels layer on the pixels of an image of the same shape, as its features.

    Raises
    ------
    UnetsegError
        If the layer has too many axes.
    """
    meta = layer_attributes(layer)
    planes, axes = stack_of(layer.data, meta)
    pixels = np.moveaxis(np.asarray(full_resolution(image)), (*axes.stack, *axes.plane), range(layer.ndim))
    scale, unit = pixel_size(meta, axes.plane)
    tables: dict[tuple[int, ...], Table] = {}
    for index in np.ndindex(planes.shape[:-2]):
        plane = Image(pixels[index], "YXC" if image.rgb else "YX", rgb=image.rgb)
        own = np.asarray(planes[index])
        tables[index] = measure(own, foreground=None, intensity=plane.channels_first, scale=scale, unit=unit)
    table = tables[()] if not axes.stack else stack_tables(tables, axes.letters)
    return pd.DataFrame(dict(table)).rename(columns={"label": "index"})


def image_of(layer: PixelLayer, layers: Sequence[LayerLike]) -> ImageLike:
    """Find the image that a layer of labels belongs to: the one it was made of, else one that lies like it.

    Raises
    ------
    UnetsegError
        If there is none.
    """
    made_of = (layer.metadata.get(METADATA_KEY) or {}).get("image")
    images: list[ImageLike] = [
        one for one in layers if isinstance(one, ImageLayer) and METADATA_KEY not in one.metadata
    ]
    shape = tuple(full_resolution(layer).shape)
    fitting = [one for one in images if tuple(full_resolution(one).shape[: one.ndim]) == shape]
    for image in sorted(fitting, key=lambda one: one.name != made_of):
        if has_same_transform(layer, image) or image.name == made_of:
            return image
    raise UnetsegError(tr("No image lies where '{layer}' does, with as many pixels.").format(layer=layer.name))


def reference_layer(layer: LayerLike, layers: Sequence[LayerLike]) -> PixelLayer:
    """Find the layer whose pixels labels get when they are drawn from contours: labels first, then images.

    Raises
    ------
    UnetsegError
        If no layer lies where the contours do.
    """
    candidates: list[PixelLayer] = [
        one for one in layers if isinstance(one, Labels | ImageLayer) and has_same_transform(layer, one)
    ]
    if candidates:
        return min(candidates, key=lambda one: not isinstance(one, Labels))
    raise UnetsegError(tr("No image or labels lie where '{layer}' does.").format(layer=layer.name))


def has_same_transform(one: LayerLike, other: LayerLike) -> bool:
    """Whether two layers put the same pixel at the same place of the world."""
    if one.ndim != other.ndim or tuple(map(str, one.units)) != tuple(map(str, other.units)):
        return False
    corners = np.vstack([np.zeros(one.ndim), np.eye(one.ndim)])
    return all(np.allclose(one.data_to_world(corner), other.data_to_world(corner)) for corner in corners)


def layer_attributes(layer: LayerLike) -> LayerMeta:
    """Return the attributes of a layer as napari hands them to writers."""
    return layer.as_layer_data_tuple()[1]


def _transform(layer: LayerLike) -> LayerMeta:
    meta = layer_attributes(layer)
    record = {METADATA_KEY: layer.metadata[METADATA_KEY]} if METADATA_KEY in layer.metadata else {}
    return {key: meta[key] for key in _TRANSFORM if key in meta} | {"metadata": record}


def _placement(layer: LayerLike, axes: FileAxes) -> Placement:
    return Placement(layer.ndim, axes.plane, {}, axes.stack)
