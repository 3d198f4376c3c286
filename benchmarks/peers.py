"""Compare a segmentation with what others would do: time, memory and agreement, from pixels to a label image.

Needs the dependency group ``benchmarks``. Run with ``python benchmarks/peers.py`` on a machine that has nothing else to
do; ``--plan`` says what would run, and how long that takes about. It can be run in parts (``--networks``, ``--sides``,
``--ways``, ``--threads``): each part is added to what was measured on this machine on the same day, as JSON and as
Markdown in ``benchmarks/results``.

Each measurement is a process of its own, which imports, loads, warms up once and then runs once; ways take turns, round
after round, and medians are told. Memory is the most that the process held above what it held after its imports
(VmHWM, Linux only). Dice compares the foreground with that of plain PyTorch on the whole image in float32.

* ``plain``: PyTorch eager, float32, the whole image at once;
* ``plain, memory kept``: the same, and the C library keeps freed memory;
* ``monai``: MONAI's sliding window over the same network, the windows being ours;
* ``monai, small windows``: the same with windows as we take them where a network has no bands, for less memory;
* ``published``: stretched to the published size and back, cut at 0.5 (published networks only);
* ``onnxruntime``: our tiles, computed by ONNX Runtime in float32;
* ``ours, float32`` and ``ours``: what a click on Run does, the latter in the precision that this machine gets.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from machine import as_markdown, describe_machine, short_name

HERE = Path(__file__).parent
NETWORKS = ("nuclei", "unet_spherohq", "cbam_resunet")
WAYS = (
    "plain",
    "plain, memory kept",
    "monai",
    "monai, small windows",
    "published",
    "onnxruntime",
    "ours, float32",
    "ours",
)
SIDES = (512, 2048)
PUBLISHED_ONLY = "published"

# Of a core of 2.6 GHz with AVX-512: seconds for a megapixel in plain PyTorch, and how much less other ways take.
SECONDS_PER_MEGAPIXEL = {"nuclei": 2.2, "unet_spherohq": 20.0, "cbam_resunet": 34.0}
SHARES = {
    "plain, memory kept": 0.6,
    "monai": 1.5,
    "monai, small windows": 1.5,
    "onnxruntime": 0.6,
    "ours, float32": 0.6,
    "ours": 0.35,
}
START_SECONDS = 7.0
# What plain PyTorch takes of a whole image.
BYTES_PER_PIXEL = {"nuclei": 1000, "unet_spherohq": 2400, "cbam_resunet": 2400}
WHOLE = ("plain", "plain, memory kept")


@dataclass(frozen=True, order=True)
class Cell:
    """What is measured a number of times."""

    network: str
    side: int
    threads: int
    way: str

    @property
    def seconds(self) -> float:
        """A guess at what one measurement takes, for the plan."""
        if self.way == PUBLISHED_ONLY:  # which is run at its own size, to warm up too
            return START_SECONDS + 2 * self._of(1024**2)
        share = SHARES.get(self.way, 1)
        return START_SECONDS + share * (self._of(self.side**2) + self._of(min(self.side, 512) ** 2))

    def _of(self, pixels: int) -> float:
        return SECONDS_PER_MEGAPIXEL[self.network] * pixels / 1e6 / min(self.threads, 2)

    @property
    def key(self) -> str:
        """Name in the file of results."""
        return f"{self.network}, {self.side}, {self.threads}, {self.way}"


def plan(arguments: argparse.Namespace) -> list[Cell]:
    """Return the cells that were asked for and make sense."""
    asked = itertools.product(arguments.networks, arguments.sides, arguments.threads, arguments.ways)
    cells = [Cell(*one) for one in asked]
    return [cell for cell in cells if not (cell.network == "nuclei" and cell.way == PUBLISHED_ONLY)]


def too_large(cell: Cell) -> str | None:
    """Say why a cell cannot be measured here; None if it can."""
    needed = BYTES_PER_PIXEL[cell.network] * cell.side**2
    if cell.way in WHOLE and needed > 0.8 * psutil.virtual_memory().total:
        return f"needs about {needed / 1e9:.0f} GB"
    return None


def rounds_of(cell: Cell, asked: int | None) -> int:
    """Return how often a cell is measured: what takes more than half a minute once, else three times."""
    return asked or (1 if cell.seconds > 30 else 3)


def measure(cell: Cell, folder: Path) -> dict[str, Any]:
    """Measure a cell once, in a process of its own."""
    mask = folder / f"{cell.network} {cell.side} {cell.threads} {cell.way}.npy"
    task = {**vars(cell), "runs": 1, "models": str(folder), "mask": str(mask)}
    line = [sys.executable, str(HERE / "peer_process.py"), json.dumps(task)]
    run = subprocess.run(line, capture_output=True, text=True, check=False)  # noqa: S603 (our own words)
    if run.returncode:
        return {"failed": f"status {run.returncode}: {' '.join(run.stderr.strip().splitlines()[-1:])}"}
    told: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return told | {"mask": str(mask), "load": psutil.getloadavg()[0]}


def dice(one: Path, other: Path) -> float | None:
    """Compare two packed masks; None where both are empty."""
    first, second = np.load(one), np.load(other)
    total = int(np.bitwise_count(first).sum()) + int(np.bitwise_count(second).sum())
    return 2 * int(np.bitwise_count(first & second).sum()) / total if total else None


def run(cells: Sequence[Cell], asked_rounds: int | None) -> dict[str, dict[str, Any]]:
    """Measure all cells in turns; return medians by key."""
    found: dict[Cell, list[dict[str, Any]]] = {cell: [] for cell in cells}
    left_out: dict[Cell, str] = {cell: why for cell in cells if (why := too_large(cell))}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for network in sorted({cell.network for cell in cells}):
            line = [sys.executable, str(HERE / "peer_models.py"), network, name]
            subprocess.run(line, check=True)  # noqa: S603 (our own words)
        for turn in range(max((rounds_of(cell, asked_rounds) for cell in cells), default=0)):
            # Ways of one network at one size follow each other; every other round goes back.
            for cell in cells if turn % 2 == 0 else reversed(cells):
                if cell in left_out or turn >= rounds_of(cell, asked_rounds):
                    continue
                told = measure(cell, folder)
                if "failed" in told:
                    left_out[cell] = told["failed"]
                else:
                    found[cell].append(told)
                sys.stderr.write(f"{cell.key}: {told.get('failed') or round(told['seconds'][0], 2)}\n")
        return {cell.key: {**vars(cell), **_summary(cell, found, left_out.get(cell))} for cell in cells}


def _summary(cell: Cell, found: dict[Cell, list[dict[str, Any]]], why: str | None) -> dict[str, Any]:
    times = found[cell]
    if not times:
        return {"left_out": why}
    plain = found.get(Cell(cell.network, cell.side, cell.threads, "plain"))
    peaks = [one["peak_mb"] for one in times if one["peak_mb"] is not None]
    return {
        "seconds": statistics.median(one["seconds"][0] for one in times),
        "processor_s": min(one["processor_s"][0] for one in times),
        "runs": len(times),
        "peak_mb": statistics.median(peaks) if peaks else None,
        "dice": dice(Path(plain[0]["mask"]), Path(times[0]["mask"])) if plain else None,
        "objects": times[0]["objects"],
        "load": max(one["load"] for one in times),
    }


def write_results(machine: dict[str, Any], cells: dict[str, dict[str, Any]], folder: Path) -> Path:
    """Add what was measured to the file of this machine and day, as JSON and as Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{machine['date']}-{short_name(machine)}.json"
    before = json.loads(path.read_text(encoding="utf-8"))["cells"] if path.exists() else {}
    content = {"machine": machine, "cells": before | cells}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(_markdown(content), encoding="utf-8")
    return path.with_suffix(".md")


def _markdown(content: dict[str, Any]) -> str:
    lines = [f"# {content['machine']['date']}", "", as_markdown(content["machine"]), ""]
    cells = sorted(content["cells"].values(), key=lambda one: (one["network"], one["side"], one["threads"]))
    for group, members in itertools.groupby(cells, key=lambda one: (one["network"], one["side"], one["threads"])):
        network, side, threads = group
        lines += [f"## {network}, {side} x {side} pixels, {threads} thread{'s' * (threads > 1)}", ""]
        lines += [
            "| way | seconds | times as fast as plain | memory (MiB) | of plain's | Dice | runs |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
            *_rows(sorted(members, key=lambda one: WAYS.index(one["way"]))),
            "",
        ]
    return "\n".join(lines)


def _rows(cells: Iterable[dict[str, Any]]) -> Iterable[str]:
    cells = list(cells)
    plain = next((one for one in cells if one["way"] == "plain" and "seconds" in one), None)
    for one in cells:
        if "seconds" not in one:
            yield f"| {one['way']} | {one['left_out']} | | | | | |"
            continue
        speed = f"{plain['seconds'] / one['seconds']:.2f}" if plain else ""
        peak = f"{one['peak_mb']:.0f}" if one["peak_mb"] is not None else "unknown"
        share = f"{one['peak_mb'] / plain['peak_mb']:.2f}" if plain and plain["peak_mb"] and one["peak_mb"] else ""
        agreement = f"{one['dice']:.4f}" if one["dice"] is not None else ""
        yield f"| {one['way']} | {one['seconds']:.2f} | {speed} | {peak} | {share} | {agreement} | {one['runs']} |"


def main() -> None:
    """Plan, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--sides", nargs="+", type=int, default=SIDES, help="of the square images, in pixels")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--threads", nargs="+", type=int, default=[2])
    parser.add_argument("--rounds", type=int, help="processes of each; default 3, and 1 of what takes long")
    parser.add_argument("--plan", action="store_true", help="only say what would be measured, and how long it takes")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the results")
    arguments = parser.parse_args()
    cells = plan(arguments)
    cost = {cell: rounds_of(cell, arguments.rounds) * cell.seconds for cell in cells if not too_large(cell)}
    for cell in cells:
        told = too_large(cell) or f"{rounds_of(cell, arguments.rounds)} x {cell.seconds:.0f} s"
        sys.stderr.write(f"{cell.key}: {told}\n")
    sys.stderr.write(f"about {sum(cost.values()) / 60:.0f} minutes\n")
    if not arguments.plan:
        machine = describe_machine()
        path = write_results(machine, run(cells, arguments.rounds), arguments.results)
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
