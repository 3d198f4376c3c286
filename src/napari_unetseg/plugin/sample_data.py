"""The sample images as File > Open Sample wants them."""

from typing import Any

from napari_unetseg import samples
from napari_unetseg.image import Image
from napari_unetseg.postprocessing.layer_data import LayerData


def open_nuclei() -> list[LayerData]:
    """Return the drawn fluorescent nuclei as layer data."""
    return _layer_data(samples.nuclei())


def open_tissue() -> list[LayerData]:
    """Return the stained tissue as layer data."""
    return _layer_data(samples.tissue())


def open_cells() -> list[LayerData]:
    """Return the drawn cells in phase contrast as layer data."""
    return _layer_data(samples.cells())


def open_spheroids() -> list[LayerData]:
    """Return the drawn spheroids in bright field as layer data."""
    return _layer_data(samples.spheroids())


def open_hand() -> list[LayerData]:
    """Return the drawn hand as layer data."""
    return _layer_data(samples.hand())


def _layer_data(image: Image) -> list[LayerData]:
    arguments: dict[str, Any] = {"name": image.name, "axis_labels": ("y", "x")}
    if image.rgb:
        arguments["rgb"] = True
    if image.scale is not None:
        arguments |= {"scale": image.scale, "units": (image.unit or "pixel",) * 2}
    return [(image.array, arguments, "image")]
