"""Measure what a segmentation costs in a window's worker thread over a direct call.

Run with ``python benchmarks/worker.py`` where there is a display, else under ``xvfb-run -a``. Writes a
line for each pair of runs and the two medians' ratio to the standard output.

In one process, with a viewer on display, the image in it and the widget docked, the same image is
segmented by turns

* by a task in Qt's thread pool, as the widget does it, with progress and Cancel listened to and the
  event loop turning: from its start to the result's arrival in the GUI thread;
* by a direct call of the service in the main thread, without progress or cancel.

The order changes from pair to pair, so that other work on the machine hits both alike, and a first pair
is not counted.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

# The user's own napari settings stay as they are.
os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp()) / "napari.yaml")

import napari
import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QEventLoop, QTimer

from napari_unetseg import Image, Segmentation, SegmentationService
from napari_unetseg.plugin.background import Task, start
from napari_unetseg.plugin.commands import open_widget
from napari_unetseg.samples import nuclei


def worker(service: SegmentationService, image: Image) -> tuple[float, int]:
    """Segment in the worker while the event loop turns; return the seconds and the number of objects."""
    loop = QEventLoop()
    results: list[Segmentation] = []
    errors: list[Exception] = []

    def work(task: Task[Segmentation]) -> Segmentation:
        return service.segment(image, progress=task.reports.progressed.emit, cancel=task.cancelled)

    task = Task(work)
    clock = time.perf_counter()
    start(task, returned=results.append, errored=errors.append, finished=loop.quit)
    loop.exec()
    seconds = time.perf_counter() - clock
    if errors:
        raise errors[0]
    return seconds, results[0].count


def direct(service: SegmentationService, image: Image) -> tuple[float, int]:
    """Segment in this thread; return the seconds and the number of objects."""
    clock = time.perf_counter()
    result = service.segment(image)
    return time.perf_counter() - clock, result.count


def let_the_window_rest() -> None:
    """Let pending repaints happen."""
    loop = QEventLoop()
    QTimer.singleShot(300, loop.quit)
    loop.exec()


def large_image(side: int) -> NDArray[np.generic]:
    """Repeat the sample image to (side, side)."""
    sample = nuclei().array
    return np.pad(sample, [(0, side - length) for length in sample.shape[:2]], mode="symmetric")


def main() -> None:
    """Measure and print."""
    say = sys.stdout.write
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=1024, help="side of the image in pixels")
    parser.add_argument("--pairs", type=int, default=7, help="pairs of runs that count")
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    pixels = large_image(arguments.side)
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(1280, 800)
    open_widget(viewer)
    viewer.add_image(pixels, name="image")
    let_the_window_rest()
    image, service = Image(pixels, name="image"), SegmentationService(arguments.model, arguments.device)
    ways: list[Callable[[SegmentationService, Image], tuple[float, int]]] = [worker, direct]
    seconds: dict[str, list[float]] = {"worker": [], "direct": []}
    for pair in range(arguments.pairs + 1):
        counts = set()
        for way in ways if pair % 2 else reversed(ways):
            let_the_window_rest()
            took, count = way(service, image)
            seconds[way.__name__].append(took)
            counts.add(count)
        if len(counts) > 1:
            raise RuntimeError(f"The two ways found different numbers of objects: {counts}.")
        last = {name: times[-1] for name, times in seconds.items()}
        note = "" if pair else "  (warm-up, not counted)"
        say(f"worker {last['worker']:.3f} s | direct {last['direct']:.3f} s | {counts.pop()} objects{note}\n")
        sys.stdout.flush()
    medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}
    paired = statistics.median(
        one / other for one, other in list(zip(seconds["worker"], seconds["direct"], strict=True))[1:]
    )
    size = f"{arguments.side} x {arguments.side}"
    say(f"{size}, median of {arguments.pairs}: worker {medians['worker']:.3f} s | direct {medians['direct']:.3f} s\n")
    say(f"worker / direct {medians['worker'] / medians['direct']:.3f} | median of the pairs' ratios {paired:.3f}\n")
    viewer.close()


if __name__ == "__main__":
    main()
