"""In a process of its own: what is set holds for the whole of it."""

import platform
import subprocess
import sys

import pytest

from napari_unetseg.inference.backends import malloc

ON_GLIBC = platform.libc_ver()[0] == "glibc"

# Maps of 8 MB, made and freed as layers do, on a thread that has a heap of its own, as workers have.
PROBE = """
import resource, threading
import numpy as np
import psutil
from napari_unetseg.inference.backends.malloc import keep_freed_memory, return_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    return psutil.Process().memory_info().rss / 2**20

def run():
    maps = [np.ones(2**20) for _ in range(12)]
    del maps

def work():
    run()
    for keep in (False, True):
        if keep:
            assert keep_freed_memory() and keep_freed_memory()
            run()
        before = faults()
        for _ in range(5):
            run()
        print(faults() - before, end=" ")
    held = resident()
    return_freed_memory()
    print(held - resident())

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


@pytest.mark.skipif(not ON_GLIBC, reason="another C library")
def test_memory_that_is_freed_is_found_again_until_it_is_returned():
    run = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    before, after, returned_mb = map(float, run.stdout.split())
    # 60 maps of 2048 pages; pages may be huge, so that only the ratio is sure.
    assert after < before / 10
    assert returned_mb > 30


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    for function in (malloc._glibc, malloc.keep_freed_memory):
        function.cache_clear()
    try:
        assert not malloc.keep_freed_memory()
        malloc.return_freed_memory()
    finally:
        for function in (malloc._glibc, malloc.keep_freed_memory):
            function.cache_clear()
