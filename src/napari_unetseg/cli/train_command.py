"""`napari-unetseg train`: a folder of images and masks becomes a model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_unetseg.cli.options import DeviceOption
from napari_unetseg.cli.reporting import plain_errors, progress_bar
from napari_unetseg.cli.training_run import (
    CheckpointsOption,
    EventsOption,
    PreviewOption,
    TrainingRun,
    default_checkpoints,
)
from napari_unetseg.io.text_columns import in_columns
from napari_unetseg.training.job_folder import NetworkSize, ObjectType
from napari_unetseg.zoo.card import as_name
from napari_unetseg.zoo.cross_validated import CROSS_VALIDATION, main_scores

if TYPE_CHECKING:
    from napari_unetseg.training.data_check import CheckedPair
    from napari_unetseg.training.training_recipe import TrainingRecipe

MOST_STEPS = 1_000_000
"""Steps of a recipe that shall end by its minutes."""

_TITLES = ("name", "status", "size", "objects", "diameter", "annotated")


def train_command(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Folder with 'images' and 'masks' of the same names; masks number their objects from 1. "
            "An index.csv with the columns 'stem' and 'kind' may tell sorts of image apart.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder of the model, made if needed.", file_okay=False),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Only say what is wrong or odd about the images and masks; train nothing."),
    ] = False,
    objects: Annotated[
        ObjectType | None,
        typer.Option(
            help="What there is to find: 'touching' objects that are told apart, or the 'area' that something covers. "
            "Default: the recipe's, else touching."
        ),
    ] = None,
    size: Annotated[
        NetworkSize | None,
        typer.Option(
            help="How large a network: 'tiny' for few images or little time, or 'standard'. Both learn on a laptop. "
            "Default: the recipe's."
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="How long to train, whatever the number of steps.")
    ] = None,
    checkpoints: CheckpointsOption = None,
    recipe: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="YAML file that says how to train; the options below go before it."),
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Names without suffix of the images to hold out, one a line. Default: groups of like images.",
        ),
    ] = None,
    cross_validation: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The cross_validation.json of this recipe, from 'evaluate --cross-validate': train on all images, and "
            "take the scores and the decoder's parameters from there.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the model. Default: the recipe's, else that of the output folder.")
    ] = None,
    title: Annotated[
        str | None,
        typer.Option(help="What people call the model. Default: the recipe's, else the output folder's name."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps.")] = None,
    batch: Annotated[int | None, typer.Option(help="Crops a step.")] = None,
    crop: Annotated[int | None, typer.Option(help="Side of a crop in pixels.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the first weights and of every crop.")] = None,
    patience: Annotated[
        int | None, typer.Option(help="Validations without a better score after which training stops early.")
    ] = None,
    start_from: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WEIGHTS",
            help="Begin with the weights of a checkpoint (best.pt of another run) or a model, by its path or name. "
            "Given several times, with the mean of their weights; with --steps 0 that is the model.",
        ),
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for curves that TensorBoard shows.", file_okay=False),
    ] = None,
    preview: PreviewOption = None,
    device: DeviceOption = None,
    events: EventsOption = False,
) -> None:
    """Train a model on your own images.

    Writes a model package (model.yaml, weights, recipe, list of held-out images) that --model and the
    window take by its path. The weights that score best on the held-out images are kept, and the
    model's card says how well.
    """
    if check:
        _check(data)
        return
    if output is None:
        raise typer.BadParameter("say where the model goes", param_hint="--output")
    if validation is not None and cross_validation is not None:
        raise typer.BadParameter(
            "it holds nothing out, so it goes without --validation", param_hint="--cross-validation"
        )
    from napari_unetseg.config import load_settings

    given: dict[str, Any] = {"name": name, "display_name": title, "steps": steps, "batch": batch, "crop": crop}
    given |= {"seed": seed, "patience": patience, "start_from": start_from, "minutes": minutes}
    options = {key: value for key, value in given.items() if value is not None}
    if minutes is not None and steps is None:
        options["steps"] = MOST_STEPS
    with plain_errors():
        # Not before a run listens, as what this imports takes seconds.
        folder = checkpoints or default_checkpoints(name or _model_name(recipe, output))
        with TrainingRun(folder, events) as run:
            from napari_unetseg.io import read_image
            from napari_unetseg.training.cross_validation_file import read_cross_validation
            from napari_unetseg.training.train import train as train_model

            chosen = _choose_recipe(recipe, objects, size, options, output, data)
            card = train_model(
                data,
                output,
                folder,
                chosen,
                validation_list=validation,
                cross_validation=None if cross_validation is None else read_cross_validation(cross_validation),
                device=device or load_settings().settings.unet.model.device,
                tensorboard=tensorboard,
                preview=None if preview is None else read_image(preview),
                report=run.report,
                stop=run.stop,
            )
    if not events:
        typer.echo(_outcome(output, card, folder, trained=chosen.steps > 0))


def _outcome(output: Path, card: Any, folder: Path, trained: bool) -> str:
    scores = main_scores(card.scores)
    figures = f"Dice {scores['dice']:.3f}"
    if "ap50" in scores:  # not where the masks do not tell objects apart
        figures += f" and AP@0.5 {scores['ap50']:.3f}"
    validated = CROSS_VALIDATION in card.scores
    images = f"{scores['images']} {'cross-validated' if validated else 'held-out'} images"
    left = "Learning curves and checkpoints" if trained else "Its weights, unrounded,"
    return f"{output}: model {card.name!r}, {figures} on {images} ({card.scores['split']}). {left} are in {folder}."


def _check(data: Path) -> None:
    """Print what there is of each pair, and what is odd; exit with status 1 where training would stop."""
    from napari_unetseg.training.data_check import check_data

    with plain_errors(), progress_bar("Checking", "image") as show:
        report = check_data(data / "images", data / "masks", show)
    rows = [_TITLES, *(_row(pair) for pair in report.pairs)]
    typer.echo("\n".join(in_columns(rows, left=2)))
    for pair in report.pairs:
        if pair.remarks:
            typer.echo(f"{pair.name}: {' '.join(pair.remarks)}")
    for finding in report.findings:
        typer.echo(finding)
    if not report.usable:
        raise typer.Exit(1)


def _row(pair: "CheckedPair") -> tuple[str, ...]:
    return (
        pair.name,
        pair.status,
        "" if pair.shape is None else f"{pair.shape[0]} x {pair.shape[1]}",
        "" if pair.objects is None else str(pair.objects),
        "" if pair.diameter is None else f"{pair.diameter:.0f}",
        f"{pair.annotated:.0%}" if pair.objects is not None else "",
    )


def _model_name(recipe: Path | None, output: Path) -> str:
    """Return the name of the model: the recipe's, else that of the output folder."""
    if recipe is None:
        return as_name(output.resolve().name)
    from napari_unetseg.training.training_recipe import read_training_recipe

    return read_training_recipe(recipe).name


def _choose_recipe(
    path: Path | None,
    objects: ObjectType | None,
    size: NetworkSize | None,
    options: dict[str, Any],
    output: Path,
    data: Path,
) -> "TrainingRecipe":
    """Read the recipe, or make one up from the folders' names, and let the options go before it."""
    from pydantic import ValidationError

    from napari_unetseg.training.training_recipe import (
        RecipeError,
        TrainingRecipe,
        explain_recipe_error,
        fields_for,
        read_training_recipe,
    )

    if path is not None:
        fields = read_training_recipe(path).model_dump()
    else:
        title = output.resolve().name
        fields = {
            "name": as_name(title),
            "display_name": title,
            "description": f"Trained on {data.resolve().name}.",
            "data": {"name": data.resolve().name},
        }
    try:
        return TrainingRecipe.model_validate(fields | fields_for(objects, size) | options)
    except ValidationError as error:
        raise RecipeError(f"The recipe is wrong: {explain_recipe_error(error)}.") from error
