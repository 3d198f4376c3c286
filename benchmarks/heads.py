"""Which heads, and which way to read them, tell objects apart best: the same short training for each, scored alike.

Run with ``python benchmarks/heads.py DATA --start WEIGHTS --output DIR`` where DATA is a folder of images and masks as
the command ``train`` takes it, and WEIGHTS a safetensors file of the bundled network that has never seen these images;
its last layer is not used. Every fifth group of like images of each kind is held out and scored; of the others some are
left out of training and choose the parameters of the decoders. Runs whose weights lie in DIR are not trained again, so
seeds may be trained side by side. First each decoder reads perfect maps of the held-out images. Writes JSON, with a
table, to ``benchmarks/results``.
"""

import argparse
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from decoders.training import coloured, make_network, predict, train
from decoders.ways import WAYS, Maps, Values, Way
from machine import describe_machine, short_name
from numpy.typing import NDArray

from napari_unetseg.training.dataset import Sample, find_pairs, load_samples
from napari_unetseg.training.sampling import draw_weights
from napari_unetseg.training.scores import average_precision, iou_matrix, score, summarise_scores
from napari_unetseg.training.split import group_by_appearance
from napari_unetseg.training.train import RECIPE_FILE
from napari_unetseg.training.training_recipe import TrainingRecipe, read_training_recipe
from napari_unetseg.zoo.registry import find_model

RESULTS = Path(__file__).parent / "results"
EVERY, FIRST = 5, 1
"""Of a kind's groups, the largest first, each of which is held out, and from which on."""

TUNING_IMAGES = 30
SHORT = {"warm_up": 20, "learning_rate": 2e-3, "average": 0.98, "batch": 8, "crop": 192}
"""What trainings of minutes need; the rest is the bundled recipe."""

FIGURES = ("ap50", "ap75", "dice")


@dataclass(frozen=True)
class Parts:
    """Samples to train on, with how often each is drawn, to choose parameters by, and to score."""

    training: list[Sample]
    weights: NDArray[np.float64]
    tuning: list[Sample]
    scored: list[Sample]


def main() -> None:
    """Train, tune, score and write."""
    arguments = read_arguments()
    torch.set_num_threads(arguments.threads)
    arguments.output.mkdir(parents=True, exist_ok=True)
    recipe = read_training_recipe(find_model(arguments.model).path / RECIPE_FILE)
    recipe = recipe.model_copy(update={**SHORT, "steps": arguments.steps})
    parts = divide(read_samples(arguments.data, recipe, arguments.output / "samples.pt"), recipe)
    ways = [way for way in WAYS if way.name in arguments.ways]
    seconds = {
        way.name: [
            train_once(way, parts, recipe.model_copy(update={"seed": seed}), arguments.start, arguments.output)
            for seed in arguments.seeds
        ]
        for way in ways
    }
    if arguments.train_only:
        return
    found: dict[str, Any] = {"machine": describe_machine(), "model": arguments.model, "steps": arguments.steps}
    found["images"] = {name: len(getattr(parts, name)) for name in ("training", "tuning", "scored")}
    found["ways"] = {way.name: compare(way, parts, recipe, arguments) for way in ways}
    for name, spent in seconds.items():
        found["ways"][name]["training_seconds"] = spent
    found["table"] = table(found["ways"])
    machine = found["machine"]
    path = RESULTS / f"{machine['date']}-{short_name(machine)}-heads-{arguments.model}.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    say(found["table"])


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--start", type=Path, required=True, help="weights of the trunk that every run begins with")
    parser.add_argument("--output", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--model", default="nuclei", help="bundled model whose recipe is shortened")
    parser.add_argument("--ways", nargs="+", default=[way.name for way in WAYS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--train-only", action="store_true", help="leave scoring to a later call")
    return parser.parse_args()


def read_samples(data: Path, recipe: TrainingRecipe, cache: Path) -> list[tuple[Sample, str]]:
    """Read all samples, each with its group, from the file of an earlier call where there is one."""
    if cache.exists():
        kept: list[tuple[Sample, str]] = torch.load(cache, weights_only=False)
        return kept
    pairs = find_pairs(data)
    groups = group_by_appearance(pairs, recipe.split.distance)
    samples = [(sample, groups[sample.stem]) for sample in load_samples(pairs, recipe.normalisation)]
    torch.save(samples, cache)
    return samples


def divide(samples: Sequence[tuple[Sample, str]], recipe: TrainingRecipe) -> Parts:
    """Hold out groups, and draw from the others the images that choose parameters."""
    members: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for sample, group in samples:
        members[sample.kind, group].append(sample.stem)
    held: set[str] = set()
    for kind in sorted({kind for kind, _ in members}):
        groups = sorted((key for key in members if key[0] == kind), key=lambda key: (-len(members[key]), key))
        held.update(stem for key in groups[FIRST::EVERY] for stem in members[key])
    others = [(sample, group) for sample, group in samples if sample.stem not in held]
    weights = weigh(others, recipe.rare)
    drawn = np.random.default_rng(0).choice(len(others), TUNING_IMAGES, replace=False, p=weights)
    training = [one for index, one in enumerate(others) if index not in drawn]
    return Parts(
        training=[sample for sample, _ in training],
        weights=weigh(training, recipe.rare),
        tuning=[others[index][0] for index in drawn],
        scored=[sample for sample, _ in samples if sample.stem in held],
    )


def weigh(samples: Sequence[tuple[Sample, str]], rare: float) -> NDArray[np.float64]:
    """Tell how often each sample is drawn."""
    return draw_weights([sample.kind for sample, _ in samples], [group for _, group in samples], rare)


def run_file(output: Path, way: Way, seed: int) -> Path:
    """Name the file of a run's weights."""
    return output / f"{way.name.replace(' ', '_')}_{seed}.pt"


def train_once(way: Way, parts: Parts, recipe: TrainingRecipe, start: Path, output: Path) -> float:
    """Train a run that there is not yet, and return for how many seconds it computed."""
    path = run_file(output, way, recipe.seed)
    if not path.exists():
        samples = coloured(parts.training) if way.coloured else parts.training
        weights, seconds = train(way, samples, parts.weights, recipe, start)
        torch.save((weights, seconds), path)
    return round(float(torch.load(path, weights_only=True)[1]), 1)


def compare(way: Way, parts: Parts, recipe: TrainingRecipe, arguments: argparse.Namespace) -> dict[str, Any]:
    """Score a way on perfect maps and, seed by seed, on those of its networks."""
    return {
        "perfect": kept_or_made(arguments.output / f"{way.name}.json", lambda: read_perfect(way, parts.scored)),
        "seeds": [
            kept_or_made(
                run_file(arguments.output, way, seed).with_suffix(".json"),
                partial(score_run, way, parts, recipe.model_copy(update={"seed": seed}), arguments.output),
            )
            for seed in arguments.seeds
        ],
    }


def kept_or_made(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Read what an earlier call wrote into a file, or make it and write it there."""
    if not path.exists():
        path.write_text(json.dumps(make()), encoding="utf-8")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    say(f"{path.stem}: {found}")
    return found


def score_run(way: Way, parts: Parts, recipe: TrainingRecipe, output: Path) -> dict[str, Any]:
    """Choose the parameters of a run's decoder, and score it on the held-out images."""
    network = make_network(way, recipe)
    network.load_state_dict(torch.load(run_file(output, way, recipe.seed), weights_only=True)[0])
    network.eval()
    chosen = tune(way, [(predict(way, network, sample), sample.labels) for sample in parts.tuning])
    scores, spent = [], 0.0
    for sample in parts.scored:
        maps = predict(way, network, sample)
        began = time.process_time()
        labels = way.decode(maps, chosen)
        spent += time.process_time() - began
        scores.append(score(labels, sample.labels, sample.stem, sample.kind))
    pixels = sum(sample.labels.size for sample in parts.scored)
    row = {"seed": recipe.seed, "parameters": chosen, "decoding_s_per_megapixel": round(spent / pixels * 1e6, 3)}
    return {**row, **summarise_scores(scores)}


def read_perfect(way: Way, samples: Sequence[Sample]) -> dict[str, float]:
    """Score what a decoder reads, untuned, off the maps of a network that makes no mistake."""
    scores = []
    for sample in samples:
        values = {**way.start, "min_size": 1}
        labels = way.decode(way.perfect(sample.labels).astype(np.float32), values)
        scores.append(score(labels, sample.labels, sample.stem, sample.kind))
    summary = summarise_scores(scores)
    return {name: summary[name] for name in FIGURES}


def tune(way: Way, predictions: Sequence[tuple[Maps, NDArray[np.int32]]]) -> Values:
    """Choose one parameter after the other, the first two once more, by the mean AP@0.5."""
    values, best = dict(way.start), -1.0
    for name, choices in [*way.choices.items(), *list(way.choices.items())[:2]]:
        for choice in choices:
            trial = {**values, name: choice}
            mean = statistics.mean(
                average_precision(iou_matrix(way.decode(maps, trial), labels)) for maps, labels in predictions
            )
            if mean > best:
                values, best = trial, mean
    return values


def table(ways: Mapping[str, Any]) -> str:
    """Return the figures as Markdown: means over seeds, and how far these are apart."""
    kinds = sorted(next(iter(ways.values()))["seeds"][0]["per_kind"])
    columns = ["way", "perfect maps", *FIGURES, *(f"{name} {kind}" for kind in kinds for name in FIGURES[:2])]
    rows = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    for name, found in ways.items():
        seeds = found["seeds"]
        cells = [spread([one[figure] for one in seeds]) for figure in FIGURES]
        cells += [spread([one["per_kind"][kind][figure] for one in seeds]) for kind in kinds for figure in FIGURES[:2]]
        rows.append(f"| {' | '.join([name, format(found['perfect']['ap50'], '.3f'), *cells])} |")
    return "\n".join([*rows, ""])


def spread(figures: Sequence[float]) -> str:
    """Write a mean, and half of what lies between the lowest and the highest figure."""
    return f"{statistics.mean(figures):.3f} ± {(max(figures) - min(figures)) / 2:.3f}"


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
