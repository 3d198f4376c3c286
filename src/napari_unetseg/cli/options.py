"""Options that several commands share."""

from typing import Annotated

import typer

ModelOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Name of a model ('napari-unetseg models' lists them), or its folder. "
        "Default: what 'napari-unetseg config' says, or nuclei.",
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE",
        help="auto, cuda, mps or cpu. If it is not there the CPU steps in, with a warning. "
        "Default: what 'napari-unetseg config' says.",
    ),
]
BackendOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help='Runtime: torch, or onnxruntime (pip install "napari-unetseg[onnx]"). '
        "Default: what 'napari-unetseg config' says.",
    ),
]
