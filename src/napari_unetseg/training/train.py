"""From a folder of images and masks to a model package with its scores."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_unetseg.errors import out_of_memory_says
from napari_unetseg.inference.backends.device import choose_device
from napari_unetseg.inference.backends.make_backend import keep_to_cores
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.io.plotting import require_matplotlib
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.training.dataset import DatasetError, Pair, Sample, find_pairs, load_samples
from napari_unetseg.training.evaluate import OTSU, are_masks, choose_truth, compare, evaluate
from napari_unetseg.training.learning_curves import draw_curves, open_tensorboard, require_tensorboard
from napari_unetseg.training.loop import fit
from napari_unetseg.training.sampling import draw_weights
from napari_unetseg.training.scores import MEASURES, Score, summarise_scores
from napari_unetseg.training.split import group_by_appearance, hold_out, read_validation_list
from napari_unetseg.training.state import BEST_FILE, TrainingState, network_arguments, without_auxiliary
from napari_unetseg.training.synthetic_scenes import make_scenes
from napari_unetseg.training.training_recipe import TrainingRecipe, write_training_recipe
from napari_unetseg.training.tune_decoder import predict_pairs, tune_decoder
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.packaging import write_package
from napari_unetseg.zoo.registry import read_package

RECIPE_FILE, VALIDATION_FILE, CURVES_FILE = "recipe.yaml", "validation.txt", "curves.png"

METRICS = {"ap": "AP over IoU 0.5 to 0.9", "ap50": "AP@0.5", "dice": "Dice"}


def train(
    data: Path,
    output: Path,
    checkpoints: Path,
    recipe: TrainingRecipe,
    *,
    validation_list: Path | None = None,
    device: str = "auto",
    tensorboard: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> ModelCard:
    """Train a model and write its package.

    Run again with the same arguments after a kill, it goes on from the last checkpoint.

    Parameters
    ----------
    data
        Folder with ``images`` and ``masks`` of the same stems and, if there is one, ``index.csv``
        whose columns ``stem`` and ``kind`` tell sorts of image apart.
    output
        Folder of the model package: card, weights, recipe, and the stems that were held out.
    checkpoints
        Folder of what is needed to go on, and of the learning curves.
    recipe
        What to train, and how long.
    validation_list
        File of the stems to hold out, one a line. Left out, whole groups of like images are.
    device
        ``"auto"``, ``"cuda"``, one of several cards such as ``"cuda:1"``, ``"mps"`` or ``"cpu"``.
    tensorboard
        Folder for losses and scores that TensorBoard can show, where they are wanted.
    report
        Called with a line of text after each validation.

    Raises
    ------
    OutOfMemory
        If there is not enough for the crops of a step; the message names a smaller step.
    UnetsegError
        If the data, the checkpoint or a folder cannot be used; the message names the file.
    """
    require_matplotlib("Learning curves")
    if tensorboard is not None:
        require_tensorboard()
    chosen = choose_device(device)
    keep_to_cores()
    pairs = find_pairs(data)
    groups = group_by_appearance(pairs, recipe.split.distance)
    held = _hold_out(pairs, groups, recipe, validation_list, data)
    samples = load_samples(pairs, recipe.normalisation)
    training = [sample for sample in samples if sample.stem not in held]
    validation = [sample for sample in samples if sample.stem in held]
    scenes = make_scenes(recipe.scenes, recipe.seed, recipe.normalisation)
    drawn = f" and {len(scenes)} procedural scenes" if scenes else ""
    report(f"{len(training)} images{drawn} to train on, {len(validation)} held out; {chosen.reason}")

    def show(state: TrainingState) -> None:
        log(state.history[-1])
        draw_curves(state.history, checkpoints / CURVES_FILE)
        report(", ".join(f"{name} {value:.4g}" for name, value in state.history[-1].items()))

    # Scenes are one group: no two of them are more alike than others.
    names = [groups[sample.stem] for sample in training] + [sample.kind for sample in scenes]
    shown = training + scenes
    with (
        nullcontext(_log_nothing) if tensorboard is None else open_tensorboard(tensorboard) as log,
        out_of_memory_says(_no_memory_to_train(recipe)),
    ):
        fit(
            shown,
            draw_weights([sample.kind for sample in shown], names),
            validation,
            recipe,
            checkpoints,
            device=torch.device(chosen.torch_name),
            on_validation=show,
        )
    best = torch.load(checkpoints / BEST_FILE, map_location="cpu", weights_only=True)
    fields = card_fields(recipe, training)
    return write_trained_model(
        output, fields, without_auxiliary(best, recipe), recipe, [pair for pair in pairs if pair.stem in held], device
    )


def _no_memory_to_train(recipe: TrainingRecipe) -> str:
    fewer, smaller = recipe.batch // 2, recipe.crop // 2
    advice = f"--batch {fewer}" if fewer >= 2 else f"--crop {smaller}"
    return (
        f"Memory ran out in training, with {recipe.batch} crops of {recipe.crop} pixels a step. Close other programs, "
        f"or train anew with less at once, such as {advice}."
    )


def _log_nothing(row: Mapping[str, float]) -> None:
    pass


def _hold_out(
    pairs: Sequence[Pair], groups: dict[str, str], recipe: TrainingRecipe, validation_list: Path | None, data: Path
) -> set[str]:
    if validation_list is not None:
        held = set(read_validation_list(validation_list, pairs))
    else:
        kinds = {pair.stem: pair.kind for pair in pairs}
        held = set(hold_out(groups, kinds, recipe.split.fraction, recipe.split.seed))
    if not held or len(held) == len(pairs):
        raise DatasetError(
            f"{data}: {len(held)} of {len(pairs)} images would be held out for validation. Images that all look alike "
            "cannot be divided by look: add images of other experiments, or list the ones to hold out in a file."
        )
    return held


def card_fields(recipe: TrainingRecipe, training: Sequence[Sample]) -> dict[str, Any]:
    """Fields of the model card that do not depend on the training's outcome."""
    diameters = np.concatenate([sample.diameters for sample in training])
    return {
        "name": recipe.name,
        "display_name": recipe.display_name,
        "description": recipe.description,
        "architecture": {"name": recipe.architecture, "arguments": network_arguments(recipe, recipe.heads)},
        "input_channels": 3,
        "object_size": recipe.object_size or (round(float(np.median(diameters)), 1) if diameters.size else None),
        "object_sizes": recipe.object_sizes,
        "normalisation": recipe.normalisation,
        "outputs": [{"name": head, "activation": "none"} for head in recipe.heads],
        "decoder": "threshold" if recipe.heads == ("foreground",) else "seeded_watershed",
        "parameters": recipe.parameters,
        "training_data": [{**recipe.data.model_dump(), "images": len(training)}, *_scenes_entry(recipe)],
        "licence": recipe.licence,
    }


def _scenes_entry(recipe: TrainingRecipe) -> list[dict[str, Any]]:
    if not recipe.scenes:
        return []
    origin = {"name": "Procedural scenes of spheroids", "citation": "napari-unetseg, training.synthetic_scenes"}
    return [{**origin, "licence": "BSD-3-Clause", "images": recipe.scenes}]


def write_trained_model(
    output: Path,
    fields: dict[str, Any],
    weights: dict[str, torch.Tensor],
    recipe: TrainingRecipe,
    held: Sequence[Pair],
    device: str = "auto",
) -> ModelCard:
    """Write a package, tune its decoder on the held-out images, and put its scores on the card.

    The scores are those of the package as it lies on disk, rounded weights and all.
    """
    card = write_package(output, fields, weights)
    predictions = list(predict_pairs(read_package(output, "path"), held, device))
    parameters = tune_decoder(predictions, card.heads, recipe.parameters, recipe.metric)
    if card.object_sizes is not None:  # the parameters decide which objects the first run finds, too
        write_package(output, {**fields, "parameters": parameters}, weights)
        predictions = list(predict_pairs(read_package(output, "path"), held, device))
    masks = are_masks(held)
    truth = choose_truth(masks, divides=card.decoder != "threshold")
    scores = [
        compare(decode(one.probability, card.heads, parameters), one.labels, one.pair, truth) for one in predictions
    ]
    baseline = evaluate(OTSU, held, choose_truth(masks, OTSU.divides))
    scores_card = {
        "split": f"{len(held)} images held out in whole groups of like images",
        "decoder": f"parameters chosen on these same images by {METRICS[recipe.metric]}, "
        "which flatters the scores a little",
        "measures": MEASURES,
        "validation": summarise_scores(scores),
        "otsu_watershed": summarise_scores([score for score in baseline if isinstance(score, Score)]),
    }
    with whole_file(output / VALIDATION_FILE) as path:
        path.write_text("".join(f"{pair.stem}\n" for pair in held), encoding="utf-8")
    with whole_file(output / RECIPE_FILE) as path:
        write_training_recipe(recipe, path)
    return write_package(output, {**fields, "parameters": parameters, "scores": scores_card}, weights)
