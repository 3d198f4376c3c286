"""The image that walks through the rooms: an array that says what its axes mean."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError

Axes = Literal["YX", "YXC", "CYX"]


@dataclass(frozen=True)
class Image:
    """One plane, grey, RGB(A) or multichannel, with its physical scale where it is known.

    Attributes
    ----------
    array
        Pixels of any bool, integer or float dtype, in the order that `axes` names.
    axes
        ``"YX"`` (grey), ``"YXC"`` (channels last) or ``"CYX"`` (channels first).
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
    """

    array: NDArray[Any]
    axes: Axes = "YX"
    rgb: bool = False
    scale: tuple[float, float] | None = None
    unit: str | None = None
    name: str = "image"
    path: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no model could segment, in words that name the image."""
        if self.array.ndim != len(self.axes):
            raise ImageError(
                f"{self.name}: {self.array.ndim} dimensions cannot be read as {self.axes}; "
                "choose one plane, or say which axis holds the channels."
            )
        if self.array.dtype.kind not in "buif":
            raise ImageError(
                f"{self.name}: pixels of type {self.array.dtype} cannot be segmented; "
                "convert the image to integers or real numbers."
            )
        if self.array.size == 0:
            raise ImageError(f"{self.name}: the image is empty (shape {self.array.shape}).")

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
        array = np.asarray(array)
        if array.ndim == 2:
            return cls(array, "YX", name=name)
        if array.ndim == 3 and array.shape[-1] in (3, 4) and array.shape[0] > 4:
            return cls(array, "YXC", rgb=True, name=name)
        if array.ndim == 3 and min(array.shape) == array.shape[0] < 10:
            return cls(array, "CYX", name=name)
        if array.ndim == 3 and array.shape[-1] < 10:
            return cls(array, "YXC", rgb=array.shape[-1] in (3, 4), name=name)
        raise ImageError(
            f"{name}: shape {array.shape} is not one plane. Pass one (Y, X) plane, an RGB image (Y, X, 3) "
            "or channels first (C, Y, X)."
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.array.shape[1:] if self.axes == "CYX" else self.array.shape[:2]
        return int(height), int(width)

    @property
    def channels_first(self) -> NDArray[Any]:
        """The pixels as (C, Y, X), a view."""
        if self.axes == "YX":
            return self.array[np.newaxis]
        return self.array if self.axes == "CYX" else np.moveaxis(self.array, -1, 0)

    def take_channel(self, channel: int) -> "Image":
        """Return one channel as a grey image.

        Raises
        ------
        ImageError
            If there is no such channel.
        """
        planes = self.channels_first
        if not 0 <= channel < len(planes):
            raise ImageError(
                f"{self.name}: channel {channel} does not exist; it has {len(planes)} (0 to {len(planes) - 1})."
            )
        return replace(self, array=planes[channel], axes="YX", rgb=False)
