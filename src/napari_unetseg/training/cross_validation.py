"""How well models of a recipe meet images that they were not made with: each fold by a network of the others.

Nothing is chosen on what is scored. The weights of a fold are its last averaged ones, and the parameters with which
it is read are chosen on the held-out images of the other folds, by the maps of networks that did not see those either.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch

from napari_unetseg.errors import UnetsegError
from napari_unetseg.inference.backends.device import choose_device
from napari_unetseg.inference.backends.make_backend import keep_to_cores
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.training.cross_validation_file import (
    CrossValidation,
    ScoredImage,
    hash_recipe,
    summarise,
    write_cross_validation,
)
from napari_unetseg.training.dataset import DatasetError, Pair, Sample, load_samples, require_masks
from napari_unetseg.training.evaluate import Truth, annotated_objects, are_masks, choose_truth, compare
from napari_unetseg.training.initial_weights import hash_weights
from napari_unetseg.training.loop import fit
from napari_unetseg.training.progress_events import Told, TrainingEvent, Validated
from napari_unetseg.training.sampling import draw_weights
from napari_unetseg.training.scores import annotated_part, found_objects, iou_matrix
from napari_unetseg.training.split import group_by_appearance
from napari_unetseg.training.state import TrainingState, without_auxiliary
from napari_unetseg.training.synthetic_scenes import make_scenes
from napari_unetseg.training.train import card_fields
from napari_unetseg.training.training_recipe import RecipeError, TrainingRecipe
from napari_unetseg.training.tune_decoder import ImageScores, PredictedPair, choose_parameters, predict_pairs
from napari_unetseg.training.validation_choice import pairs_fingerprint
from napari_unetseg.zoo.card import CARD_FILE
from napari_unetseg.zoo.packaging import write_package
from napari_unetseg.zoo.registry import ModelPackage, read_package

PLAN_FILE, MODEL_FOLDER, MAPS_FOLDER = "folds.json", "model", "maps"


@dataclass(frozen=True)
class Fold:
    """A part of the images, and the folder of what is learnt without it.

    Attributes
    ----------
    number
        From 1.
    held
        The stems that are not learnt from.
    scored
        Those of them of which anything is annotated.
    folder
        Of its checkpoints, its model, and the maps that this predicts for what was held out.
    """

    number: int
    held: tuple[str, ...]
    scored: tuple[str, ...]
    folder: Path

    @cached_property
    def package(self) -> ModelPackage:
        """Its model, once that is trained; with the decoder parameters of the recipe."""
        return read_package(self.folder / MODEL_FOLDER, "path")

    def map_file(self, stem: str) -> Path:
        """Return the file of the maps of a held-out image, float16 (heads, Y, X)."""
        return self.folder / MAPS_FOLDER / f"{stem}.npy"


@dataclass(frozen=True)
class _Data:
    """The images with their groups, in memory, and what tells them from others."""

    pairs: Mapping[str, Pair]
    samples: Mapping[str, Sample]
    groups: Mapping[str, str]
    fingerprint: str


def cross_validate(
    pairs: Sequence[Pair],
    groups: Mapping[str, str],
    folds: Sequence[tuple[str, ...]],
    recipe: TrainingRecipe,
    folder: Path,
    *,
    start_from: Sequence[str] = (),
    device: str = "auto",
    report: Callable[[TrainingEvent], None] = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
) -> CrossValidation:
    """Train a recipe anew for each fold, on the images of the others, and score it on that fold.

    Run again with the same arguments after a kill, it goes on where it was: in the fold, from its last checkpoint.

    Parameters
    ----------
    pairs, groups
        The images with their masks, and the group of like images to which each stem belongs.
    folds
        The stems of each fold, see `napari_unetseg.training.folds.deal`.
    folder
        Of what is needed to go on, and of the results, see `write_cross_validation`.
    start_from
        Weights that never saw these images, with which each fold begins; see `TrainingRecipe`.
    device
        See `napari_unetseg.training.train.train`.
    report
        Called with each event, from the calling thread.
    stop
        Asked at each step; an exception out of it leaves a checkpoint.

    Raises
    ------
    UnetsegError
        If the recipe, an image or the folder cannot be used, the message naming it.
    """
    if recipe.start_from:
        raise RecipeError(
            f"Recipe {recipe.name!r} begins with weights that were trained before (start_from), and nobody knows "
            "whether they saw the images that a fold holds out. Choose a recipe that begins anew, or give weights that "
            "never saw them with --start-from."
        )
    recipe = recipe.model_copy(update={"start_from": tuple(start_from)})
    chosen = choose_device(device)
    keep_to_cores()
    require_masks(pairs)
    fingerprint = pairs_fingerprint(pairs)
    _write_plan(folder, recipe, fingerprint, folds)
    report(Told(text="Reading the images."))
    samples = load_samples(list(pairs), recipe.normalisation)
    data = _Data({pair.stem: pair for pair in pairs}, {one.stem: one for one in samples}, groups, fingerprint)
    parts = [_make_fold(number, held, data, folder) for number, held in enumerate(folds, start=1)]
    for fold in parts:
        learnt = len(pairs) - len(fold.held)
        report(
            Told(text=f"Fold {fold.number} of {len(parts)}: {learnt} images to train on, {len(fold.held)} held out.")
        )
        if not (fold.folder / MODEL_FOLDER / CARD_FILE).exists():
            _train_without(fold, data, recipe, torch.device(chosen.torch_name), report, stop)
        _predict_held_out(fold, data, device)
    report(Told(text="Choosing the parameters of each fold on the held-out images of the others."))
    return _score(parts, data, recipe, folder, device)


def _make_fold(number: int, held: tuple[str, ...], data: _Data, folder: Path) -> Fold:
    scored = tuple(stem for stem in held if data.samples[stem].is_annotated)
    if not scored:
        raise DatasetError(
            f"{data.pairs[held[0]].mask.parent}: nothing is annotated on any image of fold {number} "
            f"({', '.join(held[:5])}), so there is nothing to score. Annotate one, leave them out, or group them with "
            "others by --groups."
        )
    return Fold(number, held, scored, folder / f"fold{number}")


def _write_plan(folder: Path, recipe: TrainingRecipe, fingerprint: str, folds: Sequence[tuple[str, ...]]) -> None:
    """Note what is done in a folder, so that nobody goes on there with anything else."""
    content = {"recipe": hash_recipe(recipe), "images": fingerprint, "folds": [list(one) for one in folds]}
    if recipe.start_from:
        content["weights"] = [hash_weights(source) for source in recipe.start_from]
    file = folder / PLAN_FILE
    text = json.dumps(content, indent=2) + "\n"
    if not file.exists():
        with whole_file(file) as path:
            path.write_text(text, encoding="utf-8")
    elif file.read_text(encoding="utf-8") != text:
        raise UnetsegError(
            f"{folder}: there is a cross-validation of another recipe, of other images, in other folds or "
            "from other weights. Choose another folder, or delete this one."
        )


def _train_without(
    fold: Fold,
    data: _Data,
    recipe: TrainingRecipe,
    device: torch.device,
    report: Callable[[TrainingEvent], None],
    stop: Callable[[], bool],
) -> None:
    """Train on all images but those of a fold, and write the model."""

    def tell(state: TrainingState) -> None:
        row = state.history[-1]
        report(Validated(step=state.step, loss=row["loss"], score=None, best=False, seconds=state.seconds))

    training = [sample for stem, sample in data.samples.items() if stem not in fold.held]
    scenes = make_scenes(recipe.scenes, recipe.seed, recipe.normalisation)
    shown = training + scenes
    alike = group_by_appearance([data.pairs[sample.stem] for sample in training], recipe.split.distance)
    names = [alike[sample.stem] for sample in training] + [sample.kind for sample in scenes]
    weights = draw_weights([sample.kind for sample in shown], names, recipe.rare)
    state = fit(shown, weights, [], recipe, fold.folder, device=device, on_validation=tell, stop=stop)
    averaged = without_auxiliary(state.average.module.state_dict(), recipe)
    write_package(fold.folder / MODEL_FOLDER, card_fields(recipe, training, len(training)), averaged)


def _predict_held_out(fold: Fold, data: _Data, device: str) -> None:
    missing = [data.pairs[stem] for stem in fold.scored if not _is_whole(fold.map_file(stem))]
    if missing:
        for one in predict_pairs(fold.package, missing, device):
            with whole_file(fold.map_file(one.pair.stem)) as path:
                np.save(path, one.probability.astype(np.float16))


def _is_whole(path: Path) -> bool:
    """Whether maps can be read; nothing but their header is."""
    try:
        np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return False
    return True


class _Chooser:
    """Chooses decoder parameters on held-out images; what an image scores by some is worked out once for all folds."""

    def __init__(self, folds: Sequence[Fold], data: _Data, recipe: TrainingRecipe) -> None:
        self._recipe = recipe
        self._scores = {
            stem: ImageScores(partial(_predicted, fold, stem, data), fold.package.card.heads, recipe.metric)
            for fold in folds
            for stem in fold.scored
        }

    def choose(self, stems: Sequence[str]) -> DecodeParameters:
        """Return the parameters with the best mean score over these images."""
        return choose_parameters(
            lambda candidate: float(np.mean([self._scores[stem](candidate) for stem in stems])),
            self._recipe.parameters,
            self._recipe.metric,
        )


def _predicted(fold: Fold, stem: str, data: _Data) -> PredictedPair:
    maps = np.load(fold.map_file(stem)).astype(np.float32)
    return PredictedPair(data.pairs[stem], maps, data.samples[stem].labels)


def _score(folds: Sequence[Fold], data: _Data, recipe: TrainingRecipe, folder: Path, device: str) -> CrossValidation:
    chooser = _Chooser(folds, data, recipe)
    truth = choose_truth(are_masks(list(data.pairs.values())), folds[0].package.card.decoder != "threshold")
    parameters: dict[str, DecodeParameters] = {}
    images: list[ScoredImage] = []
    for fold in folds:
        chosen = chooser.choose([stem for other in folds if other is not fold for stem in other.scored])
        parameters[str(fold.number)] = chosen
        images += [
            _scored(one, fold, chosen, truth, data.groups[one.pair.stem])
            for one in _as_segmented(fold, chosen, data, device)
        ]
    outcome = CrossValidation(
        recipe=recipe,
        recipe_sha256=hash_recipe(recipe),
        parameters=chooser.choose([stem for fold in folds for stem in fold.scored]),
        fold_parameters=parameters,
        scores=summarise(images),
        images_sha256=data.fingerprint,
    )
    write_cross_validation(outcome, images, folder)
    return outcome


def _as_segmented(fold: Fold, parameters: DecodeParameters, data: _Data, device: str) -> Iterator[PredictedPair]:
    """Give the maps of a fold's images as a model with these parameters would see them."""
    card = fold.package.card
    if card.object_sizes is None:
        yield from (_predicted(fold, stem, data) for stem in fold.scored)
    else:  # the parameters decide which objects the first run finds, and so the size at which it looks again
        knowing = replace(fold.package, card=card.model_copy(update={"parameters": parameters}))
        yield from predict_pairs(knowing, [data.pairs[stem] for stem in fold.scored], device)


def _scored(one: PredictedPair, fold: Fold, parameters: DecodeParameters, truth: Truth, group: str) -> ScoredImage:
    labels = decode(one.probability, fold.package.card.heads, parameters)
    score = compare(labels, one.labels, one.pair, truth)
    if score.objects is None:
        return ScoredImage(fold.number, group, score, np.empty(0), np.empty(0, bool))
    predicted, annotation = annotated_part(labels, one.labels)
    objects = annotated_objects(annotation, truth)
    areas = np.bincount(objects.ravel())[1:]
    diameters = np.sqrt(4 * areas[areas > 0] / np.pi)
    return ScoredImage(fold.number, group, score, diameters, found_objects(iou_matrix(predicted, objects)))
