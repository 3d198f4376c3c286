"""Label images in TIFF files, and label files of other programs, as Labels layers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.language import grouped, tr
from napari_unetseg.layer_style import AXES_KEY, LABELS, METADATA_KEY
from napari_unetseg.plugin.layers.file_layers import FILE_KEY
from napari_unetseg.plugin.zarr_layers import MOST_FEATURES
from napari_unetseg.postprocessing.layer_data import LayerData, table_features

if TYPE_CHECKING:
    import pandas as pd

    from napari_unetseg.io.exchange.labelled_image import LabelledImage

ENDINGS = ("_labels.tif", "_labels.ome.tif")
"""What the names of our label images end in."""

_TABLE = "_table.csv"
_IN_MEMORY = 2**28
"""Bytes up to which labels are read whole, so that they can be painted on: those of 8,192 x 8,192 pixels."""


def read_label_layer(path: str) -> tuple[LayerData | None, list[str]]:
    """Read a label image, with the table that lies beside it and how it came about, where it is one of ours.

    Parameters
    ----------
    path
        A TIFF file.

    Returns
    -------
    LayerData or None
        Of a Labels layer; None if the file holds no whole numbers, or colours.
    list of str
        What to tell about it.

    Raises
    ------
    UnetsegError
        If the file cannot be read.
    """
    from napari_unetseg.io import read_label_image
    from napari_unetseg.io.label_record import read_record

    image = read_label_image(path)
    if image.array.dtype.kind not in "iu" or "C" in image.axes:
        return None, []
    record = read_record(path)
    array: Any = np.asarray(image.array) if image.array.nbytes <= _IN_MEMORY else image.array
    metadata: dict[str, Any] = {FILE_KEY: path}
    if record:
        metadata[METADATA_KEY] = {"plane": {}, **record, AXES_KEY: list(image.axes)}
    arguments: dict[str, Any] = {
        "name": tr("{image} labels").format(image=_image_name(path)),
        **LABELS,
        "metadata": metadata,
        "axis_labels": tuple(image.axes.lower()),
        **_place(image),
    }
    features, said = _features(path, array)
    if features is not None:
        arguments["features"] = features
    return (array, arguments, "labels"), said


def exchange_layer(path: str) -> tuple[LayerData, list[str]]:
    """Read a file of COCO or Cellpose as the data of a Labels layer, with class and score as its features.

    Raises
    ------
    UnetsegError
        If the file cannot be read, or is of several images.
    """
    from napari_unetseg.io.exchange.label_files import read_labels

    images = read_labels(path)
    image = next(images, None)
    if image is None or next(images, None) is not None:
        several = tr(
            "{path}: is not of one image alone. 'napari-unetseg labels {path} --to tiff -o FOLDER' writes a label "
            "image for each."
        )
        raise UnetsegError(several.format(path=path))
    arguments = {
        "name": tr("{image} labels").format(image=Path(image.name).stem),
        **LABELS,
        "metadata": {FILE_KEY: path},
        "features": _said_of_objects(image),
    }
    return (image.labels.astype(np.int32), arguments, "labels"), [str(remark) for remark in image.remarks]


def _said_of_objects(image: "LabelledImage") -> "pd.DataFrame":
    import pandas as pd

    labels = [label for label in np.unique(image.labels).tolist() if label]
    features = pd.DataFrame({"index": labels, "class": [image.class_of(label) for label in labels]})
    if image.scores:
        features["score"] = [image.scores.get(label, np.nan) for label in labels]
    return features


def _image_name(path: str) -> str:
    name = Path(path).name
    ending = next((one for one in ENDINGS if name.lower().endswith(one)), "")
    return name[: len(name) - len(ending)] if ending else Path(path).stem


def _features(path: str, labels: Any) -> tuple["pd.DataFrame | None", list[str]]:
    """Return the table beside a label image, if it is of the very objects; else say why not."""
    import pandas as pd

    table = Path(path).with_name(f"{_image_name(path)}{_TABLE}")
    if not table.is_file():
        return None, []
    try:
        columns = pd.read_csv(table)
        own = set(columns["label"])
    except (OSError, ValueError, KeyError) as error:
        damaged = tr("{file}: cannot be read as a table ({reason}), so the layer has none.")
        return None, [damaged.format(file=table.name, reason=error)]
    if len(columns) > MOST_FEATURES:
        text = tr("'{name}': its table of {rows} rows is too long to be shown here.")
        return None, [text.format(name=Path(path).name, rows=grouped(len(columns)))]
    if isinstance(labels, np.ndarray) and own != set(np.unique(labels).tolist()) - {0}:
        changed = tr("{file} is of other objects than {labels}, which was changed since. Measure again.")
        return None, [changed.format(file=table.name, labels=Path(path).name)]
    return table_features({str(name): column.to_numpy() for name, column in columns.items()}), []


def _place(image: Image) -> dict[str, Any]:
    scale, units = image.steps_along(image.axes)
    return {"scale": scale, "units": units} if set(units) != {"pixel"} else {}
