"""Runtimes that can compute a network; each sits behind the same few names, those of `Backend`.

`device` finds the GPU or the CPU, `selection` chooses the runtime and the precision, and `make_backend` puts a network
behind what was chosen: `torch_backend` on a processor, made fast by `fast_layers` and `fused_convolution`; what lies in
`gpu` on a graphics card; `onnx_backend` with `onnx_export`; or what lies in `openvino`. The latter two are an
`array_backend`, and keep networks in another form under the names that `converted` gives. Those that compute in the
calling thread begin a batch by `run_at_once`. `intensities` says what a network sees of a pixel, `runs` which pixels of
an image a window is made of, `activation` makes probabilities of what any of them computes, `processor` knows what
processors and cards are good at, and `kernel_thread` works around a fault of oneDNN. `pools` and `malloc` keep buffers
from run to run.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.errors import Cancelled, ModelError
from napari_unetseg.inference.backends.intensities import LIMITS
from napari_unetseg.language import Sentence

if TYPE_CHECKING:
    from napari_unetseg.inference.backends.device import Device
    from napari_unetseg.inference.backends.pools import BufferPools

BACKENDS = ("torch", "openvino", "onnxruntime")
"""Names of the runtimes, as users choose them."""

PRECISIONS = ("float32", "bfloat16", "float16", "int8")
"""Names of the arithmetics, as users choose them; not every runtime has each."""

AUTO = "auto"
"""Stands for a runtime or a precision that is chosen for the user."""

Buffers = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Room for a batch (N, C, H, W), and for its probabilities (N, heads, H, W)."""


@dataclass(frozen=True, eq=False)
class Taps:
    """Of which pixels of an axis each pixel of the stretched axis is made.

    Attributes
    ----------
    places
        (taps, new length), pixels of the axis.
    weights
        float64 (taps, new length), their shares; 0 where there are fewer pixels than taps.
    """

    places: NDArray[np.intp]
    weights: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RawPixels:
    """An image in memory as it was read, and what a network is to see of it.

    Attributes
    ----------
    planes
        The planes that are used, (C, Y, X), bool, integers or floats.
    channels
        Channels of the network's input: each plane becomes one, or one plane all, or the mean of all the one.
    ranges
        Low and high intensity that become 0 and 1: one pair for all channels, or one for each.
    limits
        Least and largest of these numbers that the network sees.
    stretched
        How rows and columns become those that the network sees, after the intensities; None where they stay.
    """

    planes: NDArray[Any]
    channels: int
    ranges: tuple[tuple[float, float], ...]
    limits: tuple[float, float] = LIMITS
    stretched: tuple[Taps, Taps] | None = None


class WindowSource(Protocol):
    """What a network is to see in one window of an image."""

    @property
    def raw(self) -> RawPixels | None:
        """The image, the same object for all its windows; None where its pixels must be read by `read`."""

    @property
    def rows(self) -> NDArray[np.intp]:
        """Row of the image, or of what it is stretched to, for each row of the window."""

    @property
    def columns(self) -> NDArray[np.intp]:
        """Column of the image, or of what it is stretched to, for each column of the window."""

    def read(self, out: NDArray[np.float32]) -> None:
        """Write the window into float32 (C, height, width); C may be 1 where `raw` has one plane and one range."""


class Pending(Protocol):
    """A batch that is being computed."""

    @property
    def computed_at_once(self) -> bool:
        """Whether it was computed as it was begun, so that nothing is gained by beginning the next before `result`."""

    def result(self) -> NDArray[np.float32]:
        """Wait for the probabilities, (N, heads, H, W), which are valid until `close`; raise what `run` raises."""

    def close(self) -> None:
        """Give back what the batch has borrowed, whether it is done or not; waits until it is at rest."""


def device_kind(name: str) -> str:
    """Return the kind of a device by its name: ``"cuda"`` for ``"cuda:1"``."""
    return name.partition(":")[0]


def computes_in_bands(backend: str, device: str) -> bool:
    """Whether a backend computes large windows in bands on that kind of device, where the network can."""
    return backend == "torch" and device == "cpu"


class Backend(Protocol):
    """A loaded network on a device.

    Several threads may call `run` at the same time.
    """

    @property
    def device(self) -> "Device":
        """Where the network runs, which need not be where it was asked to."""

    @property
    def receptive_radius(self) -> int | None:
        """Pixels beyond an output pixel, on either side, that can change its value.

        None where every pixel of the image can: no tile then agrees with the whole image.
        """

    @property
    def grid(self) -> int:
        """2^depth: windows must begin on multiples of it."""

    @property
    def in_bands(self) -> bool:
        """Whether it computes a window in bands of rows, and so needs little memory even for a large one."""

    @property
    def precision(self) -> str:
        """Arithmetic of the network, one of `PRECISIONS` or ``"tf32"``."""

    @property
    def compilation(self) -> str:
        """A sentence that says whether compiled code computes the network; empty where none ever does."""

    @property
    def device_memory_mb(self) -> float | None:
        """GPU memory that this process holds, in MiB; None on the CPU."""

    def accepted_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size up to which an image of this size has to be padded."""

    @property
    def pools(self) -> "BufferPools":
        """Buffers that runs use again."""

    def buffers(self, shape: tuple[int, int, int, int]) -> AbstractContextManager[Buffers]:
        """Lend room for a batch of that shape and for its probabilities until the block ends.

        The memory is laid out as this backend reads and writes it fastest.
        """

    def run(
        self, batch: NDArray[np.float32], cancel: CancelFlag | None = None, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Map (N, C, H, W) to probabilities (N, heads, H, W).

        Where a network answers on a size of its own, a few pixels larger, what lies beyond H and W is dropped.

        Parameters
        ----------
        batch
            Any float32 array; from `buffers` it is read without a copy.
        cancel
            Polled from the calling thread while the network runs: by PyTorch before every layer, by the others many
            times a second; the run then ends after the layer that it is in.
        out
            Where the probabilities are written; None for a new array.

        Raises
        ------
        Cancelled
            As soon as `cancel` was seen to be True.
        MemoryError
            If there is not enough of it.
        ModelError
            If the network was unloaded.
        """

    def start(
        self,
        channels: int,
        windows: Sequence[WindowSource],
        cancel: CancelFlag | None = None,
        out: NDArray[np.float32] | None = None,
    ) -> Pending:
        """Begin with windows of one shape, and return as soon as the caller may prepare the next ones.

        On a GPU that is before they are computed; a CPU computes them at once. `channels` are those of the network's
        input, the rest is as for `run`.
        """

    def release_memory(self) -> None:
        """Free what is kept for the next run, a GPU's memory too; the network stays."""

    def unload(self) -> None:
        """Free the memory of the network and of the buffers; nothing can be run afterwards."""


def unloaded() -> ModelError:
    """Return what a backend raises that is asked to run after `Backend.unload`."""
    return ModelError(Sentence("The model was unloaded; initialize it before it is run again."))


def cancelled_error() -> Cancelled:
    """Return what a runtime raises that was asked to stop."""
    return Cancelled(Sentence("The segmentation was cancelled."))
