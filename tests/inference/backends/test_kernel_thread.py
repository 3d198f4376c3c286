import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from napari_unetseg.errors import Cancelled, is_out_of_memory
from napari_unetseg.inference.backends.kernel_thread import run_with_kernel_workaround

# The memory that is kept serves the maps: under a limit on what is held, only the code of new kernels finds none.
PROGRAM = """
import re, resource
from pathlib import Path
import numpy as np
import torch
from napari_unetseg.inference.backends.torch_backend import TorchBackend
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.malloc import keep_freed_memory
from napari_unetseg.errors import is_out_of_memory
from napari_unetseg.networks import UNet
from napari_unetseg.zoo.card import Head

keep_freed_memory()
torch.set_num_threads(1)
torch.empty(2**26).fill_(1)
backend = TorchBackend(UNet(1, 1, (8, 8, 8)), (Head(name="foreground"),), Device("cpu", "Tests run on the CPU."))
backend.run(np.zeros((1, 1, 32, 32), np.float32))
held = 1024 * int(re.search(r"VmData:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
resource.setrlimit(resource.RLIMIT_DATA, (held, resource.RLIM_INFINITY))
try:
    backend.run(np.zeros((1, 1, 48, 48), np.float32))
except RuntimeError as error:
    print(error, is_out_of_memory(error))
resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for side in (48, 64, 80):
    print(backend.run(np.zeros((1, 1, side, side), np.float32)).shape[-1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the limit is set as Linux has it")
def test_a_thread_without_memory_for_a_kernel_computes_again_when_there_is_some():
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split("\n") == ["could not create a primitive True", "48", "64", "80", ""]


class Refusing:
    """Stands before a layer and makes no kernel in a thread where it did not make one before, as oneDNN does."""

    def __init__(self):
        self.refuses = True
        self.this_thread = threading.local()

    def __call__(self, _layer, _inputs):
        if self.refuses:
            self.this_thread.is_marked = True
        if hasattr(self.this_thread, "is_marked"):
            raise RuntimeError("could not create a primitive")


@pytest.fixture
def refusing(make):
    """A backend, and what refuses in it."""
    network, refuses = make.network(), Refusing()
    network.final_conv.register_forward_pre_hook(refuses)
    return make.backend(network), refuses


def in_a_thread(work):
    """Do it in a thread of its own, so that none of the other tests' is marked; return what it returns or raises."""
    reported = []

    def do():
        try:
            reported.append(work())
        except Exception as error:
            reported.append(error)

    thread = threading.Thread(target=do)
    thread.start()
    thread.join()
    return reported[0]


def test_other_errors_leave_a_thread_as_it_is():
    def work():
        threads = []

        def fail():
            threads.append(threading.get_ident())
            raise RuntimeError("shape mismatch")

        for _ in range(2):
            with pytest.raises(RuntimeError, match="shape"):
                run_with_kernel_workaround(fail)
        return threads == [threading.get_ident()] * 2

    assert in_a_thread(work) is True


def test_a_fresh_thread_gives_the_same_answer_and_may_fail_again(refusing, batch):
    backend, kernels = refusing

    def work():
        for _ in range(2):
            with pytest.raises(RuntimeError, match="primitive") as raised:
                backend.run(batch)
            assert is_out_of_memory(raised.value)
        kernels.refuses = False
        return backend.run(batch)

    np.testing.assert_array_equal(in_a_thread(work), backend.run(batch))


def test_a_run_in_a_fresh_thread_is_cancelled_too(refusing, batch):
    backend, kernels = refusing
    asked_in = []

    def cancel():
        asked_in.append(threading.current_thread())
        return True

    def work():
        with pytest.raises(RuntimeError, match="primitive"):
            backend.run(batch)
        kernels.refuses = False
        with pytest.raises(Cancelled):
            backend.run(batch, cancel)
        return threading.current_thread()

    assert in_a_thread(work) not in asked_in
    assert len(asked_in) == 1
