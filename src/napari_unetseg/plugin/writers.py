"""Layers saved for other programs, by napari's File > Save."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from napari.utils.notifications import show_warning
from numpy.typing import NDArray

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io import ContourFile, write_geojson, write_ome_labels, write_rois
from napari_unetseg.io.exchange.cellpose_seg import write_seg
from napari_unetseg.io.exchange.coco import write_coco
from napari_unetseg.io.exchange.label_files import image_name
from napari_unetseg.io.exchange.labelled_image import OBJECT, LabelledImage
from napari_unetseg.io.ome_tiff import label_type
from napari_unetseg.language import tr
from napari_unetseg.plugin.autosave.edit_keeper import edits_saved
from napari_unetseg.plugin.languages import errors_in_users_language
from napari_unetseg.plugin.layers.axes import pixel_size, step_sizes
from napari_unetseg.plugin.layers.exports import (
    contours_of_labels,
    contours_of_shapes,
    describe_left_out,
    model_of,
    provenance_of,
    read_axes,
    stack_of,
)
from napari_unetseg.plugin.layers.napari_types import LayerArray, LayerMeta


def save_labels_as_ome_tiff(path: str, data: LayerArray | Sequence[LayerArray], meta: LayerMeta) -> list[str]:
    """Write a Labels layer as OME-TIFF, with its axes, scale and units, and how it came about.

    Parameters
    ----------
    path, data, meta
        As napari calls writers of single layers.

    Returns
    -------
    list[str]
        The file that was written.

    Raises
    ------
    UnetsegError
        If the layer has too many axes or negative labels, or the file cannot be written.
    """
    path = _with_ending(path, ".ome.tif", ".ome.tiff", ".tif", ".tiff")
    stack, axes = stack_of(data, meta)
    order = (*axes.stack, *axes.plane)
    units = _units(meta, axes.plane, axes.stack)
    labels = np.asarray(stack)
    if labels.min(initial=0) < 0:
        negative = tr("The layer '{layer}' has negative labels, which OME-TIFF files do not hold.")
        raise UnetsegError(negative.format(layer=meta.get("name")))
    with errors_in_users_language():
        write_ome_labels(
            path,
            # In its final type, so that the frame round a region takes no memory.
            axes.whole_planes(labels.astype(label_type(labels), copy=False)),
            axes=f"{axes.letters}YX",
            scale=[step_sizes(meta)[axis] for axis in order] if units is not None else None,
            units=units,
            provenance=provenance_of(meta),
        )
    _warn_of_shear(meta, axes.plane)
    edits_saved(meta)
    return [path]


def save_labels_as_tiff(path: str, data: LayerArray | Sequence[LayerArray], meta: LayerMeta) -> list[str]:
    """Write a Labels layer as napari does, but one of a part of an image with the size of the whole, 0 around it.

    `save_labels_as_ome_tiff` explains the arguments.
    """
    from napari_builtins.io import napari_write_labels

    record = provenance_of(meta)
    if record.get("region"):
        planes, axes = stack_of(data, meta)
        data = axes.whole_planes(np.asarray(planes))
    written = napari_write_labels(path, data, dict(meta))
    if written:
        edits_saved(meta)
    return [written] if written else []


def save_labels_as_rois(path: str, data: LayerArray | Sequence[LayerArray], meta: LayerMeta) -> list[str]:
    """Write the objects of a Labels layer as ImageJ ROIs; `save_labels_as_ome_tiff` explains the arguments."""
    return _save_rois(path, contours_of_labels(data, meta), meta)


def save_labels_as_geojson(path: str, data: LayerArray | Sequence[LayerArray], meta: LayerMeta) -> list[str]:
    """Write the objects of a Labels layer as GeoJSON; `save_labels_as_ome_tiff` explains the arguments."""
    return _save_geojson(path, contours_of_labels(data, meta), meta)


def save_labels_as_coco(path: str, data: LayerArray | Sequence[LayerArray], meta: LayerMeta) -> list[str]:
    """Write the objects of a Labels layer of one plane as COCO; `save_labels_as_ome_tiff` explains the arguments."""
    path = _with_ending(path, ".json")
    labels = _one_plane(data, meta)
    found = [label for label in np.unique(labels).tolist() if label]
    classes = dict.fromkeys(found, model_of(meta) or OBJECT) | _classes(meta)
    with errors_in_users_language():
        write_coco(path, [LabelledImage(_image_of(path, meta), labels, classes)])
    edits_saved(meta)
    return [path]


def save_labels_as_cellpose(path: str, data: LayerArray | Sequence[LayerArray], meta: LayerMeta) -> list[str]:
    """Write a Labels layer of one plane as Cellpose opens it; `save_labels_as_ome_tiff` explains the arguments."""
    path = _with_ending(path, ".npy")
    with errors_in_users_language():
        write_seg(path, _one_plane(data, meta), provenance_of(meta).get("path") or _image_of(path, meta))
    edits_saved(meta)
    return [path]


def save_shapes_as_rois(path: str, data: Sequence[LayerArray], meta: LayerMeta) -> list[str]:
    """Write the areas of a Shapes layer as ImageJ ROIs; `save_labels_as_ome_tiff` explains the arguments."""
    return _save_rois(path, contours_of_shapes(data, meta), meta)


def save_shapes_as_geojson(path: str, data: Sequence[LayerArray], meta: LayerMeta) -> list[str]:
    """Write the areas of a Shapes layer as GeoJSON; `save_labels_as_ome_tiff` explains the arguments."""
    return _save_geojson(path, contours_of_shapes(data, meta), meta)


def _save_rois(path: str, found: ContourFile, meta: LayerMeta) -> list[str]:
    path = _with_ending(path, ".zip")
    with errors_in_users_language():
        write_rois(path, found.contours, positions=found.positions)
    _warn_of_left_out(found, meta)
    return [path]


def _save_geojson(path: str, found: ContourFile, meta: LayerMeta) -> list[str]:
    path = _with_ending(path, ".geojson")
    with errors_in_users_language():
        write_geojson(
            path,
            found.contours,
            positions=found.positions,
            measurements=found.measurements,
            classification=model_of(meta),
            scale=found.scale,
            unit=found.unit,
            properties=found.properties,
        )
    _warn_of_left_out(found, meta)
    if meta.get("scale") is not None:
        _warn_of_shear(meta, read_axes(len(meta["scale"]), meta).plane)
    return [path]


def _one_plane(data: LayerArray | Sequence[LayerArray], meta: LayerMeta) -> NDArray[np.integer]:
    """Return the labels of a layer of one plane, with the size of its image.

    Raises
    ------
    UnetsegError
        If it has several planes, or negative labels.
    """
    planes, axes = stack_of(data, meta)
    labels = axes.whole_planes(np.asarray(planes))
    if labels[..., 0, 0].size != 1:
        several = tr("The layer '{layer}' is a stack, and such files are of one plane. Save each plane by itself.")
        raise UnetsegError(several.format(layer=meta.get("name")))
    if labels.min(initial=0) < 0:
        negative = tr("The layer '{layer}' has negative labels, which such files do not hold.")
        raise UnetsegError(negative.format(layer=meta.get("name")))
    plane: NDArray[np.integer] = labels.reshape(labels.shape[-2:])
    return plane


def _classes(meta: LayerMeta) -> dict[int, str]:
    """Return what the table of a layer says that its objects are."""
    features = pd.DataFrame(meta.get("features"))
    if not {"index", "class"} <= set(features):
        return {}
    rows = zip(features["index"].tolist(), features["class"].tolist(), strict=True)
    return {int(label): name for label, name in rows if isinstance(name, str) and name}


def _image_of(path: str, meta: LayerMeta) -> str:
    """Name the image that a layer is of: as it is recorded, else as the file is called."""
    return str(provenance_of(meta).get("image") or image_name(Path(path)))


def _units(meta: LayerMeta, plane: tuple[int, int], stack: Sequence[int]) -> list[str] | None:
    """Return the unit of each axis in a file, planes first; the pixel for a plane whose pixels are no rectangles."""
    if meta.get("units") is None or meta.get("scale") is None:
        return None
    units = [str(unit) for unit in meta["units"]]
    own = ["pixel"] * 2 if _is_sheared(meta, plane) else [units[axis] for axis in plane]
    return [*(units[axis] for axis in stack), *own]


def _is_sheared(meta: LayerMeta, plane: tuple[int, int]) -> bool:
    first, second = (str(meta["units"][axis]) for axis in plane)
    return first == second != "pixel" and pixel_size(meta, plane)[0] is None


def _warn_of_shear(meta: LayerMeta, plane: tuple[int, int]) -> None:
    if meta.get("units") is not None and meta.get("scale") is not None and _is_sheared(meta, plane):
        warning = tr("The layer '{layer}' is sheared, so the file does not say how large its pixels are.")
        show_warning(warning.format(layer=meta.get("name")))


def _with_ending(path: str, *endings: str) -> str:
    """Add the first ending to a name that has none of them: napari's dialog leaves it to writers on some systems.

    Raises
    ------
    UnetsegError
        If there is such a file already, since the dialog asked for leave to replace another one.
    """
    if path.lower().endswith(endings):
        return path
    completed = path + endings[0]
    if Path(completed).exists():
        taken = tr("{path}: is there already. To replace it, save under this very name.")
        raise UnetsegError(taken.format(path=completed))
    return completed


def _warn_of_left_out(found: ContourFile, meta: LayerMeta) -> None:
    if found.left_out:
        show_warning(describe_left_out(meta, found.left_out))
