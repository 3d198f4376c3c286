"""Measure what a run of the window costs through a server over one on this machine.

Run with ``python benchmarks/remote_window.py`` where there is a display, else under ``xvfb-run -a``. Writes a line for
each pair of runs and the two medians' ratio to the standard output, and to ``benchmarks/results`` as JSON.

In a process with a viewer on display and the widget docked, the same image is segmented by turns, each time by a task
in Qt's thread pool, as the widget does it, with progress and Cancel listened to and the event loop turning:

* by the service that the window takes for a server at the loopback address, which is a process of its own;
* by the service that it takes for this machine.

The order changes from pair to pair, so that other work on the machine hits both alike, and a first pair is not counted.
Where others do work, add ``--passive`` and set ``OMP_WAIT_POLICY=PASSIVE`` for this process; `serving.py` says why.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from event_loop import rest

# isort: split
import napari
import numpy as np
from drawn_images import draw_image
from machine import describe_machine, short_name
from serving import address_of, process
from worker import ratio, worker

from napari_unetseg import Image
from napari_unetseg.plugin.commands import open_widget
from napari_unetseg.plugin.workers.services import SharedServices

HERE = Path(__file__).parent
WANTED = 1.25


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=2048, help="side of the image in pixels")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of runs that count")
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--passive", action="store_true", help="let waiting threads of OpenMP sleep in the server")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the results")
    arguments = parser.parse_args()
    machine, pixels = describe_machine(), draw_image(arguments.side)
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(1280, 800)
    open_widget(viewer)
    viewer.add_image(pixels, name="image")
    rest(0.3)
    seconds: dict[str, list[float]] = {"server": [], "direct": []}
    with tempfile.TemporaryDirectory() as folder:
        serve = ("-m", "napari_unetseg", "serve", "--port", "0", "--model", arguments.model)
        with process(*serve, folder=Path(folder), passive=arguments.passive) as server:
            services, image = SharedServices(), Image(pixels, name="image")
            ways = {
                "server": services.shared_service(arguments.model, address_of(server)),
                "direct": services.shared_service(arguments.model, "auto"),
            }
            expected = ways["direct"].segment(image).labels
            if not np.array_equal(ways["server"].segment(image).labels, expected):
                raise RuntimeError("The two ways found different labels.")
            for pair in range(arguments.pairs + 1):
                for way in ways if pair % 2 else reversed(ways):
                    rest(0.3)
                    clock = time.perf_counter()
                    worker(ways[way], image)
                    seconds[way].append(time.perf_counter() - clock)
                told = " | ".join(f"{way} {times[-1]:.3f} s" for way, times in seconds.items())
                sys.stdout.write(f"{told}{'' if pair else ' (warm-up, not counted)'}\n")
                sys.stdout.flush()
    viewer.close()
    found = {
        "machine": machine,
        "asked": {key: getattr(arguments, key) for key in ("side", "pairs", "model", "passive")},
        "seconds": seconds,
        "medians": {way: statistics.median(times[1:]) for way, times in seconds.items()},
        "ratio": ratio(seconds["server"], seconds["direct"]),
        "wanted": WANTED,
    }
    arguments.results.mkdir(parents=True, exist_ok=True)
    path = arguments.results / f"{machine['date']}-{short_name(machine)}-remote-window.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"server / direct: {found['ratio']:.3f} (wanted: at most {WANTED})\n{path}\n")


if __name__ == "__main__":
    main()
