"""How long a click to fix takes on a large image with many objects.

    python benchmarks/fixes.py [--side 2048] [--objects 2000] [--clicks 20]

The map is drawn: discs as a network sees them, a tenth of them too faint to be found, some in touching pairs. Of each
kind of fix, as many as `--clicks` are timed, each at another object, as the window does them: finding what changes and
changing the labels. Also timed is what comes after the last one, when all are done again for a recipe.
"""

import argparse
import sys
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unetseg.errors import FixError
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.postprocessing.fixes import Fix, FixKind, apply_fix, apply_fixes
from napari_unetseg.postprocessing.parameters import DecodeParameters

PARAMETERS = DecodeParameters(threshold=0.5, min_size=20, split=0.4)
HEADS = ("foreground", "boundary")
FAINT = 0.1
BUDGET_MS = 200


def drawn_maps(side: int, objects: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Draw foreground and boundary (2, Y, X) of discs on a loose grid, and return the faint ones' centres too."""
    rng = np.random.default_rng(3)
    across = int(np.ceil(np.sqrt(objects)))
    pitch = side / across
    centres = (np.argwhere(np.ones((across, across)))[:objects] + 0.5) * pitch
    centres += rng.uniform(-0.12, 0.12, centres.shape) * pitch
    heights = np.where(rng.random(objects) < FAINT, 0.3, 0.95)
    seeds = np.zeros((side, side), np.int32)
    seeds[tuple(centres.astype(int).T)] = np.arange(1, objects + 1)
    distance, nearest = ndimage.distance_transform_edt(seeds == 0, return_indices=True)
    number = seeds[tuple(nearest)]
    inside = distance < 0.42 * pitch
    foreground = np.where(inside, heights[number - 1], 0.0)
    foreground += rng.normal(0, 0.02, foreground.shape)
    edge = inside & (distance > 0.42 * pitch - 2)
    maps = np.stack([ndimage.gaussian_filter(foreground, 1), ndimage.gaussian_filter(edge * 0.8, 1)])
    return np.clip(maps, 0, 1).astype(np.float32), centres[heights < 0.5]


def wanted_points(
    kind: FixKind, labels: NDArray[np.int32], faint: NDArray[np.float64], click: int
) -> list[list[float]]:
    """Return where to click, or which line to draw, for the next fix of a kind."""
    if kind == "add":
        return [faint[click].tolist()]
    numbers = np.unique(labels[labels > 0])
    number = numbers[(click + 1) * len(numbers) // 40]
    y, x = (float(at) for at in ndimage.center_of_mass(labels == number))
    width = float(np.sqrt(np.count_nonzero(labels == number)))
    if kind == "split":
        return [[y - width, x], [y + width, x]] if click % 2 else [[y - 3, x], [y + 3, x]]
    if kind == "merge":
        return [[y, x], [y, x + 1.3 * width]]
    return [[y, x]]


def main() -> None:
    """Time every kind of fix."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--objects", type=int, default=2000)
    parser.add_argument("--clicks", type=int, default=20)
    options = parser.parse_args()
    maps, faint = drawn_maps(options.side, options.objects)
    labels = decode(maps, HEADS, PARAMETERS)
    fixes = []
    for kind in ("add", "remove", "split", "merge", "grow", "shrink"):
        taken = []
        for click in range(options.clicks):
            fix = Fix(kind=kind, points=wanted_points(kind, labels, faint, click), parameters=PARAMETERS)
            start = perf_counter()
            try:
                apply_fix(fix, labels, maps, HEADS).put_into(labels)
            except FixError:
                continue
            taken.append(1000 * (perf_counter() - start))
            fixes.append(fix)
        late = sum(time > BUDGET_MS for time in taken)
        say(
            f"{kind}: {len(taken)} clicks, median {median(taken):.0f} ms, at most {max(taken):.0f} ms, "
            f"{late} over {BUDGET_MS}"
        )
    start = perf_counter()
    again = apply_fixes(fixes, maps, HEADS, PARAMETERS)
    seconds = perf_counter() - start
    say(f"all {len(fixes)} done again: {seconds:.1f} s, the same objects: {_same(again, labels)}")


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _same(one: NDArray[np.int32], other: NDArray[np.int32]) -> bool:
    """Whether two label images have the same objects, whatever their numbers."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1).T
    return len({pair[0] for pair in pairs}) == len(pairs) == len({pair[1] for pair in pairs})


if __name__ == "__main__":
    main()
