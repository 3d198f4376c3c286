"""What light, dyes, lenses, cameras and files do to pictures: each on several at once, on any device.

Pictures are float32 (N, 3, Y, X) with intensities around 0..1, and every other array has a row for each picture.
"""

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

STAINS = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))
"""How much red, green and blue haematoxylin, eosin and DAB absorb (Ruifrok and Johnston 2001)."""

DARKEST = 0.02
"""Intensity below which an optical density is not told from another."""

BRIGHTNESS_STEPS = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
COLOUR_STEPS = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *(((99,) * 8,) * 4),
)
"""Steps to which JPEG at a quality of 50 rounds the waves of a block of brightness and of colour (ITU-T T.81, K.1)."""

YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
"""Brightness and two differences of colour from red, green and blue (JFIF)."""


def recolour(pixels: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
    """Mix channels anew, by (N, 3, 3), and add to each, (N, 3)."""
    return torch.baddbmm(shift[:, :, None], matrix, pixels.flatten(2)).view_as(pixels)


def change_tone(pixels: Tensor, gamma: Tensor, gain: Tensor, offset: Tensor) -> Tensor:
    """Raise intensities to a power, multiply them and add to them, each (N,)."""
    gamma, gain, offset = (number.view(-1, 1, 1, 1) for number in (gamma, gain, offset))
    return pixels.clamp(min=0).pow(gamma).mul_(gain).add_(offset)


def stain(pixels: Tensor, amounts: Tensor, shift: Tensor) -> Tensor:
    """Multiply the optical densities of three dyes, and add to them, each (N, 3)."""
    dyes = _constant(STAINS, pixels.device)
    apart = _inverse(STAINS, pixels.device)
    # A colour's densities are a row times the dyes; here they are columns.
    mixed = dyes.T @ (amounts[:, :, None] * apart.T)
    density = -pixels.clamp(DARKEST, 1.5).log()
    return recolour(density, mixed, shift @ dyes).neg_().exp_().clamp_(max=1.5)


def dye(pixels: Tensor, dyes: Tensor, amounts: Tensor, coarse: Tensor, fine: Tensor) -> Tensor:
    """Show bright nuclei on a dark ground, the same in all channels, as dyed ones in tissue under white light.

    What was bright absorbs as haematoxylin does; around it lies tissue of uneven thickness that absorbs as eosin does.

    Parameters
    ----------
    dyes
        (N, 2, 3): what either dye absorbs in each channel.
    amounts
        (N, 4): haematoxylin in what is brightest and everywhere, eosin in the thickest tissue, and of its grains.
    coarse, fine
        (N, points, points): thickness of the tissue on a net, 0..1, and its grains, -1..1.
    """
    side = pixels.shape[-1]
    bright = pixels[:, :1].clamp(0, 1.3)
    most, everywhere, thickest, grains = (number.view(-1, 1, 1, 1) for number in amounts.unbind(1))
    tissue = _smooth_field(coarse, side) * thickest * (1 - 0.6 * bright) + _smooth_field(fine, side) * grains
    densities = torch.cat([bright * most + everywhere, tissue.clamp(min=0)], dim=1)
    return torch.bmm(dyes.transpose(1, 2), densities.flatten(2)).view_as(pixels).neg_().exp_()


def change_details(pixels: Tensor, reach: Tensor, factor: Tensor) -> Tensor:
    """Multiply how far intensities differ from those around them, within a reach in pixels, each (N,)."""
    return torch.lerp(smooth(pixels, reach), pixels, factor.view(-1, 1, 1, 1))


def sharpen(pixels: Tensor, sigma: Tensor, amount: Tensor) -> Tensor:
    """Add so many times what a Gaussian blur takes away, each (N,)."""
    return change_details(pixels, sigma, 1 + amount)


def shade(pixels: Tensor, corners: Tensor) -> Tensor:
    """Multiply by 1 and a smooth field, given on a net (N, points, points)."""
    return pixels * (1 + _smooth_field(corners, pixels.shape[-1]))


def add_haze(pixels: Tensor, corners: Tensor) -> Tensor:
    """Add a smooth field, given on a net (N, points, points)."""
    return pixels + _smooth_field(corners, pixels.shape[-1])


def smooth(pixels: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur by so many pixels, (N,); at the border what lies inside counts alone."""
    line = torch.arange(pixels.shape[-1], device=pixels.device)
    weights = (-0.5 * ((line[:, None] - line) / sigma.view(-1, 1, 1)) ** 2).exp()
    return _along_both(pixels, weights / weights.sum(dim=2, keepdim=True))


def add_noise(
    pixels: Tensor,
    planes: Tensor,
    sigma: Tensor,
    photons: Tensor,
    grain: Tensor,
    *,
    fields: int,
    seed: int,
    grained: bool,
) -> Tensor:
    """Add Gaussian noise.

    Parameters
    ----------
    planes
        (N, 3): which field of noise each channel gets.
    sigma
        (N,): standard deviation of what does not depend on the light.
    photons
        (N,): standard deviation, at an intensity of 1, of what grows with the light's square root, as the less light
        comes in photons.
    grain
        (N,): width of the grains in pixels, between whose middles is interpolated.
    fields
        How many there are.
    seed
        Of the fields.
    grained
        Whether any grain is wider than 1.
    """
    side = pixels.shape[-1]
    generator = torch.Generator(pixels.device).manual_seed(seed)
    noise = torch.randn((fields, side, side), generator=generator, device=pixels.device)[planes.long()]
    if grained:
        line = torch.arange(side, device=pixels.device)
        weights = (1 - (line[:, None] / grain.view(-1, 1, 1) - line).abs()).clamp_(min=0)
        noise = _along_both(noise, weights)
    variance = photons.square().view(-1, 1, 1, 1) * pixels.clamp(0, 2) + sigma.square().view(-1, 1, 1, 1)
    return pixels + noise * variance.sqrt_()


def round_levels(pixels: Tensor, number: Tensor) -> Tensor:
    """Round intensities to so many levels between 0 and 1, (N,)."""
    number = number.view(-1, 1, 1, 1)
    return (pixels * number).round_().div_(number)


def compress(pixels: Tensor, quality: Tensor) -> Tensor:
    """Round as a JPEG file of that quality, 1 to 100 (N,), does; what lies outside 0..1 is cut."""
    count, side = len(pixels), pixels.shape[-1]
    middle = pixels.new_full((count, 3), 128.0)
    to_ycc, back = (
        matrix.expand(count, 3, 3) for matrix in (_constant(YCC, pixels.device), _inverse(YCC, pixels.device))
    )
    coded = recolour(pixels.clamp(0, 1) * 255, to_ycc, middle * _constant((-1, 0, 0), pixels.device))
    padded = functional.pad(coded, (0, -side % 8, 0, -side % 8), mode="replicate")
    waves = _cosines(padded.shape[-1], pixels.device)
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality).view(-1, 1, 1, 1)
    tables = _constant((BRIGHTNESS_STEPS, COLOUR_STEPS, COLOUR_STEPS), pixels.device)
    blocks = padded.shape[-1] // 8
    steps = (tables * percent / 100).round_().clamp_(1, 255).repeat(1, 1, blocks, blocks)
    rounded = _along_both(padded, waves).div_(steps).round_().mul_(steps)
    decoded = _along_both(rounded, waves.T)[:, :, :side, :side]
    return recolour(decoded, back, middle).div_(255).clamp_(0, 1)


def _along_both(pixels: Tensor, weights: Tensor) -> Tensor:
    """Replace rows, then columns, by weighted sums of them; weights are (side, side), for all or for each picture."""
    each = weights.unsqueeze(-3)
    return each @ pixels @ each.mT


def _smooth_field(corners: Tensor, side: int) -> Tensor:
    """Interpolate linearly between a net's points, the outermost in the corners: (N, 1, side, side)."""
    return functional.interpolate(corners[:, None], size=(side, side), mode="bilinear", align_corners=True)


@cache
def _constant(values: tuple[object, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device)


@cache
def _inverse(values: tuple[object, ...], device: torch.device) -> Tensor:
    inverse: Tensor = torch.linalg.inv(torch.tensor(values, dtype=torch.float64))
    return inverse.float().to(device)


@cache
def _cosines(side: int, device: torch.device) -> Tensor:
    """Give what turns rows of blocks of 8 into their cosine waves, (side, side); its transpose is its inverse."""
    place = torch.arange(8)
    block = torch.cos((2 * place + 1) * place[:, None] * math.pi / 16) / 2
    block[0] /= math.sqrt(2)
    return torch.kron(torch.eye(side // 8), block).to(device)
