"""Measure what a segmentation costs in a window's worker thread over a direct call.

Run with ``python benchmarks/worker.py`` where there is a display, else under ``xvfb-run -a``. Writes a
line for each pair of runs and the two medians' ratio to the standard output; the same for the processor
time of the whole process, event loop included, which other programs on the machine disturb less.

In one process, with a viewer on display, the image in it and the widget docked, the same image is
segmented by turns

* by a task in Qt's thread pool, as the widget does it, with progress and Cancel listened to and the
  event loop turning: from its start to the result's arrival in the GUI thread;
* by a direct call of the service in the main thread, without progress or cancel.

The order changes from pair to pair, so that other work on the machine hits both alike, and a first pair
is not counted.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

from event_loop import rest

# isort: split
import napari
from drawn_images import draw_image
from qtpy.QtCore import QEventLoop

from napari_unetseg import Image, Segmentation, SegmentationService
from napari_unetseg.plugin.commands import open_widget
from napari_unetseg.plugin.workers.background import Task, start


def worker(service: SegmentationService, image: Image) -> int:
    """Segment in the worker while the event loop turns; return the number of objects."""
    loop = QEventLoop()
    results: list[Segmentation] = []
    errors: list[Exception] = []

    def work(task: Task[Segmentation]) -> Segmentation:
        return service.segment(image, progress=task.reports.progressed.emit, cancel=task.cancelled)

    task = Task(work)
    start(task, returned=results.append, errored=errors.append, finished=loop.quit)
    loop.exec()
    if errors:
        raise errors[0]
    return results[0].count


def direct(service: SegmentationService, image: Image) -> int:
    """Segment in this thread; return the number of objects."""
    return service.segment(image).count


def main() -> None:
    """Measure and print."""
    say = sys.stdout.write
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=1024, help="side of the image in pixels")
    parser.add_argument("--pairs", type=int, default=7, help="pairs of runs that count")
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    pixels = draw_image(arguments.side)
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(1280, 800)
    open_widget(viewer)
    viewer.add_image(pixels, name="image")
    rest(0.3)
    image, service = Image(pixels, name="image"), SegmentationService(arguments.model, arguments.device)
    ways: list[Callable[[SegmentationService, Image], int]] = [worker, direct]
    wall, cpu = ({way: list[float]() for way in ways} for _ in range(2))
    for pair in range(arguments.pairs + 1):
        counts = set()
        for way in ways if pair % 2 else reversed(ways):
            rest(0.3)
            clock, spent = time.perf_counter(), time.process_time()
            counts.add(way(service, image))
            wall[way].append(time.perf_counter() - clock)
            cpu[way].append(time.process_time() - spent)
        if len(counts) > 1:
            raise RuntimeError(f"The two ways found different numbers of objects: {counts}.")
        told = " | ".join(f"{way.__name__} {wall[way][-1]:.3f} s, CPU {cpu[way][-1]:.3f} s" for way in ways)
        say(f"{told} | {counts.pop()} objects{'' if pair else ' (warm-up, not counted)'}\n")
        sys.stdout.flush()
    say(f"{arguments.side} x {arguments.side}, worker / direct, medians of {arguments.pairs}: ")
    say(f"{ratio(wall[worker], wall[direct]):.3f}, of processor time {ratio(cpu[worker], cpu[direct]):.3f}\n")
    viewer.close()


def ratio(ones: list[float], others: list[float]) -> float:
    """Divide the medians of two series without their first values."""
    return statistics.median(ones[1:]) / statistics.median(others[1:])


if __name__ == "__main__":
    main()
