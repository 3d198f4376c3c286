"""How long two checkouts take, in turns; `compare_checkouts.py` explains it."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from checkout import Checkout, say

LATE = 120
"""Seconds after which a click counts as without result."""


Times = dict[str, float]
"""Seconds, by what was timed."""


# Times, in a process of one checkout: each yields what starting took, and then one repetition after the other


def measure_import() -> Iterator[Times]:
    """Import the package once."""
    clock = time.perf_counter()
    import_module("napari_unetseg")
    yield {"import napari_unetseg": time.perf_counter() - clock}


def measure_window_import() -> Iterator[Times]:
    """Import the dock widget, then again and again with all libraries in memory."""
    clock = time.perf_counter()
    import_module("napari_unetseg.plugin.widget")
    yield {"import napari_unetseg.plugin.widget": time.perf_counter() - clock}
    while True:
        for name in [name for name in sys.modules if name.partition(".")[0] == "napari_unetseg"]:
            del sys.modules[name]
        clock = time.perf_counter()
        import_module("napari_unetseg.plugin.widget")
        yield {"the same, its libraries loaded before": time.perf_counter() - clock}


def measure_segment() -> Iterator[Times]:
    """Segment an image of 512 x 512 pixels."""
    clock = time.perf_counter()
    from napari_unetseg import SegmentationService
    from napari_unetseg.samples import nuclei

    image = nuclei()
    service = SegmentationService("nuclei")
    service.segment(image)
    first = time.perf_counter() - clock
    for _ in range(3):
        service.segment(image)
    yield {"from import to the first result": first}
    while True:
        clock = time.perf_counter()
        result = service.segment(image)
        found = time.perf_counter()
        _ = result.contours, result.measurements
        end = time.perf_counter()
        yield {"segment 512 x 512": found - clock, "the same with contours and measurements": end - clock}


def measure_click() -> Iterator[Times]:
    """Open the dock widget in a viewer, and run it."""
    from event_loop import rest

    # isort: split
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_unetseg.plugin.widget import SegmentationWidget
    from napari_unetseg.samples import nuclei

    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(1280, 800)
    viewer.add_image(nuclei().array, name="image")
    rest()
    clock = time.perf_counter()
    widget = SegmentationWidget(viewer)
    made = time.perf_counter()
    viewer.window.add_dock_widget(widget, name="U-Net Segmentation", area="right")
    QApplication.processEvents()
    docked = time.perf_counter()
    rest(2)
    yield {
        "construct SegmentationWidget": made - clock,
        "construct, dock and draw it": docked - clock,
        "first click, until its layers": click(viewer, widget),
    }
    while True:
        # Not removed: napari 0.9.2 with Mesa's software renderer crashes where a Shapes layer is removed and one added.
        for layer in viewer.layers[1:]:
            layer.visible = False
        rest(0.3)
        yield {"later click, until its layers": click(viewer, widget)}


def click(viewer: Any, widget: Any) -> float:
    """Run the widget; return the seconds until labels and contours are among the layers."""
    from event_loop import rest, wait

    wanted = len(viewer.layers) + 2
    clock = time.perf_counter()
    widget.run()
    wait(lambda: len(viewer.layers) >= wanted or time.perf_counter() > clock + LATE)
    seconds = time.perf_counter() - clock
    if seconds > LATE:
        raise TimeoutError(f"The click gave no layers but {[layer.name for layer in viewer.layers]}.")
    rest(0.3)
    return seconds


# By name: the measurement, how many processes a round starts on either side, and how often each repeats it.
MEASUREMENTS: dict[str, tuple[Callable[[], Iterator[Times]], int, int]] = {
    "import": (measure_import, 5, 0),
    "window import": (measure_window_import, 1, 5),
    "segment": (measure_segment, 1, 20),
    "click": (measure_click, 1, 10),
}


# Times, compared


def compare_times(sides: list[Checkout], rounds: int) -> None:
    """Let both take turns, and print a table."""
    chosen = {name: plan for name, plan in MEASUREMENTS.items() if name != "click" or has_display()}
    if "click" not in chosen:
        say("There is no display, so nothing of the window is measured; try `xvfb-run -a`.\n")
    say(f"{rounds} rounds, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores when they began\n")
    # For each measurement, the median of every round on either side.
    medians: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for turn in range(rounds + 1):
        order = sides if turn % 2 else sides[::-1]
        taken: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for _ in range(5):
            for side in order:
                time_commands(side, taken)
        for name, (_, processes, repetitions) in chosen.items():
            for _ in range(processes):
                take_turns(name, order, repetitions, taken)
        for what, by_side in taken.items():
            if turn:
                before, after = (statistics.median(by_side[side.side]) for side in sides)
                medians[what].append((before, after))
    print_times(medians)
    say(f"\nLoad when they ended: {os.getloadavg()[0]:.1f}\n")


def has_display() -> bool:
    """Say whether a window can be opened."""
    return sys.platform != "linux" or any(name in os.environ for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def time_commands(side: Checkout, taken: dict[str, dict[str, list[float]]]) -> None:
    """Time two commands from start to end."""
    for argument in ("--help", "models"):
        clock = time.perf_counter()
        side.command(argument).check_returncode()
        taken[f"napari-unetseg {argument}"][side.side].append(time.perf_counter() - clock)


def take_turns(name: str, order: list[Checkout], repetitions: int, taken: dict[str, dict[str, list[float]]]) -> None:
    """Start a process on either side, and let them repeat a measurement by turns."""
    running: list[tuple[Checkout, subprocess.Popen[str]]] = []
    for side in order:
        running.append((side, side.start(name)))
        note(*running[-1], taken)
    for number in range(repetitions):
        for side, process in running if number % 2 else running[::-1]:
            note(side, process, taken, again=True)
    for _, process in running:
        process.communicate()


def note(
    side: Checkout, process: "subprocess.Popen[str]", taken: dict[str, dict[str, list[float]]], again: bool = False
) -> None:
    """Wait for the next times that a process tells; `again` asks for a repetition."""
    if again and process.stdin:
        process.stdin.write("again\n")
        process.stdin.flush()
    line = next((line for line in process.stdout or () if line.startswith("{")), None)
    if line is None:
        raise SystemExit(f"{side.side}: the process ended with {process.wait()}.")
    for what, seconds in json.loads(line).items():
        taken[what][side.side].append(seconds)


def print_times(medians: dict[str, list[tuple[float, float]]]) -> None:
    """Print milliseconds of both sides, and their ratio."""
    say("\n| | before, ms | after, ms | of medians | of fastest rounds | median of rounds |\n")
    say("| --- | ---: | ---: | ---: | ---: | ---: |\n")
    for what, pairs in medians.items():
        before, after = ([1000 * value for value in side] for side in zip(*pairs, strict=True))
        ratios = [after_ / before_ for before_, after_ in pairs]
        cells = (
            with_range(before, ".4g"),
            with_range(after, ".4g"),
            f"{statistics.median(after) / statistics.median(before):.3f}",
            f"{min(after) / min(before):.3f}",
            with_range(ratios, ".3f"),
        )
        say(f"| {what} | {' | '.join(cells)} |\n")
    say("\nMedian (smallest..largest) of the rounds; the last three columns are ratios of after to before.\n")


def with_range(values: list[float], form: str) -> str:
    """Return the median, the smallest and the largest."""
    return f"{statistics.median(values):{form}} ({min(values):{form}}..{max(values):{form}})"
