"""Arrays that are not in memory, and are read where somebody needs them."""

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_PIECE = 2**26
"""Bytes of a source that are read together where only every so many rows of it are wanted."""


@dataclass(frozen=True)
class _Axis:
    """An axis of the array: which axis of the source it runs along, and where; a new one runs along none."""

    source: int | None
    places: range


class LazyArray:
    """An array that stays where it is while it is indexed and turned, and is read by `numpy.asarray`.

    Indexing by whole numbers, slices of any step, ``...`` and None gives another lazy array. What is read in the end is
    one box of the source, as small as can be; of steps above 1 it is read in pieces, so that no more than one is in
    memory. `numpy.moveaxis`, `numpy.transpose` and `numpy.swapaxes` read nothing, every other function reads all.

    Parameters
    ----------
    read
        Gives the pixels of a box of the source, from a slice of step 1 for each axis. Any thread may call it.
    shape, dtype
        Of the source.
    chunks
        In which the source is stored: what is read in pieces is read along them.
    """

    def __init__(
        self,
        read: Callable[[tuple[slice, ...]], NDArray[Any]],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        chunks: tuple[int, ...] | None = None,
    ) -> None:
        self._read = read
        self._chunks = chunks or shape
        self._axes = tuple(_Axis(source, range(length)) for source, length in enumerate(shape))
        # Where the source is read along the axes that were left out by a whole number.
        self._fixed: dict[int, int] = {}
        self.dtype = np.dtype(dtype)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return tuple(len(axis.places) for axis in self._axes)

    @property
    def chunks(self) -> tuple[int, ...]:
        """Length along each axis of the pieces in which it is stored, in pixels of the source."""
        return tuple(1 if axis.source is None else self._chunks[axis.source] for axis in self._axes)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._axes)

    @property
    def size(self) -> int:
        """Number of values."""
        return prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of a value."""
        return int(self.dtype.itemsize)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes once it is read."""
        return self.size * self.itemsize

    def __len__(self) -> int:
        if not self._axes:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> "Iterator[LazyArray]":
        return (self[place] for place in range(len(self)))

    def __repr__(self) -> str:
        return f"<LazyArray {self.shape} {self.dtype}>"

    def __getitem__(self, key: Any) -> "LazyArray":
        axes, fixed = list(self._axes), dict(self._fixed)
        found: list[_Axis] = []
        for part in self._full_key(key):
            if part is None:
                found.append(_Axis(None, range(1)))
                continue
            axis = axes.pop(0)
            if isinstance(part, slice):
                found.append(_Axis(axis.source, axis.places[part]))
            else:
                place = axis.places[_whole_number(part)]  # says itself where there is no such place
                if axis.source is not None:
                    fixed[axis.source] = place
        return self._view(tuple(found), fixed)

    def transpose(self, *axes: Any) -> "LazyArray":
        """Return it with its axes in another order, as `numpy.transpose` does."""
        if not axes or axes == (None,):
            order = list(range(self.ndim))[::-1]
        else:
            named = axes[0] if len(axes) == 1 and isinstance(axes[0], Sequence) else axes
            order = [operator.index(axis) % self.ndim for axis in named]
        if sorted(order) != list(range(self.ndim)):
            raise ValueError(f"axes {axes} do not name each of {self.ndim} axes once")
        return self._view(tuple(self._axes[axis] for axis in order), self._fixed)

    def swapaxes(self, first: int, second: int) -> "LazyArray":
        """Return it with two axes exchanged."""
        order = list(range(self.ndim))
        order[first], order[second] = order[second], order[first]
        return self.transpose(order)

    def astype(self, dtype: DTypeLike, **options: Any) -> NDArray[Any]:
        """Read it as another type; the options are those of `numpy.ndarray.astype`."""
        return np.asarray(self).astype(dtype, **options)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Read it."""
        if copy is False:
            raise ValueError("what is not in memory cannot be given without a copy")
        pixels = self._pixels()
        return pixels if dtype is None else pixels.astype(dtype, copy=False)

    def _full_key(self, key: Any) -> list[Any]:
        """Return what an index says of each axis, new ones among them."""
        parts = list(key) if isinstance(key, tuple) else [key]
        rest = self.ndim - sum(part is not None and part is not Ellipsis for part in parts)
        if rest < 0 or sum(part is Ellipsis for part in parts) > 1:
            raise IndexError(f"too many indices for {self.ndim} axes: {key}")
        at = next((at for at, part in enumerate(parts) if part is Ellipsis), None)
        before, after = (parts, []) if at is None else (parts[:at], parts[at + 1 :])
        return [*before, *[slice(None)] * rest, *after]

    def _view(self, axes: tuple[_Axis, ...], fixed: dict[int, int]) -> "LazyArray":
        view = LazyArray(self._read, (), self.dtype)
        view._chunks, view._axes, view._fixed = self._chunks, axes, fixed
        return view

    def _pixels(self) -> NDArray[Any]:
        """Read what is there along the axes, each of which lies along one of the source or is new."""
        if self.size == 0:
            return np.empty(self.shape, self.dtype)
        along = {axis.source: axis.places for axis in self._axes if axis.source is not None}
        places = [
            along[source] if source in along else range(self._fixed[source], self._fixed[source] + 1)
            for source in range(len(self._chunks))
        ]
        pixels = self._sampled(places)
        order = [axis.source for axis in self._axes if axis.source is not None]
        fixed = [source for source in range(len(places)) if source not in along]
        turned = pixels.transpose(*order, *fixed).reshape([len(along[source]) for source in order])
        new = tuple(slice(None) if axis.source is not None else None for axis in self._axes)
        return np.asarray(turned[new])

    def _sampled(self, places: list[range]) -> NDArray[Any]:
        """Read the source at these places along its axes."""
        ascending = [_ascending(along) for along in places]
        turn = tuple(slice(None, None, -1 if along.step < 0 else 1) for along in places)
        pieces = [self._pieces(source, ascending) for source in range(len(ascending))]
        if all(len(along) == 1 for along in pieces):
            return self._box(ascending)[turn]
        found = np.empty([len(along) for along in ascending], self.dtype)
        for piece in product(*pieces):
            part = [along[at] for along, at in zip(ascending, piece, strict=True)]
            found[piece] = self._box(part)
        return found[turn]

    def _pieces(self, source: int, places: list[range]) -> list[slice]:
        """Divide an axis of which not every pixel is wanted, so that a box of the source needs little memory."""
        along = places[source]
        if along.step == 1 or len(along) == 1:
            return [slice(0, len(along))]
        spans = [self._chunks[at] if other.step > 1 else len(other) for at, other in enumerate(places)]
        stepped = sum(other.step > 1 for other in places)
        room = _PIECE / self.itemsize / max(prod(spans), 1)
        chunks = max(int(room ** (1 / stepped)), 1)
        # From the start of a chunk to that of another one.
        width = max(chunks * self._chunks[source], 1)
        ends = [_before(along, end) for end in range(width, along[-1] + width + 1, width)]
        starts = [0, *ends[:-1]]
        return [slice(start, end) for start, end in zip(starts, ends, strict=True) if end > start]

    def _box(self, places: list[range]) -> NDArray[Any]:
        """Read one box, and take of it what is wanted."""
        box = np.asarray(self._read(tuple(slice(along[0], along[-1] + 1) for along in places)))
        taken = box[tuple(slice(None, None, along.step) for along in places)]
        # What is left out is not kept in memory.
        taken = taken if taken.size == box.size else taken.copy()
        return taken.astype(self.dtype, copy=False)


def _ascending(places: range) -> range:
    """Return the same places, ascending."""
    return places if places.step > 0 else places[::-1]


def _before(places: range, end: int) -> int:
    """Return how many of some places lie before one."""
    return min(max(-(-(end - places.start) // places.step), 0), len(places))


def _whole_number(part: Any) -> int:
    try:
        return operator.index(part)
    except TypeError:
        raise IndexError(
            f"{part!r}: what is not in memory is indexed by whole numbers, slices, ... and None; read it by "
            "numpy.asarray first"
        ) from None
