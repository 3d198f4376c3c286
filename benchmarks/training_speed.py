"""How fast a bundled model's network is trained, and what drawing its crops takes of that.

Run with ``python benchmarks/training_speed.py [MODEL] [--device cuda]``. In one process it takes steps of the network
alone, on crops that lie ready; draws crops alone; and does both, as the command ``train`` does. Rounds of the three
take turns, so that a machine that is slower for a while is so for all, and each is given as a part of the first.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from statistics import median

import numpy as np
import torch
from machine import as_markdown, describe_machine

from napari_unetseg import samples
from napari_unetseg.inference.backends.device import choose_device
from napari_unetseg.training.crop_store import CropStore
from napari_unetseg.training.dataset import Sample, prepare
from napari_unetseg.training.loop import train_step
from napari_unetseg.training.sampling import draw_batch, draw_batches
from napari_unetseg.training.state import initial_state
from napari_unetseg.training.training_recipe import TrainingRecipe, read_training_recipe
from napari_unetseg.zoo.registry import bundled_model_folder

ROUNDS = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="nuclei", help="name of a bundled model")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=50, help="of a round")
    arguments = parser.parse_args()
    device = torch.device(choose_device(arguments.device).torch_name)
    recipe = read_training_recipe(bundled_model_folder() / arguments.model / "recipe.yaml")
    recipe = recipe.model_copy(update={"crop": arguments.crop, "batch": arguments.batch})
    rates = measure(recipe, device, arguments.steps)
    sys.stdout.write(as_markdown(describe_machine()) + "\n")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    sys.stdout.write(f"\n{arguments.batch} crops of {arguments.crop} pixels a step on {name}:\n\n")
    sys.stdout.write("| | steps a second | part of the network alone |\n| --- | --- | --- |\n")
    for what, rate in rates.items():
        sys.stdout.write(f"| {what} | {rate:.2f} | {rate / rates['network alone']:.2f} |\n")


def measure(recipe: TrainingRecipe, device: torch.device, steps: int) -> Mapping[str, float]:
    """Return the median rates of all rounds, in steps a second."""
    store = CropStore(pictures(recipe), device)
    weights = np.full(len(store), 1 / len(store))
    state = initial_state(recipe, device)
    ready = draw_batch(store, weights, recipe, 0)

    def network() -> None:
        for _ in range(steps):
            train_step(state, *ready, device)

    def drawing() -> None:
        for step in range(steps):
            draw_batch(store, weights, recipe, step)

    def both() -> None:
        with closing(draw_batches(store, weights, recipe, 0)) as batches:
            for _ in range(steps):
                train_step(state, *next(batches), device)

    ways = {"network alone": network, "drawing alone": drawing, "both": both}
    for way in ways.values():
        seconds(way, device)  # the first time picks algorithms and takes memory
    taken = [{name: seconds(way, device) for name, way in ways.items()} for _ in range(ROUNDS)]
    return {name: steps / median(one[name] for one in taken) for name in ways}


def seconds(way: Callable[[], None], device: torch.device) -> float:
    """Time a round, until the device is done."""
    began = time.perf_counter()
    way()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def pictures(recipe: TrainingRecipe) -> list[Sample]:
    """Draw pictures, grey and coloured, to cut crops out of."""
    drawn = (samples.nuclei_with_truth, samples.tissue_with_truth, samples.cells_with_truth)
    return [prepare(image, labels, image.name, "drawn", recipe.normalisation) for image, labels in (d() for d in drawn)]


if __name__ == "__main__":
    main()
