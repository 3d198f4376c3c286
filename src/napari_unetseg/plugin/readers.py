"""Contours from other programs, opened as Shapes layers, label images, and images and labels of OME-Zarr."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from napari import current_viewer
from napari.plugins.utils import get_preferred_reader
from napari.settings import get_settings
from napari.utils.notifications import show_info, show_warning

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io import ContourFile, Position, read_geojson, read_rois
from napari_unetseg.io.exchange.coco import is_coco
from napari_unetseg.io.object_properties import columns_of
from napari_unetseg.io.ome_zarr.location import is_ome_zarr
from napari_unetseg.io.rois import holds_rois
from napari_unetseg.language import tr
from napari_unetseg.layer_style import CONTOURS, LABELS
from napari_unetseg.plugin.label_layers import ENDINGS, exchange_layer, read_label_layer
from napari_unetseg.plugin.languages import errors_in_users_language
from napari_unetseg.plugin.layers.axes import STACK_ROLES
from napari_unetseg.plugin.zarr_layers import read_zarr
from napari_unetseg.postprocessing.layer_data import LayerData, outline_record

_SEG = "_seg.npy"
_PLUGIN = "napari-unetseg"


def get_reader(path: str | list[str]) -> Callable[[Any], list[LayerData]] | None:
    """Return the reader of a file of contours or labels, or of OME-Zarr; None for other folders and archives.

    Of several files at once, only label images have one.

    Parameters
    ----------
    path
        As napari calls readers.
    """
    if not isinstance(path, str):
        return open_label_stack if path and all(one.lower().endswith(ENDINGS) for one in path) else None
    suffix = Path(path).suffix.lower()
    if path.lower().endswith(ENDINGS):
        return open_labels
    if path.lower().endswith(_SEG):
        return open_exchange
    if suffix == ".json":
        return open_exchange if is_coco(path) else None
    if suffix == ".geojson":
        return open_geojson
    if suffix == ".roi" or (suffix == ".zip" and holds_rois(path)):
        return open_rois
    return open_zarr if is_ome_zarr(path) else None


def open_labels(path: str) -> list[LayerData]:
    """Read a label image as the data of a Labels layer, with its table; what is no label image is left to napari."""
    with errors_in_users_language():
        layer, said = read_label_layer(path)
    if layer is None:
        return _as_napari_reads(path)
    for text in said:
        show_info(text)
    _remember(ENDINGS, path)
    return [layer]


def open_label_stack(paths: list[str]) -> list[LayerData]:
    """Read label images of one size as the planes of one layer; with others among them it is left to napari."""
    with errors_in_users_language():
        found = [read_label_layer(path)[0] for path in paths]
    layers = [layer for layer in found if layer is not None]
    if len(layers) < len(found):
        return _as_napari_reads(paths)
    arrays = [np.asarray(array) for array, *_ in layers]
    if len({array.shape for array in arrays}) > 1:
        sizes = tr("{path} and the others differ in size, and cannot be planes of one stack. Open them one by one.")
        raise UnetsegError(sizes.format(path=paths[0]))
    _remember(ENDINGS, paths[0])
    first = layers[0][1]
    arguments = {"name": first["name"], **LABELS}
    if "scale" in first:
        arguments |= {"scale": (1.0, *first["scale"]), "units": ("pixel", *first["units"])}
    return [(np.stack(arrays), arguments, "labels")]


def open_exchange(path: str) -> list[LayerData]:
    """Read the label file of Cellpose, or COCO's of one image, as the data of a Labels layer."""
    with errors_in_users_language():
        layer, said = exchange_layer(path)
    for text in said:
        show_info(text)
    if path.lower().endswith(_SEG):
        _remember((_SEG,), path)
    return [layer]


def _as_napari_reads(path: str | list[str]) -> list[LayerData]:
    from napari_builtins.io import napari_get_reader

    reader = napari_get_reader(path)
    return list(reader(path)) if reader is not None else []


def _remember(endings: Sequence[str], path: str) -> None:
    """Have napari open such files with this reader from now on, once it was chosen and nothing else was laid down.

    napari asks each time where two plugins read a suffix, and would else remember the answer for all TIFF files.
    """
    if current_viewer() is None or get_preferred_reader(path) is not None:
        return
    plugins = get_settings().plugins
    plugins.extension2reader = {**plugins.extension2reader, **{f"*{ending}": _PLUGIN for ending in endings}}
    text = tr("From now on {names} open in this way. Preferences > Plugins changes it.")
    show_info(text.format(names=tr(" and ").join(f"*{ending}" for ending in endings)))


def open_rois(path: str) -> list[LayerData]:
    """Read ImageJ ROIs as the data of a Shapes layer."""
    with errors_in_users_language():
        return _shapes(path, read_rois(path))


def open_geojson(path: str) -> list[LayerData]:
    """Read GeoJSON as the data of a Shapes layer, measurements among its features."""
    with errors_in_users_language():
        return _shapes(path, read_geojson(path))


def open_zarr(path: str) -> list[LayerData]:
    """Read what is in an OME-Zarr as the data of layers: images, and labels with their colours and tables."""
    with errors_in_users_language():
        layers, said = read_zarr(path)
    for text in said:
        show_info(text)
    return layers


def _shapes(path: str, found: ContourFile) -> list[LayerData]:
    if found.left_out:
        warning = tr("{path}: {shapes} not opened, since only areas are.")
        show_warning(warning.format(path=path, shapes=tr(" and ").join(found.left_out)))
    stack_axes = STACK_ROLES.lower()
    axes = [axis for axis in stack_axes if any(getattr(position, axis) is not None for position in found.positions)]
    rings = [
        (contour.label, kind, ring, position)
        for contour, position in zip(found.contours, found.positions, strict=True)
        for kind, ring in [("exterior", contour.exterior), *(("hole", hole) for hole in contour.holes)]
    ]
    arguments: dict[str, Any] = {
        "name": Path(path).stem,
        **CONTOURS,
        "ndim": len(axes) + 2,
        "axis_labels": (*axes, "y", "x"),
    }
    if found.scale and found.unit:
        arguments |= {
            "scale": (*(1.0 for _ in axes), *found.scale),
            "units": (*("pixel" for _ in axes), found.unit, found.unit),
        }
    if not rings:
        return [(None, arguments, "shapes")]
    features = pd.DataFrame({"label": [label for label, *_ in rings], "ring": [kind for _, kind, *_ in rings]})
    known = zip(found.contours, found.properties, strict=True) if found.properties else ()
    own = columns_of([one for contour, one in known for _ in (contour.exterior, *contour.holes)])
    if found.measurements:
        ours = {*features, *own}
        measured = {name: values for name, values in found.measurements.items() if name == "label" or name not in ours}
        features = _with_measurements(features, pd.DataFrame(measured), [position for *_, position in rings])
    features = features.assign(**own)
    polygons = [
        np.column_stack([np.tile(_places(position, axes), (len(ring), 1)), ring]) for _, _, ring, position in rings
    ]
    arguments |= {"features": features, "metadata": outline_record(polygons, features)}
    return [(polygons, arguments | {"shape_type": "polygon"}, "shapes")]


def _with_measurements(features: pd.DataFrame, table: pd.DataFrame, positions: Sequence[Position]) -> pd.DataFrame:
    """Put beside each ring what was measured of its object, in its plane where the object has a row for each."""
    axes = [axis for axis in ("z", "t", "c") if axis in table] if table["label"].duplicated().any() else []
    places = {axis: [getattr(position, axis) or 0 for position in positions] for axis in axes}
    return features.assign(**places).merge(table, on=["label", *axes], how="left")


def _places(position: Position, axes: list[str]) -> list[float]:
    return [float(getattr(position, axis) or 0) for axis in axes]
