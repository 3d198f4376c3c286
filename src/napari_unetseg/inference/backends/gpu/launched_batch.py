"""A batch that was launched on a graphics card: waited for, computed again where need be, and given back."""

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.inference.backends import cancelled_error
from napari_unetseg.inference.backends.gpu.graphics_card import GraphicsCard
from napari_unetseg.inference.backends.gpu.transfers import Mark

_POLL_S = 0.02
"""How often a cancel is looked at while a batch is computed."""

_NAP_S = 0.0002
"""How often a card is asked whether it is done, where a cancel has to be looked at meanwhile."""


class LaunchedBatch:
    """A batch that a card computes.

    Parameters
    ----------
    card
        The card.
    launched
        Done when all of it is launched; its result is reached when the answer has come down.
    answer, finite
        Where it comes down, and whether it is finite; None where nobody asks.
    launch_again
        Computes the batch in float32.
    cancel, out
        As for `Backend.start`.
    lent
        What the batch needs until it is at rest.
    """

    computed_at_once = False

    def __init__(
        self,
        card: GraphicsCard,
        launched: Future[Mark],
        answer: Tensor,
        finite: Tensor | None,
        launch_again: Callable[[], Future[Mark]],
        cancel: CancelFlag | None,
        out: NDArray[np.float32] | None,
        lent: ExitStack,
    ) -> None:
        self._card = card
        self._launched = launched
        self._answer, self._finite = answer, finite
        self._launch_again = launch_again
        self._cancel = cancel
        self._out = out
        self._lent = lent

    def result(self) -> NDArray[np.float32]:
        """Wait for the probabilities; see `Pending.result`."""
        self._wait()
        if self._finite is not None and not self._finite.item():
            self._launched, self._finite = self._launch_again(), None
            self._wait()
        found: NDArray[np.float32] = self._answer.numpy()
        if self._out is None:
            return found
        self._out[:] = found
        return self._out

    def _wait(self) -> None:
        cancel = self._cancel
        if cancel is None:
            self._launched.result().wait()
            return
        while not wait([self._launched], _POLL_S).done:
            if cancel():
                raise cancelled_error()
        down = self._launched.result()
        asked = time.monotonic()
        while not down.is_reached():
            if time.monotonic() - asked >= _POLL_S:
                asked = time.monotonic()
                if cancel():
                    raise cancelled_error()
            time.sleep(_NAP_S)

    def close(self) -> None:
        """Wait until the batch is at rest, and give back what it has borrowed."""
        try:
            if self._launched.exception() is None:
                self._launched.result().wait()
            else:  # some of it may have been launched
                self._card.transfers.rest()
        finally:
            self._lent.close()
