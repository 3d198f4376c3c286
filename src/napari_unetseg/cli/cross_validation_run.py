"""`napari-unetseg evaluate --cross-validate`: how well models of a recipe meet images that they were not made with."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from napari_unetseg.cli.training_run import TrainingRun
from napari_unetseg.io.text_columns import in_columns

if TYPE_CHECKING:
    from napari_unetseg.training.dataset import Pair
    from napari_unetseg.training.training_recipe import TrainingRecipe
    from napari_unetseg.zoo.cross_validated import CrossValidated

FOLDS = 5

_MEASURES = {"dice": "Dice", "ap50": "AP@0.5", "ap75": "AP@0.75", "precision": "precision", "recall": "recall"}


def run_cross_validation(
    model: str,
    pairs: "list[Pair]",
    folds: int,
    groups: Path | None,
    start_from: list[str],
    output: Path,
    device: str | None,
    as_json: bool,
) -> None:
    """Train and score the folds, and print what came of it.

    Parameters
    ----------
    model
        Name or folder of a model with its recipe, or the file of a recipe.
    folds
        How many there are at most.
    groups
        File that says which images stay together; None: those that look alike do.
    start_from
        Weights that never saw these images, with which each fold begins.
    """
    with TrainingRun(output, as_events=False) as run:
        from napari_unetseg.config import load_settings
        from napari_unetseg.training.cross_validation import cross_validate
        from napari_unetseg.training.folds import deal, read_groups
        from napari_unetseg.training.split import group_by_appearance

        recipe = _find_recipe(model)
        group_of = read_groups(groups, pairs) if groups else group_by_appearance(pairs, recipe.split.distance)
        outcome = cross_validate(
            pairs,
            group_of,
            deal(group_of, {pair.stem: pair.kind for pair in pairs}, folds),
            recipe,
            output,
            start_from=start_from,
            device=device or load_settings().settings.unet.model.device,
            report=run.report if not as_json else lambda event: None,
            stop=run.stop,
        )
    typer.echo(outcome.model_dump_json(indent=2) if as_json else "\n".join(_lines(outcome.scores)))
    typer.echo(f"Results in {output}.", err=True)


def _find_recipe(model: str) -> "TrainingRecipe":
    """Read the recipe that a model was trained by, or the one that is given."""
    from napari_unetseg.training.train import RECIPE_FILE
    from napari_unetseg.training.training_recipe import RecipeError, read_training_recipe
    from napari_unetseg.zoo.card import CARD_FILE
    from napari_unetseg.zoo.registry import find_model

    given = Path(model)
    if given.suffix.lower() in (".yaml", ".yml") and given.name != CARD_FILE:
        return read_training_recipe(given)
    recipe = find_model(model).path / RECIPE_FILE
    if not recipe.is_file():
        raise RecipeError(f"{recipe}: the model has no recipe to train anew by. Name the file of a recipe instead.")
    return read_training_recipe(recipe)


def _lines(scores: "CrossValidated") -> list[str]:
    measures = {name: title for name, title in _MEASURES.items() if getattr(scores, name) is not None}
    rows = [("", "images", *measures.values()), *_rows(scores, list(measures))]
    lines = in_columns(rows, left=1)
    if scores.by_size:
        sizes = [(name, str(found.objects), f"{found.found:.3f}") for name, found in scores.by_size.items()]
        lines += ["", *in_columns([("diameter", "objects", "found at IoU 0.5"), *sizes], left=1)]
    return lines


def _rows(scores: "CrossValidated", measures: list[str]) -> Iterator[tuple[str, ...]]:
    parts = {f"fold {name}": figures for name, figures in scores.per_fold.items()}
    kinds = scores.per_kind if len(scores.per_kind) > 1 else {}
    # No dict of all, for a kind may be called as another row is.
    for name, figures in [("all", scores), *kinds.items(), *parts.items()]:
        yield (name, str(figures.images), *(f"{getattr(figures, measure):.3f}" for measure in measures))
        if figures is scores:
            yield ("spread of the folds", "", *(f"{scores.spread[measure]:.3f}" for measure in measures))
