"""An image file and the labels that a batch made of it, as layers."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer
from numpy.typing import NDArray

from napari_unetseg.batch.output_files import ENDINGS, ResultKind, Target
from napari_unetseg.batch.places import address, is_zarr
from napari_unetseg.image import READ_AT_ONCE, Image
from napari_unetseg.io.microscope.location import split_scene_path
from napari_unetseg.layer_style import LABELS

FILE_KEY = "napari_unetseg_file"
"""Under which the metadata of a layer name the file that it shows."""


def read_layers(
    file: Path, target: Target | None, read_options: Mapping[str, Any] = MappingProxyType({})
) -> list[Layer]:
    """Read an image and its labels; call it in a worker.

    Parameters
    ----------
    file
        The image.
    target
        Where its results lie; None if there are none.
    read_options
        Keyword arguments of `read_image`.

    Returns
    -------
    list of Layer
        The image, and where there is a label image its labels, with the table of measurements as features. Their
        metadata have the path of their file under `FILE_KEY`.

    Raises
    ------
    UnetsegError
        If a file cannot be read.
    """
    from napari_unetseg.io import read_image

    image = read_image(address(file), **read_options)
    levels = _levels(file, image, read_options)
    name = image.name if is_zarr(file) or split_scene_path(file)[1] else file.stem
    axes = image.axes.replace("C", "")
    if "C" in image.axes:
        levels = [np.moveaxis(level, image.axes.index("C"), -1 if image.rgb else 0) for level in levels]
        axes = axes if image.rgb else f"C{axes}"
    layers: list[Layer] = [
        ImageLayer(
            **_pyramid(levels),
            rgb=image.rgb,
            name=name,
            metadata={FILE_KEY: str(file)},
            **_place(image, axes),
        )
    ]
    kinds = [kind for kind in (ResultKind.LABELS, ResultKind.OME_ZARR) if target is not None and target.holds(kind)]
    if target is not None and kinds:
        layers.append(_labels(target, kinds[0], f"{name} labels", image))
    return layers


def _levels(file: Path, image: Image, read_options: Mapping[str, Any] = MappingProxyType({})) -> list[NDArray[Any]]:
    """Read what fits; what is larger stays where it is, in all its levels where it has some."""
    if image.array.nbytes <= READ_AT_ONCE:
        return [np.asarray(image.array)]
    if not is_zarr(file):
        return [image.array]
    from napari_unetseg.io.levels import level_number
    from napari_unetseg.io.ome_zarr.images import open_image

    opened = open_image(address(file))
    first = level_number(read_options.get("level", 0), opened.pyramid, str(file))
    images = [opened.image(number, read_options.get("axes")) for number in range(first, len(opened.levels))]
    return [level.array for level in images if level.axes == image.axes]


def _pyramid(levels: list[NDArray[Any]]) -> dict[str, Any]:
    """Return levels as napari's layers take them."""
    return {"data": levels, "multiscale": True} if len(levels) > 1 else {"data": levels[0]}


def _labels(target: Target, kind: ResultKind, name: str, image: Image) -> Labels:
    import pandas as pd

    from napari_unetseg.io import read_label_image

    path = target.result(kind)
    levels = _levels(path, read_label_image(path))
    features = pd.DataFrame()
    if target.holds(ResultKind.TABLE):
        features = pd.read_csv(target.path(ENDINGS[ResultKind.TABLE])).rename(columns={"label": "index"})
    arguments = {**LABELS, "features": features, "metadata": {FILE_KEY: str(path)}}
    return Labels(**_pyramid(levels), name=name, **arguments, **_place(image, f"{image.stack_axes}YX"))


def _place(image: Image, axes: str) -> dict[str, Any]:
    """Return the size and unit of a step along each axis as napari's layers take them."""
    scale, units = image.steps_along(axes)
    return {"scale": scale, "units": units} if set(units) != {"pixel"} else {}
