"""What a cross-validation found, and the file that holds it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from napari_unetseg.io import write_table
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.training.dataset import DatasetError
from napari_unetseg.training.report import SCORES_FILE, score_columns
from napari_unetseg.training.scores import Score, summarise_scores
from napari_unetseg.training.training_recipe import WORDS, RecipeError, TrainingRecipe
from napari_unetseg.zoo.cross_validated import CrossValidated, FoundOfSize

CROSS_VALIDATION_FILE = "cross_validation.json"

DIAMETERS = (0, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192)
"""Where classes of size begin, in pixels of equivalent diameter."""


class CrossValidation(BaseModel):
    """The outcome of a cross-validation.

    Attributes
    ----------
    recipe, recipe_sha256
        What every fold was trained by, and what tells it from others, see `hash_recipe`.
    parameters
        Those of the decoder that suit the held-out images of all folds best: a model of all images takes them.
    fold_parameters
        Those with which each fold was scored, by its number: chosen on the held-out images of the others.
    scores
        For the card.
    images_sha256
        What tells the images and masks from others, see `napari_unetseg.training.validation_choice.pairs_fingerprint`;
        None in files of earlier versions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    recipe: TrainingRecipe
    recipe_sha256: str
    parameters: DecodeParameters
    fold_parameters: dict[str, DecodeParameters]
    scores: CrossValidated
    images_sha256: str | None = None


@dataclass(frozen=True)
class ScoredImage:
    """How well a held-out image was segmented.

    Attributes
    ----------
    fold
        Number of the fold that held it out, from 1.
    diameters, found
        Of each annotated object the equivalent diameter in pixels, and whether it was found at an IoU of 0.5; both
        are empty where objects are not told apart.
    """

    fold: int
    group: str
    score: Score
    diameters: NDArray[np.float64]
    found: NDArray[np.bool_]


_COURSE = ("steps", "minutes", "batch", "warm_up", "learning_rate", "average", "validate_every", "seed", "start_from")
"""How long it is learnt, at which pace, and from where, which may differ between folds and the model of all images."""


def hash_recipe(recipe: TrainingRecipe) -> str:
    """Return the SHA-256 of what decides the weights; an option that came later and is at its default is not in it."""
    fields = recipe.model_dump(mode="json", exclude=set(WORDS), exclude_defaults=True)
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def require_same_recipe(outcome: CrossValidation, recipe: TrainingRecipe) -> None:
    """See to it that scores are said of models of the recipe that they are of; its course may be another.

    Raises
    ------
    RecipeError
        If the recipes differ in more than how long they are learnt by, at which pace, and from where.
    """
    course = {name: getattr(recipe, name) for name in _COURSE}
    if hash_recipe(outcome.recipe.model_copy(update=course)) != hash_recipe(recipe):
        raise RecipeError(
            f"Recipe {recipe.name!r} is not the one of which the cross-validation is, so its scores say nothing of the "
            "model. Choose that recipe, or cross-validate this one."
        )


def require_same_images(outcome: CrossValidation, fingerprint: str) -> None:
    """See to it that scores are said of models of the images that they are of, where that is known.

    Raises
    ------
    DatasetError
        If the fingerprint is that of other images, masks or kinds.
    """
    if outcome.images_sha256 not in (None, fingerprint):
        raise DatasetError(
            "The cross-validation is of other images or masks than those to train on, or of other kinds of them "
            "(index.csv), so its scores say nothing of the model. Choose the images that it is of, or cross-validate "
            "these."
        )


def trained_on_all(outcome: CrossValidation, recipe: TrainingRecipe) -> str:
    """Say for the card of a model of all images what its scores are of."""
    scores = outcome.scores
    said = (
        f"nothing held out, since the model was trained on all images; the scores are those of {scores.folds} networks "
        f"of the same recipe, each on the part of {scores.images} images that it did not see, in whole groups"
    )
    here, there = _course(recipe), _course(outcome.recipe)
    return said if here == there else f"{said}. They were trained for {there}, the model for {here}"


def _course(recipe: TrainingRecipe) -> str:
    length = f"{recipe.steps:,} steps" if recipe.minutes is None else f"{recipe.minutes:g} minutes"
    start = f" from {' and '.join(Path(source).stem for source in recipe.start_from)}" if recipe.start_from else ""
    return f"{length} of {recipe.batch} crops{start}"


def summarise(images: Sequence[ScoredImage]) -> CrossValidated:
    """Average the scores of all images, of each kind and of each fold; at least two folds have some."""
    scores = [image.score for image in images]
    per_fold = {
        str(fold): _means([image.score for image in images if image.fold == fold])
        for fold in sorted({image.fold for image in images})
    }
    spread = {
        name: round(float(np.std([means[name] for means in per_fold.values()], ddof=1)), 4)
        for name in next(iter(per_fold.values()))
        if name != "images"
    }
    return CrossValidated.model_validate(
        {
            **summarise_scores(scores),
            "folds": len(per_fold),
            "spread": spread,
            "per_fold": per_fold,
            "by_size": found_by_size(images),
        }
    )


def _means(scores: Sequence[Score]) -> dict[str, float]:
    return {name: value for name, value in summarise_scores(scores).items() if name != "per_kind"}


def found_by_size(images: Sequence[ScoredImage]) -> dict[str, FoundOfSize]:
    """Say which part of the annotated objects was found, by classes of diameter that have any."""
    diameters = np.concatenate([image.diameters for image in images])
    found = np.concatenate([image.found for image in images])
    classes = {}
    for least, most in pairwise((*DIAMETERS, np.inf)):
        inside = (diameters >= least) & (diameters < most)
        if inside.any():
            name = f"{least} px and more" if np.isinf(most) else f"{least} to {most} px"
            classes[name] = FoundOfSize(objects=int(inside.sum()), found=round(float(found[inside].mean()), 4))
    return classes


def write_cross_validation(outcome: CrossValidation, images: Sequence[ScoredImage], folder: Path) -> None:
    """Write the outcome, and a table with a row for each image.

    Raises
    ------
    UnetsegError
        If a file cannot be written.
    """
    columns: dict[str, list[Any]] = {"fold": [one.fold for one in images], "group": [one.group for one in images]}
    write_table(folder / SCORES_FILE, columns | score_columns([one.score for one in images]))
    with whole_file(folder / CROSS_VALIDATION_FILE) as path:
        path.write_text(outcome.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_cross_validation(path: Path) -> CrossValidation:
    """Read what `write_cross_validation` wrote.

    Raises
    ------
    DatasetError
        If the file cannot be read or is something else.
    """
    try:
        return CrossValidation.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"{path}: the cross-validation cannot be read ({error.strerror}).") from error
    except ValidationError as error:
        raise DatasetError(
            f"{path}: this is no outcome of a cross-validation. Choose the {CROSS_VALIDATION_FILE} that "
            "'napari-unetseg evaluate --cross-validate' wrote."
        ) from error
