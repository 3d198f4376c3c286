"""How much memory a network takes while it computes, estimated from its facts. Imports no torch."""

from napari_unetseg.networks.facts import NetworkFacts

BAND = 2**16
"""Pixels of a map in a band: its rows stay in the processor's cache from one layer to the next."""

SMALL = 2**17
"""Pixels of a map up to which it is not worth dividing."""

_MAPS = 5
"""Maps that a level of a U-Net holds at once, in maps of its own width. Where it decodes, its encoder's map and the
one from below lie side by side, which is as much as two, and either convolution makes another; the fifth is what the
libraries work in."""

_MAPS_WITH_ATTENTION = 9
"""The same where features are weighed, as gates and residual connections keep their inputs until their weights are
known."""


def working_bytes(
    facts: NetworkFacts, height: int, width: int, *, in_bands: bool, bytes_per_value: int = 4
) -> int | None:
    """Return about how many bytes a network's maps take while it computes a window; None if that is not known.

    Measured on a CPU in float32, with U-Nets and CBAM-ResUNets of 16 to 32 channels and windows of 1376 to 2240 pixels,
    with and without bands: from 0.8 to 1.2 times as much.

    Parameters
    ----------
    facts
        Of the network.
    height, width
        Of the window.
    in_bands
        Whether it is computed in bands of rows.
    bytes_per_value
        2 in bfloat16.
    """
    if not facts.features:
        return None
    pixels = height * width / facts.block**2
    if in_bands:
        values = _in_bands(facts.features, pixels)
    else:
        values = (_MAPS_WITH_ATTENTION if facts.uses_attention else _MAPS) * facts.features[0] * pixels
    return round(bytes_per_value * values)


def _in_bands(features: tuple[int, ...], pixels: float, level: int = 0) -> float:
    """Return the most values that a level and those below it hold at once, as `UNet.bands` computes them."""
    width = features[level]
    if level == len(features) - 1 or pixels <= SMALL:
        return _MAPS * width * pixels
    # What its encoder makes is kept for its decoder, and so is what that gives; of the first level neither is.
    encoded = decoded = width * pixels if level else 0.0
    pooled, below = width * pixels / 4, features[level + 1] * pixels / 4
    band = _MAPS * width * min(BAND, pixels)
    return max(encoded + pooled + _in_bands(features, pixels / 4, level + 1), encoded + below + decoded + band)
