"""`napari-unetseg export`: a model for other programs and the BioImage Model Zoo, or in int8 for OpenVINO."""

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
    BIOIMAGEIO = "bioimageio"


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
            help="The file to write. Default: MODEL.onnx or MODEL.bioimageio.zip, here. With --int8 a folder for a "
            "copy. Default: none.",
        ),
    ] = None,
    to: Annotated[Format, typer.Option("--format", help="Kind of file.")] = Format.ONNX,
    int8: Annotated[
        bool, typer.Option("--int8", help="Bring the model into int8 for OpenVINO, with --calibrate.")
    ] = False,
    author: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="With --format bioimageio: who made the model; repeat it for several. Default: the model card's.",
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="With --format bioimageio: the licence of the weights, an SPDX identifier such as CC-BY-4.0. Default: "
            "the model card's.",
        ),
    ] = None,
    cite: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORDS",
            help="With --format bioimageio: what to cite, with a DOI or an address in it; repeat it for several.",
        ),
    ] = None,
    sample: Annotated[
        Path | None,
        typer.Option(
            metavar="IMAGE",
            help="With --format bioimageio: an image that the model is meant for, for the cover and the test. Default: "
            "a sample image of bundled models, drawn discs for others.",
            dir_okay=False,
        ),
    ] = None,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of images that the model is meant for; a few dozen that differ.",
            file_okay=False,
        ),
    ] = None,
) -> None:
    """Write a model as an ONNX file, as a package of the BioImage Model Zoo, or bring it into int8.

    The ONNX file is checked to compute what PyTorch computes. Its input takes any batch, height and width; its
    output is the network's own, before any sigmoid that the model card leaves to the program. Name, hash of the
    weights, heads and card are in the file's metadata. Needs pip install "napari-unetseg[onnx]".

    With --format bioimageio the file is a zip for other programs and for upload: ONNX and PyTorch weights, intensities,
    shapes and outputs as specification 0.5 states them, a test picture with its answer, a cover and documentation. What
    the specification has no words for is told. 'napari-unetseg convert' makes the same model of the zip again. Needs
    pip install "napari-unetseg[onnx]", too.

    In int8 the model is kept for 'segment --precision int8' and the window, if its masks of the images in DIR agree
    with those in float32 to a Dice of 0.995 or more. Needs pip install "napari-unetseg[openvino]".
    """
    if int8 != (calibrate is not None):
        raise typer.BadParameter("--int8 and --calibrate DIR belong together: give both or neither.")
    given = (("--author", author), ("--licence", licence), ("--cite", cite), ("--sample", sample))
    if to is not Format.BIOIMAGEIO and (unused := [name for name, value in given if value]):
        raise typer.BadParameter(f"Only with --format {Format.BIOIMAGEIO}: {', '.join(unused)}.")
    if to is Format.BIOIMAGEIO and int8:
        raise typer.BadParameter(f"A package of --format {Format.BIOIMAGEIO} has no int8: leave out --int8.")
    from napari_unetseg.zoo.registry import find_model

    with plain_errors():
        package = find_model(model)
        if calibrate is not None:
            _quantise(package, calibrate, output)
        elif to is Format.BIOIMAGEIO:
            file = output or Path(f"{package.name}.bioimageio.zip")
            _write_bioimageio(package, file, tuple(author or ()), licence, tuple(cite or ()), sample)
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


_MAKERS = "The napari-unetseg developers"
_SAMPLE_OF = {"nails": "hand"}


def _write_bioimageio(
    package: "ModelPackage",
    path: Path,
    authors: tuple[str, ...],
    licence: str | None,
    cite: tuple[str, ...],
    sample: Path | None,
) -> None:
    from napari_unetseg import samples
    from napari_unetseg.io import read_image
    from napari_unetseg.service.bioimageio_export import export_bioimageio

    is_ours = package.origin == "bundled"
    authors = authors or package.card.authors or ((_MAKERS,) if is_ours else ())
    if not authors:
        raise typer.BadParameter("Say who made the model: --author NAME.")
    drawn = samples.SAMPLES[_SAMPLE_OF.get(package.name, package.name)]() if is_ours and sample is None else None
    written = export_bioimageio(
        package,
        path,
        authors=authors,
        licence=licence,
        cite=cite,
        sample=drawn if sample is None else read_image(sample),
    )
    typer.echo(f"Wrote {path} ({path.stat().st_size / 1e6:.1f} MB).")
    typer.echo(
        f"Largest difference of the ONNX weights from PyTorch: {written.onnx_difference:.2g}; of probabilities by the "
        f"stated operations: {written.difference:.2g}."
    )
    typer.echo("What the specification has no words for, and the documentation in it says:")
    for sentence in written.unsaid:
        typer.echo(f"- {sentence}")


def _quantise(package: "ModelPackage", folder: Path, output: Path | None) -> None:
    from napari_unetseg.batch.find_images import find_images
    from napari_unetseg.batch.plates import images_within
    from napari_unetseg.inference.backends.openvino.network_conversion import copy_folder, folder_for
    from napari_unetseg.io import read_image
    from napari_unetseg.service.calibrating import calibrate_package

    images = [read_image(image) for file in find_images(folder) for image in images_within(file)]
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
