"""What all models on one graphics card share: its streams, and the thread that launches work on it.

Of each thread that computes, PyTorch keeps a handle of cuBLAS with a workspace on the card, and each stream keeps
memory for itself. So one thread and one stream compute for all.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from traceback import clear_frames
from typing import TypeVar

import torch

from napari_unetseg.inference.backends.gpu.transfers import Transfers

T = TypeVar("T")


class GraphicsCard:
    """A device on which work is launched in one thread.

    Parameters
    ----------
    device
        As PyTorch knows it.

    Attributes
    ----------
    transfers
        Its streams.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.transfers = Transfers(device)
        self._thread = ThreadPoolExecutor(1, f"unetseg-{device}")

    def launch(self, work: Callable[[], T]) -> Future[T]:
        """Let the thread do some work after all that it was given before."""
        return self._thread.submit(_without_locals, work)


_cards: dict[str, GraphicsCard] = {}
_lock = Lock()


def graphics_card(torch_name: str) -> GraphicsCard:
    """Return the card of that name, such as ``"cuda:1"``; the same one for all who ask."""
    with _lock:
        if torch_name not in _cards:
            _cards[torch_name] = GraphicsCard(torch.device(torch_name))
        return _cards[torch_name]


def _without_locals(work: Callable[[], T]) -> T:
    try:
        return work()
    except Exception as error:
        # Whoever keeps the error shall not keep the tensors that its frames hold.
        clear_frames(error.__traceback__)
        del work  # which this frame holds
        raise
