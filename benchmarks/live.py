"""Measure how soon the layers follow a slider: 1,000 objects on 1024 x 1024 pixels.

Run with ``python benchmarks/live.py`` where there is a display, else under ``xvfb-run -a``. No model is needed: the
probabilities are drawn. Writes to the standard output, as medians over several movements of the threshold,

* the time from letting the slider go to new labels, and to new contours and table,
* what the same work takes in this thread, in seconds of processor time, so that other work on the machine disturbs
  it little, and the two as a ratio,
* the longest time between two turns of the event loop, beside that of giving the same data to the layers by hand.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from event_loop import Gaps, rest, wait

# isort: split
import napari
import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QCheckBox

from napari_unetseg.image import Image
from napari_unetseg.plugin.dock.relabelling import Details, RelabelController, Relabelled, _detail, _relabel
from napari_unetseg.plugin.layers.outputs import build_layers, layer_data
from napari_unetseg.plugin.layers.plane import shown_plane
from napari_unetseg.plugin.layers.result_layers import ShownResult
from napari_unetseg.plugin.table.table_dock import TableDock
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.service.provenance import Provenance
from napari_unetseg.service.segmentation import Segmentation


def scene(side: int, count: int) -> NDArray[np.float32]:
    """Draw foreground and distance of round objects on a jittered grid, float32 (2, side, side)."""
    rng = np.random.default_rng(0)
    columns = int(np.ceil(np.sqrt(count)))
    cell = side / columns
    distance = np.zeros((side, side), dtype=np.float32)
    for n in range(count):
        y, x = (np.array(divmod(n, columns)) + 0.5 + rng.uniform(-0.1, 0.1, 2)) * cell
        radius = cell * rng.uniform(0.32, 0.46)
        top, left = max(int(y - radius), 0), max(int(x - radius), 0)
        box = np.s_[top : int(y + radius) + 2, left : int(x + radius) + 2]
        yy, xx = np.mgrid[box]
        yy, xx = (
            yy[: distance[box].shape[0], : distance[box].shape[1]],
            xx[: distance[box].shape[0], : distance[box].shape[1]],
        )
        distance[box] = np.maximum(distance[box], 1 - np.hypot(yy - y, xx - x) / radius)
    noise = rng.normal(0, 0.02, (2, side, side))
    return np.clip(np.stack([1.4 * distance, distance]) + noise, 0, 1).astype(np.float32)


def segmentation_of(probability: NDArray[np.float32], parameters: DecodeParameters) -> Segmentation:
    """Make a result of drawn probabilities."""
    heads = ("foreground", "distance")
    provenance = Provenance(
        **{"image": "drawn", "model": "none", "sha256": "", "parameters": parameters.model_dump(), "channel": None},
        **{"device": "cpu", "device_reason": "", "backend": "none", "precision": "float32", "window": 0, "halo": 0},
        **{"tiles": 1, "resized_to": None, "versions": {}, "started": datetime.now(UTC).isoformat(), "seconds": 0.0},
    )
    image = Image((probability[0] * 60000).astype(np.uint16), name="drawn", scale=(0.5, 0.5), unit="micrometer")
    return Segmentation(image, probability, heads, parameters, decode(probability, heads, parameters), provenance)


def spent(work: Callable[[], object]) -> float:
    """Return the processor time of a piece of work in this thread, the best of three."""
    times = []
    for _ in range(3):
        clock = time.thread_time()
        work()
        times.append(time.thread_time() - clock)
    return min(times)


def main() -> None:
    """Measure and print."""
    say = sys.stdout.write
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=1024, help="side of the image in pixels")
    parser.add_argument("--objects", type=int, default=1000, help="number of objects")
    parser.add_argument("--moves", type=int, default=6, help="movements of the slider")
    parser.add_argument("--smoothing", type=int, default=0, help="radius of smoothing in pixels")
    parser.add_argument("--table", action="store_true", help="with the table open")
    arguments = parser.parse_args()
    base = segmentation_of(scene(arguments.side, arguments.objects), DecodeParameters())
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(1280, 800)
    source = viewer.add_image(base.image.array, name="drawn", scale=(0.5, 0.5), units="um")
    plane = shown_plane(source, viewer.dims)
    layers = build_layers(layer_data(base, plane, ("labels", "contours")))
    result = ShownResult(viewer, plane, layers, base.labels.copy())
    live, box, gaps = RelabelController(), QCheckBox(), Gaps()
    dock = TableDock(viewer, box)
    dock.follow(result)
    live.stale.connect(dock.set_stale)
    box.setChecked(arguments.table)
    moments: dict[str, float] = {}

    def on_labels(update: Relabelled) -> None:
        result.show_labels(update.segmentation, update.data, len(update.names))
        moments["labels"] = time.perf_counter()

    def on_details(details: Details) -> None:
        result.show_details(details.features, details.outlines)
        moments["details"] = time.perf_counter()

    live.relabelled.connect(on_labels)
    live.detailed.connect(on_details)
    live.follow(base, result, outlines_as_labels=False)
    rest(2)
    waits: dict[str, list[float]] = {"labels": [], "details": []}
    blocks = []
    for move in range(arguments.moves + 1):
        parameters = {"threshold": 0.35 + 0.03 * move, "smoothing": arguments.smoothing}
        gaps.reset()
        clock = time.perf_counter()
        live.request(parameters)
        wait(lambda: not live.busy)
        rest()
        if move:  # the first one warms up
            blocks.append(gaps.longest)
            for part, times in waits.items():
                times.append(moments[part] - clock)
    update = _relabel(base, parameters, plane, None, None, 0, lambda: False)
    details = _detail(update, plane, False, lambda: False)
    work = {
        "labels": spent(lambda: _relabel(base, parameters, plane, None, None, 0, lambda: False)),
        "details": spent(
            lambda: _detail(
                _relabel(base, parameters, plane, None, None, 0, lambda: False), plane, False, lambda: False
            )
        ),
    }
    objects = update.segmentation.count
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    say(f"{arguments.side} x {arguments.side}, {objects} objects, {load}\n")
    for part, times in waits.items():
        typical = statistics.median(times)
        say(f"{part}: {1000 * typical:.0f} ms after the slider (worst {1000 * max(times):.0f}), ")
        say(f"work {1000 * work[part]:.0f} ms of processor time, ratio {typical / work[part]:.1f}\n")
    by_hand = []
    for _ in range(3):
        gaps.reset()
        layers["labels"].data, layers["labels"].features = update.data.copy(), details.features
        layers["contours"].data = details.outlines.polygons
        layers["contours"].features = details.outlines.features
        rest()
        by_hand.append(gaps.longest)
    shapes = spent(lambda: setattr(layers["contours"], "data", details.outlines.polygons))
    say(f"longest block {1000 * statistics.median(blocks):.0f} ms | the same data given to the layers by hand ")
    say(f"{1000 * statistics.median(by_hand):.0f} ms, of it {1000 * shapes:.0f} ms of processor time for the Shapes\n")
    viewer.close()


if __name__ == "__main__":
    main()
