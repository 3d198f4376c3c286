"""Measure what calls of many threads reach together over one batch, and over the same images one by one.

Run with ``python benchmarks/shared_batches.py``; writes Markdown to the standard output. In one process the same images
are segmented by turns

* by many threads, each of which calls `segment` for its share of them, one after the other;
* by one call of `segment_batch`;
* by one thread that calls `segment` for each.

The order changes from round to round, and a first round is not counted; processor time is that of the whole process,
which other programs on the machine disturb less. Every label image is compared with the one that
`segment` gives alone. How many threads torch computes with is an argument, because it may be set only once a process.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from drawn_images import draw_image
from machine import as_markdown, describe_machine
from numpy.typing import NDArray

from napari_unetseg import Image, Segmentation, SegmentationService
from napari_unetseg.service.reports import Failure

Labels = list[NDArray[np.int32]]
Way = Callable[[SegmentationService, Sequence[Image]], Labels]


def shared(service: SegmentationService, images: Sequence[Image], threads: int) -> Labels:
    """Segment in many threads, each image by a call of its own."""
    with ThreadPoolExecutor(threads) as pool:
        return [result.labels for result in pool.map(service.segment, images)]


def batch(service: SegmentationService, images: Sequence[Image]) -> Labels:
    """Segment by one call."""
    return [_labels(result) for result in service.segment_batch(images)]


def one_by_one(service: SegmentationService, images: Sequence[Image]) -> Labels:
    """Segment in one thread, each image by a call of its own."""
    return [service.segment(image).labels for image in images]


def _labels(result: Segmentation | Failure) -> NDArray[np.int32]:
    if isinstance(result, Failure):
        raise result.error
    return result.labels


def main() -> None:
    """Measure and print."""
    say = sys.stdout.write
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--side", type=int, default=512, help="side of the images in pixels")
    parser.add_argument("--threads", type=int, default=16, help="threads that call")
    parser.add_argument("--calls", type=int, default=3, help="calls of each thread in a round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count")
    parser.add_argument("--torch-threads", type=int, help="threads of torch; left out: its own choice")
    parser.add_argument("--batch-size", type=int, help="tiles that the network sees at once; the device's if left out")
    arguments = parser.parse_args()
    if arguments.torch_threads:
        torch.set_num_threads(arguments.torch_threads)
    whole = draw_image(4 * arguments.side)
    spots = np.random.default_rng(0).integers(0, 3 * arguments.side, (arguments.threads * arguments.calls, 2))
    images = [
        Image(whole[top : top + arguments.side, left : left + arguments.side], name=f"image {index}")
        for index, (top, left) in enumerate(spots)
    ]
    service = make_service(arguments)
    ways: dict[str, Way] = {
        f"{arguments.threads} threads": partial(shared, threads=arguments.threads),
        "segment_batch": batch,
        "one by one": one_by_one,
    }
    expected = one_by_one(service, images)
    seconds, processor = ({name: list[float]() for name in ways} for _ in range(2))
    for number in range(arguments.rounds + 1):
        for name in ways if number % 2 else reversed(ways):
            clock, spent = time.perf_counter(), time.process_time()
            found = ways[name](service, images)
            if number:
                seconds[name].append(time.perf_counter() - clock)
                processor[name].append(time.process_time() - spent)
            if any(not np.array_equal(*pair) for pair in zip(found, expected, strict=True)):
                raise RuntimeError(f"{name}: labels differ from those of each image alone.")
    median, spent_in = (
        {name: statistics.median(taken) for name, taken in measured.items()} for measured in (seconds, processor)
    )
    first = next(iter(median))
    say(f"{len(images)} images of {arguments.side} x {arguments.side}, {arguments.model} on ")
    say(f"{service.model_info().device}, torch threads {torch.get_num_threads()}, ")
    say(f"medians of {arguments.rounds} rounds; all labels equal\n\n{as_markdown(describe_machine())}\n\n")
    say(f"| way | images/s | {first} over it | processor ms an image |\n| --- | --- | --- | --- |\n")
    for name, taken in median.items():
        cost = 1000 * spent_in[name] / len(images)
        say(f"| {name} | {len(images) / taken:.2f} | {taken / median[first]:.2f} | {cost:.0f} |\n")


def make_service(arguments: argparse.Namespace) -> SegmentationService:
    """Make the service as the command line says."""
    from napari_unetseg.config import load_settings

    settings = load_settings().settings
    inference = settings.unet.inference.model_copy(update={"batch_size": arguments.batch_size})
    unet = settings.unet.model_copy(update={"inference": inference})
    settings = settings.model_copy(update={"unet": unet})
    return SegmentationService(arguments.model, arguments.device, settings=settings)


if __name__ == "__main__":
    main()
