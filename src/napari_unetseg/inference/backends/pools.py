"""Buffers that are used again from run to run instead of being allocated anew.

Two pools, one for what goes into the network and one for what comes out of it, share one limit. A
buffer is lent by a context manager to one user at a time, and goes back when the block ends.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from threading import Lock
from typing import NamedTuple

import torch
from torch import Tensor

from napari_unetseg.errors import one_line

_log = logging.getLogger(__name__)

MAX_BYTES = 4_000_000_000
"""Default of the most bytes that both pools keep together."""

MAX_PER_KIND = 10
"""Default of the most buffers of one kind that wait for their next use: as many runs at once profit."""


@dataclass(frozen=True)
class PoolReport:
    """How a pool is doing.

    Attributes
    ----------
    utilization
        Share of the held bytes that is lent at the moment, 0..1; 0 where nothing is held.
    hits, misses
        Leases that found a buffer, and leases for which one had to be allocated.
    held_bytes
        Bytes of all buffers, lent or waiting.
    leased_bytes
        Bytes of the lent ones.
    """

    utilization: float
    hits: int
    misses: int
    held_bytes: int
    leased_bytes: int


class _Kind(NamedTuple):
    """Buffers of one kind can stand in for each other."""

    pool: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: str
    channels_last: bool
    pinned: bool


@dataclass(frozen=True, eq=False)
class _Buffer:
    kind: _Kind
    tensor: Tensor

    @property
    def size(self) -> int:
        return self.tensor.nbytes


class _Shelf:
    """All buffers of both pools; the waiting ones stand in the order in which they came back."""

    def __init__(self, max_bytes: int, max_per_kind: int) -> None:
        self._max_bytes = max_bytes
        self._max_per_kind = max_per_kind
        self._lock = Lock()
        self._waiting: list[_Buffer] = []
        self._lent: list[_Buffer] = []
        self._hits: Counter[str] = Counter()
        self._misses: Counter[str] = Counter()

    def take(self, kind: _Kind) -> _Buffer:
        with self._lock:
            found = next((buffer for buffer in reversed(self._waiting) if buffer.kind == kind), None)
            if found is not None:
                self._waiting.remove(found)
                self._hits[kind.pool] += 1
            else:
                self._misses[kind.pool] += 1
                self._make_room(prod(kind.shape) * kind.dtype.itemsize)
                found = _Buffer(kind, _allocate(kind))
            self._lent.append(found)
            return found

    def put_back(self, buffer: _Buffer) -> None:
        with self._lock:
            if buffer not in self._lent:
                return  # released while it was lent
            self._lent.remove(buffer)
            if sum(other.kind == buffer.kind for other in self._waiting) < self._max_per_kind:
                self._waiting.append(buffer)
            self._make_room(0)

    def _make_room(self, size: int) -> None:
        """Let the least recently used buffers go until `size` more bytes stay within the limit."""
        while self._waiting and self._bytes(self._waiting) + self._bytes(self._lent) + size > self._max_bytes:
            del self._waiting[0]

    @staticmethod
    def _bytes(buffers: list[_Buffer]) -> int:
        return sum(buffer.size for buffer in buffers)

    def release(self) -> None:
        with self._lock:
            self._waiting.clear()
            self._lent.clear()

    def report(self, pool: str) -> PoolReport:
        with self._lock:
            waiting, leased = (
                self._bytes([buffer for buffer in buffers if buffer.kind.pool == pool])
                for buffers in (self._waiting, self._lent)
            )
            held = waiting + leased
            hits, misses = self._hits[pool], self._misses[pool]
        return PoolReport(leased / held if held else 0.0, hits, misses, held, leased)


class BufferPool:
    """One of the two pools; any thread may use it."""

    def __init__(self, name: str, shelf: _Shelf, *, on_devices: bool) -> None:
        self._name = name
        self._shelf = shelf
        self._on_devices = on_devices

    @contextmanager
    def lease(
        self,
        shape: tuple[int, ...],
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
        *,
        channels_last: bool = False,
        pinned: bool = False,
    ) -> Iterator[Tensor]:
        """Lend a buffer until the block ends. Its content is whatever the last user left.

        On a GPU the next user must be on the same stream, so that its work waits for the last one's.

        Parameters
        ----------
        shape
            Shape of the tensor.
        dtype
            Its type.
        device
            As PyTorch names it, such as ``"cpu"``, ``"cuda:1"`` or ``"mps"``.
        channels_last
            Whether the channels of a pixel lie side by side; the shape is (N, C, H, W) all the same.
        pinned
            Whether the host's memory is to be pinned: from there a GPU copies faster, and in the background.
        """
        kind = _Kind(self._name, tuple(shape), dtype, device, channels_last, pinned and self._on_devices)
        if device != "cpu" and not self._on_devices:
            yield _allocate(kind)
            return
        buffer = self._shelf.take(kind)
        try:
            yield buffer.tensor
        finally:
            self._shelf.put_back(buffer)

    def report(self) -> PoolReport:
        """Say how much is held and lent, and how often a buffer was found."""
        return self._shelf.report(self._name)


class BufferPools:
    """Buffers for what goes into a network and for what comes out of it.

    Parameters
    ----------
    max_bytes
        What both pools keep together, on the host and on the device (`memory.max_pool_size_gb`). Above
        it the least recently used buffers go first; a buffer that does not fit at all is lent, and
        freed as it comes back.
    max_per_kind
        Buffers of one shape, type and device that are kept at most (`memory.pool_size_multiplier`): as
        many runs at the same time find one each.
    on_devices
        Whether buffers on a GPU are kept too, and the host's are pinned (`memory.enable_gpu_pools`).
    """

    def __init__(
        self, max_bytes: int = MAX_BYTES, max_per_kind: int = MAX_PER_KIND, *, on_devices: bool = True
    ) -> None:
        self._shelf = _Shelf(max_bytes, max_per_kind)
        self.input = BufferPool("input", self._shelf, on_devices=on_devices)
        self.output = BufferPool("output", self._shelf, on_devices=on_devices)

    def release(self) -> None:
        """Let all buffers go; those that are lent, as soon as their block ends.

        A GPU's memory returns to the driver with `torch.cuda.empty_cache`, which is the backend's to call.
        """
        self._shelf.release()


def _allocate(kind: _Kind) -> Tensor:
    layout = torch.channels_last if kind.channels_last else torch.contiguous_format
    # Those of PyTorch's inference mode could not be written to outside it.
    with torch.inference_mode(False):
        if kind.pinned:
            try:
                return torch.empty(kind.shape, dtype=kind.dtype, memory_format=layout, pin_memory=True)
            except RuntimeError as error:
                _log.warning("Memory could not be pinned, so copies to the GPU are slower: %s", one_line(error))
        return torch.empty(kind.shape, dtype=kind.dtype, device=kind.device, memory_format=layout)
