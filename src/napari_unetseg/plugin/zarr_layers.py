"""Images and label images of OME-Zarr as layers: what is in the store is read where it is looked at."""

from collections.abc import Iterable, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetseg.errors import ImageError
from napari_unetseg.io.ome_zarr.location import Location, is_url
from napari_unetseg.io.physical_size import unit_name
from napari_unetseg.language import grouped, tr
from napari_unetseg.layer_style import AXES_KEY, LABELS, METADATA_KEY
from napari_unetseg.plugin.layers.axes import role_of
from napari_unetseg.plugin.layers.file_layers import FILE_KEY
from napari_unetseg.postprocessing.layer_data import LayerData, table_features

if TYPE_CHECKING:
    from napari_unetseg.io.ome_zarr.images import ZarrImage
    from napari_unetseg.io.ome_zarr.labels import LabelPyramid

MOST_FEATURES = 200_000
"""Rows of a table above which it stays in its file: a layer would take seconds to show it."""

_IN_MEMORY = 2**26
"""Bytes up to which labels are read whole, so that they can be painted on: those of 4,096 x 4,096 pixels."""

_OTHERS = (0.5, 0.5, 0.5, 1.0)
"""Colour of objects without one where others have theirs; napari would not show them."""


def read_zarr(path: str) -> tuple[list[LayerData], list[str]]:
    """Read an image with its label images, or a label image alone; of a store of labels, its labels.

    Parameters
    ----------
    path
        A folder, an archive, what lies within one, or a URL.

    Returns
    -------
    list of LayerData
        Images first.
    list of str
        What to tell about it.

    Raises
    ------
    UnetsegError
        If there is nothing that can be opened.
    """
    from napari_unetseg.io.ome_zarr.images import open_image
    from napari_unetseg.io.ome_zarr.label_list import LABELS as LIST
    from napari_unetseg.io.ome_zarr.label_metadata import STORE_KEY, own_attributes
    from napari_unetseg.io.ome_zarr.labels import labels_in, open_labels
    from napari_unetseg.io.ome_zarr.opening import open_group

    group = open_group(Location.of(path))
    if "image-label" in group.ome:
        return _labels([open_labels(path)])
    if isinstance(group.ome.get(LIST), list):
        return _labels([open_labels(group.location.at(str(name)).address) for name in group.ome[LIST]])
    found = None if STORE_KEY in own_attributes(group.group) else open_image(group)
    images = [] if found is None else _image(found)
    layers, said = _labels([open_labels(one) for one in labels_in(path if found is None else found.group.label)])
    if not images and not layers:
        raise ImageError(
            tr("{path}: this store has no finished labels. Run again what was to write them; it goes on.").format(
                path=path
            )
        )
    return [*images, *layers], said


def _labels(found: Iterable["LabelPyramid"]) -> tuple[list[LayerData], list[str]]:
    layers, said = [], []
    for labels in found:
        data, texts = label_layer(labels)
        layers.append(data)
        said += texts
    return layers, said


def label_layer(labels: "LabelPyramid") -> tuple[LayerData, list[str]]:
    """Make the data of a Labels layer: colours, table and how it came about are those of the store.

    Parameters
    ----------
    labels
        A label image. A small one that is no URL is read whole, so that it can be painted on; of another one a
        multiscale layer reads what is looked at.

    Returns
    -------
    LayerData
        Named as the labels are.
    list of str
        What to tell about it.
    """
    whole = labels.lazy_levels[0]
    is_small = whole.nbytes <= _IN_MEMORY and not is_url(labels.path)
    record = labels.record
    metadata: dict[str, Any] = {FILE_KEY: labels.path}
    if record:
        metadata[METADATA_KEY] = {"plane": {}, **record, AXES_KEY: [role_of(name) for name in labels.axis_names]}
    arguments: dict[str, Any] = {
        "name": labels.name,
        **LABELS,
        "metadata": metadata,
        **_place(labels.axis_names, labels.units, labels.scale, labels.translation),
    }
    if colours := labels.colours:
        arguments["colormap"] = {0: (0.0, 0.0, 0.0, 0.0), None: _OTHERS, **colours}
    said = []
    rows = labels.rows
    if rows > MOST_FEATURES or (not rows and labels.table_file is not None):
        said.append(_table_says(labels, rows))
    elif rows:
        arguments["features"] = table_features(labels.table())
    data: Any = np.asarray(whole) if is_small else list(labels.lazy_levels)
    return (data, arguments | {"multiscale": not is_small}, "labels"), said


def _table_says(labels: "LabelPyramid", rows: int) -> str:
    if labels.table_file is None:
        text = tr("'{name}': its table of {rows} rows is too long to be shown here.")
        return text.format(name=labels.name, rows=grouped(rows))
    text = tr("'{name}': its table is too long to be shown here. It is in {file}.")
    return text.format(name=labels.name, file=Path(labels.path, labels.table_file).resolve())


def _image(found: "ZarrImage") -> list[LayerData]:
    """Make a layer of each channel, or one of a picture in colour."""
    import dask.array as da

    opened: Any = da.from_zarr  # which has no types
    arrays = [opened(found.group.array(level.path)) for level in found.levels]
    channel = found.letters.find("C")
    kept = [axis for axis in range(len(found.letters)) if axis != channel]
    first = found.levels[0]
    arguments: dict[str, Any] = {
        "multiscale": len(arrays) > 1,
        **_place(
            [found.axes[axis].name for axis in kept],
            [found.axes[axis].unit for axis in kept],
            [first.scale[axis] for axis in kept],
            [first.translation[axis] for axis in kept],
        ),
    }

    def layer(levels: Sequence[Any], name: str, **more: Any) -> LayerData:
        return (levels if len(levels) > 1 else levels[0], {**arguments, "name": name, **more}, "image")

    if channel < 0:
        return [layer(arrays, found.name)]
    if found.image().rgb:
        return [layer([da.moveaxis(array, channel, -1) for array in arrays], found.name, rgb=True)]
    names = [one.label for one in found.channels]
    count = arrays[0].shape[channel]
    names = [*names, *(None for _ in range(count - len(names)))]
    more = {"blending": "additive"} if count > 1 else {}
    return [
        layer(
            [da.take(array, at, axis=channel) for array in arrays],
            f"{found.name} {names[at] or at}" if count > 1 else found.name,
            **more,
        )
        for at in range(count)
    ]


def _place(
    names: Sequence[str], units: Sequence[str | None], scale: Sequence[float], translation: Sequence[float]
) -> dict[str, Any]:
    """Return where a layer lies, as napari takes it; sizes that are not known are 1."""
    known = [unit_name(unit) or "pixel" for unit in units]
    return {
        "axis_labels": tuple(names),
        "units": tuple(known),
        "scale": [size if isfinite(size) and size else 1.0 for size in scale],
        "translate": list(translation),
    }
