"""As much of napari's layers as this plugin uses, for type checkers: napari's own classes have no types for them."""

from collections.abc import Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import pandas as pd

LayerMeta = Mapping[str, Any]
"""Attributes of a layer by name, as napari hands them to writers."""

LayerArray = NDArray[Any]
"""Pixels, labels or vertices of any type: an array, or what is indexed like one, such as those of dask and zarr."""


class LayerSource(Protocol):
    """Where a layer comes from."""

    path: str | None


class LayerAffine(Protocol):
    """The last step of a layer's way into the world."""

    affine_matrix: NDArray[np.float64]


class LayerLike(Protocol):
    """What all layers have."""

    name: str
    ndim: int
    metadata: MutableMapping[str, Any]
    axis_labels: Sequence[str]
    units: Sequence[object]
    scale: NDArray[np.float64]
    translate: NDArray[np.float64]
    rotate: NDArray[np.float64]
    shear: NDArray[np.float64]
    affine: LayerAffine
    source: LayerSource

    def data_to_world(self, position: ArrayLike) -> Sequence[float]:
        """Return the place in the world of a place in the layer."""

    def world_to_data(self, position: ArrayLike) -> Sequence[float]:
        """Return the place in the layer of a place in the world."""

    def as_layer_data_tuple(self) -> tuple[Any, dict[str, Any], str]:
        """Return data, attributes and type."""


class PixelLayer(LayerLike, Protocol):
    """An image or labels; of a multiscale one, `data` is a sequence of arrays from the largest to the smallest."""

    data: Any
    multiscale: bool


class ImageLike(PixelLayer, Protocol):
    """An image, with what a canvas shows of it."""

    rgb: bool
    corner_pixels: NDArray[np.integer]
    data_level: int
    downsample_factors: NDArray[np.float64]
    bounding_box: Any


class ShapesLike(LayerLike, Protocol):
    """Shapes: vertices (N, ndim) and kind of each, and a table with a row for each."""

    data: Sequence[NDArray[np.float64]]
    shape_type: Sequence[str]
    selected_data: set[int]
    features: "pd.DataFrame"
    feature_defaults: MutableMapping[str, object]
