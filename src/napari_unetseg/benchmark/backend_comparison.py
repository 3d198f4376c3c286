"""Which backend and precision is the fastest on this machine's CPU, and whether its masks agree with float32.

Each runs in processes of its own (`napari_unetseg.benchmark.backend_process`), one at a time, in turns: whatever
slows the machine for a while slows all alike.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.benchmark.backend_process import KEEP, PLAIN, PLAIN_ALLOCATOR, RETURN
from napari_unetseg.errors import last_line

CONFIGURATIONS = {
    PLAIN: "PyTorch alone, float32",
    PLAIN_ALLOCATOR: "PyTorch alone, float32, memory kept",
    "torch:float32": "torch, float32",
    "torch:bfloat16": "torch, bfloat16",
    "openvino:float32": "openvino, float32",
    "openvino:bfloat16": "openvino, bfloat16",
    "openvino:int8": "openvino, int8",
    "onnxruntime:float32": "onnxruntime, float32",
}
"""Titles of the configurations; the others are compared with the first."""

RUNS = 3
"""Timed runs of a process, after one that warms up."""


@dataclass
class BackendResult:
    """What is known of a configuration.

    Attributes
    ----------
    configuration
        One of `CONFIGURATIONS`.
    seconds
        Of each timed run of the window.
    mask
        Its foreground, bool (Y, X); None where it was not run.
    impossible
        Why it is not possible here; None if it is.
    """

    configuration: str
    seconds: list[float] = field(default_factory=list)
    mask: NDArray[np.bool_] | None = None
    impossible: str | None = None

    @property
    def median(self) -> float:
        """Median of the seconds, of which there must be some."""
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class BackendComparison:
    """What was found out about all configurations.

    Attributes
    ----------
    results
        In the order of `CONFIGURATIONS`.
    interrupted
        Whether it was stopped before all was measured.
    """

    results: tuple[BackendResult, ...]
    interrupted: bool

    @property
    def measured(self) -> tuple[BackendResult, ...]:
        """Those with a time."""
        return tuple(one for one in self.results if one.seconds)

    def speed(self, one: BackendResult) -> float | None:
        """How many times as fast as the first configuration it is; None where that was not measured."""
        first = self.results[0]
        return first.median / one.median if first.seconds else None

    def dice(self, one: BackendResult) -> float | None:
        """Agreement of its mask with the first configuration's; None where neither has foreground."""
        first = self.results[0].mask
        return None if first is None or one.mask is None else dice(first, one.mask)


def time_backends(
    model: Path,
    image: Path,
    side: int,
    rounds: int,
    report: Callable[[str], None] = lambda _: None,
    *,
    keeps_memory: bool = True,
) -> BackendComparison:
    """Time every configuration in turns; Ctrl-C ends it early, with what was measured until then.

    Parameters
    ----------
    model
        Where `find_model` finds the model.
    image
        A file that `read_image` reads; its upper left corner is the window.
    side
        Of the window, in pixels.
    rounds
        Processes of each configuration.
    report
        Called with a few words on what happens next.
    keeps_memory
        The setting `unet.memory.keep_freed_memory`.
    """
    results = tuple(BackendResult(configuration) for configuration in CONFIGURATIONS)
    try:
        for turn in range(rounds):
            # Back and forth, so that no configuration always follows the same neighbour.
            for result in results if turn % 2 == 0 else reversed(results):
                if result.impossible is None:
                    report(f"Round {turn + 1} of {rounds}: {CONFIGURATIONS[result.configuration]}")
                    _run(result, model, image, side, KEEP if keeps_memory else RETURN)
    except KeyboardInterrupt:
        return BackendComparison(results, interrupted=True)
    return BackendComparison(results, interrupted=False)


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float | None:
    """Return the Dice coefficient of two masks of the same shape; None where both are empty."""
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return 2 * np.count_nonzero(one & other) / total if total else None


def _run(result: BackendResult, model: Path, image: Path, side: int, freed: str) -> None:
    """Time a configuration in a process of its own; what goes wrong there makes it impossible."""
    with tempfile.TemporaryDirectory() as folder:
        mask = Path(folder) / "mask.npy"
        module = "napari_unetseg.benchmark.backend_process"
        arguments = (str(model), result.configuration, str(image), str(side), str(RUNS), str(mask), freed)
        # The words are ours: an interpreter, a module of this package, a model and an image that were found.
        run = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False)  # noqa: S603
        if run.returncode:
            last = last_line(run.stderr) or "it said nothing"
            result.impossible = f"its process ended with status {run.returncode}: {last}"
            return
        measured = json.loads(run.stdout.splitlines()[-1])
        result.impossible = measured.get("impossible")
        if result.impossible is None:
            result.seconds += measured["seconds"]
            result.mask = np.load(mask)
