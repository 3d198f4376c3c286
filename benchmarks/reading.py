"""Compare reading a microscope's series plane by plane with the loop of the library that reads it: pace, and memory.

Run with ``python benchmarks/reading.py --gigabytes 2``; without, a series of 0.2 GB is read. It is written into a
temporary folder as CZI, by pylibCZIrw, and as ND2, by what tests write such files with, as planes of noise (uint16).
Each file is read in a process of its own, after a first time that is not counted, so that it lies in the memory of the
system: what is compared is the work, not the disk.

* The library's loop asks for plane after plane; of nd2, which gives a map of the file, each is copied.
* Ours takes ``read_image(path).planes()`` and asks for the pixels of each.

They take turns. ``pace`` is the library's median time for the whole series divided by ours. ``peak_planes`` is the most
memory that a process held which did nothing but read the series our way (VmHWM, so Linux only), less what it had
before, in planes; ``library_peak_planes`` the same of the library's loop. There the C library gives back at once what
was freed (MALLOC_MMAP_THRESHOLD_), of which it may keep some planes else. ``same`` is whether both gave the same
pixels.
"""

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine, short_name
from numpy.typing import NDArray
from peer_process import memory

HERE = Path(__file__).parent
WAYS = ("library", "ours")
KINDS = {"czi": "pylibCZIrw", "nd2": "nd2"}

Planes = Iterator[NDArray[np.uint16]]


def noise(planes: int, side: int) -> Planes:
    """Yield planes (side, side), which no one could compress."""
    plane = np.random.default_rng(27).integers(0, 2**16, (side, side), dtype=np.uint16)
    for number in range(planes):
        yield np.roll(plane, number, 0)


def write_czi(path: Path, planes: int, side: int) -> None:
    """Write a series as CZI."""
    from pylibCZIrw import czi

    with czi.create_czi(str(path)) as file:
        for number, plane in enumerate(noise(planes, side)):
            file.write(plane[..., np.newaxis], plane={"T": number})
        file.write_metadata("series", scale_x=0.5e-6, scale_y=0.5e-6)


def write_nd2(path: Path, planes: int, side: int) -> None:
    """Write a series as ND2."""
    sys.path.append(str(HERE.parent))
    from tests.io.microscope import written_nd2

    frames = (plane[..., np.newaxis] for plane in noise(planes, side))
    written_nd2.write_nd2(path, frames, [written_nd2.time_loop(planes, 1000.0)])


def czi_loop(path: Path) -> Planes:
    """Read a series with pylibCZIrw alone."""
    from pylibCZIrw import czi

    with czi.open_czi(str(path)) as file:
        for number in range(*file.total_bounding_box["T"]):
            yield file.read(plane={"T": number})[..., 0]


def nd2_loop(path: Path) -> Planes:
    """Read a series with nd2 alone."""
    import nd2

    with nd2.ND2File(path) as file:
        for number in range(file.sizes["T"]):
            yield np.array(file.read_frame(number))


def our_loop(path: Path) -> Planes:
    """Read a series as the folder batch does."""
    from napari_unetseg.io import read_image

    for _, plane in read_image(path).planes():
        yield np.asarray(plane.array)


def measure_pace(path: Path, rounds: int) -> dict[str, Any]:
    """Read a series both ways in this process; return seconds of each round, and whether the pixels are the same."""
    sums, planes = dict.fromkeys(WAYS, 0), 0
    for way in WAYS:
        for plane in loop(way, path):
            sums[way] = zlib.crc32(np.ascontiguousarray(plane).data, sums[way])
            planes += way == "ours"
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            clock = time.perf_counter()
            for plane in loop(way, path):
                del plane
            seconds[way].append(time.perf_counter() - clock)
    pace = statistics.median(seconds["library"]) / statistics.median(seconds["ours"])
    return {"planes": planes, "pace": pace, "same": len(set(sums.values())) == 1, "seconds": seconds}


def measure_memory(path: Path, way: str) -> float:
    """Read a series one way in this process; return the most memory that it took, in planes."""
    # What is loaded with the first plane is no part of it.
    size = next(loop(way, path)).nbytes
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak so far is forgotten
    base = memory("VmRSS")
    for plane in loop(way, path):
        del plane
    return (memory("VmHWM") - base) * 2**20 / size


def loop(way: str, path: Path) -> Planes:
    """Read a series in one of `WAYS`."""
    return our_loop(path) if way == "ours" else {".czi": czi_loop, ".nd2": nd2_loop}[path.suffix](path)


def in_process(path: Path, *arguments: str) -> Any:
    """Measure a series in a process of its own."""
    command = [sys.executable, __file__, "--series", str(path), *arguments]
    environment = os.environ | ({"MALLOC_MMAP_THRESHOLD_": "1000000"} if "--way" in arguments else {})
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)  # noqa: S603
    return json.loads(done.stdout)


def main() -> None:
    """Measure, tell, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=0.2, help="of each series")
    parser.add_argument("--side", type=int, default=2048, help="of each plane, in pixels")
    parser.add_argument("--rounds", type=int, default=5, help="how often each way is measured; they take turns")
    parser.add_argument("--folder", type=Path, help="where series are written")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the results")
    parser.add_argument("--series", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.series:
        found = measure_memory(asked.series, asked.way) if asked.way else measure_pace(asked.series, asked.rounds)
        sys.stdout.write(json.dumps(found))
        return
    machine = describe_machine()
    planes = max(round(asked.gigabytes * 1e9 / (2 * asked.side**2)), 2)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        for kind, write in {"czi": write_czi, "nd2": write_nd2}.items():
            path = Path(name) / f"series.{kind}"
            write(path, planes, asked.side)
            row = {
                "kind": kind,
                "library": f"{KINDS[kind]} {version(KINDS[kind])}",
                "file_gb": path.stat().st_size / 1e9,
            }
            row |= in_process(path, "--rounds", str(asked.rounds))
            row["peak_planes"] = in_process(path, "--way", "ours")
            row["library_peak_planes"] = in_process(path, "--way", "library")
            rows.append(row)
            path.unlink()
            sys.stdout.write(json.dumps(row) + "\n")
    asked.results.mkdir(parents=True, exist_ok=True)
    path = asked.results / f"{machine['date']}-{short_name(machine)}-reading.json"
    content = {"machine": machine, "asked": {"gigabytes": asked.gigabytes, "side": asked.side}, "rows": rows}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
