"""Compute what a network says of held-out images at several sizes, for `looks_scores.py`.

Run with ``python benchmarks/looks.py MODEL DATA --weights FILE --heads NAMES --cache DIR`` where DATA is a folder of images and masks
as the command ``train`` takes it and FILE a safetensors file of the bundled network, whose heads NAMES lists in order. Each
image of the model's validation.txt is shown to the network at each size; the maps are kept as float16 at the size that the
network saw, beside the annotation, so that rules that choose between sizes can be compared without the network.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from time import process_time

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch.nn import functional

from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.networks import SegmentationNetwork, build
from napari_unetseg.training.dataset import Pair, find_pairs, read_pair
from napari_unetseg.training.split import group_by_appearance, read_validation_list
from napari_unetseg.training.train import VALIDATION_FILE
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.registry import bundled_model_folder, find_model

MAGNIFICATIONS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
KEPT = ("foreground", "boundary", "distance")
SAME_GROUP = 1.0
"""Distance of appearances below which the bundled models' recipes take images for alike."""


def main() -> None:
    """Compute and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="name of a bundled model, for its card and the images held out from it")
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--heads", nargs="+", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--magnifications", type=float, nargs="*", default=MAGNIFICATIONS)
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    folder = bundled_model_folder() / arguments.model
    card = find_model(arguments.model).card
    pairs = find_pairs(arguments.data)
    held = set(read_validation_list(folder / VALIDATION_FILE, pairs))
    groups = group_by_appearance(pairs, SAME_GROUP)
    network = load(arguments.weights, card, len(arguments.heads))
    for pair in (pair for pair in pairs if pair.stem in held):
        keep(pair, groups[pair.stem], network, card, arguments.heads, arguments.magnifications, arguments.cache)


def load(weights: Path, card: ModelCard, heads: int) -> SegmentationNetwork:
    """Return the network of a card with as many heads as the weights have."""
    network = build(card.architecture.name, dict(card.architecture.arguments) | {"out_channels": heads})
    network.load_state_dict({key: value.float() for key, value in load_file(weights).items()})
    return network.eval().to(memory_format=torch.channels_last)


def keep(
    pair: Pair,
    group: str,
    network: SegmentationNetwork,
    card: ModelCard,
    heads: Sequence[str],
    magnifications: Sequence[float],
    cache: Path,
) -> None:
    """Write one file for an image, unless there is one."""
    path = cache / f"{pair.stem}.npz"
    if path.exists():
        return
    image, labels = read_pair(pair)
    pixels = torch.from_numpy(np.ascontiguousarray(normalise(image, card.normalisation, card.input_channels).array))
    looks, seconds = {}, {}
    for magnification in magnifications:
        begun = process_time()
        maps = look(network, pixels, magnification)
        seconds[f"seconds_{magnification:g}"] = process_time() - begun
        for name, plane in zip(heads, maps, strict=True):
            if name in KEPT:
                looks[f"{name}_{magnification:g}"] = plane.astype(np.float16)
    hidden = path.with_suffix(".part")
    with hidden.open("wb") as file:
        np.savez(file, labels=labels, kind=pair.kind, group=group, **seconds, **looks)
    os.replace(hidden, path)
    sys.stdout.write(f"{pair.stem} {labels.shape} {sum(seconds.values()):.1f} s\n")
    sys.stdout.flush()


@torch.inference_mode()
def look(network: SegmentationNetwork, pixels: torch.Tensor, magnification: float) -> NDArray[np.float32]:
    """Return the probabilities of an image (C, Y, X) magnified, at the size that the network saw."""
    size = [max(1, round(side * magnification)) for side in pixels.shape[1:]]
    seen = pixels[None]
    if magnification != 1:
        seen = functional.interpolate(seen, size, mode="bilinear", antialias=True)
    rows, columns = network.accepted_size(*size)
    whole = functional.pad(seen, (0, columns - size[1], 0, rows - size[0]), mode="replicate")
    with torch.autocast("cpu", torch.bfloat16):
        computed = network(whole.contiguous(memory_format=torch.channels_last))
    maps: NDArray[np.float32] = computed.float().sigmoid()[0, :, : size[0], : size[1]].numpy()
    return maps


if __name__ == "__main__":
    main()
