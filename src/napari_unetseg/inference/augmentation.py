"""Test-time augmentation: the mean answer over flips and quarter turns, and how far the answers agree.

A network for microscopy has no up or down, but the weights it learnt are not exactly symmetric. The
mean over the eight ways in which a picture can lie is a little better than any one of them, and where
they differ the network is not sure. Windows begin and end on multiples of the network's grid, so
turned windows give what the turned whole image would give.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Maps = NDArray[np.float32]
Value = TypeVar("Value", bound=np.generic)

FLOW = ("flow_y", "flow_x")
"""Heads that are the components of one vector, as (1 + component) / 2: they turn with the picture."""

ORIENTATIONS = tuple((turns, flip) for flip in (False, True) for turns in range(4))
"""Quarter turns, and whether the picture is flipped before them; the first changes nothing."""


def average_orientations(
    run: Callable[[Maps], Maps], windows: Maps, heads: Sequence[str], on_pass: Callable[[int], None]
) -> Maps:
    """Run a network on windows in all `ORIENTATIONS`.

    Parameters
    ----------
    run
        Maps float32 (N, C, H, W) to probabilities (N, heads, H, W), for any H and W.
    windows
        float32 (N, C, H, W).
    heads
        What the network answers; ``"foreground"`` is among them.
    on_pass
        Called after each pass with the number of passes done.

    Returns
    -------
    float32 array (N, heads + 1, H, W)
        Mean of each head, and last the agreement: 1 minus twice the standard deviation of the foreground,
        which is 1 where all passes say the same and 0 where half of them are sure of the contrary of the others.
    """
    foreground = heads.index("foreground")
    flow = [heads.index(name) for name in FLOW if name in heads]
    count = np.float32(0)
    for turns, flip in ORIENTATIONS:
        probabilities = rotate_back(run(np.ascontiguousarray(rotate_and_flip(windows, turns, flip))), turns, flip)
        if flow:
            probabilities[:, flow] = rotate_flow_back(probabilities[:, flow], turns, flip)
        # Welford's running mean and sum of squares: nothing grows with the number of passes.
        if not count:
            mean, squares = (
                np.zeros(probabilities.shape, np.float32),
                np.zeros(probabilities[:, foreground].shape, np.float32),
            )
        count += 1
        change = probabilities - mean
        mean += change / count
        squares += change[:, foreground] * (probabilities - mean)[:, foreground]
        on_pass(int(count))
    agreement = 1 - 2 * np.sqrt(squares / count)
    return np.concatenate([mean, agreement[:, np.newaxis]], axis=1)


def rotate_and_flip(maps: NDArray[Value], turns: int, flip: bool) -> NDArray[Value]:
    """Flip (..., Y, X) left to right if `flip`, then turn it by quarters; a view."""
    return np.rot90(maps[..., ::-1] if flip else maps, turns, axes=(-2, -1))


def rotate_back(maps: Maps, turns: int, flip: bool) -> Maps:
    """Take back what `rotate_and_flip` did; a view."""
    back = np.rot90(maps, -turns, axes=(-2, -1))
    return back[..., ::-1] if flip else back


def rotate_flow_back(flow: Maps, turns: int, flip: bool) -> Maps:
    """Turn the directions of a flow, (N, 2, Y, X), y and x, (1 + component) / 2, back as `rotate_back` turns them."""
    y, x = flow[:, 0], flow[:, 1]
    for _ in range(turns):
        # A quarter turn sends what pointed right up and what pointed down right.
        y, x = x, 1 - y
    return np.stack([y, 1 - x if flip else x], axis=1)
