"""From a folder of images and masks to a model package with its scores."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_unetseg.errors import UnetsegError, out_of_memory_says
from napari_unetseg.image import Image
from napari_unetseg.inference.backends.device import choose_device
from napari_unetseg.inference.backends.intensities import rescale
from napari_unetseg.inference.backends.make_backend import keep_to_cores
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.io.plotting import require_matplotlib
from napari_unetseg.language import Sentence, translated
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.training.crop_store import fits
from napari_unetseg.training.cross_validation_file import (
    CrossValidation,
    require_same_images,
    require_same_recipe,
    trained_on_all,
)
from napari_unetseg.training.dataset import DatasetError, Pair, Sample, load_samples
from napari_unetseg.training.evaluate import OTSU, are_masks, choose_truth, compare, evaluate
from napari_unetseg.training.learning_curves import draw_curves, open_tensorboard, require_tensorboard
from napari_unetseg.training.loop import fit, predict_maps, stalled
from napari_unetseg.training.progress_events import Begun, Finished, Stepped, Told, TrainingEvent, Validated
from napari_unetseg.training.sampling import draw_weights
from napari_unetseg.training.scores import MEASURES, Score, summarise_scores
from napari_unetseg.training.state import (
    BEST_FILE,
    LAST_FILE,
    TrainingState,
    network_arguments,
    progress,
    set_aside,
    without_auxiliary,
)
from napari_unetseg.training.synthetic_scenes import make_scenes
from napari_unetseg.training.training_recipe import TrainingRecipe, write_training_recipe
from napari_unetseg.training.tune_decoder import predict_pairs, tune_decoder
from napari_unetseg.training.validation_choice import (
    ValidationChoice,
    choose_validation,
    data_fingerprint,
    hold_nothing_out,
)
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.cross_validated import CROSS_VALIDATION, main_scores
from napari_unetseg.zoo.packaging import write_package
from napari_unetseg.zoo.registry import read_package

RECIPE_FILE, VALIDATION_FILE, CURVES_FILE, PREVIEW_FILE = "recipe.yaml", "validation.txt", "curves.png", "preview.npy"

SECONDS_BETWEEN_STEPS = 0.25
"""A step is told of only so long after the one before."""

METRICS = {"ap": "AP over IoU 0.5 to 0.9", "ap50": "AP@0.5", "dice": "Dice"}


def train(
    data: Path,
    output: Path,
    checkpoints: Path,
    recipe: TrainingRecipe,
    *,
    validation_list: Path | None = None,
    cross_validation: CrossValidation | None = None,
    device: str = "auto",
    tensorboard: Path | None = None,
    preview: Image | None = None,
    report: Callable[[TrainingEvent], None] = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
) -> ModelCard:
    """Train a model and write its package.

    Run again with the same arguments after a kill, it goes on from the last checkpoint; an exception out of `report`
    or `stop` leaves one behind, too. Where images or masks have changed since then, it begins anew.

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
        File of the stems to hold out, one a line. Left out, whole groups of like images are, where there are several.
    cross_validation
        Of the same recipe. With it nothing is held out: the last averaged weights become the model, and the card's
        scores and the decoder's parameters are those of the cross-validation.
    device
        ``"auto"``, ``"cuda"``, one of several cards such as ``"cuda:1"``, ``"mps"`` or ``"cpu"``.
    tensorboard
        Folder for losses and scores that TensorBoard can show, where they are wanted.
    preview
        Image of which the labels that the model so far finds are written to `checkpoints` after each validation.
    report
        Called with each event, from the calling thread.
    stop
        Asked at each step; True ends training early, and the best weights so far become the model.

    Raises
    ------
    OutOfMemory
        If there is not enough for the crops of a step; the message names a smaller step.
    UnetsegError
        If the data, the checkpoint or a folder cannot be used, the message naming the file; if the cross-validation is
        of another recipe or of other images; or if it was stopped before the first step.
    """
    if cross_validation is not None:
        require_same_recipe(cross_validation, recipe)
    if tensorboard is not None:
        require_tensorboard()
    chosen = choose_device(device)
    keep_to_cores()
    draws = _draws_curves(report)
    report(Told(text=translated(Sentence("Reading the images."))))
    choice = (
        choose_validation(data, recipe, validation_list, checkpoints)
        if cross_validation is None
        else hold_nothing_out(data, recipe, trained_on_all(cross_validation, recipe))
    )
    learnt_from = data_fingerprint(data, choice)
    if cross_validation is not None:  # nothing is held out, so this is how a cross-validation knows its images
        require_same_images(cross_validation, learnt_from)
    samples = load_samples(list(choice.pairs), recipe.normalisation)
    training = [sample for sample in samples if sample.stem not in choice.held]
    validation = [sample for sample in samples if sample.stem in choice.held and sample.is_annotated]
    if choice.held and not validation:
        raise DatasetError(
            f"{data / 'masks'}: nothing is annotated on the images that are held out, so there is nothing to score on. "
            "Annotate some of them, or list others with --validation."
        )
    scenes = make_scenes(recipe.scenes, recipe.seed, recipe.normalisation)
    if scenes:
        report(Told(text=translated(Sentence("{count} procedural scenes are learnt from besides.", count=len(scenes)))))
    earlier = set_aside(recipe, learnt_from, checkpoints)
    if earlier is not None:
        text = Sentence(
            "Images or masks have changed since the last checkpoint, so training begins anew. "
            "The earlier checkpoints are in {folder}.",
            folder=earlier,
        )
        report(Told(text=translated(text)))
    told = _Teller(recipe, checkpoints, report, preview, torch.device(chosen.torch_name))
    report(
        Begun(
            images=len(training),
            held_out=len(validation),
            device=chosen.reason,
            metric=recipe.metric,
            resumed=(checkpoints / LAST_FILE).exists(),
        )
    )

    def show(state: TrainingState) -> None:
        log(state.history[-1])
        if draws:
            draw_curves(state.history, checkpoints / CURVES_FILE)
        told.validated(state)

    # Scenes are one group: no two of them are more alike than others.
    names = [choice.groups[sample.stem] for sample in training] + [sample.kind for sample in scenes]
    shown = training + scenes
    if not fits(shown, torch.device(chosen.torch_name)):
        report(
            Told(text=translated(Sentence("The images do not fit on the GPU: cutting crops out of them is slower.")))
        )
    with (
        nullcontext(_log_nothing) if tensorboard is None else open_tensorboard(tensorboard) as log,
        out_of_memory_says(_no_memory_to_train(recipe)),
    ):
        state = fit(
            shown,
            draw_weights([sample.kind for sample in shown], names, recipe.rare),
            validation,
            recipe,
            checkpoints,
            device=torch.device(chosen.torch_name),
            data=learnt_from,
            on_validation=show,
            on_step=told.stepped,
            stop=stop,
        )
    if recipe.steps and not state.step:
        raise UnetsegError(Sentence("Training was stopped before anything was learnt, so there is no model."))
    best = torch.load(checkpoints / BEST_FILE, map_location="cpu", weights_only=True)
    fields, weights = card_fields(recipe, training, choice.images), without_auxiliary(best, recipe)
    if cross_validation is None:
        report(
            Told(text=translated(Sentence("Choosing the threshold and the other parameters on the held-out images.")))
        )
        scored = {sample.stem for sample in validation}
        held = [pair for pair in choice.pairs if pair.stem in scored]
        card = write_trained_model(output, fields, weights, recipe, held, choice.split, device)
    else:
        card = write_cross_validated_model(output, fields, weights, recipe, choice, cross_validation)
    report(
        Finished(
            model=output,
            name=card.name,
            display_name=card.display_name,
            after={name: value for name, value in main_scores(card.scores).items() if isinstance(value, float)},
            stopped=progress(recipe, state.step, state.seconds) < 1 and not stalled(state.history, recipe),
            seconds=state.seconds,
        )
    )
    return card


def _draws_curves(report: Callable[[TrainingEvent], None]) -> bool:
    """Say whether curves can be drawn into a file, and how that could be had where they cannot."""
    try:
        require_matplotlib("Learning curves in a file")
    except UnetsegError as error:
        report(Told(text=translated(error)))
        return False
    return True


class _Teller:
    """Makes events of what the training loop calls back with."""

    def __init__(
        self,
        recipe: TrainingRecipe,
        checkpoints: Path,
        report: Callable[[TrainingEvent], None],
        preview: Image | None,
        device: torch.device,
    ) -> None:
        self._recipe, self._report, self._device = recipe, report, device
        self._file = checkpoints / PREVIEW_FILE
        self._pixels = None if preview is None else _network_pixels(preview, recipe)
        self._told = -math.inf

    def stepped(self, state: TrainingState, loss: torch.Tensor) -> None:
        """Tell of a step, but not of each where they are many."""
        if state.seconds - self._told < SECONDS_BETWEEN_STEPS:
            return
        self._told = state.seconds
        done = progress(self._recipe, state.step, state.seconds)
        left = state.seconds * (1 - done) / done if done > 0 else None
        self._report(Stepped(step=state.step, loss=float(loss), progress=done, seconds=state.seconds, remaining=left))

    def validated(self, state: TrainingState) -> None:
        """Tell the last score, with the labels of the preview."""
        row, metric = state.history[-1], self._recipe.metric
        score = row.get(metric)  # None where nothing is held out
        before = [past[metric] for past in state.history[:-1] if metric in past]
        self._report(
            Validated(
                step=state.step,
                loss=row["loss"],
                score=score,
                best=score is not None and score > max(before, default=-math.inf),
                seconds=state.seconds,
                preview=self._draw(state),
            )
        )

    def _draw(self, state: TrainingState) -> Path | None:
        if self._pixels is None:
            return None
        maps = predict_maps(state.average.module.eval(), self._pixels, self._recipe, self._device)
        with whole_file(self._file) as path:
            np.save(path, decode(maps, self._recipe.heads, self._recipe.parameters))
        return self._file


def _network_pixels(image: Image, recipe: TrainingRecipe) -> torch.Tensor:
    normalised = normalise(image, recipe.normalisation, channels=3)
    return torch.from_numpy(rescale(normalised.planes, *normalised.ranges[0]))


def _no_memory_to_train(recipe: TrainingRecipe) -> str:
    fewer, smaller = recipe.batch // 2, recipe.crop // 2
    advice = f"--batch {fewer}" if fewer >= 2 else f"--crop {smaller}"
    return (
        f"Memory ran out in training, with {recipe.batch} crops of {recipe.crop} pixels a step. Close other programs, "
        f"or train anew with less at once, such as {advice}."
    )


def _log_nothing(row: Mapping[str, float]) -> None:
    pass


def card_fields(recipe: TrainingRecipe, training: Sequence[Sample], images: int) -> dict[str, Any]:
    """Fields of the model card that do not depend on the training's outcome.

    Parameters
    ----------
    images
        How many files the samples are of.
    """
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
        "training_data": [{**recipe.data.model_dump(), "images": images}, *_scenes_entry(recipe)],
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
    split: str,
    device: str = "auto",
) -> ModelCard:
    """Write a package, tune its decoder on the held-out images, and put its scores on the card.

    The scores are those of the package as it lies on disk, rounded weights and all. `split` says for the card how the
    held-out images were chosen.
    """
    card = write_package(output, fields, weights)
    predictions = list(predict_pairs(read_package(output, "path"), held, device))
    parameters = tune_decoder(predictions, card.heads, recipe.parameters, recipe.metric)
    if card.object_sizes is not None:  # the parameters decide which objects the first run finds, too
        write_package(output, {**fields, "parameters": parameters}, weights)
        predictions = list(predict_pairs(read_package(output, "path"), held, device))
    truth = choose_truth(are_masks(held), divides=card.decoder != "threshold")
    scores = [
        compare(decode(one.probability, card.heads, parameters), one.labels, one.pair, truth) for one in predictions
    ]
    scores_card = {
        "split": split,
        "decoder": f"parameters chosen on these same images by {METRICS[recipe.metric]}, "
        "which flatters the scores a little",
        "measures": MEASURES,
        "validation": summarise_scores(scores),
        "otsu_watershed": _score_otsu(held),
    }
    with whole_file(output / VALIDATION_FILE) as path:
        path.write_text("".join(f"{pair.stem}\n" for pair in held), encoding="utf-8")
    with whole_file(output / RECIPE_FILE) as path:
        write_training_recipe(recipe, path)
    return write_package(output, {**fields, "parameters": parameters, "scores": scores_card}, weights)


def write_cross_validated_model(
    output: Path,
    fields: dict[str, Any],
    weights: dict[str, torch.Tensor],
    recipe: TrainingRecipe,
    choice: ValidationChoice,
    cross_validation: CrossValidation,
) -> ModelCard:
    """Write a package of weights that saw all images, with the parameters and scores of a cross-validation."""
    scores_card = {
        CROSS_VALIDATION: cross_validation.scores.model_dump(exclude_none=True),
        "split": choice.split,
        "decoder": f"each fold scored with parameters chosen on the held-out images of the others by "
        f"{METRICS[recipe.metric]}, and the model's chosen on those of all",
        "measures": MEASURES,
        "otsu_watershed": _score_otsu(choice.pairs),
    }
    (output / VALIDATION_FILE).unlink(missing_ok=True)  # that of an earlier model
    with whole_file(output / RECIPE_FILE) as path:
        write_training_recipe(recipe, path)
    return write_package(output, {**fields, "parameters": cross_validation.parameters, "scores": scores_card}, weights)


def _score_otsu(pairs: Sequence[Pair]) -> dict[str, Any]:
    scores = evaluate(OTSU, pairs, choose_truth(are_masks(pairs), OTSU.divides))
    return summarise_scores([score for score in scores if isinstance(score, Score)])
