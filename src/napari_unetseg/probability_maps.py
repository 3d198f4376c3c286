"""Probability maps, which may be larger than the memory."""

import mmap
import os
import shutil
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError
from napari_unetseg.language import Sentence

MAPS_IN_MEMORY = 2**30
"""Bytes of probability maps of an image above which they are kept in a temporary file."""


def allocate_map(shape: tuple[int, ...], name: str) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Allocate probability maps, in memory or in a temporary file.

    Parameters
    ----------
    shape
        Of the array.
    name
        What the image is called.

    Returns
    -------
    float32 array
        Zeros. Above `MAPS_IN_MEMORY` bytes they lie in a temporary file that is gone with the last array that looks
        into it.
    tuple of str
        A sentence for the user if it is a file.

    Raises
    ------
    ImageError
        If there is no room for the file.
    """
    size = 4 * int(np.prod(shape, dtype=np.int64))
    if size <= MAPS_IN_MEMORY:
        return np.zeros(shape, np.float32), ()
    folder = tempfile.gettempdir()
    try:
        with tempfile.TemporaryFile(prefix="unetseg-") as file:
            _reserve(file.fileno(), size, folder)
            maps = np.memmap(file, np.float32, "r+", shape=shape)
    except OSError as error:
        raise ImageError(
            Sentence(
                "{name}: the probability maps take {gigabytes:.1f} GB, for which {folder} has "
                "no room ({reason}). Free some, name another folder in the variable TMPDIR, or segment a "
                "part.",
                name=name,
                gigabytes=size / 1e9,
                folder=folder,
                reason=error.strerror or error,
            )
        ) from error
    remark = Sentence(
        "The probability maps ({gigabytes:.1f} GB) are in a temporary file while the result is kept.",
        gigabytes=size / 1e9,
    )
    return maps, (remark,)


def _reserve(file: int, size: int, folder: str) -> None:
    """Take the room on the disk now: to run out of it while a mapped file is written ends the process."""
    if shutil.disk_usage(folder).free < size:
        raise OSError(Sentence("{gigabytes:.1f} GB are not free", gigabytes=size / 1e9))
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.ftruncate(file, size)


def drop_cached_pages(maps: NDArray[Any]) -> None:
    """Let go of the memory through which maps in a temporary file were seen; what is in them stays.

    Otherwise it would count as this process's until something else needs it. Nothing happens to other arrays.
    """
    file = getattr(maps, "_mmap", None)
    # Of a private mapping ("c") changes would be lost, of one that is only read nothing is gained.
    if isinstance(file, mmap.mmap) and getattr(maps, "mode", None) == "r+" and hasattr(mmap, "MADV_DONTNEED"):
        file.madvise(mmap.MADV_DONTNEED)
