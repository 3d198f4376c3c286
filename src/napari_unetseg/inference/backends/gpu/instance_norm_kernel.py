"""Triton kernels for InstanceNorm, and the ReLU after it, over maps whose channels lie side by side. Imports triton.

PyTorch's own layer copies such maps to planes and back, which costs a GPU more time than the convolutions between. Here
a map is read twice and written once: `_sums` goes over it in splits of so many pixels, `_join` puts these together, and
`_apply` normalises. Splits depend on a map's size alone, so an image's values do not depend on the others of its batch.

Statistics are float32 of any type of map, and never the mean of squares less the square of the mean (see `fast_layers`
for what that loses): every thread keeps mean and squared deviations of its own pixels (Welford, Technometrics 4, 419,
1962), and these are joined as in Chan, Golub & LeVeque, Am. Stat. 37, 242, 1983.
"""

# Triton knows no annotations beyond its own, and reads the source of kernels: they stay within what its compiler takes.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, no-any-return, import-not-found"

import torch
import triton
import triton.language as tl
from torch import Tensor

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
"""Types of maps that the kernels are for."""

_SPLIT = 1024
_TILE = 4096  # values in a tile: 32 for each of 128 threads, in vectors of 16 bytes
_MOST_CHANNELS = 64
_JOINED_AT_ONCE = 32


def normalise_maps(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, *, relu: bool, out: Tensor
) -> None:
    """Normalise each channel of each image to mean 0 and deviation 1, then by weight and bias.

    Parameters
    ----------
    x
        Maps (N, C, H, W) of one of `DTYPES`, dense in channels_last order.
    weight, bias
        Of the layer, (C,), of any floating type; None for 1 and 0.
    eps
        Added to the variance.
    relu
        Whether negative results become 0; what is not a number stays so.
    out
        Where the result is written, like `x`; it may be `x`.
    """
    images, channels, height, width = x.shape
    pixels = height * width
    block_c = min(_MOST_CHANNELS, triton.next_power_of_2(channels))
    block_p = min(_SPLIT, _TILE // block_c)
    splits, channel_blocks = triton.cdiv(pixels, _SPLIT), triton.cdiv(channels, block_c)
    means, squares = torch.empty((2, images, splits, channels), dtype=torch.float32, device=x.device)
    mean, scale = torch.empty((2, images, channels), dtype=torch.float32, device=x.device)
    has_weight, has_bias = weight is not None, bias is not None
    _sums[(splits, channel_blocks, images)](
        x, means, squares, pixels, channels, splits, SPLIT=_SPLIT, BLOCK_P=block_p, BLOCK_C=block_c
    )
    _join[(channel_blocks, images)](
        means,
        squares,
        weight if has_weight else mean,
        mean,
        scale,
        eps,
        pixels,
        channels,
        splits,
        HAS_WEIGHT=has_weight,
        SPLIT=_SPLIT,
        BLOCK_S=_JOINED_AT_ONCE,
        BLOCK_C=block_c,
    )
    _apply[(triton.cdiv(pixels, block_p), channel_blocks, images)](
        x,
        mean,
        scale,
        bias if has_bias else mean,
        out,
        pixels,
        channels,
        HAS_BIAS=has_bias,
        RELU=relu,
        BLOCK_P=block_p,
        BLOCK_C=block_c,
    )


@triton.jit(do_not_specialize=["pixels", "splits"])
def _sums(
    x,
    means,
    squares,
    pixels,
    channels,
    splits,
    SPLIT: tl.constexpr,  # noqa: N803 (as Triton's constants are written)
    BLOCK_P: tl.constexpr,  # noqa: N803
    BLOCK_C: tl.constexpr,  # noqa: N803
):
    """Write mean and squared deviations of each channel over one split of one image; both are (N, splits, C)."""
    split = tl.program_id(0)
    image = tl.program_id(2).to(tl.int64)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    row = tl.arange(0, BLOCK_P)
    first = split.to(tl.int64) * SPLIT
    mean = tl.zeros((BLOCK_P, BLOCK_C), dtype=tl.float32)
    square = tl.zeros((BLOCK_P, BLOCK_C), dtype=tl.float32)
    count = 0.0
    for start in range(0, SPLIT, BLOCK_P):
        pixel = first + start + row
        seen = (pixel < pixels)[:, None] & (channel < channels)[None, :]
        place = (image * pixels + pixel)[:, None] * channels + channel[None, :]
        value = tl.load(x + place, mask=seen, other=0.0).to(tl.float32)
        count += 1.0
        # Rows end with the map, so that those that see nothing any more keep what they have.
        apart = tl.where(seen, value - mean, 0.0)
        mean += apart / count
        square += apart * tl.where(seen, value - mean, 0.0)
    # How many pixels each row has seen.
    left = tl.minimum(pixels - first, SPLIT) - row
    seen_by_row = tl.maximum((left + BLOCK_P - 1) // BLOCK_P, 0).to(tl.float32)[:, None]
    total = tl.sum(seen_by_row + tl.zeros((BLOCK_P, BLOCK_C), dtype=tl.float32), axis=0)
    joined = tl.sum(mean * seen_by_row, axis=0) / total
    between = mean - joined[None, :]
    spread = tl.sum(square + seen_by_row * between * between, axis=0)
    place = (image * splits + split) * channels + channel
    tl.store(means + place, joined, mask=channel < channels)
    tl.store(squares + place, spread, mask=channel < channels)


@triton.jit(do_not_specialize=["pixels", "splits"])
def _join(
    means,
    squares,
    weight,
    mean_out,
    scale_out,
    eps,
    pixels,
    channels,
    splits,
    HAS_WEIGHT: tl.constexpr,  # noqa: N803
    SPLIT: tl.constexpr,  # noqa: N803
    BLOCK_S: tl.constexpr,  # noqa: N803
    BLOCK_C: tl.constexpr,  # noqa: N803
):
    """Write the mean of each channel over an image, and what its deviations are multiplied by; both are (N, C)."""
    image = tl.program_id(1).to(tl.int64)
    channel = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)
    row = tl.arange(0, BLOCK_S)
    sums = tl.zeros((BLOCK_S, BLOCK_C), dtype=tl.float32)
    for start in range(0, splits, BLOCK_S):
        split = (start + row).to(tl.int64)
        seen = (split < splits)[:, None] & (channel < channels)[None, :]
        share = tl.minimum(pixels - split * SPLIT, SPLIT).to(tl.float32) / pixels
        place = (image * splits + split)[:, None] * channels + channel[None, :]
        sums += share[:, None] * tl.load(means + place, mask=seen, other=0.0)
    mean = tl.sum(sums, axis=0)
    spreads = tl.zeros((BLOCK_S, BLOCK_C), dtype=tl.float32)
    for start in range(0, splits, BLOCK_S):
        split = (start + row).to(tl.int64)
        seen = (split < splits)[:, None] & (channel < channels)[None, :]
        share = tl.minimum(pixels - split * SPLIT, SPLIT).to(tl.float32) / pixels
        place = (image * splits + split)[:, None] * channels + channel[None, :]
        between = tl.where(seen, tl.load(means + place, mask=seen, other=0.0) - mean[None, :], 0.0)
        within = tl.load(squares + place, mask=seen, other=0.0)
        spreads += within / pixels + share[:, None] * between * between
    scale = 1.0 / tl.sqrt(tl.sum(spreads, axis=0) + eps)
    if HAS_WEIGHT:
        scale *= tl.load(weight + channel, mask=channel < channels, other=0.0).to(tl.float32)
    place = image * channels + channel
    tl.store(mean_out + place, mean, mask=channel < channels)
    tl.store(scale_out + place, scale, mask=channel < channels)


@triton.jit(do_not_specialize=["pixels"])
def _apply(
    x,
    mean,
    scale,
    bias,
    out,
    pixels,
    channels,
    HAS_BIAS: tl.constexpr,  # noqa: N803
    RELU: tl.constexpr,  # noqa: N803
    BLOCK_P: tl.constexpr,  # noqa: N803
    BLOCK_C: tl.constexpr,  # noqa: N803
):
    """Normalise a tile of a map."""
    image = tl.program_id(2).to(tl.int64)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    pixel = tl.program_id(0).to(tl.int64) * BLOCK_P + tl.arange(0, BLOCK_P)
    known = channel < channels
    seen = (pixel < pixels)[:, None] & known[None, :]
    place = (image * pixels + pixel)[:, None] * channels + channel[None, :]
    centre = tl.load(mean + image * channels + channel, mask=known, other=0.0)
    factor = tl.load(scale + image * channels + channel, mask=known, other=0.0)
    value = tl.load(x + place, mask=seen, other=0.0).to(tl.float32)
    value = (value - centre[None, :]) * factor[None, :]
    if HAS_BIAS:
        value += tl.load(bias + channel, mask=known, other=0.0).to(tl.float32)[None, :]
    if RELU:
        value = tl.where(value < 0.0, 0.0, value)  # a maximum with 0 would make 0 of what is not a number
    tl.store(out + place, value.to(out.dtype.element_ty), mask=seen)
