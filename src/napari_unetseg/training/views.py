"""Which part of a sample a crop shows: at which magnification, turned, flipped, stretched and bent."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_unetseg.training.crop_store import CropStore, send_numbers
from napari_unetseg.training.targets import FLOWS, TARGETS
from napari_unetseg.training.training_recipe import Augmentation

BEND_MESH = 32
"""Pixels between the points of the net that an elastic deformation moves."""

MARGIN = 2
"""Pixels that a window is larger than what a view needs, as resampling takes neighbours."""


@dataclass(frozen=True)
class Views:
    """Affine transforms from crops to images, in pixels, with x before y.

    Attributes
    ----------
    chosen
        int64 (N,): which sample each shows.
    linear
        float64 (N, 2, 2): step in the image from a step in the crop.
    centres
        float64 (N, 2): where in the image the crop's middle lies; 0 is the image's edge.
    bends
        float64 (N, 2, points, points): by how many pixels of the crop the points of a coarse net are moved before.
        None: nothing is bent.
    """

    chosen: NDArray[np.int64]
    linear: NDArray[np.float64]
    centres: NDArray[np.float64]
    bends: NDArray[np.float64] | None = None


def draw_views(store: CropStore, chosen: NDArray[np.int64], side: int, options: Augmentation, rng: Generator) -> Views:
    """Draw a view of each of the chosen samples."""
    count = len(chosen)
    scales = draw_scales(store.medians[chosen], options, rng)
    angles = rng.integers(4, size=count) * np.pi / 2
    angles += (rng.random(count) < options.rotate) * rng.uniform(0, np.pi / 2, count)
    # Exact zeros keep the pixels of quarter turns.
    cos, sin = np.cos(angles).round(15), np.sin(angles).round(15)
    turns = np.stack([cos, -sin, sin, cos], axis=1).reshape(count, 2, 2)
    stretch = np.sqrt((1 + options.stretch) ** rng.uniform(-1, 1, count))
    shear = rng.uniform(-options.shear, options.shear, count)
    shapes = np.stack([stretch, shear, np.zeros(count), 1 / stretch], axis=1).reshape(count, 2, 2)
    shapes[:, :, 0] *= rng.choice((-1.0, 1.0), count)[:, None]
    centres = draw_centres(store, chosen, side / scales, options, rng)
    bends = None
    if options.elastic:
        points = max(4, round(side / BEND_MESH))
        bends = rng.standard_normal((count, 2, points, points)) * options.elastic
    return Views(chosen, turns @ shapes / scales[:, None, None], centres, bends)


def draw_scales(medians: NDArray[np.float64], options: Augmentation, rng: Generator) -> NDArray[np.float64]:
    """Draw magnifications, log-uniform in the range that the options give for samples of these median diameters."""
    least, most = (np.full(len(medians), end) for end in options.scale)
    aimed = rng.random(len(medians)) < options.aim
    if options.diameter is not None:
        # Comparisons with the NaN of samples without objects are false.
        known = aimed & (medians > 0)
        least, most = (
            np.where(known, end / medians, other) for end, other in zip(options.diameter, (least, most), strict=True)
        )
    if options.largest_object is not None:
        most = np.fmax(np.fmin(most, options.largest_object / medians), least)
    least = np.fmin(np.fmax(least, options.smallest_object / medians), most)
    drawn: NDArray[np.float64] = np.exp(rng.uniform(np.log(least), np.log(most)))
    return drawn


def draw_centres(
    store: CropStore, chosen: NDArray[np.int64], extents: NDArray[np.float64], options: Augmentation, rng: Generator
) -> NDArray[np.float64]:
    """Draw where the middles of crops of these extents (pixels of the image) lie: x and y, (N, 2)."""
    shapes = store.shapes[chosen]
    # Crops stay inside their images where they can.
    rooms = np.maximum(shapes - extents[:, None], 0) / 2
    centres = rng.uniform(-1, 1, shapes.shape) * rooms
    for place in np.flatnonzero(rng.random(len(chosen)) < options.on_object):
        pixels = store.object_pixels(int(chosen[place]))
        if len(pixels):
            around = pixels[rng.integers(len(pixels))] + rng.uniform(-1, 1, 2) * extents[place] / 3
            centres[place] = np.clip(around - shapes[place] / 2, -rooms[place], rooms[place])
    return centres + shapes / 2


def find_windows(
    views: Views, shapes: NDArray[np.int64], side: int, margins: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Find the part of each image that its view needs, mirrored beyond the image: where it begins and ends, (N, 2).

    Only what the crop shows is worth converting: images can be many times larger.

    Parameters
    ----------
    shapes
        Width and height of each image.
    margins
        Pixels that each window is to be larger.

    Returns
    -------
    starts, stops, beyond
        And whether the view reaches beyond its image.
    """
    reach = np.full(len(shapes), side / 2)
    if views.bends is not None:
        between = cubic_weights(side, views.bends.shape[-1], torch.device("cpu"))
        overshoot = float(between.abs().sum(dim=1).max()) ** 2
        reach += overshoot * np.abs(views.bends).max(axis=(1, 2, 3))
    reaches = np.abs(views.linear).sum(axis=2) * reach[:, None]
    low = np.floor(views.centres - reaches).astype(np.int64) - margins[:, None]
    high = np.ceil(views.centres + reaches).astype(np.int64) + margins[:, None]
    starts = np.where(high > shapes, np.minimum(low, 2 * shapes - high), low)
    stops = np.where(low < 0, np.maximum(high, -low), high)
    beyond = ((low < 0) | (high > shapes)).any(axis=1)
    return np.clip(starts, 0, shapes), np.clip(stops, 0, shapes), beyond


@torch.no_grad()
def resample(store: CropStore, views: Views, side: int) -> tuple[Tensor, Tensor]:
    """Look at samples through views, bilinearly, mirrored beyond the image.

    Where a view shrinks an image, whole pixels are averaged first.

    Returns
    -------
    pixels, targets
        float32 (N, 3, side, side) and (N, 5, side, side) on the store's device, seen through the same transform.
    """
    shapes = store.shapes[views.chosen]
    steps = np.sqrt(np.abs(np.linalg.det(views.linear)))
    pools = np.clip(np.rint(steps), 1, shapes.min(axis=1)).astype(np.int64)
    starts, stops, beyond = find_windows(views, shapes, side, MARGIN * pools)
    lengths = (stops - starts) // pools[:, None] * pools[:, None]
    nets = np.zeros(0) if views.bends is None else views.bends
    mirrored = np.flatnonzero(beyond)
    linear, centres, back, begin, extent, size, net, odd = send_numbers(
        [
            views.linear,
            views.centres[:, None],
            np.linalg.inv(views.linear) * steps[:, None, None],
            starts[:, None],
            lengths[:, None],
            shapes[mirrored][:, None],
            nets,
            mirrored,
        ],
        store.device,
    )
    places = pixel_places(side, store.device).expand(len(shapes), -1, -1)
    if views.bends is not None:
        between = cubic_weights(side, nets.shape[-1], store.device)
        places = places + (between @ net @ between.T).flatten(2).mT
    found = torch.baddbmm(centres, places, linear.mT)
    # grid_sample counts a window from -1 to 1.
    grids = ((found - begin) * (2 / extent) - 1).view(-1, side, side, 2)
    seen = torch.empty((len(shapes), 3 + len(TARGETS), side, side), device=store.device)
    for place, window in enumerate(store.cut(views.chosen, starts, stops)):
        planes, pool = window[None].float(), int(pools[place])
        if pool > 1:
            planes = functional.avg_pool2d(planes, pool)
        one = functional.grid_sample(planes, grids[place : place + 1], padding_mode="reflection", align_corners=False)[
            0
        ]
        seen[place, :3] = one[: -len(TARGETS)]
        seen[place, 3:] = one[-len(TARGETS) :]
    pixels, targets = seen[:, :3], seen[:, 3:]
    if len(mirrored):
        _mirror_flows(targets, odd.long(), found, size)
    turn_flows(targets, back)
    return pixels, targets


def _mirror_flows(targets: Tensor, which: Tensor, found: Tensor, sizes: Tensor) -> None:
    """Turn the flows of some crops round where these show an image's mirror image."""
    side = targets.shape[-1]
    odd = (found.index_select(0, which) / sizes).floor().remainder(2)
    signs = (1 - 2 * odd).mT.flip(1).view(-1, 2, side, side)
    flows = targets[:, FLOWS]
    flows.index_copy_(0, which, flows.index_select(0, which) * signs)


def turn_flows(targets: Tensor, back: Tensor) -> None:
    """Give flows of targets (N, 5, side, side) the directions of their crops; as long as they were.

    Parameters
    ----------
    back
        float32 (N, 2, 2): x and y of a step in the crop from a step in the image.
    """
    flows = targets[:, FLOWS]
    # The planes are y and x.
    turned = (back.flip(1, 2) @ flows.flatten(2)).view_as(flows)
    # Stretched and slanted they would be of other lengths. (A norm over planes takes ten times as long on a CPU.)
    before, after = (torch.hypot(vectors[:, :1], vectors[:, 1:]) for vectors in (flows, turned))
    targets[:, FLOWS] = turned * (before / after.clamp(min=1e-12))


@cache
def pixel_places(side: int, device: torch.device) -> Tensor:
    """Give x and y of each pixel of a crop from its middle, in pixels: float32 (side * side, 2)."""
    line = torch.arange(side, device=device) - (side - 1) / 2
    return torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1).view(-1, 2)


@cache
def cubic_weights(side: int, points: int, device: torch.device) -> Tensor:
    """Give the weights of `points` values in each of `side` places evenly between the first and the last."""
    corner = torch.eye(points)[None, None]
    weights = functional.interpolate(corner, size=(side, points), mode="bicubic", align_corners=True)
    return weights[0, 0].to(device)
