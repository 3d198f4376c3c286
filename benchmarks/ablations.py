"""What scenes, pasting and pretraining bring to a model of spheroids: small networks, each trained for minutes.

Run with ``python benchmarks/ablations.py DATA`` where DATA is a folder of images and masks as the command ``train``
takes it. Each variation of the bundled recipe is trained with each seed, on the same images and for the same number of
steps, and scored on the images that the bundled model held out. Writes a line for each run and a table.
"""

import argparse
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from held_out import held_out

from napari_unetseg.training.dataset import Sample, find_pairs, load_samples
from napari_unetseg.training.loop import fit
from napari_unetseg.training.sampling import draw_weights
from napari_unetseg.training.split import group_by_appearance
from napari_unetseg.training.state import BEST_FILE
from napari_unetseg.training.synthetic_scenes import make_scenes
from napari_unetseg.training.train import RECIPE_FILE
from napari_unetseg.training.training_recipe import TrainingRecipe, read_training_recipe
from napari_unetseg.zoo.registry import find_model

FEATURES = (24, 48, 64, 96, 128)
SCENES = 100
AVERAGE = 0.98
"""Decay of the averaged weights: runs this short would not outgrow a recipe's."""


@dataclass(frozen=True)
class Variation:
    """How a run differs from plain training on the images."""

    name: str
    scenes: int = 0
    paste: float = 0.0
    pretrained: bool = False


VARIATIONS = (
    Variation("plain"),
    Variation(f"with {SCENES} procedural scenes", scenes=SCENES),
    Variation("pretrained on scenes, then plain", pretrained=True),
    Variation("with half of the crops pasted into", paste=0.5),
    Variation("pretrained on scenes, then pasted into", paste=0.5, pretrained=True),
)


def main() -> None:
    """Train, score and print."""
    arguments = read_arguments()
    torch.set_num_threads(arguments.threads)
    package = find_model("spheroids").path
    base = shrink(read_training_recipe(package / RECIPE_FILE), arguments.steps)
    pairs = find_pairs(arguments.data)
    held = held_out("spheroids", pairs)
    groups = group_by_appearance(pairs, base.split.distance)
    samples = load_samples(pairs, base.normalisation)
    training = [sample for sample in samples if sample.stem not in held]
    validation = [sample for sample in samples if sample.stem in held]
    found: dict[str, list[float]] = {variation.name: [] for variation in VARIATIONS}
    for seed in arguments.seeds:
        for variation in VARIATIONS:
            dice = run(variation, base.model_copy(update={"seed": seed}), training, validation, groups)
            found[variation.name].append(dice)
            sys.stdout.write(f"seed {seed}, {variation.name}: Dice {dice:.3f}\n")
            sys.stdout.flush()
    sys.stdout.write(table(found, arguments.seeds))


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def shrink(recipe: TrainingRecipe, steps: int) -> TrainingRecipe:
    """Make a recipe small enough to be trained many times, with nothing that is to be compared in it."""
    return recipe.model_copy(
        update={
            "features": FEATURES,
            "crop": 192,
            "steps": steps,
            "validate_every": steps,
            "scenes": 0,
            "average": AVERAGE,
        }
    )


def run(
    variation: Variation,
    recipe: TrainingRecipe,
    training: list[Sample],
    validation: list[Sample],
    groups: dict[str, str],
) -> float:
    """Train a variation and return its mean Dice on the validation images after the last step."""
    pasting = recipe.augmentation.model_copy(update={"paste": variation.paste})
    recipe = recipe.model_copy(update={"augmentation": pasting})
    with TemporaryDirectory() as folder:
        if variation.pretrained:
            drawn = make_scenes(SCENES, recipe.seed, recipe.normalisation)
            _fit(drawn, validation, recipe, groups, Path(folder) / "scenes")
            recipe = recipe.model_copy(update={"start_from": str(Path(folder) / "scenes" / BEST_FILE)})
        shown = training + make_scenes(variation.scenes, recipe.seed, recipe.normalisation)
        return _fit(shown, validation, recipe, groups, Path(folder) / "images")


def _fit(
    shown: list[Sample], validation: list[Sample], recipe: TrainingRecipe, groups: dict[str, str], folder: Path
) -> float:
    folder.mkdir()
    kinds = [sample.kind for sample in shown]
    weights = draw_weights(kinds, [groups.get(sample.stem, sample.kind) for sample in shown])
    return fit(shown, weights, validation, recipe, folder, device=torch.device("cpu")).history[-1]["dice"]


def table(found: dict[str, list[float]], seeds: list[int]) -> str:
    """Return the scores as a table in Markdown."""
    heading = " | ".join(["training", *(f"seed {seed}" for seed in seeds), "mean"])
    rows = [
        " | ".join([name, *(f"{dice:.3f}" for dice in scores), f"{statistics.mean(scores):.3f}"])
        for name, scores in found.items()
    ]
    return "\n".join([f"| {heading} |", f"|{' --- |' * (len(seeds) + 2)}", *(f"| {row} |" for row in rows), ""])


if __name__ == "__main__":
    main()
