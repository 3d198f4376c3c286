"""Compare segmenting an image block by block with segmenting it whole: time, and memory of all its processes.

Run with ``python benchmarks/out_of_core.py CHECKOUT`` on a machine that has nothing else to do, where CHECKOUT is a
folder of this repository as it was before, which segments the same image whole; left out, this one does. A scene of
dense nuclei (some 170 on each 512 x 512 pixels, uint16) of each side is written as OME-Zarr (chunks of 512, shards of
2048) and, for those that are segmented whole, as a memory-mapped ``.npy`` file, into a temporary folder: with sides up
to 32,768 it needs 12 GB. Try it first with ``--sides 1024 2048 --model tiny``, where the network has next to no work.

Each measurement is a process of its own, which loads the model before the clock starts. Both ways end with a file of
labels and a table. Of its processes the resident memory is added up 20 times a second; ``peak_mib`` is the most that
was found (or what the kernel says of a single process), ``base_mib`` what it had before it began, ``anonymous_mib`` the
most without pages of mapped files. ``checksum`` is one of all labels: it is the same where the labels are.

Rows are told as they come, and with the ratios that count in ``benchmarks/results``, as JSON.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import psutil
from checkout import Checkout, say
from drawn_images import draw_image
from large import write_tiny_model
from machine import describe_machine, short_name
from numpy.typing import NDArray
from peer_process import memory

HERE = Path(__file__).parent
SIDES = (4096, 16384, 32768)
LARGEST_WHOLE = 16384
CHUNK, SHARD = 512, 2048
EVERY = 0.05


def scene(side: int) -> Iterator[tuple[slice, NDArray[np.uint16]]]:
    """Yield rows of a scene of dense nuclei, uint16 (`SHARD` or fewer, side), each with its place."""
    sample = draw_image(512)
    dense = np.maximum(sample, np.roll(sample, (256, 200), (0, 1)))
    turned = [dense[::down, ::across] for down in (1, -1) for across in (1, -1)]
    turned += [tile.T for tile in turned]
    rng = np.random.default_rng(26)
    for top in range(0, side, SHARD):
        height = min(SHARD, side - top)
        grid = rng.integers(0, len(turned), (-(-height // 512), -(-side // 512)))
        rows = np.block([[turned[at] for at in line] for line in grid])
        yield slice(top, top + height), rows[:height, :side]


def write_scene(folder: Path, side: int, *, mapped: bool) -> None:
    """Write the scene as OME-Zarr, and as an array that can be mapped if it is asked for."""
    import zarr

    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
    place = [{"type": "scale", "scale": [0.5, 0.5]}]
    levels = [{"path": "0", "coordinateTransformations": place}]
    attributes = {"ome": {"version": "0.5", "multiscales": [{"axes": axes, "datasets": levels}]}}
    group = zarr.create_group(folder / "scene.ome.zarr", attributes=attributes)
    stored = group.create_array("0", shape=(side, side), chunks=(CHUNK,) * 2, shards=(SHARD,) * 2, dtype="uint16")
    array = np.lib.format.open_memmap(folder / "scene.npy", "w+", np.uint16, (side, side)) if mapped else None
    for rows, pixels in scene(side):
        stored[rows] = pixels
        if array is not None:
            array[rows] = pixels


def whole(folder: Path, service: Any) -> dict[str, Any]:
    """Segment the image whole, write labels and table; return seconds of each, and what was found."""
    from napari_unetseg import Image
    from napari_unetseg.io import write_ome_labels, write_table

    image = Image(np.load(folder / "scene.npy", mmap_mode="r"), name="scene")
    clock = time.perf_counter()
    result = service.segment(image)
    segmented = time.perf_counter()
    write_ome_labels(folder / "labels.ome.tif", result.labels)
    written = time.perf_counter()
    write_table(folder / "table.csv", result.measurements)
    end = time.perf_counter()
    strips = (result.labels[top : top + SHARD] for top in range(0, len(result.labels), SHARD))
    return {
        "seconds": end - clock,
        "steps": {"segment": segmented - clock, "labels": written - segmented, "table": end - written},
        "objects": result.count,
        "checksum": checksum(strips),
    }


def blocks(folder: Path, service: Any) -> dict[str, Any]:
    """Segment the image block by block; return seconds of each stage, and what was found."""
    from napari_unetseg.blockwise.grid import BLOCK_SIDE
    from napari_unetseg.io import read_image
    from napari_unetseg.io.ome_zarr.label_creation import create_label_store

    stages: dict[str, float] = {}
    disk = 0
    clock = last = time.perf_counter()
    name = "ranges"

    def progress(told: Any) -> None:
        nonlocal last, name
        now = time.perf_counter()
        stages[name] = stages.get(name, 0) + now - last
        last, name = now, told.stage

    def conclude(result: Any) -> None:
        nonlocal disk
        disk = sum(path.stat().st_size for path in result.folder.rglob("*") if path.is_file())
        if result.table is not None:
            result.table.replace(folder / "table.csv")

    image = read_image(folder / "scene.ome.zarr")
    target = create_label_store(folder / "labels.ome.zarr", "scene", image, block_side=BLOCK_SIDE)
    result = service.segment_blocks(image, folder / "job", target, progress=progress, conclude=conclude)
    target.finish(table_file=folder / "table.csv")
    end = time.perf_counter()
    stages[name] = stages.get(name, 0) + end - last
    side = image.shape[0]
    strips = (target.read((), (slice(top, min(top + SHARD, side)), slice(0, side))) for top in range(0, side, SHARD))
    return {
        "seconds": end - clock,
        "steps": stages,
        "objects": result.count,
        "checksum": checksum(strips),
        "job_gb": disk / 1e9,
    }


def checksum(strips: Iterator[NDArray[np.int32]]) -> int:
    """Return the CRC-32 of a label image, from its strips."""
    found = 0
    for strip in strips:
        found = zlib.crc32(np.ascontiguousarray(strip, np.int32), found)
    return found


def work(way: str, folder: Path, model: str) -> None:
    """Measure in this process: say that it is ready, wait for a line, and tell what was measured."""
    import scipy.ndimage  # noqa: F401
    import torch

    import napari_unetseg
    from napari_unetseg import SegmentationService

    service = SegmentationService(model, "cpu")
    service.initialize()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak so far is forgotten
    say("ready\n")
    sys.stdin.readline()
    told = (whole if way == "whole" else blocks)(folder, service)
    about = {"own_peak_mib": memory("VmHWM"), "threads": torch.get_num_threads(), "file": napari_unetseg.__file__}
    say(json.dumps(told | about) + "\n")


class MemoryOfAll:
    """The most memory that a process and all it started have at once, sampled until it is stopped."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._stopped = threading.Event()
        self.base, self.anonymous = self._now()
        self.peak = self.base
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> None:
        """Sample no longer."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(EVERY):
            resident, anonymous = self._now()
            self.peak, self.anonymous = max(self.peak, resident), max(self.anonymous, anonymous)

    def _now(self) -> tuple[float, float]:
        resident = shared = 0
        try:
            for process in [self._process, *self._process.children(recursive=True)]:
                found = process.memory_info()
                resident, shared = resident + found.rss, shared + found.shared
        except psutil.NoSuchProcess:  # it ended meanwhile
            return 0.0, 0.0
        return resident / 2**20, (resident - shared) / 2**20


def measure(checkout: Checkout, way: str, side: int, folder: Path, model: str) -> dict[str, Any]:
    """Measure one way in a process of a checkout, and the memory of all its processes."""
    line = [sys.executable, __file__, "--way", way, "--folder", str(folder), "--model", model]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = checkout.environment | {"TMPDIR": str(folder)}
    with subprocess.Popen(line, env=environment, cwd=folder, **pipes) as process:  # noqa: S603 (our own file)
        if cast("IO[str]", process.stdout).readline() != "ready\n":
            raise SystemExit(f"{way} of {checkout.folder} did not get ready.")
        watched = MemoryOfAll(process.pid)
        said, _ = process.communicate("\n")
        watched.stop()
    if process.returncode:
        return {"side": side, "way": way, "checkout": checkout.side, "failed": f"exit code {process.returncode}"}
    told = json.loads(said.splitlines()[-1])
    if not Path(told.pop("file")).is_relative_to(checkout.folder):
        raise SystemExit(f"The package that was measured is not that of {checkout.folder}.")
    sampled = {
        "peak_mib": max(watched.peak, told.pop("own_peak_mib")),
        "base_mib": watched.base,
        "anonymous_mib": watched.anonymous,
        "microseconds_a_pixel": told["seconds"] / side**2 * 1e6,
    }
    return {"side": side, "way": way, "checkout": checkout.side} | told | sampled


def ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how blocks compare with the whole at each side, and the largest with the smallest side in blocks.

    Of several rounds the quickest counts, and the least memory.
    """
    kinds: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows:
        if "failed" not in row:
            kinds.setdefault((row["way"], row["side"]), []).append(row)
    best = {
        kind: {key: min(row[key] for row in same) for key in ("seconds", "peak_mib", "microseconds_a_pixel")}
        for kind, same in kinds.items()
    }
    found: list[dict[str, Any]] = []
    for (way, side), now in best.items():
        if way == "blocks" and (before := best.get(("whole", side))):
            sums = {row["checksum"] for one in ("whole", "blocks") for row in kinds[one, side]}
            compared = {key: now[key] / before[key] for key in ("seconds", "peak_mib")}
            found.append({"blocks to whole": side, "labels equal": len(sums) == 1} | compared)
    sides = sorted(side for way, side in best if way == "blocks")
    if len(sides) > 1:
        first, last = (best["blocks", side]["microseconds_a_pixel"] for side in (sides[0], sides[-1]))
        found.append({"largest to smallest side": [sides[-1], sides[0]], "time of a pixel": last / first})
    return found


def main() -> None:
    """Measure, tell, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", nargs="?", type=Path, default=HERE.parent, help="folder of an earlier checkout")
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES)
    parser.add_argument("--largest-whole", type=int, default=LARGEST_WHOLE, help="largest side that is segmented whole")
    parser.add_argument("--rounds", type=int, default=1, help="how often each way is measured; they take turns")
    parser.add_argument("--model", default="nuclei", help="name or folder of a model, or tiny")
    parser.add_argument("--folder", type=Path, help="where images are written")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the results")
    parser.add_argument("--way", choices=("whole", "blocks"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.way:
        work(asked.way, asked.folder, asked.model)
        return
    machine = describe_machine()
    rows: list[dict[str, Any]] = []
    content = {
        "machine": machine,
        "asked": {"sides": list(asked.sides), "rounds": asked.rounds, "model": asked.model},
        "commits": {"before": commit(asked.before), "now": commit(HERE.parent)},
        "rows": rows,
    }
    asked.results.mkdir(parents=True, exist_ok=True)
    path = asked.results / f"{machine['date']}-{short_name(machine)}-out-of-core.json"
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        model = asked.model
        if model == "tiny":
            model = str(Path(name) / "tiny")
            write_tiny_model(Path(model))
        for side in asked.sides:
            folder = Path(name) / str(side)
            folder.mkdir()
            write_scene(folder, side, mapped=side <= asked.largest_whole)
            ways = [("blocks", HERE.parent, "now")]
            if side <= asked.largest_whole:
                ways.insert(0, ("whole", asked.before, "before"))
            for _ in range(asked.rounds):
                for way, checkout, called in ways:
                    source = Checkout(called, checkout.resolve(), Path(name))
                    rows.append(measure(source, way, side, folder, model))
                    say(json.dumps(rows[-1]) + "\n")
                    remove_results(folder)
                    # What is there is kept, should the next one fail.
                    path.write_text(json.dumps(content | {"ratios": ratios(rows)}, indent=1) + "\n", encoding="utf-8")
            remove(folder)
    say("".join(json.dumps(row) + "\n" for row in ratios(rows)))
    say(f"{path}\n")


def commit(folder: Path) -> str:
    """Return which commit a folder has, and whether it was changed since; empty where git does not know."""
    line = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(line, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603


def remove_results(folder: Path) -> None:
    """Remove what a measurement left, so that the next one begins anew."""
    for path in folder.iterdir():
        if not path.name.startswith("scene."):
            remove(path)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


if __name__ == "__main__":
    main()
