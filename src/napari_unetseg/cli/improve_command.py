"""`napari-unetseg improve`: a model and a few corrected images become a better model."""

from pathlib import Path
from typing import Annotated

import typer

from napari_unetseg.cli.options import DeviceOption
from napari_unetseg.cli.reporting import plain_errors
from napari_unetseg.cli.training_run import (
    SCORES,
    CheckpointsOption,
    EventsOption,
    PreviewOption,
    TrainingRun,
    default_checkpoints,
)


def improve_command(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Name of a model ('napari-unetseg models' lists them), or its folder."),
    ],
    images: Annotated[
        Path, typer.Argument(metavar="IMAGES", help="Folder of the images whose labels were corrected, or one image.")
    ],
    labels: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS",
            help="Folder of their corrected labels, named as the images are, or one label image. Every object has a "
            "number of its own, 0 is background; pixels below 0, in a signed TIFF file, are not annotated and teach "
            "nothing.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder of the new model, made if needed.", file_okay=False),
    ],
    minutes: Annotated[float, typer.Option(min=0.1, help="How long to train.")] = 5.0,
    title: Annotated[
        str | None,
        typer.Option(help="What people call the new model. Default: '<model>, improved on <images>'."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every crop.")] = 0,
    checkpoints: CheckpointsOption = None,
    preview: PreviewOption = None,
    device: DeviceOption = None,
    events: EventsOption = False,
) -> None:
    """Improve a model from labels that you corrected.

    Fine-tunes it on the corrected images, or on the parts of them that are annotated, and writes a new model package
    that --model and the window take by its path; the old model stays. Prints the scores before and after on corrected
    regions that were held back.
    """
    from napari_unetseg.config import load_settings
    from napari_unetseg.zoo.card import as_name

    folder = checkpoints or default_checkpoints(as_name(output.resolve().name))
    with plain_errors(), TrainingRun(folder, events) as run:
        from napari_unetseg.io import read_image
        from napari_unetseg.training.corrected_images import read_corrected_images
        from napari_unetseg.training.improve import improve
        from napari_unetseg.zoo.registry import find_model

        card = improve(
            find_model(model),
            read_corrected_images(images, labels),
            output,
            folder,
            minutes=minutes,
            seed=seed,
            display_name=title,
            device=device or load_settings().settings.unet.model.device,
            preview=None if preview is None else read_image(preview),
            report=run.report,
            stop=run.stop,
        )
    if not events:
        typer.echo(f"{output}: model {card.name!r}, {card.display_name}. {_before_and_after(card.scores)}")


def _before_and_after(scores: object) -> str:
    """Say the scores that a card has of before and after, by their names."""
    if not isinstance(scores, dict) or not isinstance(scores.get("before"), dict):
        return "Nothing was held back, so there is no score."
    before, after = scores["before"], scores.get("after", {})
    both = [
        f"{SCORES.get(name, name)} {before[name]:.3f} before, {after[name]:.3f} after"
        for name in before
        if isinstance(before[name], float) and isinstance(after.get(name), float)
    ]
    return f"On corrected regions that were held back: {'; '.join(both)}."
