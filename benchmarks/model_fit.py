"""How well `Segmentation.fit` tells images that a model knows from others: the tables of docs/choosing-a-model.md.

Run with ``python benchmarks/model_fit.py DATA`` where DATA holds a folder of images and masks, as the command ``train``
takes it, for each bundled model and by its name; of ``nails_web`` beside them all images are taken for nails. Every
image is shown to its own model whole, and its middle 512 pixels to the others. The images held out from training are
divided in two by their groups of like images: the score and its limit were chosen on one half, with a sample of the
training images, and are judged on the other half and ``nails_web``, and on the pictures that come with scikit-image,
which no model knows.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage.data
from held_out import held_out

from napari_unetseg import Image, SegmentationService
from napari_unetseg.io import read_image
from napari_unetseg.service.trials import pieces_of
from napari_unetseg.training.dataset import Pair, find_pairs
from napari_unetseg.training.split import group_by_appearance

MODELS = ("nuclei", "cells", "spheroids", "nails")
TRAINING_IMAGES = 30
GROUP_DISTANCE = 1.0
NO_KIND = "none"
PICTURES = (
    "astronaut",
    "brick",
    "camera",
    "cat",
    "clock",
    "coffee",
    "grass",
    "gravel",
    "moon",
    "page",
    "rocket",
    "text",
)


@dataclass(frozen=True)
class Shown:
    """An image as a model saw it: the kind of the image, its score (None: nothing was seen), and what was found."""

    part: str
    kind: str
    model: str
    score: float | None
    unlike: bool
    objects: int

    @property
    def right(self) -> bool:
        """Whether the model is that of its kind."""
        return self.kind == self.model


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument(
        "--augment", action="store_true", help="average over flips, images of the model's own kind alone"
    )
    arguments = parser.parse_args()
    images = list(all_images(arguments.data))
    shown = [one for model in MODELS for one in show(model, images, augment=arguments.augment)]
    for part in ("chosen on", "judged on"):
        sys.stdout.write(f"\n{part}\n\n{table([one for one in shown if one.part == part])}")


def all_images(data: Path) -> Iterator[tuple[str, str, Image]]:
    """Yield part, kind and pixels of each image."""
    for kind in MODELS:
        pairs = find_pairs(data / kind)
        held = held_out(kind, pairs)
        groups = group_by_appearance([pair for pair in pairs if pair.stem in held], GROUP_DISTANCE)
        second_half = set(sorted(set(groups.values()))[1::2])
        for pair in spread([pair for pair in pairs if pair.stem not in held]):
            yield "chosen on", kind, read_image(pair.image)
        for pair in pairs:
            if pair.stem in held:
                part = "judged on" if groups[pair.stem] in second_half else "chosen on"
                yield part, kind, read_image(pair.image)
    for pair in find_pairs(data / "nails_web"):
        yield "judged on", "nails", read_image(pair.image)
    for name in PICTURES:
        yield "judged on", NO_KIND, Image.of(getattr(skimage.data, name)(), name=name)


def spread(pairs: Sequence[Pair]) -> list[Pair]:
    """Take `TRAINING_IMAGES` of the pairs, evenly over the list."""
    places = np.unique(np.linspace(0, len(pairs) - 1, min(TRAINING_IMAGES, len(pairs))).astype(int))
    return [pairs[place] for place in places]


def show(model: str, images: Sequence[tuple[str, str, Image]], *, augment: bool) -> Iterator[Shown]:
    """Show every image to a model."""
    with SegmentationService(model) as service:
        for part, kind, image in images:
            if augment and kind != model:
                continue
            whole = kind == model
            result = service.segment(image if whole else pieces_of(image)[0].image, augment=augment)
            score = None if result.fit is None else result.fit.score
            yield Shown(part, kind, model, score, result.fit is not None and result.fit.is_unlike, result.count)


def table(shown: Sequence[Shown]) -> str:
    """Return a row for each model and one for all."""
    lines = ["| model | own images | sign | other images | sign | sign or no object | area under the ROC |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    for model in (*MODELS, "all"):
        of_model = [one for one in shown if model in (one.model, "all")]
        right, wrong = ([one for one in of_model if one.right is kind] for kind in (True, False))
        told = [one.unlike or not one.objects for one in wrong]
        cells = (model, str(len(right)), share([one.unlike for one in right]), str(len(wrong)))
        cells += (share([one.unlike for one in wrong]), share(told), f"{roc_area(right, wrong):.3f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def share(flags: Sequence[bool]) -> str:
    """Return how many, and the percentage."""
    return f"{sum(flags)} ({100 * np.mean(flags):.1f} %)" if flags else "-"


def roc_area(right: Sequence[Shown], wrong: Sequence[Shown]) -> float:
    """Return how often an image of the model's kind has a higher score than another; those without one are left out."""
    high, low = ([one.score for one in some if one.score is not None] for some in (right, wrong))
    return float(np.mean([(a > b) + (a == b) / 2 for a in high for b in low])) if high and low else float("nan")


if __name__ == "__main__":
    main()
