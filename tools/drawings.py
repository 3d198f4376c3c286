"""Make the drawings of docs/how-tiling-works.md and docs/how-decoding-works.md.

Run with ``python tools/drawings.py [NAME ...]``; without a name all are made. Each shows what this package computes of
its own sample images, on the processor in float32, so that nothing is invented. It takes two minutes on one core.
"""

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sheets import Sheet, coloured, grey, ramp

from napari_unetseg import Image, samples
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.inference.tiling.blended import plan_blended
from napari_unetseg.inference.tiling.exact import Tile, plan_tiles, round_up
from napari_unetseg.postprocessing.basins import Basins, find_basins, join_blocks
from napari_unetseg.postprocessing.blocks import Block, blocks
from napari_unetseg.postprocessing.contours import trace_contours
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.postprocessing.landscape import elevation
from napari_unetseg.postprocessing.merging import join_fragments, merge_basins
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.postprocessing.reduction import open_basins, reduce_basins
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.registry import find_model

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"

MODEL = "nuclei"
CLUMP = np.s_[30:112, 160:288]
"""Seven nuclei of the sample, most of which touch."""

TISSUE = np.s_[214:276, 264:368]
"""Nuclei of the tissue, and something that the model is not sure of."""

Maps = NDArray[np.float32]
Labels = NDArray[np.int32]


@cache
def model() -> tuple[torch.nn.Module, int, int]:
    """Return the network, how many pixels it sees around one, and the grid on which windows begin."""
    network = load_network(find_model(MODEL)).float().eval()
    assert network.receptive_radius is not None  # noqa: S101 - it has no statistics of the image
    return network, network.receptive_radius, network.facts.grid


@torch.inference_mode()
def logits(pixels: Maps) -> Maps:
    """Return what the network answers to pixels (C, Y, X)."""
    answer: Maps = model()[0](torch.from_numpy(np.ascontiguousarray(pixels))[np.newaxis])[0].numpy()
    return answer


def shown_to_network(image: Image) -> Maps:
    """Return an image as the network sees it, float32 (C, Y, X)."""
    card = find_model(MODEL).card
    return normalise(image, card.normalisation, card.input_channels).array


@cache
def clump() -> tuple[NDArray[np.uint8], Maps]:
    """Return the sample as grey, and its maps."""
    image = samples.nuclei()
    return grey(image.array, *np.percentile(image.array, [1, 99.8])), probabilities(image)


def probabilities(image: Image) -> Maps:
    """Return the maps of an image, foreground and boundary."""
    maps: Maps = torch.sigmoid(torch.from_numpy(logits(shown_to_network(image)))).numpy()
    return maps


@cache
def mirrored_sample(side: int) -> Image:
    """Return the sample with its mirror images around it."""
    sample = samples.nuclei().array
    return Image(np.pad(sample, (side - len(sample)) // 2, mode="symmetric"), "YX")


def tiling_windows() -> Sheet:
    """Show which windows the network sees of an image, and what is kept of them."""
    side, binned, scale = 1536, 4, 0.235
    _, radius, grid = model()
    tiles = plan_tiles((side, side), 832, round_up(radius, grid), grid)
    array = mirrored_sample(side).array
    small = array.reshape(side // binned, binned, -1, binned).mean(axis=(1, 3))
    pixels = grey(small, *np.percentile(small, [1, 99.8]))
    sheet = Sheet(780, 430, "An image divided into nine tiles, and the window that the network sees for two of them")
    for left, which, head in ((16, 4, "A tile in the middle"), (404, 0, "A tile at the corner")):
        sheet.words(left, 24, head, head=True)
        sheet.picture(pixels, left, 36, binned * scale)
        for tile in tiles:
            _box(sheet, tile.write, left, 36, scale, "white")
        _box(sheet, tiles[which].write, left, 36, scale, "shade")
        _box(sheet, tiles[which].read, left, 36, scale, "mark")
        sides = " x ".join(str(part.stop - part.start) for part in tiles[which].write)
        sheet.words(left, 414, f"read {_sides(tiles[which])} (orange), keep {sides} (shaded)")
    return sheet


def _sides(tile: Tile) -> str:
    return " x ".join(map(str, tile.read_shape))


def _box(sheet: Sheet, part: tuple[slice, ...], x: float, y: float, scale: float, kind: str) -> None:
    """Draw the border of rows and columns of a picture."""
    rows, columns = part
    width, height = ((side.stop - side.start) * scale for side in (columns, rows))
    sheet.box(x + columns.start * scale, y + rows.start * scale, width, height, kind)


def tiling_reach() -> Sheet:
    """Show which pixels of the answer change with one pixel of the image, and by how much."""
    pixels = shown_to_network(samples.nuclei())
    _, radius, _ = model()
    middle = pixels.shape[-1] // 2
    changed = pixels.copy()
    changed[:, middle, middle] += 1
    difference = np.abs(logits(changed) - logits(pixels)).max(axis=0)
    rows, columns = np.nonzero(difference)
    reach = int(max(np.abs(rows - middle).max(), np.abs(columns - middle).max()))
    scale = 0.75
    sheet = Sheet(780, 430, "How far one pixel of the image changes the answer of the network")
    sheet.picture(ramp((np.log10(np.maximum(difference, 1e-7)) + 7) / 7), 16, 24, scale)
    around = slice(middle - radius, middle + radius + 1)
    _box(sheet, (around, around), 16, 24, scale, "mark")
    at = 424.0
    sheet.words(at, 44, "One pixel, in the middle, was made brighter.", head=True)
    sheet.words(at, 68, f"Here changes reach {reach} pixels far. Beyond {radius},")
    sheet.words(at, 86, "the orange square, no image can change a bit.")
    for line, least in enumerate((0.1, 0.01, 0.001)):
        far = np.abs(np.argwhere(difference >= least) - middle).max()
        sheet.words(at, 122 + 18 * line, f"changes of {least:g} and more: up to {far} pixels away")
    bar = np.repeat(np.linspace(0, 1, 240)[np.newaxis], 14, axis=0)
    sheet.picture(ramp(bar), at, 200)
    for exponent in (-7, -5, -3, -1, 0):
        words = "0" if exponent == -7 else f"{10.0**exponent:g}"
        sheet.words(at + 240 * (exponent + 7) / 7, 232, words, anchor="middle")
    sheet.words(at, 254, "change of what the network answers, before")
    sheet.words(at, 272, "it becomes a probability")
    return sheet


def tiling_halo() -> Sheet:
    """Show by how much tiles differ from the whole image, with halos of several widths and off the grid."""
    _, radius, grid = model()
    halo = round_up(radius, grid)
    side, shown = 1024, 168
    pixels = shown_to_network(mirrored_sample(side))
    whole = logits(pixels)
    tiles = plan_tiles((side, side), 736, halo, grid)
    middle = slice(side // 2 - shown, side // 2 + shown)
    sheet = Sheet(780, 236, "By how much tiles differ from the whole image: without a halo, with half of it, with it")
    for place, (width, off, head) in enumerate(
        ((0, 0, "no halo"), (halo // 2, 0, "half the halo"), (halo, 8, "8 pixels off the grid"), (halo, 0, "as it is"))
    ):
        difference = np.abs(sigmoid(_tiled(pixels, tiles, width, off)) - sigmoid(whole)).max(axis=0)[middle, middle]
        left = 16 + 190 * place
        sheet.words(left, 24, head, head=True)
        sheet.picture(ramp((np.log10(np.maximum(difference, 1e-6)) + 6) / 6), left, 36, 0.5)
        sheet.words(left, 222, f"at most {difference.max():.2g}")
    return sheet


def sigmoid(values: Maps) -> Maps:
    """Return logits as probabilities."""
    answer: Maps = torch.sigmoid(torch.from_numpy(values)).numpy()
    return answer


def _tiled(pixels: Maps, tiles: list[Tile], halo: int, off: int) -> Maps:
    """Return the answer put together from tiles with so wide a halo, in windows so many pixels off the grid."""
    grid = model()[2]
    beyond = np.pad(pixels, ((0, 0), (0, grid), (0, grid)), mode="symmetric")
    answer = np.empty((2, *pixels.shape[1:]), np.float32)
    for tile in tiles:
        read = tuple(
            slice(kept.start - halo - off, min(kept.stop + halo, side) + (grid - off) % grid)
            if kept.start > 0
            else slice(0, min(kept.stop + halo, side))
            for kept, side in zip(tile.write, pixels.shape[1:], strict=True)
        )
        kept = tuple(
            slice(own.start - seen.start, own.stop - seen.start) for own, seen in zip(tile.write, read, strict=True)
        )
        answer[:, *tile.write] = logits(beyond[:, *read])[:, *kept]
    return answer


def tiling_blending() -> Sheet:
    """Show the shares of windows that overlap."""
    window, length = 1024, 2560
    tiles = plan_blended((window, length), (window, length), window)
    left, top, width, height = 56, 40, 700, 130
    sheet = Sheet(780, 230, "Three windows that overlap by a quarter, and the share of each in every column")
    sheet.words(16, 24, f"Share of three windows of {window} pixels in each column of an image", head=True)
    for kind, tile in zip(("mark", "teal", "blue"), tiles, strict=True):
        assert tile.column_weights is not None  # noqa: S101 - windows overlap
        columns = np.arange(tile.write[1].start, tile.write[1].stop)
        x = left + columns[::4] / length * width
        sheet.lines(np.column_stack([x, top + height * (1 - tile.column_weights[::4])]), kind)
    for share in (0, 1):
        y = top + height * (1 - share)
        sheet.lines([(left, y), (left + width, y)], "dash")
        sheet.words(left - 10, y + 4, str(share), anchor="end")
    for column in (0, 768, 1024, 1536, 1792, length):
        at = left + column / length * width
        sheet.lines([(at, top + height), (at, top + height + 5)], "line")
        sheet.words(at, top + height + 22, str(column), anchor="middle")
    sheet.words(left + width, 222, "column", anchor="end")
    return sheet


def basins_of(maps: Maps) -> tuple[Maps, Basins, Labels]:
    """Return the landscape of a part of the maps, its basins, and the number of each pixel's basin."""
    planes = _planes(maps)
    shape = planes["foreground"].shape
    whole: Block = tuple(slice(0, side) for side in shape)
    heights = elevation(planes, _card().threshold, whole)
    found, numbers = find_basins(heights, whole, shape)
    return heights[1:-1, 1:-1], found, numbers


def _planes(maps: Maps) -> dict[str, Maps]:
    return dict(zip(find_model(MODEL).card.heads, maps, strict=True))


def _card() -> DecodeParameters:
    return find_model(MODEL).card.parameters


def tiling_blocks() -> Sheet:
    """Show objects that lie across the edges of blocks, as each block finds them and joined."""
    planes, split = _planes(clump()[1][:, *CLUMP]), _card().split
    shape = planes["foreground"].shape
    parts = list(blocks(shape, 64))
    pixels, scale = clump()[0][CLUMP] // 2, 2.9
    own, found, total = np.zeros(shape, np.int32), [], 0
    numbers = np.zeros(shape, np.int32)
    for part in parts:
        basins, numbers[part] = find_basins(elevation(planes, _card().threshold, part), part, shape)
        found.append(basins)
        is_open = open_basins(numbers[part], part, shape, len(basins.peak))
        _, group = reduce_basins(basins, is_open, split)
        own[part] = np.append(0, group + 1 + total)[numbers[part]]
        total += int(group.max()) + 1
    joined, meaning = join_blocks(parts, found, shape[1], lambda row, column: numbers[row, column])
    owner = join_fragments(joined, merge_basins(joined, split), split)
    labels = np.zeros(shape, np.int32)
    for part, means in zip(parts, meaning, strict=True):
        labels[part] = np.append(owner + 1, 0)[means][numbers[part]]
    sheet = Sheet(780, 320, "Pieces of objects in four blocks of an image, and the objects that they are")
    for left, head, shown in ((16, "What each block finds", own), (398, "Joined over the edges of blocks", labels)):
        sheet.words(left, 24, head, head=True)
        sheet.picture(coloured(shown, pixels), left, 36, scale)
        sheet.outlines(shown, left, 36, scale)
        for part in parts:
            _box(sheet, part, left, 36, scale, "mark-dash")
    sheet.words(16, 300, f"{len(np.unique(own)) - 1} pieces in {len(parts)} blocks, most of them at the edges")
    sheet.words(398, 300, f"{labels.max()} objects, as of the undivided image")
    return sheet


def decoding_maps() -> Sheet:
    """Show an image, what the network answers, and the landscape that follows."""
    pixels, maps = clump()
    foreground, boundary = maps[:, *CLUMP]
    heights, _, _ = basins_of(maps[:, *CLUMP])
    scale, left, right = 2.9, 16, 398
    sheet = Sheet(780, 604, "An image, its maps of foreground and boundary, and the landscape made of them")
    shown = (
        (left, 24, "1: The image", pixels[CLUMP]),
        (right, 24, "2: Foreground: is there an object?", ramp(foreground)),
        (left, 326, "3: Boundary: do two objects meet here?", ramp(boundary)),
        (right, 326, "4: The landscape, above the threshold", ramp(np.where(np.isfinite(heights), heights, 0))),
    )
    for x, y, head, picture in shown:
        sheet.words(x, y, head, head=True)
        sheet.picture(picture, x, y + 12, scale)
    sheet.outlines((foreground >= _card().threshold).astype(np.int32), right, 36, scale)
    sheet.words(right, 290, f"white: where it is {_card().threshold:g}, the threshold")
    sheet.words(right, 592, "foreground x (1 - boundary), smoothed a little")
    return sheet


def decoding_basins() -> Sheet:
    """Show the basins of a landscape, and the objects that they are merged into."""
    pixels = clump()[0][CLUMP] // 2
    _, basins, numbers = basins_of(clump()[1][:, *CLUMP])
    width, scale = numbers.shape[1], 2.9
    owner = merge_basins(basins, _card().split)
    objects = np.append(0, owner + 1)[numbers]
    seeds = _highest_peaks(basins, owner)
    sheet = Sheet(780, 320, "Basins of a landscape with their peaks, and the objects that they become")
    for left, head, labels, peaks in (
        (16, f"5: {len(basins.peak)} basins, each with a peak", numbers, range(len(basins.peak))),
        (398, f"6: {owner.max() + 1} objects, each with its highest peak", objects, seeds),
    ):
        sheet.words(left, 24, head, head=True)
        sheet.picture(coloured(labels, pixels), left, 36, scale)
        sheet.outlines(labels, left, 36, scale)
        for peak in peaks:
            row, column = divmod(int(basins.peak[peak]), width)
            sheet.dot(left + (column + 0.5) * scale, 36 + (row + 0.5) * scale, 2.2)
    return sheet


def decoding_split() -> Sheet:
    """Show the landscape along a way over a saddle point, and at which splits it divides."""
    heights, basins, _ = basins_of(probabilities(samples.tissue())[:, *TISSUE])
    owner = merge_basins(basins, _card().split)
    peaks = _highest_peaks(basins, owner)
    between = basins.saddles
    one, other = owner[between.one], owner[between.other]
    lower = np.minimum(basins.height[peaks[one]], basins.height[peaks[other]])
    # Of the saddle points that divide, the one that only just does.
    chosen = int(np.where(one != other, between.height / lower, -1).argmax())
    ends = [int(peaks[one[chosen]]), int(peaks[other[chosen]])]
    saddle = int(between.edge[chosen]) % heights.size
    indices = [int(basins.peak[ends[0]]), saddle, int(basins.peak[ends[1]])]
    places = [np.array(divmod(index, heights.shape[1]), float) for index in indices]
    way = np.concatenate([np.linspace(places[0], places[1], 60), np.linspace(places[1], places[2], 60)[1:]])
    profile = np.where(np.isfinite(heights), heights, 0)[tuple(way.round().astype(int).T)]
    verdicts = {}
    for split in (0.1, _card().split, 0.9):
        found = merge_basins(basins, split)
        verdicts[split] = "divided" if found[ends[0]] != found[ends[1]] else "one object"
    return _profile_sheet(way, profile, float(between.height[chosen]), float(lower[chosen]), verdicts)


def _highest_peaks(basins: Basins, owner: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return of each object the basin with the highest peak."""
    highest = np.lexsort((-basins.height, owner))
    return highest[np.unique(owner[highest], return_index=True)[1]]


def _profile_sheet(
    way: NDArray[np.float64], profile: Maps, saddle: float, lower: float, verdicts: dict[float, str]
) -> Sheet:
    scale, left, top, width, height = 3.4, 424, 48, 330, 200
    sheet = Sheet(780, 320, "The landscape along a line from the peak of one object over the saddle point to another")
    sheet.words(16, 24, "From peak to peak over the saddle point", head=True)
    sheet.picture(samples.tissue().array[TISSUE], 16, 36, scale)
    sheet.lines(np.column_stack([16 + (way[:, 1] + 0.5) * scale, 36 + (way[:, 0] + 0.5) * scale]), "mark")
    sheet.words(left, 24, "Height along that line", head=True)
    x = left + np.linspace(0, width, len(profile))
    sheet.lines(np.column_stack([x, top + height * (1 - profile)]), "mark")
    for value in (0, 0.5, 1):
        sheet.words(left - 8, top + height * (1 - value) + 4, f"{value:g}", anchor="end")
    sheet.lines([(left, top), (left, top + height), (left + width, top + height)], "line")
    for split, verdict in verdicts.items():
        y = top + height * (1 - np.sqrt(split) * lower)
        sheet.lines([(left, y), (left + width, y)], "dash")
        at, anchor = (left + width / 2, "middle") if split > 0.5 else (left + width, "end")  # clear of the line
        sheet.words(at, y - 5, f"split {split:g}: {verdict}", anchor=anchor)
    sheet.words(left, 274, f"Saddle point {saddle:.2f}, lower peak {lower:.2f}: {saddle / lower:.2f} of it.")
    sheet.words(left, 292, "Lines: lower peak x square root of split.")
    return sheet


def decoding_sliders() -> Sheet:
    """Show what each slider does to a piece of tissue."""
    image = samples.tissue()
    maps, heads, card = probabilities(image), find_model(MODEL).card.heads, _card()
    rows = (
        ("threshold", (0.05, card.threshold, 0.98)),
        ("split", (0.0, card.split, 1.0)),
        ("smoothing", (0, 3, 6)),
        ("min_size", (0, 100, 200)),
        ("min_confidence", (0.0, card.min_confidence, 0.95)),
    )
    pixels = image.array[TISSUE]
    scale = 2.3
    sheet = Sheet(780, 20 + 182 * len(rows), "What the sliders do, each with three values")
    loose = card.model_copy(update={"min_confidence": 0.0})
    for line, (name, values) in enumerate(rows):
        for place, value in enumerate(values):
            labels = decode(maps, heads, loose.model_copy(update={name: value}))[TISSUE]
            left, top = 16 + 253 * place, 14 + 182 * line
            sheet.words(left, top + 12, f"{name} = {value:g}", head=True)
            sheet.picture(coloured(_from_one(labels), pixels, 0.45), left, top + 20, scale)
            sheet.outlines(labels, left, top + 20, scale)
    return sheet


def _from_one(labels: Labels) -> Labels:
    """Return objects by where they begin, so that a colour stays although others come or go."""
    first = {value: np.argwhere(labels == value)[0] for value in np.unique(labels) if value}
    table = np.zeros(int(labels.max(initial=0)) + 1, np.int32)
    for value, (row, column) in first.items():
        table[value] = 1 + row // 5 + column // 5
    return table[labels]


def decoding_outline() -> Sheet:
    """Show outlines along the edges of pixels."""
    maps = clump()[1]
    labels = decode(maps, find_model(MODEL).card.heads, _card())
    part = np.s_[66:80, 218:238]
    own, scale = labels[part], 26
    sheet = Sheet(780, 412, "Pixels of two objects, and outlines along their edges")
    sheet.words(16, 24, "Outlines run along the edges of pixels", head=True)
    sheet.picture(coloured(own, np.full(own.shape, 40, np.uint8), 0.55), 16, 36, scale)
    sheet.outlines(own, 16, 36, scale)
    for contour in trace_contours(own):
        for row, column in contour.exterior:
            sheet.dot(16 + (column + 0.5) * scale, 36 + (row + 0.5) * scale, 2.5)
    at = 556
    counts = np.unique(own[own > 0])
    for line, text in enumerate(
        (
            "A dot is a vertex. Between two",
            "there is a straight line along",
            "edges of pixels.",
            "",
            "Objects that touch share a line.",
            "",
            f"Labels {' and '.join(map(str, counts))} of the sample.",
        )
    ):
        sheet.words(at, 60 + 19 * line, text)
    return sheet


DRAWINGS: dict[str, Callable[[], Sheet]] = {
    "how-tiling-windows": tiling_windows,
    "how-tiling-reach": tiling_reach,
    "how-tiling-halo": tiling_halo,
    "how-tiling-blending": tiling_blending,
    "how-tiling-blocks": tiling_blocks,
    "how-decoding-maps": decoding_maps,
    "how-decoding-basins": decoding_basins,
    "how-decoding-split": decoding_split,
    "how-decoding-sliders": decoding_sliders,
    "how-decoding-outline": decoding_outline,
}


def main() -> None:
    """Write the drawings that are named, or all."""
    for name in sys.argv[1:] or DRAWINGS:
        DRAWINGS[name]().save(IMAGES / f"{name}.svg")


if __name__ == "__main__":
    main()
