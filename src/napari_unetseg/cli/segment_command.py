"""`napari-unetseg segment`: many images, one loaded model."""

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_unetseg.cli.cluster_options import SchedulerOption, WorkersOption, open_hands
from napari_unetseg.cli.opening import open_service
from napari_unetseg.cli.options import (
    BackendOption,
    DeviceOption,
    ModelOption,
    PrecisionOption,
    ServerOption,
    segment_option,
)
from napari_unetseg.cli.reporting import plain_errors
from napari_unetseg.cli.run_recipe_options import (
    BatchSizeOption,
    RecipeOption,
    WindowOption,
    fixing_recipe,
    open_recipe,
    tiled,
)
from napari_unetseg.cli.zarr_options import (
    BesideOption,
    ConditionsOption,
    FieldsOption,
    LabelNameOption,
    LevelOption,
    ScenesOption,
    WellsOption,
    checked_label_name,
)
from napari_unetseg.segment_options import SegmentOptions
from napari_unetseg.signatures import shows_fields

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


@shows_fields(SegmentOptions, before="axes", annotate=segment_option)
def segment_command(
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...",
            help="Image files, folders of images, OME-Zarr images and plates (folders, .zip, URLs), scenes of "
            "microscopes' files such as 'a.lif/Series 3', or patterns such as 'plate/*.tif'.",
        ),
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
    pattern: Annotated[
        str,
        typer.Option(
            metavar="GLOB", help="Which files of folders to take, such as '*.tif' or '*_dapi.png;*_dapi.tif'."
        ),
    ] = "*",
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Look into sub-folders, too.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Segment also what is done already.")] = False,
    save: Annotated[
        str,
        typer.Option(
            metavar="KINDS",
            help="What to write beside the label image and the table (CSV), which are always written: contours "
            "(GeoJSON), rois (ImageJ), ome-tiff (labels once more), confidence (TIFF), overlay (PNG), or all of these; "
            "ome-zarr (labels so, in place of the TIFF), maps (probabilities as OME-Zarr), parquet (the table once "
            "more); coco (and one annotations.json of all images), yolo, cellpose (_seg.npy); separated by commas.",
        ),
    ] = "",
    *,
    axes: Annotated[
        str | None,
        typer.Option(
            metavar="LETTERS",
            help="What the axes of files are, in their order: Y and X, before or between them T (time), Z and C "
            "(channels), such as ZYX or TCZYX. Every plane is segmented. Default: what the file says, else one plane.",
        ),
    ] = None,
    link: Annotated[
        bool,
        typer.Option(
            "--link", help="In stacks: objects keep their number along Z, as one object, and along T, as a track."
        ),
    ] = False,
    device: DeviceOption = None,
    backend: BackendOption = None,
    precision: PrecisionOption = None,
    server: ServerOption = None,
    window: WindowOption = None,
    batch_size: BatchSizeOption = None,
    recipe: RecipeOption = None,
    level: LevelOption = None,
    beside: BesideOption = False,
    label_name: LabelNameOption = None,
    wells: WellsOption = None,
    fields: FieldsOption = None,
    conditions: ConditionsOption = None,
    scenes: ScenesOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    **options: Any,
) -> None:
    """Find the objects of images and write label images and tables, and more if asked for.

    <image>_labels.tif holds 0 for background and a number for each object, and how it was made (in ImageJ:
    Image > Show Info). Images are never replaced. Images of the same name get their suffix or their folder's name
    into the names of their results.

    Of a microscope's file every scene is segmented, or those of --scenes; their results are called <file>_<scene>.

    Labels of OME-Zarr images are OME-Zarr, too, written into the image or beside the table. Of a plate all fields are
    segmented; segmentation_wells.csv sums up each well. Images beyond memory are segmented block by block, after the
    others; what is done of them stays when the run is stopped, and the next one goes on from there.

    Images that are done already, with the same model and parameters, are skipped: segmentation_journal.jsonl in the
    folder of results says so. segmentation_objects.csv there has all objects of all images, segmentation_files.csv
    what became of each image.

    Exit status: 0 if all images were segmented, 1 if any failed, 2 if the command was wrong, 130 after Ctrl-C.
    """
    from napari_unetseg.batch.conditions import read_conditions
    from napari_unetseg.batch.output_files import parse_results
    from napari_unetseg.batch.places import absolute, address, as_path
    from napari_unetseg.batch.segment_files import BatchJob
    from napari_unetseg.cli.batch import BatchPrinter
    from napari_unetseg.cli.inputs import expand_inputs

    try:
        results = parse_results(save)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--save") from error
    segment_options = options | {"link": link}
    read_options = {} if axes is None else {"axes": _checked_axes(axes)}
    read_options |= {} if level is None else {"level": level.strip()}
    label_name = checked_label_name(label_name)
    batch = fixing = None
    try:
        with plain_errors():
            if workers is not None or scheduler is not None:  # whose folder is another one
                images = [address(absolute(as_path(word))) for word in images]
                output = None if output is None else output.absolute()
            inputs = expand_inputs(images, pattern, recursive=recursive, wells=wells, fields=fields, scenes=scenes)
            for problem in (*inputs.problems, *inputs.remarks):
                typer.echo(problem, err=True)
            if not inputs.paths:
                raise typer.Exit(1)
            known = {} if conditions is None else read_conditions(conditions)
            unknown = known.keys() - {place.well for place in inputs.places.values()}
            if unknown and wells is None:
                typer.echo(f"{conditions}: no plate here has {', '.join(sorted(unknown))}.", err=True)
            if recipe is not None:
                tiles = {"window": window, "batch_size": batch_size}
                where = {"model": model, "device": device, "backend": backend, "precision": precision, "server": server}
                service, opened = open_recipe(recipe, segment_options | where | tiles)
                segment_options, fixing = opened.segment_options(), fixing_recipe(opened, len(inputs.paths))
            else:
                if server is not None and (window is not None or batch_size is not None):
                    raise typer.BadParameter("the server decides --window and --batch-size", param_hint="--server")
                service = open_service(model, device, backend, precision, tiled(window, batch_size), server)
            job = BatchJob(
                inputs.paths,
                output,
                results,
                segment_options,
                read_options,
                again,
                fixing,
                places=inputs.places,
                conditions=known,
                beside=beside,
                label_name=label_name,
            )
            with open_hands(service, workers, scheduler) as hands:
                batch = BatchPrinter(service, job, hands)
                batch.run()
    except KeyboardInterrupt:
        typer.echo(f"Stopped. {batch.summary() if batch else 'Nothing was segmented.'}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    typer.echo(batch.summary())
    raise typer.Exit(1 if batch.counts.count("failed") or inputs.problems else 0)


def _checked_axes(letters: str) -> str:
    axes = letters.upper()
    if set(axes) - set("TZCYX") or not {"Y", "X"} <= set(axes) or len(set(axes)) != len(axes):
        raise typer.BadParameter(f"{letters} is not made of T, Z, C, Y and X, each at most once", param_hint="--axes")
    return axes
