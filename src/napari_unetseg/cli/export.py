"""`napari-unetseg export`: a model for programs that do not know PyTorch."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from napari_unetseg.cli.reporting import plain_errors


class Format(StrEnum):
    """What a model can be exported as."""

    ONNX = "onnx"


def export(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Name of a model ('napari-unetseg models' lists them), or its folder."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The file to write. Default: MODEL.onnx, here.", dir_okay=False
        ),
    ] = None,
    to: Annotated[Format, typer.Option("--format", help="Kind of file.")] = Format.ONNX,
) -> None:
    """Write a model as an ONNX file and check that it computes what PyTorch computes.

    Its input takes any batch, height and width; its output is the network's own, before any sigmoid that the
    model card leaves to the program. Name, hash of the weights, heads and card are in the file's metadata. Needs
    pip install "napari-unetseg[onnx]".
    """
    from napari_unetseg.zoo.registry import find_model

    with plain_errors():
        package = find_model(model)
        path = output or Path(f"{package.name}.{to}")

        from napari_unetseg.inference.export import export_onnx
        from napari_unetseg.zoo.loading import load_network

        exported = export_onnx(load_network(package), package.card, path)
    sizes = ", ".join(f"{height} x {width}" for _, _, height, width in exported.shapes)
    typer.echo(f"Wrote {path} ({path.stat().st_size / 1e6:.1f} MB).")
    typer.echo(f"Largest difference from PyTorch: {exported.difference:.2g}, on random images of {sizes}.")
