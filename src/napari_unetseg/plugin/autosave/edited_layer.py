"""What is kept of an edited Labels layer beside its pixels, and the layer that is made of it again."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from napari.layers import Labels, Layer
from numpy.typing import NDArray

from napari_unetseg.layer_style import LABELS, METADATA_KEY
from napari_unetseg.plugin.layers.file_layers import FILE_KEY
from napari_unetseg.plugin.layers.result_layers import EDITED_KEY
from napari_unetseg.plugin.layers.sources import source_among

MOST_ROWS = 5_000
"""Objects whose measurements are kept: those of 20,000 take Python 0.3 s at every change, and can be measured again."""

_TRANSFORM = ("scale", "translate", "rotate", "shear")


def is_result(layer: Layer) -> bool:
    """Whether a layer holds objects of a result, or of a file of results."""
    known = METADATA_KEY in layer.metadata or FILE_KEY in layer.metadata
    return isinstance(layer, Labels) and known and not layer.multiscale and isinstance(layer.data, np.ndarray)


def describe(layer: Labels, layers: Iterable[Layer]) -> dict[str, Any]:
    """Describe a layer, quickly; its table and records are handed out as they are.

    Parameters
    ----------
    layer
        A result that was edited.
    layers
        Those of its viewer, among which its image may be.
    """
    record = layer.metadata.get(METADATA_KEY, {})
    image = source_among(record, layers)
    path = None if image is None else image.source.path
    return {
        "name": str(layer.name),
        "transform": {
            **{name: np.asarray(getattr(layer, name)).tolist() for name in _TRANSFORM},
            "affine": np.asarray(layer.affine.affine_matrix).tolist(),
            "units": [str(unit) for unit in layer.units],
            "axis_labels": list(layer.axis_labels),
        },
        "opacity": float(layer.opacity),
        "metadata": {key: layer.metadata[key] for key in (METADATA_KEY, FILE_KEY) if key in layer.metadata},
        "features": layer.features,
        "image": {"name": None if image is None else str(image.name), "path": path},
    }


def plain(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description as JSON can have it; takes a moment for a large table."""
    features = description["features"]
    columns = features.columns if len(features) <= MOST_ROWS else ()
    return {**description, "features": {str(name): features[name].tolist() for name in columns}}


def make_layer(labels: NDArray[Any], description: Mapping[str, Any]) -> Labels:
    """Make the layer that was described; call it in a worker.

    Raises
    ------
    KeyError, ValueError, TypeError
        If the description is none.
    """
    import pandas as pd

    metadata = dict(description["metadata"])
    if METADATA_KEY in metadata:
        metadata[METADATA_KEY] = {EDITED_KEY: 1, **metadata[METADATA_KEY]}
    features = pd.DataFrame(description["features"])
    arguments = {**LABELS, "opacity": description["opacity"], **_transform(description["transform"])}
    return Labels(labels, name=description["name"], metadata=metadata, features=features, **arguments)


def _transform(saved: Mapping[str, Any]) -> dict[str, Any]:
    arrays = {name: np.array(saved[name]) for name in (*_TRANSFORM, "affine")}
    return {**arrays, "units": tuple(saved["units"]), "axis_labels": tuple(saved["axis_labels"])}
