"""How much the choice of weights flatters a model: its scores on the held-out images in the eight ways they can lie.

Run with ``python benchmarks/turned.py MODEL DATA`` where DATA is a folder of images and masks as the command ``train``
takes it. Weights and decoder parameters were chosen on images as they are; turned by quarters and flipped they are
equally hard, and nothing was chosen on them.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from held_out import held_out

from napari_unetseg import SegmentationService
from napari_unetseg.inference.augmentation import ORIENTATIONS, rotate_and_flip
from napari_unetseg.training.corruptions import with_planes
from napari_unetseg.training.dataset import Pair, find_pairs, read_pair
from napari_unetseg.training.evaluate import are_masks, choose_truth, compare
from napari_unetseg.training.scores import Score, summarise_scores


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="name of a bundled model")
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    pairs = find_pairs(arguments.data)
    held = held_out(arguments.model, pairs)
    chosen = [pair for pair in pairs if pair.stem in held]
    sys.stdout.write("| quarter turns | flipped | AP@0.5 | Dice |\n| --- | --- | --- | --- |\n")
    with SegmentationService(arguments.model) as service:
        for turns, flip in ORIENTATIONS:
            means = summarise_scores(list(score(service, chosen, turns, flip)))
            sys.stdout.write(f"| {turns} | {'yes' if flip else 'no'} | {means['ap50']:.3f} | {means['dice']:.3f} |\n")
            sys.stdout.flush()


def score(service: SegmentationService, pairs: Sequence[Pair], turns: int, flip: bool) -> Iterator[Score]:
    """Score each image, turned and flipped; of masks, each part is an object."""
    truth = choose_truth(are_masks(pairs), divides=False)
    for pair in pairs:
        image, annotation = read_pair(pair)
        turned = with_planes(image, rotate_and_flip(image.channels_first, turns, flip))
        yield compare(service.segment(turned).labels, rotate_and_flip(annotation, turns, flip), pair, truth)


if __name__ == "__main__":
    main()
