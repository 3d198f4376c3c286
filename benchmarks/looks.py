"""What is to be had by showing a model each image at several sizes: chosen, merged object by object, or averaged.

Run with ``python benchmarks/looks.py MODEL DATA --weights FILE --heads NAMES`` where DATA is a folder of images and
masks as the command ``train`` takes it and FILE a safetensors file of the bundled network, whose heads NAMES lists in
order. Each held-out image (see `held_out`) is looked at in six sizes. A rule's constants are chosen on half of the
groups of like images and it is scored on the other, and the other way round. Writes a row in Markdown for each rule,
and a JSON file of all into benchmarks/results. Costs are pixels that the network sees, in relation to today's.
"""

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from held_out import held_out
from look_rules import MAGNIFICATIONS, Looked, Measure, Score, Setting, deal_groups, rules
from machine import describe_machine, short_name
from numpy.typing import NDArray
from safetensors.torch import load_file
from scipy import ndimage
from torch.nn import functional

from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.inference.rescale_decision import diameter_to_rescale_by
from napari_unetseg.inference.size_estimate import area_weighted_diameter
from napari_unetseg.networks import SegmentationNetwork, build
from napari_unetseg.postprocessing.confidence import mean_of_objects
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.training.dataset import Pair, find_pairs, read_pair
from napari_unetseg.training.scores import average_precision, dice_score, iou_matrix
from napari_unetseg.training.split import group_by_appearance
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.registry import find_model

RESULTS = Path(__file__).parent / "results"
TOGETHER = ((1, 1.4), (0.7, 1), (0.7, 1, 1.4), (1, 2), (1, 1.4, 2))
"""Looks that are averaged or merged."""

SAME_GROUP = 1.0
"""Distance of appearances below which the bundled models' recipes take images for alike."""

TURNED = ((1,), (2,), (3,), (0, (2,)))
"""Quarter turns, and the axes along which a look is flipped, which cost as much together as a look at 2."""

COVERED = 0.4
"""Part of an object beyond which surer ones of other looks take its place."""

DEALS = 11
"""Ways to deal groups into halves: the first is by their size, the others are drawn."""

Maps = NDArray[np.float32]
Labels = NDArray[np.int32]


def main() -> None:
    """Look, compare and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="name of a bundled model, for its card and the images held out from it")
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--heads", nargs="+", required=True)
    parser.add_argument("--groups", type=Path, help="CSV with the columns stem and group; else groups of like images")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    machine = describe_machine()
    card = find_model(arguments.model).card
    pairs = find_pairs(arguments.data)
    held = held_out(arguments.model, pairs)
    groups = read_groups(arguments.groups) if arguments.groups else group_by_appearance(pairs, SAME_GROUP)
    pairs = [pair for pair in pairs if pair.stem in held]
    network = load(arguments.weights, card, len(arguments.heads))
    places = [arguments.heads.index(head) for head in card.heads]
    looked = []
    for pair in pairs:
        looked.append(Looking(pair, network, card, places).looked(groups[pair.stem]))
        sys.stderr.write(f"{len(looked)} of {len(pairs)}: {pair.stem}\n")
    kinds = sorted({one.kind for one in looked})
    deals = [deal_groups(looked, seed) for seed in range(DEALS)]
    rows = []
    sys.stdout.write(f"| rule | AP@0.5 | AP@0.75 | Dice | {' | '.join(kinds)} | other deals | cost |\n")
    sys.stdout.write(f"|{' --- |' * (6 + len(kinds))}\n")
    for rule in rules(looked):
        row = rule.row(looked, deals)
        rows.append(row)
        cells = [*(f"{value:.3f}" for value in (*row["scores"], *row["kinds"])), row["deals"], f"{row['cost']:.2f}"]
        sys.stdout.write(f"| {row['rule']} | {' | '.join(cells)} |\n")
    path = arguments.results / f"{machine['date']}-{short_name(machine)}-looks-{arguments.model}.json"
    content = {
        "machine": machine,
        "model": arguments.model,
        "weights": arguments.weights.name,
        "kinds": kinds,
        "rows": rows,
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load(weights: Path, card: ModelCard, heads: int) -> SegmentationNetwork:
    """Return the network of a card with as many heads as the weights have."""
    network = build(card.architecture.name, dict(card.architecture.arguments) | {"out_channels": heads})
    network.load_state_dict({key: value.float() for key, value in load_file(weights).items()})
    return network.eval()


def read_groups(path: Path) -> dict[str, str]:
    """Return the group of each stem."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["stem"]: row["group"] for row in csv.DictReader(file)}


class Looking:
    """One image, and what a network says of it.

    Parameters
    ----------
    pair
        Image and annotation.
    network, card
        The network, and the card that says how it is fed and read.
    places
        Which of the network's maps are those of the card, in its order.
    """

    def __init__(self, pair: Pair, network: SegmentationNetwork, card: ModelCard, places: Sequence[int]) -> None:
        image, self._true = read_pair(pair)
        self._pixels = torch.from_numpy(np.array(normalise(image, card.normalisation, card.input_channels).array))
        self._pair, self._network, self._card, self._places = pair, network, card, places

    def looked(self, group: str) -> Looked:
        """Score all that can be made of the looks."""
        looks = {magnification: self._look(magnification) for magnification in MAGNIFICATIONS}
        found = {magnification: self._read(maps) for magnification, maps in looks.items()}
        settings = {str(one): Setting(self._score(labels), one**2) for one, labels in found.items()}
        settings["today"] = self._as_segmented(looks[1.0], settings["1.0"])
        turned = mean_of([looks[1.0], *(self._look(1, *way) for way in TURNED)])
        settings["mean of the maps of 1 in five orientations"] = Setting(self._score(self._read(turned)), 5)
        for together in TOGETHER:
            name, cost = ", ".join(f"{one:g}" for one in together), sum(one**2 for one in together)
            mean = mean_of([looks[one] for one in together])
            settings[f"mean of the maps of {name}"] = Setting(self._score(self._read(mean)), cost)
            merged = merge([(found[one], looks[one][0]) for one in together])
            settings[f"objects of {name} merged"] = Setting(self._score(merged), cost)
        return Looked(
            self._pair.kind,
            group,
            self._true.size,
            area_weighted_diameter(found[1.0], 2),
            settings,
            dict(self._measures(looks, found)),
        )

    @torch.inference_mode()
    def _look(self, magnification: float, turns: int = 0, flips: tuple[int, ...] = ()) -> Maps:
        """Return the maps that the card names, brought back to the image's size and the way it lies."""
        turned = self._pixels.flip(flips).rot90(turns, (1, 2))
        shape = turned.shape[1:]
        size = [max(1, round(side * magnification)) for side in shape]
        seen = functional.interpolate(turned[None], size, mode="bilinear", antialias=True)
        rows, columns = self._network.accepted_size(*size)
        whole = functional.pad(seen, (0, columns - size[1], 0, rows - size[0]), mode="replicate")
        with torch.autocast("cpu", torch.bfloat16):
            computed = self._network(whole.contiguous(memory_format=torch.channels_last))
        maps = computed.float().sigmoid()[:, self._places, : size[0], : size[1]]
        back = functional.interpolate(maps, shape, mode="bilinear")[0].rot90(-turns, (1, 2)).flip(flips)
        own: Maps = back.contiguous().numpy()
        return own

    def _read(self, maps: Maps) -> Labels:
        return decode(maps, self._card.heads, self._card.parameters)

    def _score(self, labels: Labels) -> Score:
        overlaps = iou_matrix(labels, self._true)
        dice = dice_score(labels > 0, self._true > 0)
        return Score(average_precision(overlaps), average_precision(overlaps, 0.75), dice)

    def _as_segmented(self, maps: Maps, once: Setting) -> Setting:
        """Look again where a run by itself would."""
        diameter = diameter_to_rescale_by(maps, self._card)
        if diameter is None or self._card.object_size is None:
            return once
        factor = self._card.object_size / diameter
        return Setting(self._score(self._read(self._look(factor))), 1 + factor**2)

    def _measures(self, looks: dict[float, Maps], found: dict[float, Labels]) -> Iterator[tuple[Measure, list[float]]]:
        """Yield what can be measured of each look without the truth; more is better."""
        yield "certainty of uncertain pixels", [certainty(maps[0]) for maps in looks.values()]
        yield "certainty of rims", [-entropy_of_rim(maps[0]) for maps in looks.values()]
        sure = [mean_of_objects(found[one], maps[0])[1] for one, maps in looks.items()]
        yield "confidence of objects", [float(means.mean()) if len(means) else 0.0 for means in sure]
        pairs = [[average_precision(iou_matrix(one, other)) for other in found.values()] for one in found.values()]
        yield "objects found by the other looks", [float(np.mean(row)) for row in pairs]
        alike = [
            soft_dice(one[0], other[0]) for one, other in zip(looks.values(), list(looks.values())[1:], strict=False)
        ]
        ends = [alike[0], *alike], [*alike, alike[-1]]
        yield "foreground like that of the next looks", [(one + other) / 2 for one, other in zip(*ends, strict=True)]


def mean_of(looks: Sequence[Maps]) -> Maps:
    """Return the mean of maps of one size."""
    return np.array(np.mean(looks, axis=0), np.float32)


def certainty(foreground: NDArray[np.float32]) -> float:
    """Return how far from 0.5 pixels between 0.05 and 0.95 lie in the mean."""
    uncertain = foreground[(foreground > 0.05) & (foreground < 0.95)]
    return float(np.abs(uncertain - 0.5).mean()) if uncertain.size else 0.5


def entropy_of_rim(foreground: NDArray[np.float32]) -> float:
    """Return the mean entropy of the pixels within two of an outline."""
    inside = foreground > 0.5
    rim = ndimage.binary_dilation(inside, iterations=2) & ~ndimage.binary_erosion(inside, iterations=2)
    p = np.clip(foreground[rim], 1e-4, 1 - 1e-4)
    return float(-(p * np.log(p) + (1 - p) * np.log(1 - p)).mean()) if p.size else 0.7


def soft_dice(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return how alike two maps are, 1 being equal."""
    return float(2 * (one * other).sum() / max((one**2).sum() + (other**2).sum(), 1e-6))


def merge(looks: Sequence[tuple[Labels, NDArray[np.float32]]]) -> Labels:
    """Take objects of several looks, the surest first; what is covered by surer ones is left out."""
    candidates = []
    for labels, foreground in looks:
        _, means = mean_of_objects(labels, foreground)
        for mean, (number, window) in zip(means, enumerate(ndimage.find_objects(labels), start=1), strict=True):
            candidates.append((mean, window, labels[window] == number))
    merged = np.zeros(looks[0][0].shape, np.int32)
    for number, (_, window, mask) in enumerate(sorted(candidates, key=lambda one: -one[0]), start=1):
        free = mask & (merged[window] == 0)
        if free.sum() >= (1 - COVERED) * mask.sum():
            merged[window][free] = number
    return merged


if __name__ == "__main__":
    main()
