"""`napari-unetseg segment`: many images, one loaded model."""

from pathlib import Path
from typing import Annotated

import typer

from napari_unetseg.cli.opening import open_service
from napari_unetseg.cli.options import BackendOption, DeviceOption, ModelOption
from napari_unetseg.cli.reporting import plain_errors

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def segment(
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE...", help="Image files, folders of images, or patterns such as 'plate/*.tif'."),
    ],
    model: ModelOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for the results, made if needed. Default: a folder 'segmented' beside each image.",
            file_okay=False,
        ),
    ] = None,
    save: Annotated[
        str,
        typer.Option(
            metavar="KINDS",
            help="What to write beside the label image: contours (GeoJSON), rois (ImageJ), ome-tiff (labels once "
            "more), confidence (TIFF), table (CSV), overlay (PNG), or all; separated by commas.",
        ),
    ] = "labels",
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Confidence from which a pixel belongs to an object. Default: the model's."),
    ] = None,
    min_size: Annotated[
        int | None, typer.Option(min=0, help="Drop objects of fewer pixels. Default: the model's.")
    ] = None,
    split: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="How readily touching objects are divided. Default: the model's."),
    ] = None,
    channel: Annotated[
        int | None, typer.Option(min=0, help="Segment this channel alone, counted from 0. Default: all together.")
    ] = None,
    diameter: Annotated[
        float | None,
        typer.Option(
            metavar="PIXELS",
            help="Typical diameter of the objects; images are rescaled to the size the model was trained on, results "
            "keep theirs. Default: images are not rescaled.",
        ),
    ] = None,
    tta: Annotated[
        bool,
        typer.Option("--tta", help="Average over flips and turns: 8x slower; the table tells how far they agree."),
    ] = False,
    device: DeviceOption = None,
    backend: BackendOption = None,
) -> None:
    """Find the objects of images and write label images, and more if asked for.

    <image>_labels.tif holds 0 for background and a number for each object, and how it was made (in ImageJ:
    Image > Show Info). Earlier results of the same image are replaced; images never are. Images of the same
    name get their suffix or their folder's name into the names of their results.

    Exit status: 0 if all images were segmented, 1 if any failed, 2 if the command was wrong, 130 after Ctrl-C.
    """
    from napari_unetseg.cli.batch import Batch
    from napari_unetseg.cli.inputs import expand_inputs
    from napari_unetseg.cli.targets import parse_results, plan_targets

    try:
        results = parse_results(save)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--save") from error
    inputs = expand_inputs(images)
    for problem in inputs.problems:
        typer.echo(problem, err=True)
    if not inputs.paths:
        raise typer.Exit(1)
    settings = {"threshold": threshold, "min_size": min_size, "split": split, "channel": channel}
    settings |= {"diameter": diameter, "augment": tta}
    batch = None
    try:
        with plain_errors():
            service = open_service(model, device, backend)
            service.initialize(warm_up=False)
        batch = Batch(service, plan_targets(inputs.paths, output), results, settings)
        with plain_errors():
            batch.run()
    except KeyboardInterrupt:
        typer.echo(f"Stopped. {batch.summary() if batch else 'Nothing was segmented.'}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    typer.echo(batch.summary())
    raise typer.Exit(1 if batch.failed or inputs.problems else 0)
