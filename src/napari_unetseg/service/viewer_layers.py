"""A segmentation as layers of a napari viewer that a notebook or script has made."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari_unetseg.service.segmentation import Segmentation

METADATA_KEY = "napari_unetseg"
"""Under which layers keep how they came about."""

MOST_OUTLINES = 5000
"""More are not drawn as shapes, which would make the window slow."""


def add_to_viewer(segmentation: "Segmentation", viewer: Any, *, contours: bool, confidence: bool) -> list[Any]:
    """Add the layers of a segmentation; `Segmentation.add_to` explains it.

    napari is not imported: whoever has a viewer has it.
    """
    name, place = segmentation.image.name, _place(segmentation)
    layers = []
    if confidence:
        look = {"colormap": "magma", "contrast_limits": (0.0, 1.0), "opacity": 0.6}
        layers.append(viewer.add_image(segmentation.foreground, name=f"{name} confidence", **look, **place))
    features = {"index" if key == "label" else key: column for key, column in segmentation.measurements.items()}
    labels = viewer.add_labels(segmentation.labels, name=f"{name} labels", features=features, opacity=0.5, **place)
    layers.append(labels)
    if contours:
        rings = _rings(segmentation)
        if len(rings) > MOST_OUTLINES:
            labels.contour = 1
        else:
            look = {"shape_type": "polygon", "face_color": "transparent", "edge_color": "#ff8c1a"}
            ndim = segmentation.labels.ndim
            layers.append(viewer.add_shapes(rings or None, name=f"{name} contours", ndim=ndim, **look, **place))
    return layers


def _place(segmentation: "Segmentation") -> dict[str, Any]:
    image = segmentation.image
    place: dict[str, Any] = {"metadata": {METADATA_KEY: segmentation.provenance.as_dict() | {"plane": {}}}}
    if image.scale is not None and image.unit is not None:
        others = segmentation.labels.ndim - 2
        place |= {"scale": (1.0,) * others + image.scale, "units": ("pixel",) * others + (image.unit,) * 2}
    return place


def _rings(segmentation: "Segmentation") -> list[Any]:
    """Return every outline, and every hole, with the index of its plane before y and x."""
    return [
        np.column_stack([np.tile(index, (len(ring), 1)), ring])
        for index, contours in segmentation.plane_contours.items()
        for contour in contours
        for ring in (contour.exterior, *contour.holes)
    ]
