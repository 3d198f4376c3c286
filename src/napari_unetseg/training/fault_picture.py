"""A small picture of a mask, with its fault marked."""

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import UnetsegError
from napari_unetseg.training.mask_folder import CheckedMask
from napari_unetseg.training.mask_reading import read_numbers

SIDE = 144
_AROUND = 2.5  # diameters of an object about a fault
_LEAST_AROUND = 24
_MARK = np.array([255, 40, 40], np.uint8)
_UNKNOWN = np.array([70, 70, 70], np.uint8)
_GOLDEN = 0.618_034  # by which neighbouring numbers get colours far apart


def fault_picture(checked: CheckedMask, side: int = SIDE) -> NDArray[np.uint8]:
    """Draw the surroundings of the first fault that has a place, with the fault framed; without one, the whole mask.

    Returns
    -------
    uint8 (Y, X, 3), red, green and blue, at most `side` pixels along each; one black pixel where it cannot be read.
    """
    try:
        mask = read_numbers(checked.file)
    except UnetsegError:
        return np.zeros((1, 1, 3), np.uint8)
    place = next((fault.place for fault in checked.faults if fault.place is not None), None)
    rows, columns = slice(0, mask.shape[0]), slice(0, mask.shape[1])
    if place is not None:
        around = round(max((checked.diameter or 0) * _AROUND, _LEAST_AROUND))
        rows, columns = (
            slice(max(at - around, 0), min(at + around, length)) for at, length in zip(place, mask.shape, strict=True)
        )
    picture = _coloured(mask[rows, columns])
    step = max(1, -(-max(picture.shape[:2]) // side))
    times = max(1, side // max(picture.shape[:2]))
    picture = np.ascontiguousarray(picture[::step, ::step].repeat(times, axis=0).repeat(times, axis=1))
    if place is not None:
        at = [((one - part.start) // step) * times for one, part in zip(place, (rows, columns), strict=True)]
        _frame(picture, at[0], at[1], times)
    return picture


def _coloured(mask: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Give each number a light colour of its own, and background none."""
    hue = (np.maximum(mask, 0) * _GOLDEN % 1.0)[..., None] * 6
    channels = np.array([5.0, 3.0, 1.0])
    wheel = (channels + hue) % 6
    shade = 1 - 0.55 * np.clip(np.minimum(wheel, 4 - wheel), 0, 1)
    picture = np.where((mask > 0)[..., None], shade * 255, 0).astype(np.uint8)
    picture[mask < 0] = _UNKNOWN
    return picture


def _frame(picture: NDArray[np.uint8], row: int, column: int, times: int) -> None:
    """Draw a square about a pixel that is drawn so many times as large."""
    away = max(6, 2 * times)
    top, left = max(row - away, 0), max(column - away, 0)
    bottom, right = min(row + times + away, picture.shape[0]), min(column + times + away, picture.shape[1])
    for inset in range(2):
        box = picture[top + inset : bottom - inset, left + inset : right - inset]
        if not box.size:
            return  # a strip of one or two pixels
        box[[0, -1]] = _MARK
        box[:, [0, -1]] = _MARK
