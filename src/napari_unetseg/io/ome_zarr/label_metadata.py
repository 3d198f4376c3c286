"""What OME-Zarr says of a label image: axes, where it lies, colours and properties of objects, and how it was made."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError
from napari_unetseg.image import Image
from napari_unetseg.io.json_text import json_text
from napari_unetseg.language import Sentence

if TYPE_CHECKING:
    import zarr

OWN_KEY = "napari-unetseg"
"""Under which a group has what is ours, beside what the format knows."""

STORE_KEY = "label_store"
"""Under which a store of labels has the name of its label image there."""

METHODS = {
    "nearest": "A pixel is the first of its square of full resolution, so that numbers of objects stay what they are.",
    "mean": "A pixel is the mean of its square of full resolution.",
}
"""What is said of how lower levels were made."""

_TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
# By how much the scale of a level may differ from that of whole steps: some writers divide lengths.
_ROUNDING = 0.02

Transformations = list[dict[str, Any]]


@dataclass(frozen=True)
class Lying:
    """Where an image lies: what labels share with it.

    Attributes
    ----------
    axes
        As the format has them: name, type and unit of each.
    levels
        ``coordinateTransformations`` of each level.
    whole
        Those of all levels together; empty for none.
    """

    axes: list[dict[str, Any]]
    levels: list[Transformations]
    whole: Transformations

    @property
    def letters(self) -> str:
        """A letter for each axis; ``?`` where its name is longer."""
        return "".join(axis["name"].upper() if len(axis["name"]) == 1 else "?" for axis in self.axes)


def plain_attributes(group: "zarr.Group") -> dict[str, Any]:
    """Return what the format says of a group, without the envelope that version 0.5 puts it in."""
    attributes: dict[str, Any] = dict(group.attrs.asdict())
    return dict(attributes.get("ome", attributes))


def own_attributes(group: "zarr.Group") -> dict[str, Any]:
    """Return what is ours of the attributes of a group."""
    attributes: dict[str, Any] = dict(group.attrs.asdict())
    return dict(attributes.get(OWN_KEY) or {})


def enveloped(version: str, said: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a group from what the format says of it and what is ours."""
    plain: dict[str, Any] = json.loads(json_text(own))
    return {**said, OWN_KEY: plain} if version == "0.4" else {"ome": {"version": version, **said}, OWN_KEY: plain}


def multiscale(lying: Lying, name: str, version: str, method: str = "nearest") -> dict[str, Any]:
    """Return what the format says of a pyramid whose arrays are called ``"0"``, ``"1"``, ...

    Parameters
    ----------
    lying
        Where its levels lie.
    name
        What it is called.
    version
        Of the format.
    method
        How lower levels were made: one of `METHODS`.
    """
    datasets = [{"path": str(level), "coordinateTransformations": one} for level, one in enumerate(lying.levels)]
    whole = {"coordinateTransformations": lying.whole} if lying.whole else {}
    stated = {"version": version} if version == "0.4" else {}
    how = {"type": method, "metadata": {"description": METHODS[method]}}
    return {**stated, "name": name, "axes": lying.axes, "datasets": datasets, **whole, **how}


def lying_of(image: Image, letters: str, strides: Sequence[int]) -> Lying:
    """Return where an image lies that begins at the origin.

    Parameters
    ----------
    image
        Its sizes are taken.
    letters
        Axes of the array, such as ``"TYX"``, Y and X last.
    strides
        How many pixels of full resolution a pixel of each level spans, along Y and X.
    """
    sizes, units = image.steps_along(letters)
    axes = []
    for letter, unit in zip(letters.lower(), units, strict=True):
        axis = {"name": letter, "type": _TYPES.get(letter, "other")}
        axes.append(axis if unit == "pixel" else axis | {"unit": unit})
    return Lying(axes, [[{"type": "scale", "scale": _stretched(sizes, stride)}] for stride in strides], [])


def lying_in(lying: Lying, level: int, strides: Sequence[int]) -> Lying:
    """Return where labels of a level of an image lie, without its channels: over it, whatever a viewer reads of that.

    Parameters
    ----------
    lying
        Where the image lies.
    level
        Of the image; its pixels have one label each.
    strides
        How many of these a pixel of each level of the labels spans, along Y and X.
    """
    kept = [axis for axis, letter in enumerate(lying.letters) if letter != "C"]
    levels = [_of_axes(one, kept) for one in lying.levels[level:]]
    base = _scale(levels[0])
    wanted = []
    for at, stride in enumerate(strides):
        scale = _stretched(base, stride)
        same = at < len(levels) and np.allclose(_scale(levels[at]), scale, rtol=_ROUNDING, atol=0)
        others = [one for one in levels[0] if one["type"] != "scale"]
        wanted.append(levels[at] if same else [{"type": "scale", "scale": scale}, *others])
    return Lying([lying.axes[axis] for axis in kept], wanted, _of_axes(lying.whole, kept))


def read_lying(path: str, said: Mapping[str, Any]) -> Lying:
    """Read where an image lies.

    Parameters
    ----------
    path
        Of the image, for messages.
    said
        What the format says of its group.

    Raises
    ------
    ImageError
        If it does not say that as versions 0.4 and 0.5 do.
    """
    try:
        first = said["multiscales"][0]
        axes = [dict(axis) for axis in first["axes"]]
        levels = [[dict(one) for one in data["coordinateTransformations"]] for data in first["datasets"]]
        lying = Lying(axes, levels, [dict(one) for one in first.get("coordinateTransformations", [])])
        for one in (*levels, *([lying.whole] if lying.whole else [])):
            if len(_scale(one)) != len(axes):
                raise ValueError("a scale has not a number for each axis")
        if lying.letters[-2:] != "YX":
            raise ValueError("the last two axes are not y and x")
    except (KeyError, TypeError, IndexError, ValueError, StopIteration) as error:
        raise ImageError(
            Sentence(
                "{path}: this is no OME-Zarr image of version 0.4 or 0.5 into which labels can be written ({reason}). "
                "Write the labels beside it.",
                path=path,
                reason=repr(error),
            )
        ) from error
    return lying


def colours_as_stated(colours: Mapping[int, Sequence[float]], labels: NDArray[Any]) -> list[dict[str, Any]]:
    """Return the colours of objects as the format has them.

    Parameters
    ----------
    colours
        Red, green, blue and opacity, 0..1, by object.
    labels
        The objects there are.

    Raises
    ------
    ValueError
        If an object has none: viewers would not show it.
    """
    if missing := {*labels.tolist()} - set(colours):
        raise ValueError(f"{len(missing)} of the objects have no colour, and would not be seen")
    return [
        {"label-value": int(label), "rgba": [round(255 * float(part)) for part in colours[label]]}
        for label in sorted(colours)
    ]


def stated_colours(listed: Iterable[Mapping[str, Any]]) -> dict[int, tuple[float, ...]]:
    """Read the colours of objects, 0..1; what states none is left out."""
    return {
        int(one["label-value"]): tuple(float(part) / 255 for part in one["rgba"])
        for one in listed
        if isinstance(one.get("label-value"), int | float) and len(one.get("rgba") or ()) == 4
    }


def properties_as_stated(table: Mapping[str, NDArray[Any]]) -> list[dict[str, Any]]:
    """Return a table with a column ``label`` as the format has it: what is not known of an object is left out."""
    names = ["label-value", *(name for name in table if name != "label")]
    columns = [np.asarray(table[name]).tolist() for name in ("label", *names[1:])]
    return [
        {name: value for name, value in zip(names, row, strict=True) if value == value and value is not None}
        for row in zip(*columns, strict=True)
    ]


def stated_properties(listed: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
    """Read the properties of objects as a table whose first column is ``label``; NaN, or None, where one has none."""
    rows = [one for one in listed if isinstance(one.get("label-value"), int)]
    names = list(dict.fromkeys(name for one in rows for name in one if name != "label-value"))
    table = {"label": np.array([one["label-value"] for one in rows], np.int64)}
    for name in names:
        values = [one.get(name) for one in rows]
        numbers = all(value is None or isinstance(value, int | float) for value in values)
        table[name] = (
            np.array([np.nan if value is None else value for value in values])
            if numbers
            else np.array(values, dtype=object)
        )
    return table


def _scale(transformations: Transformations) -> list[float]:
    return next([float(size) for size in one["scale"]] for one in transformations if one["type"] == "scale")


def _of_axes(transformations: Transformations, kept: Sequence[int]) -> Transformations:
    def of(value: Any) -> Any:
        return [value[axis] for axis in kept] if isinstance(value, list) else value

    return [{name: of(value) for name, value in one.items()} for one in transformations]


def _stretched(sizes: Sequence[float], stride: int) -> list[float]:
    return [*(float(size) for size in sizes[:-2]), *(float(size) * stride for size in sizes[-2:])]
