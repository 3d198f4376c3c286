"""Measure what a user waits for before the first result.

Run with ``python benchmarks/startup.py`` where there is a display, else under ``xvfb-run -a``. Each round measures
in processes of its own, and medians are written to the standard output:

* ``import napari_unetseg``;
* the dock: from asking for it to its being drawn, in a viewer that is on display, beside an empty dock added the
  same way, and the libraries that came with it;
* the first result: from the click on Run to layers for an image of 512 x 512 pixels and a bundled model, with the
  time at which each stage began.

Where Python may not write compiled modules (PYTHONDONTWRITEBYTECODE), the dock takes longer than for users; the
benchmark lets it write them, to a temporary folder. A first round, which fills it, is not counted.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

SLOW = ("torch", "numpy", "napari", "skimage", "scipy", "pandas")


def measure_import() -> dict[str, Any]:
    """Import the package; return its seconds and the slow libraries that came with it."""
    clock = time.perf_counter()
    import napari_unetseg  # noqa: F401

    return {"seconds": time.perf_counter() - clock, "loaded": [name for name in SLOW if name in sys.modules]}


def measure_dock() -> dict[str, Any]:
    """Open the dock in a viewer."""
    viewer = _viewer()
    from qtpy.QtWidgets import QApplication, QWidget

    clock = time.perf_counter()
    viewer.window.add_dock_widget(QWidget(), name="empty", area="left")
    QApplication.processEvents()
    empty, before = time.perf_counter() - clock, set(sys.modules)
    clock, spent = time.perf_counter(), time.process_time()
    _dock(viewer)
    seconds, spent = time.perf_counter() - clock, time.process_time() - spent
    libraries = Counter(name.partition(".")[0] for name in set(sys.modules) - before)
    return {"seconds": seconds, "processor": spent, "empty": empty, "loaded": dict(libraries.most_common())}


def measure_result(model: str) -> dict[str, Any]:
    """Press Run once."""
    viewer = _viewer()
    from event_loop import rest, wait

    from napari_unetseg.samples import nuclei

    viewer.add_image(nuclei().array, name="image")
    widget = _dock(viewer)
    widget.inputs.choose_model(model)
    rest(2)
    stages: dict[str, float] = {}
    clock = time.perf_counter()
    widget.controller.stage.connect(lambda stage: stages.setdefault(stage, time.perf_counter() - clock))
    widget.runner.run.click()
    wait(lambda: not widget.controller.running)
    seconds = time.perf_counter() - clock
    names = [layer.name for layer in viewer.layers]
    if "image labels" not in names:
        raise RuntimeError(f"The run gave no labels: {widget.message.text.text()}")
    return {"seconds": seconds, "stages": stages, "layers": names}


def _viewer() -> Any:
    from event_loop import rest

    # isort: split
    import napari

    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(1280, 800)
    rest()
    return viewer


def _dock(viewer: Any) -> Any:
    from qtpy.QtWidgets import QApplication

    _, widget = viewer.window.add_plugin_dock_widget("napari-unetseg", "U-Net Segmentation")
    QApplication.processEvents()
    return widget


def in_a_process(what: str, model: str, compiled: str) -> dict[str, Any]:
    """Measure one thing in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    line = [sys.executable, __file__, "--measure", what, "--model", model]
    run = subprocess.run(  # noqa: S603 (this file)
        line,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=environment | {"PYTHONPYCACHEPREFIX": compiled},
    )
    told: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return told


def main() -> None:
    """Measure and print."""
    say = sys.stdout.write
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="processes for each measurement")
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--measure", choices=["import", "dock", "result"], help="measure here, once, and print JSON")
    arguments = parser.parse_args()
    if arguments.measure:
        ways: dict[str, Callable[[], dict[str, Any]]] = {
            "import": measure_import,
            "dock": measure_dock,
            "result": lambda: measure_result(arguments.model),
        }
        say(json.dumps(ways[arguments.measure]()) + "\n")
        sys.stdout.flush()
        os._exit(0)  # the viewer is still on display, and closing it is not measured
    with tempfile.TemporaryDirectory() as compiled:
        found: dict[str, list[dict[str, Any]]] = {"import": [], "dock": [], "result": []}
        for turn in range(arguments.rounds + 1):
            for what, told in found.items():
                one = in_a_process(what, arguments.model, compiled)
                if turn:
                    told.append(one)

    def median(what: str, name: str = "seconds") -> float:
        return float(statistics.median(one[name] for one in found[what]))

    say(f"medians of {arguments.rounds} processes, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    say(f"import napari_unetseg: {median('import'):.3f} s, of {', '.join(SLOW)} it loads: ")
    say(f"{', '.join(found['import'][0]['loaded']) or 'none'}\n")
    say(f"dock: {median('dock'):.3f} s ({median('dock', 'processor'):.3f} s of processor time), ")
    say(f"an empty one {median('dock', 'empty'):.3f} s; modules it loads: {found['dock'][0]['loaded']}\n")
    say(f"first result of {arguments.model}: {median('result'):.2f} s from Run; stages began at ")
    for stage in found["result"][0]["stages"]:
        say(f"{stage} {statistics.median(one['stages'][stage] for one in found['result']):.2f} s  ")
    say("\n")


if __name__ == "__main__":
    main()
