"""Copies to and from a graphics card beside its computing: streams, events and pinned memory, in one place.

Work on a CUDA card goes through three streams, for what comes up, what is computed and what goes down. Each runs in
order and beside the others; where one needs what another made, it waits for a `Mark` that was set behind it. On other
devices work is in order anyway, and all of this does nothing.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor


class Mark:
    """A place in a stream, which is reached once all work before it is done.

    Parameters
    ----------
    event
        Recorded there; None where work is done when its call returns.
    """

    def __init__(self, event: torch.cuda.Event | None) -> None:
        self.event = event

    def is_reached(self) -> bool:
        """Whether all work before it is done."""
        return self.event is None or bool(self.event.query())  # type: ignore[no-untyped-call]

    def wait(self) -> None:
        """Wait until it is reached; other threads of Python go on meanwhile."""
        if self.event is not None:
            self.event.synchronize()


class Transfers:
    """The streams of one device.

    Parameters
    ----------
    device
        As PyTorch knows it.

    Attributes
    ----------
    pinned
        Whether host memory should be pinned, from and to which copies run in the background.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.pinned = device.type == "cuda"
        self._up, self._computing, self._down = (_stream(device) if self.pinned else None for _ in range(3))

    def uploading(self) -> AbstractContextManager[None]:
        """Let what is launched in the block go through the stream for copies to the device."""
        return self._through(self._up)

    def computing(self) -> AbstractContextManager[None]:
        """Let what is launched in the block go through the stream that computes."""
        return self._through(self._computing)

    def downloading(self) -> AbstractContextManager[None]:
        """Let what is launched in the block go through the stream for copies from the device."""
        return self._through(self._down)

    def rest(self) -> None:
        """Wait until the device has nothing to do."""
        if self.pinned:
            torch.cuda.synchronize(self._device)

    def copy(self, source: Tensor, target: Tensor) -> None:
        """Launch a copy between host and device; where copies run in the background, the host's memory is pinned."""
        # Without streams nobody would wait for it.
        target.copy_(source, non_blocking=self.pinned)

    def _through(self, stream: torch.cuda.Stream | None) -> AbstractContextManager[None]:
        return nullcontext() if stream is None else _on_stream(self._device, stream)

    def mark(self) -> Mark:
        """Set a mark behind what was launched so far in the current block."""
        if not self.pinned:
            return Mark(None)
        # Without `blocking`, a core would be kept busy waiting.
        event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return Mark(event)

    def follow(self, mark: Mark) -> None:
        """Let the current block's stream go on only when a mark of another is reached; nobody waits here."""
        if mark.event is not None:
            torch.cuda.current_stream(self._device).wait_event(mark.event)


def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@contextmanager
def _on_stream(device: torch.device, stream: torch.cuda.Stream) -> Iterator[None]:
    with torch.cuda.device(device), torch.cuda.stream(stream):
        yield
