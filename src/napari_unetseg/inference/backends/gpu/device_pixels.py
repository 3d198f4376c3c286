"""An image on a device as it was read, from which windows are made there in the range of a network.

What comes out are the numbers that the host computes: pixels take the steps of `intensities.rescale` in float64 or, on
a device that has none, are looked up in a table that the host has made. Nothing here waits for the device.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_unetseg.inference.backends import RawPixels, Taps
from napari_unetseg.inference.backends.intensities import lookup_table
from napari_unetseg.inference.backends.runs import Indices, runs

_SEEN_AS = {"u2": np.int16, "u4": np.int32}
"""Unsigned integers that PyTorch can keep but hardly compute with, and the signed ones of the same bits."""

_KNOWN = {"b1", "u1", "u2", "u4", "i1", "i2", "i4", "i8", "f2", "f4", "f8"}

_PLACES = {1: torch.uint8, 2: torch.int16}
"""As what pixels of one or two bytes are seen to find their place in a table."""

_BYTES_IN_TABLE = {"cpu": 0, "cuda": 0, "mps": 2}
"""Most bytes of a pixel that is looked up, where there is no float64. Elsewhere four steps in float64 take no time,
while a table has to be sent up, for which the thread that launches would wait."""

_MOST_ON_MPS = 2**31
"""Pixels from which Apple's library is not trusted to find its way."""

_AT_ONCE = 2**23
"""Pixels that are converted together, because what lies between takes eight bytes for each."""


def can_upload(raw: RawPixels, device_kind: str) -> bool:
    """Whether windows of an image can be made on that kind of device, ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Otherwise the host reads them, which gives the same.
    """
    planes = raw.planes
    if _name(planes.dtype) not in _KNOWN or not planes.dtype.isnative:
        return False
    if any(stride < 0 or stride % planes.dtype.itemsize for stride in planes.strides):
        return False
    if len(raw.ranges) > 1 and not (len(raw.ranges) == raw.channels and len(planes) in (1, raw.channels)):
        return False
    return device_kind != "mps" or (planes.dtype.itemsize <= _BYTES_IN_TABLE["mps"] and planes.size < _MOST_ON_MPS)


def host_tensor(planes: NDArray[Any]) -> Tensor:
    """Return planes that `can_upload` accepts as a tensor of the same memory, only to be read.

    Unsigned integers of two and four bytes become signed ones of the same bits.
    """
    return torch.from_numpy(_as_if_writable(planes.view(_SEEN_AS.get(_name(planes.dtype), planes.dtype))))


class DevicePixels:
    """An image that lies on a device, read window by window.

    Parameters
    ----------
    raw
        What a network is to see of it; only its numbers are kept.
    planes_on_device
        `host_tensor` of its planes, copied to the device, in any order of strides.
    """

    def __init__(self, raw: RawPixels, planes_on_device: Tensor) -> None:
        device = planes_on_device.device
        self._planes = planes_on_device
        self._rescaled: Callable[[Tensor], Tensor]
        if raw.planes.dtype.itemsize <= _BYTES_IN_TABLE[device.type]:
            self._planes = planes_on_device.view(_PLACES[raw.planes.dtype.itemsize])
            self._rescaled = _Table(raw, device)
        else:
            self._rescaled = _Steps(raw, device)
        self._averaged = len(raw.ranges) == 1 and len(raw.planes) not in (1, raw.channels)
        self._count = _for_each_channel([float(len(raw.planes))], torch.float32, device)
        self._stretched: tuple[_Axis, _Axis] | None = None
        if raw.stretched is not None:
            down, across = raw.stretched
            self._stretched = _Axis(down, device), _Axis(across, device)

    @torch.inference_mode()
    def window(self, rows: Indices, columns: Indices, out: Tensor) -> None:
        """Write what the network is to see at `rows` x `columns` into `out`.

        Parameters
        ----------
        rows, columns
            Rows and columns of the image, or of what it is stretched to, in any order; quick where there are few runs
            of neighbours, rising or falling, as in an image that is mirrored at its border.
        out
            float32 (channels, rows, columns) on the same device, of any strides.
        """
        read = self._seen
        pixels_of_row = len(columns)
        if self._stretched is not None:
            down, across = self._stretched
            read = partial(_stretch, self._seen, down, across)
            pixels_of_row = len(across.used(columns)) * math.ceil(len(down.used(rows)) / len(rows))
        step = max(_AT_ONCE // (len(self._planes) * pixels_of_row), 1)
        for start in range(0, len(rows), step):
            out[:, start : start + step].copy_(read(rows[start : start + step], columns))

    def _seen(self, rows: Indices, columns: Indices) -> Tensor:
        """Return the pixels at `rows` x `columns` as numbers around 0 and 1, one plane for each channel or for all."""
        values = self._rescaled(_taken(_taken(self._planes, 1, rows), 2, columns)).to(torch.float32)
        return self._mean(values) if self._averaged else values

    def _mean(self, values: Tensor) -> Tensor:
        total = values[:1]
        for plane in range(1, len(values)):  # one after the other, as NumPy adds them
            total = total + values[plane]
        return total / self._count


class _Axis:
    """Taps along an axis, on a device."""

    def __init__(self, taps: Taps, device: torch.device) -> None:
        # In float64, as on the host, so that a constant stays what it is.
        self.dtype = torch.float32 if device.type == "mps" else torch.float64
        self._on_host = taps
        self._places = _copied(torch.from_numpy(taps.places.astype(np.int32)), device)
        self._weights = _copied(torch.from_numpy(taps.weights).to(self.dtype), device)

    def used(self, indices: Indices) -> Indices:
        """Return the pixels of which some of the stretched axis are made."""
        places = self._on_host.places[:, indices]
        return np.arange(places.min(), places.max() + 1)

    def apply(self, values: Tensor, axis: int, indices: Indices, first: int) -> Tensor:
        """Return the values at some places of the stretched axis, of those from `first` on along the other."""
        places = _taken(self._places, 1, indices) - int(first)
        weights = _taken(self._weights, 1, indices)
        shape = (-1, 1) if axis == 1 else (-1,)
        total = values.index_select(axis, places[0]).mul_(weights[0].view(shape))
        for place, weight in zip(places[1:], weights[1:], strict=True):
            total.addcmul_(values.index_select(axis, place), weight.view(shape))
        return total


def _stretch(
    seen: Callable[[Indices, Indices], Tensor], down: _Axis, across: _Axis, rows: Indices, columns: Indices
) -> Tensor:
    """Return the stretched image at `rows` x `columns`; `seen` reads what it is made of."""
    used_rows, used_columns = down.used(rows), across.used(columns)
    values = seen(used_rows, used_columns).to(down.dtype)
    return across.apply(down.apply(values, 1, rows, used_rows[0]), 2, columns, used_columns[0])


class _Table:
    """What `rescale` gives, looked up by the bits of a pixel."""

    def __init__(self, raw: RawPixels, device: torch.device) -> None:
        dtype = raw.planes.dtype
        tables = np.stack([lookup_table(dtype, *ends, limits=raw.limits) for ends in raw.ranges])
        size = tables.shape[1]
        lowest = torch.iinfo(_PLACES[dtype.itemsize]).min
        # The places of signed integers begin with the upper half of the unsigned ones.
        self._values = _copied(torch.from_numpy(np.roll(tables, -lowest, axis=1).ravel()), device)
        first = [channel * size - lowest for channel in range(len(tables))]
        self._first = _for_each_channel(first, torch.int32, device)

    def __call__(self, pixels: Tensor) -> Tensor:
        places = pixels + self._first
        if places.stride(0) < places.stride(2):  # as they lie, so that nothing is turned around
            return self._look_up(places.permute(1, 2, 0)).permute(2, 0, 1)
        return self._look_up(places)

    def _look_up(self, places: Tensor) -> Tensor:
        return self._values.index_select(0, places.flatten()).view(places.shape)


class _Steps:
    """What `rescale` does, in float64.

    Divisors lie on the device: PyTorch replaces one that lies on the host by its reciprocal, and the last bit differs.
    """

    def __init__(self, raw: RawPixels, device: torch.device) -> None:
        dtype = raw.planes.dtype
        self._mask: Tensor | None = None
        if _name(dtype) in _SEEN_AS:
            wider = torch.int32 if dtype.itemsize == 2 else torch.int64
            self._mask = _for_each_channel([256**dtype.itemsize - 1], wider, device)
        self._may_lack_values = dtype.kind == "f"
        spans = [high / 2 - low / 2 for low, high in raw.ranges]
        # Where there is no span, all becomes 0.
        self._spans = _for_each_channel([span or math.inf for span in spans], torch.float64, device)
        self._limits = raw.limits
        self._minus_lows = _for_each_channel([-low / 2 for low, _ in raw.ranges], torch.float64, device)

    def __call__(self, pixels: Tensor) -> Tensor:
        if self._mask is not None:
            pixels = pixels & self._mask
        values = torch.add(self._minus_lows, pixels, alpha=0.5)
        if self._may_lack_values:
            values.nan_to_num_(0, 0, 0)
        return values.div_(self._spans).clamp_(*self._limits)


def _for_each_channel(numbers: list[Any], dtype: torch.dtype, device: torch.device) -> Tensor:
    # Filled in there: a copy of memory that is not pinned would have to wait.
    return torch.stack([torch.full((1, 1), number, dtype=dtype, device=device) for number in numbers])


def _copied(tensor: Tensor, device: torch.device) -> Tensor:
    # CUDA keeps a copy of such memory before it returns, and other devices are waited for.
    return tensor.to(device, non_blocking=device.type == "cuda")


def _name(dtype: np.dtype[Any]) -> str:
    return f"{dtype.kind}{dtype.itemsize}"


def _taken(planes: Tensor, axis: int, indices: Indices) -> Tensor:
    """Take rows or columns; a view where they follow each other."""
    parts = []
    for first, last in runs(indices):
        part = planes.narrow(axis, min(first, last), abs(last - first) + 1)
        parts.append(part if first <= last else part.flip(axis))
    return parts[0] if len(parts) == 1 else torch.cat(parts, axis)


class _AsIfWritable:
    """The memory of an array, without the mark that it is read only, about which PyTorch warns."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array  # which holds the memory
        interface = array.__array_interface__
        self.__array_interface__ = interface | {"data": (interface["data"][0], False)}


def _as_if_writable(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.flags.writeable else np.asarray(_AsIfWritable(array))
