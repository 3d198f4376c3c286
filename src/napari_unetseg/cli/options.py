"""Options that several commands share."""

from typing import Annotated

import typer

ModelOption = Annotated[
    str, typer.Option(metavar="NAME", help="Name of a model ('napari-unetseg models' lists them), or its folder.")
]
DeviceOption = Annotated[
    str,
    typer.Option(metavar="DEVICE", help="auto, cuda, mps or cpu. If it is not there the CPU steps in, with a warning."),
]
BackendOption = Annotated[
    str,
    typer.Option(metavar="NAME", help='Runtime: torch, or onnxruntime (pip install "napari-unetseg[onnx]").'),
]
