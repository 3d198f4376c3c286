"""Stacks whose planes are read one at a time, or a part of one."""

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.io.readable import unreadable_says
from napari_unetseg.language import Sentence
from napari_unetseg.lazy_array import LazyArray

PlaneReader = Callable[[tuple[int, ...], slice, slice], NDArray[Any]]
"""Gives rows and columns of the plane at an index, each a slice of step 1, with its colours last if it has any."""


def lazy_planes(
    read: PlaneReader,
    stack: Sequence[int],
    plane: Sequence[int],
    dtype: np.dtype[Any],
    path: Path,
    tile: Sequence[int] | None = None,
) -> LazyArray:
    """Return a stack of planes, none of which is read yet. Where one is read whole, it is not copied.

    Parameters
    ----------
    read
        Any thread may call it. What it raises is told as that of an unreadable image.
    stack
        Length of the axes along which there are planes.
    plane
        Height and width of a plane, and how many colours it has if these are an axis.
    dtype
        Of the pixels.
    path
        The file, for messages.
    tile
        Height and width in which a plane is stored; None: whole.
    """

    def read_part(index: tuple[int, ...], part: tuple[slice, ...]) -> NDArray[Any]:
        return read(index, *part[:2])[:, :, *part[2:]]

    def read_box(box: tuple[slice, ...]) -> NDArray[Any]:
        with unreadable_says(path):
            return planes_in_box(read_part, box, len(stack), dtype)

    height, width = plane[:2] if tile is None else (min(side, of) for side, of in zip(tile, plane[:2], strict=True))
    return LazyArray(read_box, (*stack, *plane), dtype, (*(1,) * len(stack), height, width, *plane[2:]))


def planes_in_box(
    read: Callable[[tuple[int, ...], tuple[slice, ...]], NDArray[Any]],
    box: tuple[slice, ...],
    stack: int,
    dtype: np.dtype[Any],
) -> NDArray[Any]:
    """Return a box of a stack of planes, of which each is read once, and the only one is not copied.

    Parameters
    ----------
    read
        Gives a part of the plane at an index, from a slice of step 1 for each axis of a plane.
    box
        A slice of step 1 for each axis.
    stack
        How many of these are axes along which there are planes: the first.
    dtype
        Of the pixels.
    """
    places = [range(along.start, along.stop) for along in box[:stack]]
    if all(len(along) == 1 for along in places):
        only = read(tuple(along[0] for along in places), box[stack:])
        return only[(np.newaxis,) * stack]
    found = np.empty([part.stop - part.start for part in box], dtype)
    for index in product(*places):
        at = tuple(place - along[0] for place, along in zip(index, places, strict=True))
        found[at] = read(index, box[stack:])
    return found


def missing_planes(missing: int, planes: int) -> tuple[Sentence, ...]:
    """Say how many planes were never recorded, such as those after somebody stopped: libraries give zeros for them."""
    if not missing:
        return ()
    return (
        Sentence("{missing} of {planes} planes were never recorded, and are black.", missing=missing, planes=planes),
    )
