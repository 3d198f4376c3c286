"""What is read off probability maps, for one plane and for stacks of them alike."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.errors import Cancelled
from napari_unetseg.postprocessing.linking import number_stack
from napari_unetseg.postprocessing.measurements import Table
from napari_unetseg.postprocessing.parameters import DecodeParameters


def decode_stack(
    probability: NDArray[np.float32],
    heads: tuple[str, ...],
    parameters: DecodeParameters,
    *,
    axes: str = "",
    link: bool = False,
    cancel: CancelFlag | None = None,
) -> NDArray[np.int32]:
    """Read objects off every plane, and give them numbers that are unique in the stack.

    Parameters
    ----------
    probability
        float32 (heads, ..., Y, X) with values 0..1; read plane by plane.
    heads, parameters
        See `decode`.
    axes
        One letter for each axis between heads and Y.
    link
        Whether objects keep their number from plane to plane; see `number_stack`.
    cancel
        Polled before each plane of a stack, and by `decode`.

    Returns
    -------
    int32 (..., Y, X)
        0 is background, objects count from 1 without gaps.

    Raises
    ------
    Cancelled
        If `cancel` returned True.
    """
    from napari_unetseg.postprocessing.decoding import decode  # scipy

    if not axes:
        return decode(probability, heads, parameters, cancel)
    labels = np.empty(probability.shape[1:], np.int32)
    for index in np.ndindex(labels.shape[:-2]):
        if cancel is not None and cancel():
            raise Cancelled("Cancelled while objects were read off the planes.")
        labels[index] = decode(probability[:, *index], heads, parameters, cancel)
    return number_stack(labels, axes, link=link)


def planes_of(array: NDArray[Any]) -> Iterator[tuple[tuple[int, ...], NDArray[Any]]]:
    """Give each (Y, X) plane of an array (..., Y, X) with its index; a single plane has index ``()``."""
    for index in np.ndindex(array.shape[:-2]):
        yield index, array[index]


def middle_plane(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the index of the plane that stands for a stack of that shape; of a single plane ``()``."""
    return tuple(length // 2 for length in shape)


def stack_tables(tables: Mapping[tuple[int, ...], Table], axes: str) -> Table:
    """Put the tables of planes below each other: one row for each object of each plane.

    Parameters
    ----------
    tables
        One for each plane that there is, with the same columns, by its index.
    axes
        One letter for each number of an index.

    Returns
    -------
    Table
        After the label a column for each axis, named ``z``, ``t`` and so on: the plane, counted from 0.
    """
    rows = {index: len(table["label"]) for index, table in tables.items()}
    names = list(next(iter(tables.values())))
    columns = {name: np.concatenate([table[name] for table in tables.values()]) for name in names}
    places = {
        axis.lower(): np.concatenate([np.full(count, index[at]) for index, count in rows.items()])
        for at, axis in enumerate(axes)
    }
    return {"label": columns["label"], **places, **columns}
