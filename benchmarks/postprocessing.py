"""Time post-processing beside scikit-image's own ways, on synthetic scenes.

Run with ``python benchmarks/postprocessing.py``. Times are the best of several runs in seconds of
CPU time (all of this is single-threaded), so that other work on the machine disturbs them little.
scikit-image's part: `regionprops_table` for the measurements, `find_contours` on each object's own
padded box for the contours, and for decoding the usual recipe of threshold, distance transform,
`peak_local_max` and watershed on the foreground alone.
"""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.measure import find_contours, label, regionprops, regionprops_table
from skimage.morphology import remove_small_objects
from skimage.segmentation import watershed

from napari_unetseg.postprocessing.contours import rasterise, trace_contours
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.postprocessing.measurements import measure
from napari_unetseg.postprocessing.parameters import DecodeParameters

RUNS = 3
PROPERTIES = (
    *("label", "area", "centroid", "bbox", "equivalent_diameter_area", "eccentricity", "solidity", "perimeter"),
    "intensity_mean",
)


def scene(size: int, count: int) -> NDArray[np.float32]:
    """Foreground and distance of about `count` round objects, many of them touching, with noise."""
    rng = np.random.default_rng(0)
    side = round(np.sqrt(count))
    cell = size / side
    distance = np.zeros((size, size), dtype=np.float32)
    for row, column in np.ndindex(side, side):
        y, x = (np.array([row, column]) + 0.5 + rng.uniform(-0.15, 0.15, 2)) * cell
        radius = cell * rng.uniform(0.3, 0.5)
        top, left = max(int(y - radius), 0), max(int(x - radius), 0)
        box = np.s_[top : int(y + radius) + 2, left : int(x + radius) + 2]
        yy, xx = np.ogrid[box]
        yy, xx = yy[: distance[box].shape[0]], xx[:, : distance[box].shape[1]]
        distance[box] = np.maximum(distance[box], 1 - np.hypot(yy - y, xx - x) / radius)
    noise = rng.normal(0, 0.03, (2, size, size))
    return np.clip(np.stack([(distance > 0) * 0.9 + 0.05, distance]) + noise, 0, 1).astype(np.float32)


def seconds(work: Callable[[], object]) -> float:
    """Best CPU time of several runs."""
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def decode_with_scikit_image(foreground: NDArray[np.float32]) -> NDArray[np.int32]:
    """Divide the thresholded foreground by the watershed of its distance transform."""
    mask = remove_small_objects(foreground >= 0.5, max_size=19)
    depth = ndimage.distance_transform_edt(mask)
    markers = np.zeros(mask.shape, dtype=np.int32)
    peaks = peak_local_max(depth, min_distance=5, labels=label(mask, connectivity=1))
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    found: NDArray[np.int32] = watershed(-depth, markers, mask=mask)
    return found


def compare(size: int, count: int) -> None:
    """Print one table for one scene."""
    probability = scene(size, count)
    heads, parameters = ("foreground", "distance"), DecodeParameters()
    foreground, intensity = probability[0], probability[:1]
    labels = decode(probability, heads, parameters)
    contours = trace_contours(labels)
    rows: list[tuple[str, Callable[[], object], Callable[[], object] | None]] = [
        ("decode (distance)", lambda: decode(probability, heads, parameters), None),
        (
            "decode (foreground)",
            lambda: decode(probability[:1], heads[:1], parameters),
            lambda: decode_with_scikit_image(foreground),
        ),
        (
            "contours",
            lambda: trace_contours(labels),
            lambda: [find_contours(np.pad(region.image, 1), 0.5) for region in regionprops(labels)],
        ),
        ("rasterise", lambda: rasterise(contours, labels.shape), None),
        (
            "measure",
            lambda: measure(labels, foreground=foreground, intensity=intensity, scale=(0.5, 0.5), unit="micrometer"),
            lambda: regionprops_table(labels, foreground, properties=PROPERTIES),
        ),
    ]
    print(f"\n{size} x {size} pixels, {labels.max()} objects, {len(contours)} contours")  # noqa: T201
    print(f"{'':22}{'ours':>8}{'scikit-image':>14}{'ratio':>8}")  # noqa: T201
    for name, ours, theirs in rows:
        mine = seconds(ours)
        other = seconds(theirs) if theirs else None
        tail = f"{other:14.3f}{other / mine:8.1f}" if other else ""
        print(f"{name:22}{mine:8.3f}{tail}")  # noqa: T201


if __name__ == "__main__":
    compare(1024, 1000)
    compare(2048, 5000)
