"""Networks that are compiled in the background while they already answer as they are."""

import logging
import threading
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from napari_unetseg.errors import is_out_of_memory
from napari_unetseg.inference.backends.gpu.inductor import Computation, compile_network, why_not_compiled
from napari_unetseg.language import Sentence
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.networks.working_memory import working_bytes

_log = logging.getLogger(__name__)

MOST_SHAPES = 6
"""Shapes of batches that a network is compiled for, at most; with all others it is computed as it is."""

_SEEN_BEFORE = 2  # times that a shape comes before it is worth compiling for
_MOST_COUNTED = 500
_FARTHEST = 0.02  # mean difference of probabilities: rounding to bfloat16 differently makes a tenth of it
_ROOM = 3  # times what a batch takes: for trying the code, while others compute, and to spare

Compiler = Callable[[SegmentationNetwork, Tensor], Computation]
"""Compiles a network for inputs like an example."""

_Shape = tuple[torch.Size, tuple[int, ...], torch.dtype]


class CompiledNetwork:
    """A network that is called as ever, and computed by compiled code as soon as there is some for the shape.

    It is called in inference mode, in the thread that launches work on the device, with the stream of that thread.
    Nothing is ever compiled there. Where compiling or compiled code fails, the network is computed as it is from then
    on; that is said in the log and by `compilation`, and costs no answer.

    Parameters
    ----------
    network
        In evaluation mode, on the device, in its precision and layout; not taken over.
    torch_name
        The device as PyTorch names it, such as ``"cuda:1"``.
    enabled
        False never compiles.
    compiler
        What compiles; None for Inductor, where that works.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        torch_name: str,
        *,
        enabled: bool = True,
        compiler: Compiler | None = None,
    ) -> None:
        self._network = network
        self._compiler = compiler or compile_network
        self._changed = threading.Condition()
        self._seen: Counter[_Shape] = Counter()
        self._wanted: set[_Shape] = set()
        self._compiling = 0
        self._ready: dict[_Shape, Computation] = {}
        self._closed = False
        self._lacks_memory = False
        self._fault: Sentence | None = None
        if not enabled:
            self._fault = Sentence("The setting unet.model.compile is false.")
        elif compiler is None:
            self._fault = why_not_compiled(torch_name)

    def __call__(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W), as the network does.

        Raises
        ------
        RuntimeError
            What the network raises.
        """
        shape = x.shape, x.stride(), x.dtype
        compiled = self._ready.get(shape)
        if compiled is None:
            self._count(shape, x)
        else:
            try:
                return compiled(x)
            except Exception as error:
                self._drop(shape, error)
        # Outside the handler, whose traceback would hold what fills the device.
        logits: Tensor = self._network(x)
        return logits

    @property
    def compilation(self) -> Sentence:
        """Say whether compiled code computes, or why not."""
        with self._changed:
            if self._fault is not None:
                return Sentence("The network is not compiled. {reason}", reason=self._fault)
            if self._compiling:
                return Sentence("The network is being compiled and answers meanwhile, more slowly.")
            if len(self._ready) == 1:
                return Sentence("The network is compiled for batches of one size.")
            if self._ready:
                return Sentence("The network is compiled for {count} sizes of batches.", count=len(self._ready))
            if self._lacks_memory:
                return Sentence("The network is not compiled. There is too little memory for that on the device.")
            return Sentence("The network is compiled once batches of one size come again.")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is being compiled; False where that takes longer than so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._compiling == 0, timeout)

    def close(self) -> None:
        """Let compiled code go, and never compile again; what is being compiled is dropped when it is done."""
        with self._changed:
            self._closed = True
            self._ready.clear()

    def _count(self, shape: _Shape, x: Tensor) -> None:
        """Compile for a shape that comes again, in the background."""
        if self._fault is not None or self._closed or shape in self._wanted:
            return
        with self._changed:
            if len(self._seen) >= _MOST_COUNTED:
                self._seen.clear()
            self._seen[shape] += 1
            if self._seen[shape] < _SEEN_BEFORE or len(self._wanted) >= MOST_SHAPES:
                return
            self._wanted.add(shape)
            self._compiling += 1
        like = _Like(x)
        own = weakref.ref(self)
        _background.add(lambda: _compile_for(own, shape, like))

    def _compile(self, shape: _Shape, like: "_Like") -> None:
        """Compile for a shape, in the background."""
        compiled = None
        try:
            if not self._closed and self._fault is None:
                compiled = self._compile_and_try(like)
        except Exception as error:
            self._drop(shape, error)
        with self._changed:
            if compiled is not None and not self._closed and self._fault is None:
                self._ready[shape] = compiled
            self._compiling -= 1
            self._changed.notify_all()
        if compiled is not None:
            _log.info("The network is compiled for batches of %s.", "x".join(map(str, shape[0])))

    def _compile_and_try(self, like: "_Like") -> Computation | None:
        """Return compiled code that was seen to compute the same; None where there is no room to try it."""
        if not like.fits(self._network):
            self._lacks_memory = True
            return None
        with like.apart():
            example = like.make()
            with torch.inference_mode():
                expected = self._network(example).float().sigmoid_()
            compiled = self._compiler(self._network, example)
            with torch.inference_mode():
                # The first call chooses between variants of kernels, for which nobody should have to wait.
                off = float((compiled(example).float().sigmoid_() - expected).abs_().mean())
        if not off <= _FARTHEST:
            raise ArithmeticError(f"its results are off by {off:.2g}")
        return compiled

    def _drop(self, shape: _Shape, error: Exception) -> None:
        """Compute a shape without compiled code from now on, and all of them unless memory was all that lacked."""
        with self._changed:
            self._ready.pop(shape, None)
            if is_out_of_memory(error):
                self._lacks_memory = True
                return
            if self._closed or self._fault is not None:
                return
            self._ready.clear()
            self._fault = Sentence("Compiling it failed ({reason}).", reason=_in_a_line(error))
        _log.warning("%s", self.compilation)


class _Like:
    """Inputs like one, without keeping it."""

    def __init__(self, x: Tensor) -> None:
        self._shape, self._strides, self._dtype, self._device = x.shape, x.stride(), x.dtype, x.device

    def make(self) -> Tensor:
        """Return one with noise in it."""
        x = torch.empty_strided(self._shape, self._strides, dtype=self._dtype, device=self._device)
        return x.uniform_()

    def fits(self, network: SegmentationNetwork) -> bool:
        """Whether a GPU has room to compute one beside what goes on there."""
        if self._device.type != "cuda":
            return True
        images, _, height, width = self._shape
        needed = working_bytes(network.facts, height, width, in_bands=False)
        if needed is None:
            return True
        free = torch.cuda.mem_get_info(self._device)[0]
        kept = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return free + kept > _ROOM * images * needed

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Compute on the device without standing in the way of others, and leave no memory behind."""
        if self._device.type != "cuda":
            yield
            return
        stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        with torch.cuda.device(self._device), torch.cuda.stream(stream):
            try:
                yield
            finally:
                stream.synchronize()

    def release(self) -> None:
        """Give back to the device what trying the code has left."""
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


class _Background:
    """One thread for all that is compiled in a process, which ends when there is nothing left to do.

    Inductor computes in processes of its own, and more of its threads would only take turns. The thread does not keep
    a process from ending.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._at_work = False

    def add(self, work: Callable[[], None]) -> None:
        with self._lock:
            self._waiting.append(work)
            if self._at_work:
                return
            self._at_work = True
        threading.Thread(target=self._do_all, name="unetseg-compile", daemon=True).start()

    def _do_all(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._at_work = False
                    return
                work = self._waiting.popleft()
            work()
            del work


_background = _Background()


def _compile_for(own: "weakref.ref[CompiledNetwork]", shape: _Shape, like: _Like) -> None:
    network = own()
    if network is not None:  # else its model was unloaded
        network._compile(shape, like)
        del network  # which may have been unloaded meanwhile
        like.release()


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
