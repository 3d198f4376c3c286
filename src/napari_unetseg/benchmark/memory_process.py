"""A process of its own that runs batches on the CPU and says how much memory each took.

A process that has run larger batches before hands pages back late, and one that runs out of memory
ends; neither shall touch the process that measures. It reads lines ``batch_size height width`` and
answers each with a line of JSON, until its input ends.
"""

import json
import math
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import psutil

from napari_unetseg.benchmark.backend_process import KEEP, RETURN
from napari_unetseg.errors import UnetsegError, is_out_of_memory
from napari_unetseg.inference.backends.selection import ExecutionPlan

_SAMPLE_SECONDS = 0.002
_KILLED = -9


class MemoryProbe:
    """The process as its owner sees it; a context manager that ends it.

    Parameters
    ----------
    model
        Where `find_model` finds the model.
    execution_plan
        How it is computed.
    keeps_memory
        The setting `unet.memory.keep_freed_memory`.
    """

    def __init__(self, model: Path, execution_plan: ExecutionPlan, *, keeps_memory: bool = True) -> None:
        freed = KEEP if keeps_memory else RETURN
        self._line = [
            sys.executable,
            "-m",
            __name__,
            str(model),
            execution_plan.backend,
            execution_plan.precision,
            freed,
        ]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "MemoryProbe":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def measure(self, batch_size: int, height: int, width: int) -> tuple[float, int]:
        """Run one batch; return its seconds, and the bytes it took at most in addition to the loaded model.

        Raises
        ------
        MemoryError
            If there was not enough memory.
        UnetsegError
            If the process failed in another way.
        """
        if self._process is None:
            # The lines are ours: an interpreter, a module of this package and a model that was found.
            self._process = subprocess.Popen(  # noqa: S603
                self._line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        process = self._process
        reply = _request(process, f"{batch_size} {height} {width}\n")
        if not reply:
            self._process = None
            status = process.wait()
            process.communicate()
            if status == _KILLED:  # by the kernel, which ends what takes too much
                raise MemoryError
            raise UnetsegError(f"The process that measures memory ended with status {status}; its message is above.")
        measured = json.loads(reply)
        if measured["out_of_memory"]:
            raise MemoryError
        return float(measured["seconds"]), int(measured["peak_bytes"])


def _request(process: "subprocess.Popen[str]", line: str) -> str:
    """Send a line and wait for the reply; empty if the process has ended."""
    assert process.stdin is not None  # noqa: S101
    assert process.stdout is not None  # noqa: S101
    try:
        process.stdin.write(line)
        process.stdin.flush()
    except BrokenPipeError:
        return ""
    return process.stdout.readline()


def serve(
    model: str, execution_plan: ExecutionPlan, requests: IO[str], replies: IO[str], *, keeps_memory: bool
) -> None:
    """Load a model on the CPU and reply until there are no more requests."""
    from napari_unetseg.benchmark.benchmarked_model import load_backend, time_run, warm_up
    from napari_unetseg.inference.backends.device import Device
    from napari_unetseg.zoo.registry import find_model

    package = find_model(Path(model))
    backend = load_backend(package, execution_plan, Device("cpu", "Its memory is measured."), keeps_memory=keeps_memory)
    warm_up(backend, package.card)
    backend.release_memory()
    process = psutil.Process()
    base = process.memory_info().rss
    for line in requests:
        batch_size, height, width = map(int, line.split())
        shape = (batch_size, package.card.input_channels, height, width)
        backend.release_memory()
        measured: dict[str, Any] = {"out_of_memory": False}
        with _HighWater(process) as water:
            try:
                measured["seconds"] = time_run(backend, shape)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                measured["out_of_memory"] = True
        # Small growth drowns: the kernel counts pages roughly, and a short run falls between two readings. What is
        # certain is the batch itself, of float32.
        measured["peak_bytes"] = max(water.bytes - base, 4 * math.prod(shape))
        replies.write(json.dumps(measured) + "\n")
        replies.flush()


class _HighWater:
    """Watch the memory of this process from a thread while a block runs."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory high water", daemon=True)
        self.bytes = 0

    def __enter__(self) -> "_HighWater":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._look()  # for a block that ended before the thread looked once

    def _watch(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            self._look()

    def _look(self) -> None:
        self.bytes = max(self.bytes, self._process.memory_info().rss)


if __name__ == "__main__":
    # Ctrl-C goes to all processes of a terminal. The owner hears it, and its end is the end of the input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _model, _backend, _precision, _freed = sys.argv[1:]
    _execution_plan = ExecutionPlan(_backend, _precision, "Its memory is measured.")
    serve(_model, _execution_plan, sys.stdin, sys.stdout, keeps_memory=_freed == KEEP)
