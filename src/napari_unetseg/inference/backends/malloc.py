"""Lets the C library keep the memory that tensors free, for the next ones. Only for glibc; elsewhere nothing happens.

glibc asks the kernel for every large piece of memory and gives it back as soon as it is freed. A network makes and
frees a map at every layer, and for each of their pages, hundreds of thousands in a run, the kernel is interrupted to
fill it with zeros: up to a third of the time. See mallopt(3) and malloc_trim(3).
"""

import ctypes
import platform
from functools import cache

# From malloc.h.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8

_LARGEST = 2**31 - 1
_HEAP = 64 * 2**20  # Largest heap of a thread other than the first, on 64 bits


@cache
def keep_freed_memory() -> bool:
    """Keep freed memory in this process from now on, of all its libraries; return whether that could be set.

    Later calls change nothing. `return_freed_memory` hands back what lies idle.
    """
    library = _glibc()
    if library is None:
        return False
    # No memory is mapped for a single tensor, and none is handed back from the end of the heap. A thread's heaps are
    # taken apart whatever the threshold is, unless what is left would be smaller than the padding.
    # Threads that begin later share the heaps that are there: what one has freed serves all.
    options = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: _LARGEST, _M_TOP_PAD: _HEAP, _M_ARENA_MAX: 1}
    return all(library.mallopt(parameter, value) for parameter, value in options.items())


def return_freed_memory() -> None:
    """Give the kernel all memory that is freed and kept."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    # musl and other C libraries have neither function, or not in that sense.
    if platform.libc_ver()[0] != "glibc":
        return None
    library = ctypes.CDLL(None)
    library.mallopt.argtypes, library.mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    library.malloc_trim.argtypes, library.malloc_trim.restype = (ctypes.c_size_t,), ctypes.c_int
    return library
