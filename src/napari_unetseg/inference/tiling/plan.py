"""Into which windows an image is divided for a network on a device. Imports no torch."""

from dataclasses import dataclass, replace
from math import prod
from typing import Protocol

from napari_unetseg.inference.backends import computes_in_bands
from napari_unetseg.inference.tiling.blended import plan_blended
from napari_unetseg.inference.tiling.exact import Tile, plan_tiles, round_up, smallest_window, whole_image
from napari_unetseg.inference.tiling.stated import plan_stated
from napari_unetseg.language import Sentence
from napari_unetseg.networks.facts import ForeignFacts, NetworkFacts, foreign_facts, network_facts
from napari_unetseg.networks.foreign_arguments import is_foreign
from napari_unetseg.zoo.card import ModelCard

MOST_TILES_AT_ONCE = 8
"""Default of the most tiles that the network sees at once on a GPU."""

PIXELS_AT_ONCE = 2**22
"""Pixels that keep a GPU busy; of more at once only memory is taken."""

TILE = 928
"""Largest side, in pixels, of what is kept of a window by default; the halo comes on top.

A larger one wastes less on the halo, but needs more memory (0.7 GB here for a U-Net that begins with 16
channels) and lets a cancel wait longer for a layer to end.
"""

BANDED_TILE = 2112
"""The same where the network computes its window in bands of rows, which needs half the memory a pixel (see
`Backend.in_bands`), and stops within a band."""

BLENDED_WINDOW = 1024
"""Side of the window where windows are blended: what the published InstanceNorm networks were trained on."""

MIN_BLENDED_WINDOW = 256
"""No image is divided into smaller blended windows for want of memory: their answer would be worth little."""

MIN_HALOS = 3
"""No image is divided into smaller exact tiles for want of memory: at three halos a tile keeps a third of its
side, and nine times the pixels are computed; smaller ones soon cost more than they save."""

BYTES_PER_PIXEL = 4096
"""Memory that a pixel of an undivided image may take; see `pixels_that_fit`."""


def pixels_that_fit(memory: int) -> int:
    """Return the most pixels that an undivided image may have on a device with that many bytes.

    The published networks need up to 2.4 KB a pixel while they run; the rest of the memory is
    left to everything else. Total memory counts, not what happens to be free, so that the same
    machine always gives the same result.
    """
    return memory // BYTES_PER_PIXEL


def tiles_at_once(kind: str, window_shape: tuple[int, int], memory: int | None = None) -> int:
    """Return how many tiles the network sees at once by default.

    A single one keeps all cores of a CPU busy. On a GPU it is a power of two, so that few shapes of batches occur; the
    same card always gives the same number.

    Parameters
    ----------
    kind
        Kind of the device.
    window_shape
        Height and width of a tile, halo included.
    memory
        Bytes of the device; None for plenty.
    """
    if kind == "cpu":
        return 1
    pixels = PIXELS_AT_ONCE if memory is None else min(PIXELS_AT_ONCE, pixels_that_fit(memory))
    tiles = max(min(pixels // prod(window_shape), MOST_TILES_AT_ONCE), 1)
    return 1 << (tiles.bit_length() - 1)


@dataclass(frozen=True)
class TileLimits:
    """How much the network may see at once.

    Attributes
    ----------
    window
        Largest side of a window in pixels, halo included, as it is wanted; None for the default. It does
        not apply where the whole image is seen.
    largest_whole
        Most pixels that are seen at once by a network whose tiles cannot agree with the whole image.
    limit
        Largest side that fitted into the memory after a larger one had not; None as long as all did.
    """

    window: int | None
    largest_whole: int
    limit: int | None = None


@dataclass(frozen=True)
class TilePlan:
    """How an image is divided.

    Attributes
    ----------
    shape
        Height and width of what is divided: the image, or what it is stretched to.
    padded
        Height and width up to which that is padded.
    tiles
        The windows; all have the same shape.
    halo
        Pixels around a tile that the network sees in addition to it; 0 if the image is not divided, or into
        windows that are blended.
    smaller_window
        Side of the window to try where the memory does not suffice for this one; None if there is none.
    warnings
        Sentences for the user.
    resized_to
        `shape`, where the image is stretched to it; None where it keeps its size.
    largest_window
        Side that a window could have had; with it as `TileLimits.window` the image is divided like this again. None
        where the image is seen whole whatever the window.
    """

    shape: tuple[int, int]
    padded: tuple[int, int]
    tiles: tuple[Tile, ...]
    halo: int
    smaller_window: int | None
    warnings: tuple[str, ...] = ()
    resized_to: tuple[int, int] | None = None
    largest_window: int | None = None

    @property
    def window(self) -> int:
        """Longer side of the windows in pixels."""
        return max(self.tiles[0].read_shape)


class Tileable(Protocol):
    """What the division of an image depends on: a backend, or the facts of a network that is not loaded."""

    @property
    def receptive_radius(self) -> int | None:
        """See `Backend.receptive_radius`."""

    @property
    def grid(self) -> int:
        """See `Backend.grid`."""

    @property
    def in_bands(self) -> bool:
        """See `Backend.in_bands`."""

    def accepted_size(self, height: int, width: int) -> tuple[int, int]:
        """See `Backend.accepted_size`."""


def facts_on(card: ModelCard, backend: str, device: str) -> NetworkFacts:
    """Return the facts of a card's network as a backend computes it on a kind of device, without loading either.

    An image is divided by them as it will be by the loaded backend.
    """
    facts = network_facts(card.architecture.name, card.architecture.arguments)
    return replace(facts, in_bands=facts.in_bands and computes_in_bands(backend, device))


def plan_tiling(
    shape: tuple[int, int],
    card: ModelCard,
    network: Tileable,
    tile_limits: TileLimits,
    resized_to: tuple[int, int] | None = None,
    name: str = "image",
) -> TilePlan:
    """Divide an image, or what it is stretched to, for the network of a card.

    An image that fits into one window is not divided. A larger one is divided into tiles that give
    what the whole image would give. Where the network makes that impossible (see
    `Backend.receptive_radius`), the image is not divided unless it is too large to be seen at once;
    then windows are blended, and a warning says so. Where the card asks for one image size, the one
    window is the whole image, stretched to it. A network that another program wrote sees windows of the sizes, and with
    the halo, that its card states.

    Parameters
    ----------
    shape
        Height and width of what is divided.
    card
        Of the model.
    network
        The loaded backend, or `facts_on` a device.
    tile_limits
        How much it may see at once.
    resized_to
        `shape`, where the image is stretched to it.
    name
        What the image is called.
    """
    if card.image_size is not None:
        size = card.image_size
        return TilePlan(size, size, (whole_image(size, size),), halo=0, smaller_window=None, resized_to=size)
    if is_foreign(card.architecture.name):
        facts = foreign_facts(card.architecture.name, card.architecture.arguments)
        tile_plan = _plan_stated(name, shape, facts, tile_limits)
    elif network.receptive_radius is None:
        tile_plan = _plan_blended(name, shape, network, tile_limits)
    else:
        tile_plan = _plan_exact(shape, network, network.receptive_radius, tile_limits)
    return replace(tile_plan, resized_to=resized_to)


def _plan_exact(shape: tuple[int, int], network: Tileable, radius: int, tile_limits: TileLimits) -> TilePlan:
    halo = round_up(radius, network.grid)
    tile = BANDED_TILE if network.in_bands else TILE
    requested, least = tile_limits.window or tile + 2 * halo, smallest_window(halo, network.grid)
    warnings: tuple[str, ...] = ()
    if requested < least:
        warnings = (
            Sentence(
                "A window of {wanted} pixels is too small for this model; {least} was used.",
                wanted=requested,
                least=least,
            ),
        )
    side = max(min(requested, tile_limits.limit or requested), least)
    tiles = tuple(plan_tiles(shape, side, halo, network.grid))
    padded = network.accepted_size(*shape)
    smaller = _halved(max(tiles[0].read_shape), max(least, MIN_HALOS * halo))
    return TilePlan(shape, padded, tiles, halo if len(tiles) > 1 else 0, smaller, warnings, largest_window=side)


def _plan_blended(name: str, shape: tuple[int, int], network: Tileable, tile_limits: TileLimits) -> TilePlan:
    padded = network.accepted_size(*shape)
    small_enough = shape[0] * shape[1] <= tile_limits.largest_whole
    fits = tile_limits.limit is None or max(padded) <= tile_limits.limit
    requested = tile_limits.window or BLENDED_WINDOW
    if small_enough and fits:
        smaller = _halved(max(padded), MIN_BLENDED_WINDOW)
        return TilePlan(shape, padded, (whole_image(shape, padded),), 0, smaller and min(smaller, requested))
    side = min(requested, tile_limits.limit or requested)
    tiles = tuple(plan_blended(shape, padded, max(network.accepted_size(side, side))))
    warning = _blended_warning(name, shape, tiles, None if small_enough else tile_limits.largest_whole)
    smaller = _halved(max(tiles[0].read_shape), MIN_BLENDED_WINDOW)
    return TilePlan(shape, padded, tiles, 0, smaller, (warning,), largest_window=side)


def _plan_stated(name: str, shape: tuple[int, int], facts: ForeignFacts, tile_limits: TileLimits) -> TilePlan:
    """Divide for a network that takes certain sizes alone: with the halo that its card states, or blended."""
    least = facts.side_below(facts.accepted_side(2 * facts.halo + facts.step)) if facts.halo else facts.smallest
    requested = tile_limits.window or (TILE + 2 * facts.halo if facts.halo else BLENDED_WINDOW)
    side = max(facts.side_below(min(requested, tile_limits.limit or requested)), least)
    if facts.halo:
        tiles, padded = plan_stated(shape, facts, side)
        smaller = _smaller(facts, max(tiles[0].read_shape), max(least, MIN_HALOS * facts.halo))
        halo = facts.halo if len(tiles) > 1 else 0
        return TilePlan(shape, padded, tuple(tiles), halo, smaller, largest_window=side)
    padded = facts.accepted_size(*shape)
    takes_it = facts.takes(*padded)
    small_enough = shape[0] * shape[1] <= tile_limits.largest_whole
    if takes_it and small_enough and (tile_limits.limit is None or max(padded) <= tile_limits.limit):
        smaller = _smaller(facts, max(padded), max(least, MIN_BLENDED_WINDOW))
        return TilePlan(shape, padded, (whole_image(shape, padded),), 0, smaller and min(smaller, side))
    blended = tuple(plan_blended(shape, padded, side))
    # Where it never takes more, there is no undivided image to differ from.
    largest_whole = None if small_enough else tile_limits.largest_whole
    warnings = (_blended_warning(name, shape, blended, largest_whole),) if takes_it else ()
    smaller = _smaller(facts, max(blended[0].read_shape), max(least, MIN_BLENDED_WINDOW))
    return TilePlan(shape, padded, blended, 0, smaller, warnings, largest_window=side)


def _smaller(facts: ForeignFacts, side: int, least: int) -> int | None:
    """Return about half a side, but one that the network takes; None if there is none of at least so many pixels."""
    smaller = facts.side_below(max(side // 2, least))
    return smaller if least <= smaller < side else None


def _halved(side: int, least: int) -> int | None:
    smaller = max(side // 2, least)
    return smaller if smaller < side else None


def _blended_warning(name: str, shape: tuple[int, int], tiles: tuple[Tile, ...], largest_whole: int | None) -> str:
    can_take = (
        ""
        if largest_whole is None
        else Sentence(", which can take {millions:.3g} million pixels", millions=largest_whole / 1e6)
    )
    return Sentence(
        "{image}: with {height} x {width} pixels it is too large for this model to see at once on this "
        "device{can_take}. It was divided into {n} windows of {size} pixels, blended where they overlap. This model "
        "looks at the whole of what it sees, so the result differs somewhat from that of the undivided image.",
        image=name,
        height=shape[0],
        width=shape[1],
        can_take=can_take,
        n=len(tiles),
        size=" x ".join(map(str, tiles[0].read_shape)),
    )
