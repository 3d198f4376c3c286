"""The image that walks through the rooms: an array that says what its axes mean."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError
from napari_unetseg.language import Sentence
from napari_unetseg.lazy_array import LazyArray

PLANES = ("YX", "YXC", "CYX")
"""What the axes of one plane can be: grey, channels last, channels first."""

READ_AT_ONCE = 2**29
"""Bytes up to which a plane that is not in memory is read whole, so that each part of its file is read once. Of a
larger one each tile is read when its turn comes."""

TRIAL_SIDE = 512
"""Most pixels along each axis of what models are tried on: enough to judge by, and quick."""

_ROWS_AT_ONCE = 1024
_VALUES_AT_ONCE = 2**24


@dataclass(frozen=True)
class Image:
    """One plane, or a stack of planes, with the physical scale where it is known.

    Attributes
    ----------
    array
        Pixels of any bool, integer or float dtype, in the order that `axes` names. It may be anything that has a
        shape and a dtype and is read by indexing, such as a dask array or a memory-mapped file: the planes of a
        stack are then read one at a time, and a plane too large to be read at once in tiles. A `LazyArray` is read
        where a pixel is needed, and not before.
    axes
        ``"YX"`` (grey), ``"YXC"`` (channels last) or ``"CYX"`` (channels first) for one plane. Any other upper-case
        letters make it a stack along those axes, such as ``"ZYX"``, ``"TYX"``, ``"TCZYX"`` or ``"ZYXC"``;
        ``Z`` are planes of one volume and ``T`` time points.
    rgb
        True where the channels are the red, green and blue (and alpha) of one picture.
    scale
        Size of a pixel along (Y, X) in `unit`; None where it is not known.
    unit
        Name of the physical unit of `scale`, such as ``"micrometer"``; None where it is not known.
    name
        What the user calls the image: a file or layer name, for messages and provenance.
    path
        File it was read from, for provenance; None where it is not known.
    origin
        Row and column that the first pixel has in the whole image, if this is a part of one: measured positions count
        from the first pixel of the whole.
    steps
        Size of a step along axes of a stack, with its unit: ``{"Z": (2.5, "micrometer"), "T": (30.0, "second")}``.
        Axes whose step is not known are missing.
    remarks
        Sentences on what of the file could not be used, such as a pixel size without a unit.
    channels
        What the channels along ``C`` are called, such as ``("DAPI", "GFP")``; empty where that is not known.
    chosen
        Whether the channels are those that a network is to get, in its order: see `napari_unetseg.channels`.
    """

    array: NDArray[Any]
    axes: str = "YX"
    rgb: bool = False
    scale: tuple[float, float] | None = None
    unit: str | None = None
    name: str = "image"
    path: str | None = None
    origin: tuple[int, int] = (0, 0)
    steps: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    chosen: bool = False

    def __post_init__(self) -> None:
        """Refuse what no model could segment, in words that name the image."""
        if not _is_readable(self.axes):
            raise ImageError(
                Sentence(
                    "{image}: axes {axes} name no image. Write one letter for each axis, Y before X, C for channels, "
                    "Z for planes and T for time points, such as YX, ZYX or TCZYX.",
                    image=self.name,
                    axes=repr(self.axes),
                )
            )
        if self.array.ndim != len(self.axes):
            raise ImageError(
                Sentence(
                    "{image}: {n} dimensions cannot be read as {axes}; choose one plane, or say which axis holds the "
                    "channels.",
                    image=self.name,
                    n=self.array.ndim,
                    axes=self.axes,
                )
            )
        if self.array.dtype.kind not in "buif":
            raise ImageError(
                Sentence(
                    "{image}: pixels of type {dtype} cannot be segmented; convert the image to integers or real "
                    "numbers.",
                    image=self.name,
                    dtype=self.array.dtype,
                )
            )
        if self.array.size == 0:
            raise ImageError(
                Sentence("{image}: the image is empty (shape {shape}).", image=self.name, shape=self.array.shape)
            )
        steps = self.steps.items() if isinstance(self.steps, Mapping) else [("steps", (self.steps,))]
        for axes, size in {"YX": self.scale, **dict(steps)}.items():
            if size is not None and not (_are_sizes(size, 2) if axes == "YX" else _is_step(axes, size)):
                raise ImageError(
                    Sentence(
                        "{image}: {size} cannot be the size of a step along {axes}. Give each axis a number above 0, "
                        "or leave the size out.",
                        image=self.name,
                        size=size,
                        axes=axes,
                    )
                )

    @classmethod
    def of(cls, array: "NDArray[Any] | Image", *, name: str = "image") -> "Image":
        """Read a bare array the way most people mean it.

        Parameters
        ----------
        array
            (Y, X) is grey; (Y, X, 3) and (Y, X, 4) are RGB and RGBA; (C, Y, X) and (Y, X, C) with
            fewer than 10 channels are multichannel. An `Image` is returned as it is.
        name
            Name for messages.

        Raises
        ------
        ImageError
            If the shape fits none of these, or the dtype holds no real numbers.
        """
        if isinstance(array, Image):
            return array
        try:
            array = for_numpy(array)
        except (TypeError, ValueError) as error:
            raise ImageError(Sentence("{image}: this is no image ({reason}).", image=name, reason=error)) from error
        if array.ndim == 2:
            return cls(array, "YX", name=name)
        if array.ndim == 3 and array.shape[-1] in (3, 4) and array.shape[0] > 4:
            return cls(array, "YXC", rgb=True, name=name)
        if array.ndim == 3 and min(array.shape) == array.shape[0] < 10:
            return cls(array, "CYX", name=name)
        if array.ndim == 3 and array.shape[-1] < 10:
            return cls(array, "YXC", rgb=array.shape[-1] in (3, 4), name=name)
        raise ImageError(
            Sentence(
                "{image}: shape {shape} is not one plane. Pass one (Y, X) plane, an RGB image (Y, X, 3) or channels "
                "first (C, Y, X); for a stack say what its axes are, as in Image(array, 'ZYX').",
                image=name,
                shape=array.shape,
            )
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = (self.array.shape[self.axes.index(axis)] for axis in "YX")
        return int(height), int(width)

    @property
    def stack_axes(self) -> str:
        """Letters of the axes along which there are planes, in their order; empty for one plane."""
        return "".join(axis for axis in self.axes if axis not in "YXC")

    @property
    def stack_shape(self) -> tuple[int, ...]:
        """How many planes there are along each of `stack_axes`."""
        return tuple(int(self.array.shape[self.axes.index(axis)]) for axis in self.stack_axes)

    def steps_along(self, axes: str) -> tuple[tuple[float, ...], tuple[str, ...]]:
        """Return the size of a step along each of some axes, and its unit: 1 and ``"pixel"`` where it is not known."""
        known = dict(self.steps)
        if self.scale is not None and self.unit is not None:
            known |= {axis: (step, self.unit) for axis, step in zip("YX", self.scale, strict=True)}
        steps = [known.get(axis, (1.0, "pixel")) for axis in axes]
        return tuple(size for size, _ in steps), tuple(unit for _, unit in steps)

    @property
    def channels_first(self) -> NDArray[Any]:
        """The pixels of one plane as (C, Y, X), a view.

        Raises
        ------
        ImageError
            If this is a stack.
        """
        if self.stack_axes:
            raise ImageError(
                Sentence("{image}: is a stack ({axes}); take one of its planes.", image=self.name, axes=self.axes)
            )
        array = for_numpy(self.array)
        if self.axes == "YX":
            return array[np.newaxis]
        return array if self.axes == "CYX" else np.moveaxis(array, -1, 0)

    def take_channel(self, channel: int) -> "Image":
        """Return one channel as a grey image, or as a stack of them.

        Raises
        ------
        ImageError
            If there is no such channel.
        """
        channels = self.array.shape[self.axes.index("C")] if "C" in self.axes else 1
        if not 0 <= channel < channels:
            raise ImageError(
                Sentence(
                    "{image}: channel {channel} does not exist; it has {channels} (0 to {last}).",
                    image=self.name,
                    channel=channel,
                    channels=channels,
                    last=channels - 1,
                )
            )
        return self._take({"C": channel}) if "C" in self.axes else self

    def plane(self, index: tuple[int, ...]) -> "Image":
        """Read one plane of a stack, or the only plane there is at ``()``; of a `LazyArray`, leave it where it is.

        Parameters
        ----------
        index
            Position along each of `stack_axes`.
        """
        if not self.stack_axes:
            return self
        taken = self._take(dict(zip(self.stack_axes, index, strict=True)))
        return taken if isinstance(taken.array, LazyArray) else replace(taken, array=np.asarray(taken.array))

    @property
    def varies(self) -> bool:
        """Whether its finite pixels have more than one value; it is read only as far as that takes."""
        low, high = np.inf, -np.inf
        for _, plane in self.planes():
            pixels = plane.channels_first
            rows = min(max(_VALUES_AT_ONCE // (pixels.size // pixels.shape[1]), 1), _ROWS_AT_ONCE)
            for start in range(0, pixels.shape[1], rows):
                values = np.asarray(pixels[:, start : start + rows])
                values = values[np.isfinite(values)]
                if values.size:
                    low, high = min(low, float(values.min())), max(high, float(values.max()))
                if low < high:
                    return True
        return False

    def planes(self) -> Iterator[tuple[tuple[int, ...], "Image"]]:
        """Read plane after plane, each with its position along `stack_axes`."""
        for index in np.ndindex(self.stack_shape):
            yield index, self.plane(index)

    def _take(self, places: Mapping[str, int]) -> "Image":
        key = tuple(places.get(axis, slice(None)) for axis in self.axes)
        axes = "".join(axis for axis in self.axes if axis not in places)
        steps = {axis: step for axis, step in self.steps.items() if axis in axes}
        has_channels = "C" in axes
        return replace(
            self,
            array=self.array[key],
            axes=axes,
            rgb=self.rgb and has_channels,
            steps=steps,
            channels=self.channels if has_channels else (),
        )


def for_numpy(array: NDArray[Any]) -> NDArray[Any]:
    """Read what knows neither new axes nor their order, such as a zarr array; leave others, such as dask's, unread."""
    return array if hasattr(array, "__array_function__") or isinstance(array, LazyArray) else np.asarray(array)


def _is_readable(axes: Any) -> bool:
    if not isinstance(axes, str):
        return False
    plane = "".join(axis for axis in axes if axis in "YXC")
    return plane in PLANES and axes.isalpha() and axes.isupper() and len(set(axes)) == len(axes)


def _is_step(axis: Any, step: Any) -> bool:
    is_pair = isinstance(step, Sequence) and len(step) == 2 and isinstance(step[1], str)
    return is_pair and isinstance(axis, str) and len(axis) == 1 and _are_sizes(step[:1], 1)


def _are_sizes(values: Any, number: int) -> bool:
    try:
        return len(values) == number and all(0 < float(value) < math.inf for value in values)
    except (TypeError, ValueError):
        return False
