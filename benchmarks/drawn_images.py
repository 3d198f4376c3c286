"""Images to measure with, made out of the sample of nuclei, and how masks of them are compared."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def microscope_images(count: int, side: int) -> list[NDArray[np.uint16]]:
    """Make uint16 (side, side) images out of the sample of nuclei, no two the same."""
    sample = draw_image(side)
    rng = np.random.default_rng(24)
    turned = (sample, sample[::-1], sample[:, ::-1], sample.T)
    moves = rng.integers(0, side, (count, 2))
    return [np.ascontiguousarray(np.roll(turned[at % 4], tuple(move), (0, 1))) for at, move in enumerate(moves)]


def colour_images(count: int, side: int) -> list[NDArray[np.uint8]]:
    """Make uint8 RGB (side, side, 3) images out of the same."""
    found = []
    for image in microscope_images(count, side):
        grey = (image / (image.max() / 255)).astype(np.uint8)
        found.append(np.stack([grey, grey, 255 - (255 - grey) // 2], axis=-1))
    return found


def draw_image(side: int) -> NDArray[np.uint16]:
    """Repeat the sample of nuclei, mirrored, to uint16 (side, side)."""
    from napari_unetseg.samples import nuclei

    sample: NDArray[np.uint16] = nuclei().array
    return np.pad(sample, [(0, max(side - length, 0)) for length in sample.shape], mode="symmetric")[:side, :side]


def masks_agree(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Return the Dice coefficient of two masks; 1 where both are empty."""
    total = int(np.count_nonzero(one)) + int(np.count_nonzero(other))
    return 2 * int(np.count_nonzero(one & other)) / total if total else 1.0
