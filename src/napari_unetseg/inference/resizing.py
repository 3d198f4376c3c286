"""Stretching an image to the one size that a network was trained on, and its answer back."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional


def resize_image(pixels: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize bilinearly; what becomes smaller is smoothed first, as imaging libraries do.

    Parameters
    ----------
    pixels
        float32 (C, Y, X).
    size
        New height and width.
    """
    return _interpolate(pixels, size, smooth=True)


def resize_probability(probability: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize (heads, Y, X) bilinearly between the nearest pixels; values stay in 0..1."""
    resized = _interpolate(probability, size, smooth=False)
    return np.clip(resized, 0, 1, out=resized)


def _interpolate(maps: NDArray[np.float32], size: tuple[int, int], smooth: bool) -> NDArray[np.float32]:
    resized = functional.interpolate(
        torch.from_numpy(maps)[None], size, mode="bilinear", align_corners=False, antialias=smooth
    )
    result: NDArray[np.float32] = resized[0].numpy()
    return result
