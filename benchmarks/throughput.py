"""Compare how fast two checkouts take many images from memory to labels, tables and contours.

Run with ``python benchmarks/throughput.py BEFORE AFTER``; the package is imported from the ``src`` of either. Processes
of both take turns, the first one changing from round to round; each computes a few images in float32, whose labels,
tables and contours must be the same on both sides, warms up, and then goes through all of them once. Told are the
fastest and the median round by the clock, and the same by the time that the processor worked for the process: where
others use the machine, the latter says more, with ``OMP_WAIT_POLICY=passive``, so that waiting threads do no work.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from checkout import Checkout, say
from drawn_images import microscope_images
from lean import use_stand_ins

FEW = 8
"""Images of which results are compared, and with which a process warms up."""
PARTS = ("contours", "measurements")


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """Go through the images in this process; return seconds by the clock and of the processor, and what was found."""
    use_stand_ins()
    import inspect
    import time

    from napari_unetseg import SegmentationService

    images = microscope_images(task["images"], task["side"])
    service = SegmentationService(task["model"], "cpu")
    # Builds that have no such pipeline compute both when they are asked for.
    known = "also" in inspect.signature(service.iter_batch).parameters
    extra: Any = {"also": PARTS} if known else {}
    with SegmentationService(task["model"], "cpu", "torch", precision="float32") as exact:
        digests = [digest(result) for result in exact.iter_batch(images[:FEW], **extra)]
    for result in service.iter_batch(images[:FEW], **extra):
        parts_of(result)
    clock, worked = time.perf_counter(), time.process_time()
    objects = 0
    for result in service.iter_batch(images, **extra):
        parts_of(result)
        objects += result.count
    seconds, cpu = time.perf_counter() - clock, time.process_time() - worked
    return {
        "seconds": seconds,
        "cpu": cpu,
        "objects": objects,
        "digests": digests,
        "peak_mb": peak_memory(),
        "file": str(sys.modules["napari_unetseg"].__file__),
    }


def parts_of(result: Any) -> tuple[Any, ...]:
    """Return what is asked for of a result; of a failure nothing, but what it says is raised."""
    if not hasattr(result, "labels"):
        raise RuntimeError(str(getattr(result, "error", result)))
    return result.labels, result.contours, result.measurements


def digest(result: Any) -> str:
    """Return a digest of labels, contours and table."""
    import hashlib

    labels, contours, table = parts_of(result)
    total = hashlib.sha256(labels.tobytes())
    for one in contours:
        for ring in (one.exterior, *one.holes):
            total.update(ring.tobytes())
    for name, column in table.items():
        total.update(repr((name, list(column))).encode())
    return total.hexdigest()[:16]


def peak_memory() -> float | None:
    """Return the most MiB that this process held; None where the kernel does not say."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    return int(status.read_text(encoding="ascii").split("VmHWM:")[1].split()[0]) / 1024


def run(side: Checkout, task: dict[str, Any]) -> dict[str, Any]:
    """Measure one side once, in a process of its own."""
    line = [sys.executable, str(Path(__file__).resolve()), str(side.folder), str(side.folder)]
    line += ["--measure", json.dumps(task)]
    done = subprocess.run(  # noqa: S603 (our own file)
        line, capture_output=True, text=True, env=side.environment, cwd=side.scratch, check=False
    )
    if done.returncode:
        raise SystemExit(f"{side.side}: {' '.join(done.stderr.strip().splitlines()[-1:])}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if not Path(told["file"]).is_relative_to(side.folder / "src"):
        raise SystemExit(f"{side.side}: {told['file']} was measured, which is not of {side.folder}.")
    return told


def compare(sides: list[Checkout], task: dict[str, Any], rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Let both take turns; return what each round told, by side."""
    found: dict[str, list[dict[str, Any]]] = {side.side: [] for side in sides}
    for turn in range(rounds):
        for side in sides if turn % 2 == 0 else sides[::-1]:
            told = run(side, task)
            found[side.side].append(told)
            say(f"{side.side}: {told['seconds']:.2f} s, processor {told['cpu']:.2f} s, load {os.getloadavg()[0]:.1f}\n")
    return found


def as_table(found: dict[str, list[dict[str, Any]]], images: int) -> str:
    """Return images a second of both sides as rows of Markdown, and how many times as fast the second is."""
    rows = [
        "| | before | after | times as fast |",
        "| --- | ---: | ---: | ---: |",
    ]
    for what, key, choose in (
        ("images/s, fastest round", "seconds", min),
        ("images/s, median round", "seconds", statistics.median),
        ("images per second of the processor, fastest round", "cpu", min),
        ("images per second of the processor, median round", "cpu", statistics.median),
    ):
        before, after = (choose(one[key] for one in told) for told in found.values())
        rows.append(f"| {what} | {images / before:.2f} | {images / after:.2f} | {before / after:.2f} |")
    peaks = [[one["peak_mb"] for one in told if one["peak_mb"]] for told in found.values()]
    if all(peaks):
        before, after = (max(side) for side in peaks)
        rows.append(f"| most memory, MiB | {before:.0f} | {after:.0f} | |")
    return "\n".join(rows)


def same_results(found: dict[str, list[dict[str, Any]]]) -> bool:
    """Say whether all processes found the same in the few images that are compared."""
    return len({tuple(one["digests"]) for told in found.values() for one in told}) == 1


def main() -> None:
    """Compare and print; the exit status is 1 where results differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="checkout to compare with")
    parser.add_argument("after", type=Path, help="checkout that is to be faster")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--side", type=int, default=512, help="of the square images, in pixels")
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        say(json.dumps(measure(json.loads(arguments.measure))) + "\n")
        return
    task = {name: getattr(arguments, name) for name in ("images", "side", "model")}
    with tempfile.TemporaryDirectory() as scratch:
        sides = [Checkout(side, getattr(arguments, side).resolve(), Path(scratch)) for side in ("before", "after")]
        found = compare(sides, task, arguments.rounds)
    same = same_results(found)
    say(f"\n{as_table(found, arguments.images)}\n\nThe results are {'' if same else 'NOT '}the same.\n")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
