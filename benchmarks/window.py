"""Measure what a user of the window waits for: a large image, Cancel, and many objects.

Run with ``python benchmarks/window.py`` where there is a display, else under ``xvfb-run -a``. Writes
a table to the standard output. Three measurements, each in a real napari window with real clicks:

* a 4096 x 4096 image, from Run to its layers, with its progress;
* the same, cancelled halfway: seconds from the click to the end of the run, and layers left behind;
* 2,000 objects: seconds from the end of the network to the layers on display.

The longest gap between two turns of the event loop is given beside what adding the same layers by
hand costs, in the same window.
"""

import argparse
import sys
import time

from event_loop import Gaps, rest, wait

# isort: split
import napari
import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray
from qtpy.QtWidgets import QApplication

from napari_unetseg.plugin.commands import open_widget
from napari_unetseg.plugin.widget import SegmentationWidget


def draw_discs(side: int, count: int) -> NDArray[np.uint16]:
    """Draw bright discs of radius 9 on a grid over noise, (side, side)."""
    rng = np.random.default_rng(0)
    image = rng.normal(300, 30, (side, side))
    columns = int(np.ceil(np.sqrt(count)))
    step = side / columns
    disc = np.hypot(*np.mgrid[-9:10, -9:10]) <= 9
    for n in range(count):
        y, x = (int((k + 0.5) * step) for k in divmod(n, columns))
        image[y - 9 : y + 10, x - 9 : x + 10] += 2000 * disc
    return image.clip(0, 65535).astype(np.uint16)


def run_to_the_end(widget: SegmentationWidget, gaps: Gaps) -> tuple[float, float, int]:
    """Press Run; return its seconds, the longest gap, and how often progress was told."""
    told: list[int] = []
    widget.controller.progressed.connect(lambda done, total: told.append(done))
    gaps.reset()
    clock = time.perf_counter()
    widget.runner.run.click()
    wait(lambda: not widget.controller.running)
    return time.perf_counter() - clock, gaps.longest, len(told)


def run_and_cancel(widget: SegmentationWidget) -> float:
    """Press Run, press Cancel once a fifth is done; return the seconds from Cancel to the end."""
    widget.runner.run.click()
    wait(lambda: (widget.runner.percent or 0) >= 20)
    clock = time.perf_counter()
    widget.runner.cancel.click()
    wait(lambda: not widget.controller.running)
    return time.perf_counter() - clock


def add_by_hand(viewer: napari.Viewer, layers: list[Layer], gaps: Gaps) -> float:
    """Add copies of layers that are already constructed; return the longest gap."""
    copies = [Layer.create(*layer.as_layer_data_tuple()) for layer in layers]
    rest()
    gaps.reset()
    for copy in copies:
        viewer.add_layer(copy)
    rest()
    return gaps.longest


def main() -> None:
    """Measure and print."""
    say = sys.stdout.write
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=4096, help="side of the large image in pixels")
    parser.add_argument("--objects", type=int, default=2000, help="number of objects in the crowded image")
    arguments = parser.parse_args()
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(1280, 800)
    widget, gaps = open_widget(viewer), Gaps()
    stages: list[tuple[str, float]] = []
    widget.controller.stage.connect(lambda stage: stages.append((stage, time.perf_counter())))

    viewer.add_image(draw_discs(1700, arguments.objects), name="crowded")
    rest()
    seconds, gap, told = run_to_the_end(widget, gaps)
    shown = time.perf_counter()
    QApplication.processEvents()
    after_network = shown - next(when for stage, when in stages if stage == "finishing")
    objects = int(viewer.layers["crowded labels"].data.max())
    by_hand = add_by_hand(viewer, [viewer.layers["crowded labels"], viewer.layers["crowded contours"]], gaps)
    say(f"{objects} objects | run {seconds:.1f} s | network end to layers {after_network:.2f} s\n")
    say(f"longest gap {1000 * gap:.0f} ms | adding the same layers by hand {1000 * by_hand:.0f} ms\n")

    viewer.layers.clear()
    # Adding at once after removing many shapes crashes napari 0.9.2 on software OpenGL.
    rest()
    large = viewer.add_image(draw_discs(arguments.side, arguments.side**2 // 2500), name="large")
    rest()
    seconds = run_and_cancel(widget)
    left = [layer.name for layer in viewer.layers if layer is not large]
    say(f"cancel of {arguments.side} x {arguments.side}: {seconds:.2f} s | layers left behind: {left or 'none'}\n")
    seconds, gap, told = run_to_the_end(widget, gaps)
    objects = int(viewer.layers["large labels"].data.max())
    say(f"{arguments.side} x {arguments.side}: {objects} objects in {seconds:.1f} s, {told} progress reports\n")
    by_hand = add_by_hand(viewer, [viewer.layers["large labels"], viewer.layers["large contours"]], gaps)
    say(f"longest gap {1000 * gap:.0f} ms | adding the same layers by hand {1000 * by_hand:.0f} ms\n")
    say(f"message: {widget.message.text.text()}\n")
    viewer.close()


if __name__ == "__main__":
    main()
