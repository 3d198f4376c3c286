"""How well object size is guessed from pixels, and told by what a model finds: the table of docs/object-size.md.

Run with ``python benchmarks/object_size.py DATA`` where DATA is a folder of images and masks as the command ``train``
takes it, with kinds in ``index.csv``. Takes up to 22 images of each kind, as far apart in the list as can be, as they
are and rescaled, and writes a row in Markdown for each kind and scale.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

from napari_unetseg import Image, SegmentationService
from napari_unetseg.inference.size_estimate import estimate_diameter, typical_diameter
from napari_unetseg.training.dataset import Pair, find_pairs, read_pair

IMAGES = 22
SCALES = (1.0, 3.0, 0.5)


@dataclass(frozen=True)
class Outcome:
    """How many times too large the guess from pixels and the median of the objects found are; None without one."""

    guess: float | None
    found: float | None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="nuclei")
    arguments = parser.parse_args()
    pairs = find_pairs(arguments.data)
    sys.stdout.write("| images | a guess is made | guess within a factor 1.5 (2) | found objects within a factor 2 |\n")
    sys.stdout.write("| --- | --- | --- | --- |\n")
    with SegmentationService(arguments.model) as service:
        for scale in SCALES:
            for kind in sorted({pair.kind for pair in pairs}):
                chosen = spread([pair for pair in pairs if pair.kind == kind])
                sys.stdout.write(row(f"{kind}, {scale:g} x", [measure(service, pair, scale) for pair in chosen]))
                sys.stdout.flush()


def spread(pairs: Sequence[Pair]) -> list[Pair]:
    """Take `IMAGES` of the pairs, evenly over the list."""
    places = np.unique(np.linspace(0, len(pairs) - 1, min(IMAGES, len(pairs))).astype(int))
    return [pairs[place] for place in places]


def measure(service: SegmentationService, pair: Pair, scale: float) -> Outcome | None:
    """Compare guess and result with the masks; None where there are too few objects for a typical diameter."""
    image, labels = read_pair(pair)
    true = typical_diameter(labels)
    if true is None:
        return None
    image = rescaled(image, scale)
    guess = estimate_diameter(image)
    found = typical_diameter(service.segment(image).labels)
    return Outcome(*(None if size is None else size / (true * scale) for size in (guess, found)))


def rescaled(image: Image, scale: float) -> Image:
    """Return the image at another size, channels as they are."""
    if scale == 1:
        return image
    pixels: NDArray[np.generic] = image.array
    shape = (*(max(round(length * scale), 1) for length in pixels.shape[:2]), *pixels.shape[2:])
    resized = resize(pixels, shape, order=1, anti_aliasing=scale < 1, preserve_range=True)
    return Image(resized.round().astype(pixels.dtype), image.axes, rgb=image.rgb)


def row(name: str, outcomes: Sequence[Outcome | None]) -> str:
    """Return a row of the table."""
    known = [outcome for outcome in outcomes if outcome is not None]
    guesses = [outcome.guess for outcome in known if outcome.guess is not None]
    found = [outcome.found for outcome in known]
    cells = (
        name,
        f"{len(guesses)} of {len(known)}",
        f"{share(guesses, 1.5)} ({share(guesses, 2)})",
        share(found, 2),
    )
    return f"| {' | '.join(cells)} |\n"


def share(ratios: Sequence[float | None], factor: float) -> str:
    """Return the percentage of ratios within a factor of 1; what is not known is not within it."""
    within = [ratio is not None and 1 / factor <= ratio <= factor for ratio in ratios]
    return f"{100 * np.mean(within):.0f} %" if within else "-"


if __name__ == "__main__":
    main()
