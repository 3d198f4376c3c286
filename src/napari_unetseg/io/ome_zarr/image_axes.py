"""What the axes of an image of OME-Zarr are, and where its pixels lie."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError
from napari_unetseg.io.axis_order import FREE_LETTERS
from napari_unetseg.io.ome_zarr.metadata import Axis, Dataset, Multiscale, Transformation
from napari_unetseg.io.ome_zarr.opening import OmeGroup
from napari_unetseg.language import Sentence

_BY_TYPE = {"time": "T", "channel": "C"}


def axis_letters(axes: Sequence[Axis], label: str) -> str:
    """Give each axis a letter, by its name where it is a usual one, else by its kind.

    Raises
    ------
    ImageError
        If two of them are not Y and X. The message calls the file by its label.
    """
    letters: list[str | None] = []
    for axis in axes:
        name = axis.name.strip().upper()
        letter = name if name in "TCZYX" and len(name) == 1 else _BY_TYPE.get((axis.type or "").lower())
        letters.append(letter if letter not in letters else None)
    unnamed = [at for at, axis in enumerate(axes) if letters[at] is None and (axis.type or "").lower() == "space"]
    for at, letter in zip(reversed(unnamed), [one for one in "XYZ" if one not in letters], strict=False):
        letters[at] = letter
    for at, axis in enumerate(axes):
        if letters[at] is None:
            wanted = axis.name.strip().upper()[:1]
            free = [one for one in wanted + FREE_LETTERS if one in FREE_LETTERS and one not in letters]
            letters[at] = free[0]
    if not {"Y", "X"} <= set(letters):
        raise ImageError(
            Sentence(
                "{path}: its metadata name the axes {axes}, two of which have to be y and x. Write the image again "
                "with the program that it came from.",
                path=label,
                axes=", ".join(axis.name for axis in axes),
            )
        )
    return "".join(cast("list[str]", letters))


def level_placement(
    group: OmeGroup, multiscale: Multiscale, dataset: Dataset, ratio: Sequence[float], name: str
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[str, ...]]:
    """Put together how the pixels of a level lie in the world: what its own says first, then the whole image's.

    Parameters
    ----------
    group
        Of the image.
    multiscale, dataset
        What is said of the image and of the level.
    ratio
        How many pixels of the largest level one of this level is, along each axis: its scale where none is stated.
    name
        What remarks call the image.

    Returns
    -------
    tuple
        Scale and translation along each axis, and remarks where they are stated in a way that is not read: they are 1
        and 0 then, of no unit.
    """
    steps = [*dataset.transformations, *multiscale.transformations]
    scale, translation = np.ones(len(ratio)), np.zeros(len(ratio))
    if not dataset.transformations:
        scale = np.asarray(ratio, float)
    for step in steps:
        if step.type == "identity":
            continue
        values = _values(group, step, len(ratio))
        if values is None:
            remark = Sentence(
                "{file}: states where its pixels lie in a way that is not read ({kind}); their size is left out.",
                file=name,
                kind=step.type,
            )
            return (1.0,) * len(ratio), (0.0,) * len(ratio), (remark,)
        if step.type == "scale":
            scale, translation = scale * values, translation * values
        else:
            translation = translation + values
    return tuple(scale.tolist()), tuple(translation.tolist()), ()


def _values(group: OmeGroup, step: Transformation, length: int) -> NDArray[np.float64] | None:
    if step.type not in ("scale", "translation"):
        return None
    stated = step.scale if step.type == "scale" else step.translation
    if stated is None and step.path is not None:
        stated = tuple(np.asarray(group.array(step.path)[...], float).ravel().tolist())
    if stated is None or len(stated) != length:
        raise ImageError(
            Sentence(
                "{path}: its metadata are damaged or of another kind: {field}: {reason}. Write the image again with "
                "the program that it came from.",
                path=group.label,
                field=f"coordinateTransformations.{step.type}",
                reason=Sentence("has {n} numbers for {axes} axes", n=len(stated or ()), axes=length),
            )
        )
    return np.asarray(stated, float)
