"""A workaround for a fault of oneDNN, with which PyTorch computes convolutions on the CPU.

Where there was no memory for the code of a kernel, oneDNN leaves a mark on the thread and makes no new kernel in it any
more, however much memory there is by then (oneDNN's pull request 5907). Kernels that it has go on to work, and other
threads make theirs. So a marked thread, which may be a notebook's only one, hands its work to a fresh one.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from napari_unetseg.errors import NO_KERNEL

_this_thread = threading.local()


def run_with_kernel_workaround(work: Callable[[], None]) -> None:
    """Do some work here, or in a fresh thread if there once was no kernel in this one; raise what it raises."""
    if getattr(_this_thread, "makes_no_kernels", False):
        with ThreadPoolExecutor(1, "unetseg-kernels") as fresh:
            fresh.submit(work).result()
        return
    try:
        work()
    except RuntimeError as error:
        if NO_KERNEL in str(error):
            _this_thread.makes_no_kernels = True
        raise
