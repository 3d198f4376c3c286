"""Time everything between a click on Run and layers, stage by stage.

Run with ``python benchmarks/click.py``, ``--model NAME_OR_FOLDER`` for another model, ``--sides 512 2048``. Without a
model of yours it is the U-Net of SpheroHQ with seeded weights, which take the same time. The image is the sample
of nuclei, repeated. Medians of wall time, and of the processor time of all threads, in milliseconds; a first run is not
counted. Objects are those of the model `nuclei` in any case (or ``--objects MODEL``), since seeded weights find none
that look like objects: its maps take the place of the network's answer in the stages after the network.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drawn_images import draw_image
from machine import as_markdown, describe_machine
from napari.components import ViewerModel
from peer_models import NETWORKS, find_network

from napari_unetseg import SegmentationService
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.plugin.layers.outputs import build_layers, layer_data
from napari_unetseg.plugin.layers.plane import shown_plane
from napari_unetseg.postprocessing.layer_data import OUTPUTS

MOST = 0.2
"""Share of the whole that no stage but the network may take."""

Times = dict[str, list[tuple[float, float]]]


@contextmanager
def stage(times: Times, name: str) -> Iterator[None]:
    """Note wall and processor time of a block, in milliseconds."""
    wall, spent = time.perf_counter(), time.process_time()
    yield
    times[name].append((1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - spent)))


def click(side: int, service: SegmentationService, finder: SegmentationService, runs: int) -> str:
    """Run a click several times; return its table."""
    viewer = ViewerModel()
    layer = viewer.add_image(draw_image(side), name="image")
    found = finder.segment(shown_plane(layer, viewer.dims).read())
    card = service.package.card
    times: Times = defaultdict(list)
    for _ in range(runs + 1):
        with stage(times, "read"):
            plane = shown_plane(layer, viewer.dims)
            image = plane.read()
        with stage(times, "normalise"):
            _ = normalise(image, card.normalisation, card.input_channels).array
        with stage(times, "whole"):
            own = service.segment(image)
        with stage(times, "its decode"):
            own.relabel()
        with stage(times, "decode"):
            result = found.relabel()
        with stage(times, "contours"):
            contours = result.contours
        with stage(times, "table"):
            _ = result.measurements, result.confidence
        with stage(times, "layers"):
            build_layers(layer_data(result, plane, OUTPUTS))
    medians = {
        name: tuple(statistics.median(kind) for kind in zip(*pairs[1:], strict=True)) for name, pairs in times.items()
    }
    # What is timed as one whole holds its own reading and decoding.
    whole, inside = medians.pop("whole"), (medians["normalise"], medians.pop("its decode"))
    medians["network"] = tuple(all_ - sum(parts) for all_, *parts in zip(whole, *inside, strict=True))
    total, spent = (sum(kind) for kind in zip(*medians.values(), strict=True))
    told = own.provenance
    lines = [
        f"{side} x {side}, {result.count} objects, {len(contours)} outlines",
        f"{told.model}, {told.backend} {told.precision}, {told.tiles} tiles",
        f"{'':12}{'wall ms':>10}{'share':>8}{'processor ms':>14}",
    ]
    for name, (wall, processor) in medians.items():
        mark = "  more than it may" if name != "network" and wall > MOST * total else ""
        lines.append(f"{name:12}{wall:10.1f}{wall / total:8.1%}{processor:14.1f}{mark}")
    rest = [kind - network for kind, network in zip((total, spent), medians["network"], strict=True)]
    lines += [
        f"{'all':12}{total:10.1f}{'':8}{spent:14.1f}",
        f"{'but network':12}{rest[0]:10.1f}{rest[0] / total:8.1%}{rest[1]:14.1f}",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="unet_spherohq", help=f"{', '.join(NETWORKS)}, or a name or folder")
    parser.add_argument("--objects", default="nuclei", help="model that finds the objects")
    parser.add_argument("--sides", type=int, nargs="+", default=(512, 2048))
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    sys.stdout.write(as_markdown(describe_machine()) + "\n")
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model
        if model in NETWORKS:
            model = str(find_network(model, Path(folder)).source)
        service, finder = SegmentationService(model), SegmentationService(arguments.objects)
        for side in arguments.sides:
            sys.stdout.write(f"\n{click(side, service, finder, arguments.runs)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
