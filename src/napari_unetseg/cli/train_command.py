"""`napari-unetseg train`: a folder of images and masks becomes a model."""

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_unetseg.cli.options import DeviceOption
from napari_unetseg.cli.reporting import plain_errors


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
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder of the model, made if needed.", file_okay=False),
    ],
    checkpoints: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for checkpoints and learning curves; run the same command again to go on from them. "
            "Default: in the user's cache folder, by the model's name.",
            file_okay=False,
        ),
    ] = None,
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
    name: Annotated[
        str | None, typer.Option(help="Name of the model. Default: the recipe's, else that of the output folder.")
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
    device: DeviceOption = None,
) -> None:
    """Train a model on your own images.

    Writes a model package (model.yaml, weights, recipe, list of held-out images) that --model and the
    window take by its path. The weights that score best on the held-out images are kept, and the
    model's card says how well.
    """
    from platformdirs import user_cache_path
    from tqdm import tqdm

    from napari_unetseg.config import load_settings

    options: dict[str, Any] = {"name": name, "steps": steps, "batch": batch, "crop": crop, "seed": seed}
    options |= {"patience": patience, "start_from": start_from}
    with plain_errors():
        from napari_unetseg.training.train import train as train_model

        chosen = _choose_recipe(
            recipe, {key: value for key, value in options.items() if value is not None}, output, data
        )
        folder = checkpoints or user_cache_path("napari-unetseg", appauthor=False) / "training" / chosen.name
        where = device or load_settings().settings.unet.model.device
        card = train_model(
            data,
            output,
            folder,
            chosen,
            validation_list=validation,
            device=where,
            tensorboard=tensorboard,
            report=tqdm.write,
        )
    scores = card.scores["validation"]
    figures = f"Dice {scores['dice']:.3f}"
    if "ap50" in scores:  # not where the masks do not tell objects apart
        figures += f" and AP@0.5 {scores['ap50']:.3f}"
    typer.echo(
        f"{output}: model {card.name!r}, {figures} on {scores['images']} held-out images. "
        f"{'Learning curves and checkpoints' if chosen.steps else 'Its weights, unrounded,'} are in {folder}."
    )


def _choose_recipe(path: Path | None, options: dict[str, Any], output: Path, data: Path) -> Any:
    """Read the recipe, or make one up from the folders' names, and let the options go before it."""
    from pydantic import ValidationError

    from napari_unetseg.training.training_recipe import (
        RecipeError,
        TrainingRecipe,
        explain_recipe_error,
        read_training_recipe,
    )

    if path is not None:
        fields = read_training_recipe(path).model_dump()
    else:
        title = output.resolve().name
        fields = {
            "name": title.lower().replace(" ", "_"),
            "display_name": title,
            "description": f"Trained on {data.resolve().name}.",
            "data": {"name": data.resolve().name},
        }
    try:
        return TrainingRecipe.model_validate(fields | options)
    except ValidationError as error:
        raise RecipeError(f"The recipe is wrong: {explain_recipe_error(error)}.") from error
