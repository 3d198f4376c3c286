"""Compare one process with workers of dask on this machine: seconds for the same images on the same cores.

Run with ``python benchmarks/distributing.py``. One large image goes through `segment_blocks`, and many small ones
through `segment_files`: in this process, by one worker, and by two. Models are loaded before the clock runs, and the
time that workers take to start is told on its own. Rounds take turns, the order changing from one to the next; told are
the fastest round of each, all rounds, and how they compare. The labels must be the same.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from drawn_images import draw_image, microscope_images
from machine import as_markdown, describe_machine

KINDS = {"one process": 0, "one worker": 1, "two workers": 2}


@contextmanager
def hands(service: Any, workers: int) -> Iterator[tuple[Any, Any, float]]:
    """Start workers; yield what has the work done, and seconds until the workers were there."""
    from napari_unetseg.cluster.connection import started
    from napari_unetseg.cluster.dask_executor import DaskExecutor
    from napari_unetseg.cluster.distributor import DaskDistributor

    if not workers:
        yield None, None, 0.0
        return
    clock = time.perf_counter()
    with started(workers) as cluster:
        seconds = time.perf_counter() - clock
        yield DaskExecutor(service, cluster.client), DaskDistributor(service, cluster.client), seconds


def segment_large(service: Any, image: Path, folder: Path, executor: Any) -> tuple[float, str]:
    """Segment an image block by block; return seconds, and a digest of its labels."""
    from napari_unetseg.blockwise.grid import BLOCK_SIDE
    from napari_unetseg.blockwise.job import BlockSource
    from napari_unetseg.io import read_image
    from napari_unetseg.io.ome_zarr.label_creation import create_label_store

    read = read_image(image)
    clock = time.perf_counter()
    labels = create_label_store(folder / "labels.ome.zarr", "labels", read, block_side=BLOCK_SIDE)
    service.segment_blocks(
        read,
        folder / "job",
        labels,
        source=BlockSource(path=str(image)),
        executor=executor,
        conclude=lambda _: None,
    )
    seconds = time.perf_counter() - clock
    found = labels.read((), tuple(slice(0, length) for length in read.shape))
    return seconds, hashlib.sha256(found.tobytes()).hexdigest()[:16]


def segment_small(service: Any, images: tuple[Path, ...], folder: Path, distributor: Any) -> tuple[float, str]:
    """Segment files; return seconds, and a digest of their labels."""
    from napari_unetseg.batch.segment_files import BatchJob, segment_files
    from napari_unetseg.io import read_image

    clock = time.perf_counter()
    segment_files(service, BatchJob(images, folder), report=lambda *_: None, distributor=distributor)
    seconds = time.perf_counter() - clock
    total = hashlib.sha256()
    for image in images:
        total.update(np.asarray(read_image(folder / f"{image.stem}_labels.tif").array).tobytes())
    return seconds, total.hexdigest()[:16]


def measure(side: int, count: int, model: str, rounds: int, scratch: Path) -> dict[str, Any]:
    """Measure all kinds in turn."""
    from napari_unetseg import SegmentationService

    large = scratch / "large.npy"
    np.save(large, draw_image(side))
    small = tuple(scratch / f"small{number}.npy" for number in range(count))
    for file, pixels in zip(small, microscope_images(count, 512), strict=True):
        np.save(file, pixels)
    first = scratch / "first.npy"
    np.save(first, draw_image(600))
    found: dict[str, Any] = {kind: {"large": [], "small": [], "start": [], "digests": []} for kind in KINDS}
    for turn in range(rounds):
        for kind in list(KINDS)[:: 1 if turn % 2 == 0 else -1]:
            with ExitStack() as stack:
                service = stack.enter_context(SegmentationService(model, "cpu", precision="float32"))
                executor, distributor, seconds = stack.enter_context(hands(service, KINDS[kind]))
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=scratch)))
                segment_large(service, first, folder / "first", executor)
                segment_small(service, small[: 8 * max(KINDS[kind], 1)], folder / "firsts", distributor)
                big, labels = segment_large(service, large, folder / "large", executor)
                many, others = segment_small(service, small, folder / "small", distributor)
            row = found[kind]
            row["large"].append(big)
            row["small"].append(many)
            row["start"].append(seconds)
            row["digests"].append(f"{labels} {others}")
            sys.stdout.write(f"{kind}: large {big:.1f} s, small {many:.1f} s, workers there in {seconds:.1f} s\n")
            sys.stdout.flush()
    return found


def as_table(found: dict[str, Any]) -> str:
    """Return the fastest rounds as rows of Markdown."""
    best = {kind: {what: min(row[what]) for what in ("large", "small")} for kind, row in found.items()}
    lines = ["| | large image, s | small images, s |", "| --- | ---: | ---: |"]
    lines += [f"| {kind} | {one['large']:.2f} | {one['small']:.2f} |" for kind, one in best.items()]
    plain, alone, both = best.values()
    overhead = (100 * (alone[what] / plain[what] - 1) for what in ("large", "small"))
    gain = (alone[what] / both[what] for what in ("large", "small"))
    lines.append("| overhead of one worker, % | " + " | ".join(f"{one:.1f}" for one in overhead) + " |")
    lines.append("| two workers, times as fast as one | " + " | ".join(f"{one:.2f}" for one in gain) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print; the exit status is 1 where labels differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=5120, help="of the large image, in pixels")
    parser.add_argument("--images", type=int, default=48, help="small ones, of 512 x 512")
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the figures into this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(arguments.side, arguments.images, arguments.model, arguments.rounds, Path(scratch))
    same = len({digest for row in found.values() for digest in row["digests"]}) == 1
    machine = describe_machine()
    what = (
        f"One image of {arguments.side} x {arguments.side} and {arguments.images} of 512 x 512 pixels, model "
        f"{arguments.model} on the processor in float32, fastest of {arguments.rounds} rounds."
    )
    sys.stdout.write(
        f"\n{as_markdown(machine)}\n\n{what}\n\n{as_table(found)}\n\nLabels are {'' if same else 'NOT '}the same.\n"
    )
    if arguments.json:
        figures = {"machine": machine, "side": arguments.side, "images": arguments.images, "found": found}
        arguments.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
