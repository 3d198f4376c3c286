"""Labels on disk as a layer: what it shows is read where the canvas looks, and drawn anew as blocks come in."""

import time
from collections import deque
from collections.abc import Sequence
from math import prod
from types import EllipsisType
from typing import Any

import numpy as np
from napari.layers import Labels, Layer
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer

from napari_unetseg.layer_style import LABELS, METADATA_KEY
from napari_unetseg.plugin.layers.napari_types import LayerArray
from napari_unetseg.plugin.layers.plane import full_resolution
from napari_unetseg.plugin.workers.background import Task, start
from napari_unetseg.postprocessing.layer_data import Placement

STORED_KEY = "napari_unetseg_stored"
"""Under which the metadata of a layer, and the record of a result, say that the labels are on disk."""

_LEAST_PAUSE_MS = 400
_SHARE = 20  # Of the window's time, one part in so many is spent on drawing what came in.

_MOST_AHEAD = 2**24  # Pixels; who asks for more than a screen shows does not draw it.
_TRIES = 5  # Blocks are written one after the other, so that a second one in the same moment is rare.
_KEPT = 2  # Parts of a level: what the canvas shows, and what the thumbnail does.

_Part = int | slice
_Key = _Part | EllipsisType


class PlacedLevel:
    """A level of a label image with the dimensions of the layer that it lies over, read where it is indexed.

    What a viewer asked for last can be read again in another thread, so that the viewer has it at once when it asks.

    Parameters
    ----------
    source
        The level.
    layer_axes
        For each axis of it that of the layer; None for one of length 1 that the layer does not have.
    ndim
        Dimensions of the layer; along those that the level does not have it has length 1.
    empty
        Whether the source is known to have no object yet, so that it need not be read before `read_ahead` reads it.
    smallest
        Whether it is the level that napari 0.9 reads as a whole, of a plane, and never again: it is handed out as one
        array, into which `read_ahead` reads what has changed.
    """

    def __init__(
        self,
        source: LayerArray,
        layer_axes: Sequence[int | None],
        ndim: int,
        *,
        empty: bool = False,
        smallest: bool = False,
    ) -> None:
        self._source, self._layer_axes = source, tuple(layer_axes)
        lengths = dict(zip(layer_axes, source.shape, strict=True))
        self.shape = tuple(int(lengths.get(axis, 1)) for axis in range(ndim))
        self.dtype: np.dtype[Any] = np.dtype(source.dtype)
        self._empty, self._smallest = empty, smallest
        self._whole: NDArray[Any] | None = None
        self._asked: deque[list[_Part]] = deque(maxlen=_KEPT)
        self._fresh: list[tuple[list[_Part], NDArray[Any]]] = []

    @property
    def ndim(self) -> int:
        """Dimensions of the layer."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __getitem__(self, key: _Key | tuple[_Key, ...]) -> NDArray[Any]:
        parts = _full_key(key if isinstance(key, tuple) else (key,), self.ndim)
        wanted = (
            len(range(length)[part]) for part, length in zip(parts, self.shape, strict=True) if isinstance(part, slice)
        )
        if prod(wanted) <= _MOST_AHEAD:
            if parts in self._asked:
                self._asked.remove(parts)
            self._asked.append(parts)
        fresh = next((pixels for known, pixels in self._fresh if known == parts), None)
        return self._read(parts) if fresh is None else fresh

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        whole = self._whole
        if whole is None:
            whole = self._read(_full_key((...,), self.ndim))
            self._whole = whole if self._smallest else None
        return np.asarray(whole, dtype=dtype)

    def read_ahead(self) -> None:
        """Read what was asked for last as it is now, for the next time; in a worker, after every change."""
        self._empty = False
        self._fresh = [(parts, self._read(parts)) for parts in list(self._asked)]
        if self._whole is not None:
            self._whole[...] = self._read(_full_key((...,), self.ndim))

    def _read(self, parts: list[_Part]) -> NDArray[Any]:
        if self._empty:
            return np.array(np.broadcast_to(np.zeros((), self.dtype), self.shape)[tuple(parts)])
        boxes = [part if isinstance(part, slice) else slice(part, part + 1 or None) for part in parts]
        box = tuple(0 if axis is None else boxes[axis] for axis in self._layer_axes)
        own = [axis for axis in self._layer_axes if axis is not None]
        read = _read_settled(self._source, box).transpose(np.argsort(own))
        read = np.expand_dims(read, tuple(axis for axis in range(self.ndim) if axis not in own))
        # Of its own axes no more than the wanted part was read.
        rest = [slice(None) if axis in own else box for axis, box in enumerate(boxes)]
        return read[tuple(part if isinstance(at, slice) else 0 for part, at in zip(rest, parts, strict=True))]


def _read_settled(source: LayerArray, box: tuple[_Part, ...]) -> NDArray[Any]:
    """Read a part of a level, again where a block was written meanwhile.

    Where a part of a shard lies is read before the part itself, so a shard that is replaced between the two gives bytes
    that cannot be decoded.
    """
    for _ in range(_TRIES):
        try:
            return np.asarray(source[box])
        except (RuntimeError, ValueError):
            continue
    return np.asarray(source[box])


def make_layer(
    levels: Sequence[Any], axes: str, image_axes: str, placement: Placement, name: str, *, empty: bool = False
) -> Labels:
    """Make the layer of a label image that is being written; call it in a worker.

    Parameters
    ----------
    levels
        Of the label image, the largest first.
    axes
        A letter for each axis of these.
    image_axes
        A letter for each axis of the stack that was segmented, then ``"YX"``.
    placement
        Where it lies.
    name
        Of the layer.
    empty
        Whether the label image is new, and has no object yet.
    """
    places = dict(zip(image_axes, (*placement.stack_axes, *placement.plane_axes), strict=True))
    layer_axes = [places.get(letter) for letter in axes]
    # Nothing can be painted on these, and so nothing into the file.
    data: list[Any] = [
        PlacedLevel(level, layer_axes, placement.ndim, empty=empty, smallest=level is levels[-1]) for level in levels
    ]
    single = len(data) == 1
    arguments: dict[str, Any] = {**LABELS, **placement.transform, "metadata": {STORED_KEY: True}}
    layer = Labels(data[0] if single else data, multiscale=not single, name=name, **arguments)
    layer.editable = False
    return layer


def is_stored(layer: Layer | None) -> bool:
    """Whether a layer shows labels on disk, finished or not, which are read and never written by the viewer."""
    if not isinstance(layer, Labels):
        return False
    ours = METADATA_KEY in layer.metadata or STORED_KEY in layer.metadata
    return ours and not isinstance(full_resolution(layer), np.ndarray)


class Redrawing(QObject):
    """Draws a layer anew after its pixels on disk have changed, and leaves the window time for everything else.

    They are read in a worker before: while another thread writes, to read them takes up to half a second.

    Parameters
    ----------
    layer
        Made by `make_layer`.
    parent
        Owner.
    """

    def __init__(self, layer: Labels, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._layer = layer
        self._levels: list[PlacedLevel] = list(layer.data) if layer.multiscale else [layer.data]
        self._task: Task[None] | None = None
        self._wanted = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_LEAST_PAUSE_MS)
        self._timer.timeout.connect(self._read)

    @property
    def busy(self) -> bool:
        """Whether the layer is still to be drawn."""
        return self._timer.isActive() or self._task is not None

    def request(self) -> None:
        """Have the layer drawn soon; requests that come until then are one."""
        if self._task is not None:
            self._wanted = True
        elif not self._timer.isActive():
            self._timer.start()

    def _read(self) -> None:
        levels = self._levels
        self._wanted = False
        self._task = Task(lambda task: _read_ahead(levels))
        start(self._task, returned=self._draw, errored=self._on_error, finished=self._on_finished)

    def _draw(self, nothing: None) -> None:
        clock = time.perf_counter()
        self._layer.refresh(extent=False, highlight=False)
        took = 1000 * (time.perf_counter() - clock)
        self._timer.setInterval(max(_LEAST_PAUSE_MS, round(_SHARE * took)))

    def _on_error(self, error: Exception) -> None:
        # The layer itself says so when it reads, and the run when it writes.
        self._wanted = False

    def _on_finished(self) -> None:
        self._task = None
        if self._wanted:
            self._timer.start()


def _read_ahead(levels: Sequence[PlacedLevel]) -> None:
    for level in levels:
        level.read_ahead()


def _full_key(key: tuple[_Key, ...], ndim: int) -> list[_Part]:
    """Give a key an entry for each axis."""
    given = [at for at in key if at is not Ellipsis]
    place = next((number for number, at in enumerate(key) if at is Ellipsis), len(given))
    missing: list[_Key] = [slice(None)] * (ndim - len(given))
    keys = [*given[:place], *missing, *given[place:]]
    return [at if isinstance(at, slice) else int(at) for at in keys]  # type: ignore[arg-type]
