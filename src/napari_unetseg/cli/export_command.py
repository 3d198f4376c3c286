"""`napari-unetseg export`: a model for programs that do not know PyTorch, or in int8 for OpenVINO."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_unetseg.cli.reporting import plain_errors

if TYPE_CHECKING:
    from napari_unetseg.zoo.registry import ModelPackage


class Format(StrEnum):
    """What a model can be exported as."""

    ONNX = "onnx"


def export_command(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Name of a model ('napari-unetseg models' lists them), or its folder."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file to write. Default: MODEL.onnx, here. With --int8 a folder for a copy. Default: none.",
        ),
    ] = None,
    to: Annotated[Format, typer.Option("--format", help="Kind of file.")] = Format.ONNX,
    int8: Annotated[
        bool, typer.Option("--int8", help="Bring the model into int8 for OpenVINO, with --calibrate.")
    ] = False,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of images that the model is meant for; a few dozen that differ.",
            file_okay=False,
        ),
    ] = None,
) -> None:
    """Write a model as an ONNX file, or bring it into int8.

    The ONNX file is checked to compute what PyTorch computes. Its input takes any batch, height and width; its
    output is the network's own, before any sigmoid that the model card leaves to the program. Name, hash of the
    weights, heads and card are in the file's metadata. Needs pip install "napari-unetseg[onnx]".

    In int8 the model is kept for 'segment --precision int8' and the window, if its masks of the images in DIR agree
    with those in float32 to a Dice of 0.995 or more. Needs pip install "napari-unetseg[openvino]".
    """
    if int8 != (calibrate is not None):
        raise typer.BadParameter("--int8 and --calibrate DIR belong together: give both or neither.")
    from napari_unetseg.zoo.registry import find_model

    with plain_errors():
        package = find_model(model)
        if calibrate is not None:
            _quantise(package, calibrate, output)
        else:
            _write_onnx(package, output or Path(f"{package.name}.{to}"))


def _write_onnx(package: "ModelPackage", path: Path) -> None:
    from napari_unetseg.inference.backends.onnx_export import export_onnx
    from napari_unetseg.language import Sentence
    from napari_unetseg.zoo.network_loading import load_own_network

    exported = export_onnx(load_own_network(package, Sentence("exported")), package.card, path)
    sizes = ", ".join(f"{height} x {width}" for _, _, height, width in exported.shapes)
    typer.echo(f"Wrote {path} ({path.stat().st_size / 1e6:.1f} MB).")
    typer.echo(f"Largest difference from PyTorch: {exported.difference:.2g}, on random images of {sizes}.")


def _quantise(package: "ModelPackage", folder: Path, output: Path | None) -> None:
    from napari_unetseg.batch.find_images import find_images
    from napari_unetseg.inference.backends.openvino.network_conversion import copy_folder, folder_for
    from napari_unetseg.io import read_image
    from napari_unetseg.service.calibrating import calibrate_package

    images = [read_image(path) for path in find_images(folder)]
    calibration = calibrate_package(package, images, lambda done, total: typer.echo(f"{done} of {total}", err=True))
    typer.echo(calibration.outcome)
    typer.echo(
        f"Lowest on {calibration.worst_image}: {calibration.worst_dice:.4f}. {calibration.in_int8} of "
        f"{calibration.layers} convolutions are computed in int8."
    )
    kept = folder_for(package.card, "int8")
    if output is not None:
        copy_folder(kept, output)
    typer.echo(f"Kept in {kept}" + (f", and copied to {output}." if output is not None else "."))
    if not calibration.accepted:
        raise typer.Exit(1)
