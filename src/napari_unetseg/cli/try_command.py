"""`napari-unetseg try`: which model, and which channel, fits an image."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_unetseg.cli.opening import open_service
from napari_unetseg.cli.options import BackendOption, DeviceOption, PrecisionOption, ServerOption
from napari_unetseg.cli.reporting import plain_errors
from napari_unetseg.errors import one_line
from napari_unetseg.io.text_columns import in_columns

if TYPE_CHECKING:
    from napari_unetseg.service import ModelTrial

_TITLES = ("model", "channel", "objects", "confidence", "fit", "")


def try_command(
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="An image file, or a scene of a microscope's file as a.lif/2 is.")
    ],
    axes: Annotated[
        str | None,
        typer.Option(
            metavar="LETTERS",
            help="What the axes of a file are, in their order, such as ZYX or TCZYX; the middle plane is looked at. "
            "Default: what the file says, else one plane.",
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the outlines of each trial into this folder, as PNG.", file_okay=False),
    ] = None,
    device: DeviceOption = None,
    backend: BackendOption = None,
    precision: PrecisionOption = None,
    server: ServerOption = None,
) -> None:
    """Try every model, and every channel, on the middle 512 pixels of an image.

    Lists what each finds, the one that fits best first. The fit is 1 for images such as the model was trained on;
    'unlike' marks those that look unlike what it knows.

    Exit status: 0 if a model found something, 1 if none did.
    """
    with plain_errors():
        from napari_unetseg.batch.output_files import stem_within
        from napari_unetseg.io import read_image
        from napari_unetseg.service import best_first

        opened = read_image(image, axes.upper() if axes else None)
        trials = best_first(open_service(None, device, backend, precision, server=server).try_all(opened))
        if save is not None:
            _save(trials, save, stem_within(image))
    typer.echo("\n".join(in_columns([_TITLES, *(_row(trial) for trial in trials)], left=2)))
    for trial in trials:
        if trial.error is not None:
            typer.echo(f"{trial.package.name}: failed: {one_line(trial.error)}", err=True)
    if not any(trial.count for trial in trials):
        raise typer.Exit(1)


def _row(trial: "ModelTrial") -> tuple[str, ...]:
    channel = "" if trial.piece.channel is None else str(trial.piece.channel)
    if trial.error is not None:
        return trial.package.name, channel, "failed", "", "", ""
    confidence = "" if trial.confidence is None else f"{trial.confidence:.2f}"
    fit, sign = ("", "") if trial.fit is None else (f"{trial.fit.score:.2f}", "unlike" * trial.fit.is_unlike)
    return trial.package.name, channel, str(trial.count), confidence, fit, sign


def _save(trials: "list[ModelTrial]", folder: Path, stem: str) -> None:
    from napari_unetseg.errors import UnetsegError
    from napari_unetseg.io.overlay import write_overlay

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnetsegError(f"{folder}: the folder cannot be made ({error.strerror}).") from error
    for trial in trials:
        if trial.labels is not None:
            channel = "" if trial.piece.channel is None else f"_channel{trial.piece.channel}"
            write_overlay(folder / f"{stem}_{trial.package.name}{channel}.png", trial.piece.image, trial.labels)
