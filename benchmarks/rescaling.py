"""What rescaling gains on images enlarged and reduced, and whether the window shows the sign for it.

Run with ``python benchmarks/rescaling.py MODEL DATA`` where DATA is a folder of images and masks as the command
``train`` takes it. Shows some of the images held out from training to their model at 0.25 to 4 times their size (of
large ones the middle) and writes a row in Markdown for each: the true diameter, that of a run by itself, the mean AP
over IoU 0.5 to 0.9 of that run, of one rescaled as the button Rescale would and of one by the true diameter, and
whether the sign is shown.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from held_out import held_out
from numpy.typing import NDArray
from object_size import rescaled
from skimage.transform import resize

from napari_unetseg import Image, SegmentationService
from napari_unetseg.inference.size_estimate import area_weighted_diameter, estimate_diameter, typical_diameter
from napari_unetseg.plugin.dock.object_size_row import is_far_off, likely_diameter
from napari_unetseg.postprocessing.blocks import middle_span
from napari_unetseg.training.dataset import find_pairs, read_pair
from napari_unetseg.training.evaluate import annotated_objects, are_masks, choose_truth
from napari_unetseg.training.scores import iou_matrix, score_objects

SCALES = (0.25, 0.5, 1.0, 2.0, 3.0, 3.7, 4.0)
SIDE = 1200
TITLES = ("image", "scale", "true px", "found px", "looked again at", "AP", "AP, Rescale", "AP, true diameter", "sign")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="name of a bundled model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=3)
    parser.add_argument("--scales", type=float, nargs="*", default=SCALES)
    arguments = parser.parse_args()
    pairs = find_pairs(arguments.data)
    held = held_out(arguments.model, pairs)
    pairs = [pair for pair in pairs if pair.stem in held]
    chosen = [pairs[at] for at in np.unique(np.linspace(0, len(pairs) - 1, arguments.images).astype(int))]
    truth = choose_truth(are_masks(chosen), divides=False)
    sys.stdout.write(f"| {' | '.join(TITLES)} |\n|{' --- |' * len(TITLES)}\n")
    with SegmentationService(arguments.model) as service:
        for pair in chosen:
            image, annotation = read_pair(pair)
            for scale in arguments.scales:
                middle = tuple(middle_span(length, round(SIDE / scale)) for length in image.shape)
                key = middle if image.axes[0] == "Y" else (slice(None), *middle)
                part = rescaled(replace(image, array=image.array[key]), scale)
                labels = annotated_objects(annotation, truth)[middle]
                labels = resize(labels, part.shape, order=0, preserve_range=True, anti_aliasing=False).astype(np.int32)
                cells = [str(cell) for cell in (pair.stem, scale, *measure(service, part, labels))]
                sys.stdout.write(f"| {' | '.join(cells)} |\n")
                sys.stdout.flush()


def measure(service: SegmentationService, image: Image, labels: NDArray[np.int32]) -> tuple[object, ...]:
    """Return the rest of a row."""
    true = typical_diameter(labels, 1)
    run = service.segment(image)
    found = typical_diameter(run.labels) or area_weighted_diameter(run.labels, 2)
    likely = likely_diameter(found, estimate_diameter(image))
    unsure = run.fit is not None and run.fit.is_unlike and run.provenance.resized_to is None
    sign = is_far_off(service.package.card, likely, None, found=found, unsure=unsure)
    scores = [
        None
        if diameter is None
        else score_objects(iou_matrix(service.segment(image, diameter=diameter).labels, labels)).ap
        for diameter in (likely, true)
    ]
    own = score_objects(iou_matrix(run.labels, labels)).ap
    figures = (true, found, run.provenance.diameter)
    rounded = ["-" if figure is None else f"{figure:.0f}" for figure in figures]
    return (*rounded, *("-" if one is None else f"{one:.2f}" for one in (own, *scores)), "yes" if sign else "no")


if __name__ == "__main__":
    main()
