"""From an image layer to the `Image` that is segmented: which plane, and where it lies in the world."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import CompositeAffine
from numpy.typing import NDArray

from napari_unetseg.image import Image

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image as ImageLayer

_DEFAULT_LABEL = re.compile(r"(axis )?-?\d+")


@dataclass(frozen=True)
class Placement:
    """How a plane lies among the dimensions of its layer and in the world.

    Attributes
    ----------
    ndim
        Dimensions of the layer, colour channels not counted.
    plane_axes
        The two of them that the plane spans, ascending.
    transform
        Keyword arguments every result layer gets: scale, translate, rotate, shear, affine, units,
        axis_labels. `translate` includes the position of the plane along the other axes, along
        which results have length 1.
    """

    ndim: int
    plane_axes: tuple[int, int]
    transform: Mapping[str, Any]

    def expand(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Give a (Y, X) array the dimensions of the layer; a view."""
        others = tuple(axis for axis in range(self.ndim) if axis not in self.plane_axes)
        return np.expand_dims(plane, others)

    def vertices(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Give (N, 2) points in the plane the coordinates of the layer, (N, ndim)."""
        placed = np.zeros((len(points), self.ndim))
        placed[:, list(self.plane_axes)] = points
        return placed


@dataclass(frozen=True)
class Plane:
    """One plane of an image layer, not yet read.

    Attributes
    ----------
    name
        Name of the layer.
    index
        Position along each axis that the plane does not span, by axis.
    description
        How the axes were read, for the user's eyes.
    pixel_area
        Area of a pixel in physical units with its unit, such as ``(0.1, "µm²")``; None if not known.
    read
        Reads the pixels, from disk or by a lazy computation where it must. Call it in a worker.
    in_memory
        Whether reading costs next to nothing.
    """

    name: str
    index: Mapping[int, int]
    placement: Placement
    description: str
    pixel_area: tuple[float, str] | None
    read: Callable[[], Image]
    in_memory: bool = False


def shown_plane(layer: "ImageLayer", dims: "Dims") -> Plane:
    """Describe the plane of a layer that the viewer's sliders now show.

    A multiscale layer gives that plane at full resolution. In a 3-D view the plane is the one
    spanned by the last two axes in the viewer's order.

    Parameters
    ----------
    layer
        Any image layer: grey or RGB, n-D, multiscale, lazy.
    dims
        The viewer's dims.
    """
    data = layer.data[0] if layer.multiscale else layer.data
    axes = _plane_axes(layer.ndim, tuple(dims.order))
    others = [axis for axis in range(layer.ndim) if axis not in axes]
    point = np.rint(layer.world_to_data(dims.point)).astype(int)
    index = {axis: int(np.clip(point[axis], 0, data.shape[axis] - 1)) for axis in others}
    key = tuple(index.get(axis, slice(None)) for axis in range(layer.ndim))
    scale, unit, symbol = _pixel_size(layer, axes)
    name, rgb, path = str(layer.name), bool(layer.rgb), layer.source.path

    def read() -> Image:
        pixels = np.asarray(data[key])
        return Image(pixels, "YXC" if rgb else "YX", rgb=rgb, scale=scale, unit=unit, name=name, path=path)

    return Plane(
        name=name,
        index=index,
        placement=Placement(layer.ndim, axes, _transform(layer, index)),
        description=_describe(layer, data, axes, index, scale, symbol),
        pixel_area=(scale[0] * scale[1], f"{symbol}²") if scale else None,
        read=read,
        in_memory=isinstance(data, np.ndarray) and not isinstance(data, np.memmap),
    )


def _plane_axes(ndim: int, order: tuple[int, ...]) -> tuple[int, int]:
    """Return the two axes of the layer on display; the layer has the last axes of the viewer."""
    missing = len(order) - ndim
    first, second = (axis - missing for axis in order[-2:])
    if min(first, second) < 0:
        return ndim - 2, ndim - 1
    return min(first, second), max(first, second)


def _transform(layer: "ImageLayer", index: Mapping[int, int]) -> dict[str, Any]:
    origin = np.zeros(layer.ndim)
    origin[list(index)] = list(index.values())
    to_physical = CompositeAffine(
        scale=layer.scale, translate=layer.translate, rotate=layer.rotate, shear=layer.shear, ndim=layer.ndim
    )
    return {
        "scale": np.array(layer.scale),
        "translate": np.asarray(to_physical(origin)),
        "rotate": np.array(layer.rotate),
        "shear": np.array(layer.shear),
        "affine": np.array(layer.affine.affine_matrix),
        "units": tuple(str(unit) for unit in layer.units),
        "axis_labels": tuple(layer.axis_labels),
    }


def _pixel_size(layer: "ImageLayer", axes: tuple[int, int]) -> tuple[tuple[float, float] | None, str | None, str]:
    """Return pixel size, unit and its symbol; nothing is known while the unit is the pixel."""
    first, second = (layer.units[axis] for axis in axes)
    if first != second or str(first) == "pixel":
        return None, None, ""
    return (float(layer.scale[axes[0]]), float(layer.scale[axes[1]])), str(first), f"{first:~P}"


def _describe(
    layer: "ImageLayer",
    data: Any,
    axes: tuple[int, int],
    index: Mapping[int, int],
    scale: tuple[float, float] | None,
    symbol: str,
) -> str:
    letters = dict(zip(axes, "YX", strict=True))
    labels = [_axis_label(layer, axis, letters) for axis in axes]
    height, width = (data.shape[axis] for axis in axes)
    words = [" ".join([*labels, "RGB"] if layer.rgb else labels)]
    words += [f"{_axis_label(layer, axis, {})} {i + 1} of {data.shape[axis]}" for axis, i in index.items()]
    words += [f"{height} x {width}", str(data.dtype)]
    if scale:
        sizes = dict.fromkeys(f"{size:.3g}" for size in scale)
        words.append(f"{' x '.join(sizes)} {symbol}")
    return " · ".join(words)


def _axis_label(layer: "ImageLayer", axis: int, letters: Mapping[int, str]) -> str:
    """Return the label the user gave an axis; else its letter, else its number from the front."""
    label = str(layer.axis_labels[axis])
    if _DEFAULT_LABEL.fullmatch(label):
        return letters.get(axis, "plane" if layer.ndim == 3 else f"axis {axis}")
    return label.upper() if len(label) == 1 else label
