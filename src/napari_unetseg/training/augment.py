"""Training crops: a random view of a sample, under random light."""

import io
import math
from functools import cache

import imageio.v3 as iio
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_unetseg.training.dataset import Sample
from napari_unetseg.training.paste import paste
from napari_unetseg.training.targets import FLOWS
from napari_unetseg.training.training_recipe import Augmentation

BEND_MESH = 32
"""Pixels between the points of the net that an elastic deformation moves."""

TRIED_PIXELS = 128
"""Pixels among which one of an object is looked for first."""


def draw_crop(
    sample: Sample, side: int, options: Augmentation, rng: Generator, donor: Sample | None = None
) -> tuple[Tensor, Tensor]:
    """Cut a random view out of a sample, and paste objects of another's into it.

    Parameters
    ----------
    donor
        Another sample, with as many channels, of which a random view gives its objects.

    Returns
    -------
    pixels, targets
        float32 (3, side, side) and (5, side, side), seen through the same transform.
    """
    pixels, targets = draw_sample(sample, side, options, rng)
    if donor is not None:
        pixels, targets = paste(pixels, targets, *draw_sample(donor, side, options, rng))
    return relight(pixels, options, rng), targets


def draw_sample(sample: Sample, side: int, options: Augmentation, rng: Generator) -> tuple[Tensor, Tensor]:
    """Draw a view and resample through it: pixels, float32 (C, side, side), and targets, float32 (5, side, side)."""
    bend = draw_bend(side, options.elastic, rng) if options.elastic else None
    view = draw_view(sample, side, options, rng)
    # Only what the crop shows is worth converting: images can be many times larger.
    rows, columns, view = find_window(view, side, sample.labels.shape, 0.0 if bend is None else float(bend.abs().max()))
    layers = torch.cat([sample.pixels[:, rows, columns], sample.targets[:, rows, columns]]).float()
    seen = resample(layers, view, side, bend)
    pixels, targets = torch.split(seen, [sample.pixels.shape[0], sample.targets.shape[0]])
    return pixels, turn_flows(targets, view)


def turn_flows(targets: Tensor, view: Tensor) -> Tensor:
    """Give the flows of targets (5, side, side) that were seen through a view the directions of the crop."""
    # A view turns, flips and magnifies: without the magnification its transpose is its inverse.
    turned = view[:, :2].T / view[:, 0].norm()
    # The planes are y and x, the view speaks of x and y.
    along = torch.einsum("ij,jyx->iyx", turned.flip(0, 1), targets[FLOWS])
    return torch.cat([targets[: FLOWS.start], along])


def find_window(view: Tensor, side: int, shape: tuple[int, int], bend: float) -> tuple[slice, slice, Tensor]:
    """Find the rows and columns of an image that a view needs, and the same view from the middle of these.

    A direction in which the view leaves the image is kept whole, for the image is mirrored there.

    Parameters
    ----------
    view
        See `draw_view`.
    side
        Of the crop.
    shape
        Of the image, (Y, X).
    bend
        How far pixels of the crop are moved at most along x and y.
    """
    reaches = (view[:, :2].abs().sum(dim=1) * (side / 2 + bend)).tolist()
    windows, moved = [], view.clone()
    for axis, (reach, length) in enumerate(zip(reaches, shape[::-1], strict=True)):
        centre = length / 2 + float(view[axis, 2])
        start, stop = math.floor(centre - reach) - 2, math.ceil(centre + reach) + 2
        if start < 0 or stop > length:
            start, stop = 0, length
        windows.append(slice(start, stop))
        moved[axis, 2] += (length - start - stop) / 2
    columns, rows = windows
    return rows, columns, moved


def draw_view(sample: Sample, side: int, options: Augmentation, rng: Generator) -> Tensor:
    """Draw an affine transform from crop to image coordinates, in pixels about both centres.

    Returns
    -------
    Tensor
        float32 (2, 3): x and y of the image from (x, y, 1) of the crop.
    """
    scale = draw_scale(sample, options, rng)
    angle = rng.integers(4) * math.pi / 2
    if rng.random() < options.rotate:
        angle += rng.uniform(0, math.pi / 2)
    flip = 1 if rng.random() < 0.5 else -1
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    shift_x, shift_y = draw_centre(sample, side / scale, options, rng)
    return torch.tensor([[cos * flip, -sin, shift_x], [sin * flip, cos, shift_y]], dtype=torch.float32)


def draw_scale(sample: Sample, options: Augmentation, rng: Generator) -> float:
    """Draw a magnification, log-uniform in the range that the options give for this sample."""
    least, most = options.scale
    if sample.diameters.size:
        median = float(np.median(sample.diameters))
        if options.diameter is not None:
            least, most = (diameter / median for diameter in options.diameter)
        least = min(max(least, options.smallest_object / median), most)
    return math.exp(rng.uniform(math.log(least), math.log(most)))


def draw_centre(sample: Sample, extent: float, options: Augmentation, rng: Generator) -> tuple[float, float]:
    """Draw where the middle of a crop of this extent (pixels of the image) lies: x and y from the image's middle."""
    sides = sample.labels.shape[::-1]
    # The crop stays inside the image where it can.
    room_x, room_y = (max(0.0, side - extent) / 2 for side in sides)
    if rng.random() < options.on_object and (pixel := draw_object_pixel(sample.labels, rng)) is not None:
        row, column = pixel
        x, y = (place + rng.uniform(-extent, extent) / 3 for place in (column - sides[0] / 2, row - sides[1] / 2))
        return min(max(x, -room_x), room_x), min(max(y, -room_y), room_y)
    return rng.uniform(-1, 1) * room_x, rng.uniform(-1, 1) * room_y


def draw_object_pixel(labels: NDArray[np.int32], rng: Generator) -> tuple[int, int] | None:
    """Draw (row, column) of a pixel that lies in an object, each as likely as any other; None if there is none."""
    flat = labels.ravel()
    # Trying some spares the search through all, which takes longer than the crop.
    some = rng.integers(flat.size, size=TRIED_PIXELS)
    hits = some[flat[some] > 0]
    if not hits.size:
        found = np.flatnonzero(flat > 0)
        hits = rng.choice(found, 1) if found.size else found
    return divmod(int(hits[0]), labels.shape[1]) if hits.size else None


def draw_bend(side: int, spread: float, rng: Generator) -> Tensor:
    """Draw a smooth displacement of each pixel of a crop, float32 (side, side, 2), x and y in pixels.

    The points of a net of `BEND_MESH` pixels move at random, and all between follows smoothly.
    """
    points = max(4, round(side / BEND_MESH))
    net = torch.from_numpy(rng.standard_normal((2, points, points), dtype=np.float32)) * spread
    between = interpolate_cubic(side, points)
    return (between @ net @ between.T).permute(1, 2, 0)


@cache
def interpolate_cubic(side: int, points: int) -> Tensor:
    """Give the weights of `points` values in each of `side` places evenly between the first and the last."""
    corner = torch.eye(points)[None, None]
    return functional.interpolate(corner, size=(side, points), mode="bicubic", align_corners=True)[0, 0]


@cache
def pixel_centres(side: int) -> Tensor:
    """Give x and y of each pixel of a crop as grid_sample counts them, from -1 to 1: float32 (side, side, 2)."""
    centres = (2 * torch.arange(side) + 1) / side - 1
    return torch.stack(torch.meshgrid(centres, centres, indexing="xy"), dim=-1)


def resample(layers: Tensor, view: Tensor, side: int, bend: Tensor | None = None) -> Tensor:
    """Resample (C, Y, X) bilinearly through a view to (C, side, side), mirrored beyond the image.

    `bend` moves the pixels of the crop before the view does, see `draw_bend`.
    """
    height, width = layers.shape[1:]
    # grid_sample counts both images from -1 to 1.
    size = torch.tensor([[width], [height]])
    theta = view * torch.tensor([[side, side, 2]]) / size
    places = pixel_centres(side) if bend is None else pixel_centres(side) + 2 / side * bend
    grid = places @ theta[:, :2].T + theta[:, 2]
    return functional.grid_sample(layers[None], grid[None], padding_mode="reflection", align_corners=False)[0]


def relight(pixels: Tensor, options: Augmentation, rng: Generator) -> Tensor:
    """Change colour, contrast, sharpness and noise of (1 or 3, Y, X), normalised intensities, to (3, Y, X)."""

    def chance(probability: float) -> bool:
        return bool(rng.random() < probability)

    def factor(spread: float) -> float:
        return float((1 + spread) ** rng.uniform(-1, 1))

    colourless = len(pixels) == 1 or bool((pixels[1:] == pixels[0]).all())
    if colourless:
        # One of three equal channels is a third of the work.
        pixels = pixels[:1]
        if chance(options.tint):
            pixels = pixels * draw_tint(rng)
    elif chance(options.grey):
        weights = torch.from_numpy(rng.dirichlet(np.ones(3)).astype(np.float32))
        pixels = (pixels * weights[:, None, None]).sum(0, keepdim=True)
        # Without recolouring no number is drawn for it, so that recipes that do not keep their crops.
        if options.recolour and chance(options.recolour):
            pixels = pixels * draw_tint(rng)
    elif chance(options.shuffle):
        pixels = pixels[torch.from_numpy(rng.permutation(3))]
    if chance(options.invert):
        pixels = 1 - pixels
    if options.balance and len(pixels) == 3:
        pixels = pixels * torch.tensor([factor(options.balance) for _ in pixels])[:, None, None]
    pixels = pixels.clamp(min=0) ** factor(options.gamma)
    pixels = pixels * factor(options.gain) + rng.uniform(-options.offset, options.offset)
    if options.shade and chance(0.3):
        pixels = pixels * draw_shade(pixels.shape[-1], rng.uniform(0, options.shade), rng)
    if chance(0.25):
        pixels = blur(pixels, rng.uniform(0.3, max(0.3, options.blur)))
    if chance(0.5):
        sigma = rng.uniform(0, options.noise)
        # Most cameras of grey images give the same noise to all channels.
        pixels = pixels + sigma * draw_noise(3 if chance(0.3) else 1, pixels.shape[-1], options.grain, rng)
    pixels = pixels.expand(3, -1, -1)
    if chance(options.jpeg):
        pixels = compress(pixels, int(rng.integers(30, 95)))
    return pixels


def draw_tint(rng: Generator) -> Tensor:
    """Draw the parts of a grey image's light that red, green and blue get, float32 (3, 1, 1), the most of them 1."""
    tint = rng.random(3).astype(np.float32)
    return torch.from_numpy(tint / tint.max())[:, None, None]


def draw_noise(channels: int, side: int, grain: float, rng: Generator) -> Tensor:
    """Draw Gaussian noise, float32 (channels, side, side), whose grains are up to so many pixels wide."""
    # Without grains no number is drawn for them, so that recipes without them keep their crops.
    seen = side if grain == 1 else math.ceil(side / rng.uniform(1, grain))
    noise = torch.from_numpy(rng.standard_normal((channels, seen, seen), dtype=np.float32))
    if seen == side:
        return noise
    return functional.interpolate(noise[None], size=(side, side), mode="bilinear", align_corners=False)[0]


def draw_shade(side: int, depth: float, rng: Generator) -> Tensor:
    """Draw a smooth illumination, float32 (side, side), between 1 - depth and 1 + depth."""
    corners = torch.from_numpy(rng.uniform(-depth, depth, (1, 1, 3, 3)).astype(np.float32))
    return 1 + functional.interpolate(corners, size=(side, side), mode="bilinear", align_corners=True)[0, 0]


def compress(pixels: Tensor, quality: int) -> Tensor:
    """Pass (3, Y, X) with intensities around 0..1 through a JPEG file of that quality; what lies outside is cut."""
    bytes_ = (pixels.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    file = io.BytesIO()
    iio.imwrite(file, bytes_, extension=".jpg", quality=quality)
    read = np.asarray(iio.imread(file.getvalue(), extension=".jpg"))
    return torch.from_numpy(read).permute(2, 0, 1).float() / 255


def blur(pixels: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (C, Y, X), by two passes of a kernel cut at three standard deviations."""
    reach = math.ceil(3 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = functional.pad(pixels[:, None], (reach, reach, reach, reach), mode="replicate")
    rows = functional.conv2d(padded, kernel[None, None, :, None])
    return functional.conv2d(rows, kernel[None, None, None, :])[:, 0]
