"""Run lengths of COCO: how many pixels outside, inside, outside... an object, down one column after the other."""

from collections.abc import Iterator, Sequence

import numpy as np

from napari_unetseg.io.exchange.labelled_image import Pixels


def encode(pixels: Pixels, shape: tuple[int, int]) -> list[int]:
    """Return the run lengths of an object.

    Parameters
    ----------
    pixels
        It covers, each once.
    shape
        Of the image, (Y, X).
    """
    height, width = shape
    places = np.sort(pixels % width * height + pixels // width)
    if not len(places):
        return [height * width]
    breaks = np.flatnonzero(np.diff(places) > 1)
    first = places[np.concatenate([[0], breaks + 1])]
    after = places[np.concatenate([breaks, [len(places) - 1]])] + 1
    edges = np.concatenate([[0], np.stack([first, after], axis=1).ravel(), [height * width]])
    counts: list[int] = np.diff(edges).tolist()
    return counts if counts[-1] else counts[:-1]


def decode(counts: Sequence[int] | str, shape: tuple[int, int]) -> Pixels:
    """Return the pixels of an object, in any order.

    Parameters
    ----------
    counts
        Run lengths as numbers, or compressed into a text.
    shape
        Of the image, (Y, X).

    Raises
    ------
    ValueError
        If they are no run lengths of an image of this size.
    """
    runs = np.array(list(_unpacked(counts)) if isinstance(counts, str) else list(counts), dtype=np.int64)
    height, width = shape
    if (runs < 0).any() or runs.sum() > height * width:
        raise ValueError(f"its run lengths do not fit an image of {height} x {width} pixels")
    ends = np.cumsum(runs)
    starts, lengths = (ends - runs)[1::2], runs[1::2]
    # Each run counts on from its start.
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    places = np.repeat(starts, lengths) + within
    pixels: Pixels = places % height * width + places // height
    return pixels


def _unpacked(text: str) -> Iterator[int]:
    """Read numbers of five bits a character, the lowest first, each from the third on added to the one two before."""
    numbers: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError("its run lengths are no text that COCO knows")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:  # the sign
            value -= 1 << shift
        numbers.append(value + (numbers[-2] if len(numbers) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("its run lengths are cut short")
    return iter(numbers)
